//! A form is good for one order: who sends it twice is shown what became of the first time.
//!
//! Every form that is served has a token of its own; programs may send one of their making (`token`, or the header
//! `Idempotency-Key`). What became of the newest tokens is kept, up to a limit. A token whose order surely was not
//! taken is free again, so that trying again is possible. Instances do not tell each other.

use crate::orders::{Confirmation, SubmitError};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Names one intent to buy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Token(String);

/// How an order went.
pub(super) type Outcome = Result<Confirmation, SubmitError>;

/// Makes tokens and remembers what became of those that were used. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Once(Arc<Shared>);

/// What a token's sender is to do.
pub(super) enum Turn {
    /// It is the first: order, and say how it went.
    First(Claim),
    /// Somebody else has ordered, or is ordering.
    Again(Pending),
}

/// The right to order with a token. Dropped without a word it counts as an order that nobody can tell about.
pub(super) struct Claim {
    used: Option<Used>,
    outcome: watch::Sender<Option<Outcome>>,
}

/// The token that was claimed, and its number among all claims.
struct Used {
    once: Once,
    token: Token,
    number: u64,
}

/// An order that may be under way.
pub(super) struct Pending(watch::Receiver<Option<Outcome>>);

#[derive(Debug)]
struct Shared {
    most: usize,
    table: Mutex<Table>,
    keys: RandomState,
    made: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    used: HashMap<Token, (u64, watch::Receiver<Option<Outcome>>)>,
    /// From the oldest on. A token that was freed and used again is here twice; the number tells them apart.
    order: VecDeque<(u64, Token)>,
    claims: u64,
}

/// Bytes of a token.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;

// === impl Token ===

impl Token {
    /// None for what cannot be one: letters, digits, `-` and `_`, 16 to 64 of them.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (LENGTHS.contains(&text.len()) && text.bytes().all(valid)).then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl Once ===

impl Once {
    /// Remembers that many tokens, each some 300 bytes.
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Shared {
            most: most.max(1),
            table: Mutex::default(),
            keys: RandomState::new(),
            made: AtomicU64::new(0),
        }))
    }

    /// A token that was never made before. Nobody can guess another's, and use it up: it is SipHash of a count under
    /// a key that the operating system made and that never leaves this process.
    pub(super) fn token(&self) -> Token {
        let count = self.0.made.fetch_add(1, Ordering::Relaxed);
        let half = |half: u8| self.0.keys.hash_one((count, half));
        Token(format!("{:016x}{:016x}", half(0), half(1)))
    }

    /// Uses a token.
    pub(super) fn claim(&self, token: Token) -> Turn {
        let mut table = self.0.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, outcome)) = table.used.get(&token) {
            return Turn::Again(Pending(outcome.clone()));
        }
        table.claims += 1;
        let number = table.claims;
        let (sender, outcome) = watch::channel(None);
        table.used.insert(token.clone(), (number, outcome));
        table.order.push_back((number, token.clone()));
        while table.order.len() > self.0.most {
            let Some((number, oldest)) = table.order.pop_front() else { break };
            if table.used.get(&oldest).is_some_and(|(used, _)| *used == number) {
                table.used.remove(&oldest);
            }
        }
        let used = Used { once: self.clone(), token, number };
        Turn::First(Claim { used: Some(used), outcome: sender })
    }
}

// === impl Claim ===

impl Claim {
    /// For an order without a token, which nobody can ask about a second time.
    pub(super) fn unnamed() -> Self {
        Self { used: None, outcome: watch::Sender::new(None) }
    }

    /// How the order goes, for the first sender as for those who come later.
    pub(super) fn pending(&self) -> Pending {
        Pending(self.outcome.subscribe())
    }

    /// Tells everyone who asks how the order went.
    pub(super) fn settle(self, outcome: Outcome) {
        let taken = matches!(outcome, Ok(_) | Err(SubmitError::Unconfirmed(_)));
        if !taken && let Some(used) = &self.used {
            used.free();
        }
        self.outcome.send_replace(Some(outcome));
    }
}

// === impl Used ===

impl Used {
    /// The token may be used again. Not if it was forgotten meanwhile and is in use for another order already.
    fn free(&self) {
        let mut table = self.once.0.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.used.get(&self.token).is_some_and(|(number, _)| *number == self.number) {
            table.used.remove(&self.token);
        }
    }
}

// === impl Pending ===

impl Pending {
    /// How it went, as soon as that is known.
    pub(super) async fn outcome(mut self) -> Outcome {
        let known = self.0.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        known.unwrap_or_else(|| Err(SubmitError::Unconfirmed("nobody heard how it went".into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn token(number: u32) -> Token {
        Token::parse(&format!("{number:016}")).unwrap()
    }

    fn bought(order: &str) -> Outcome {
        Ok(Confirmation { order: order.into(), quantity: NonZeroU32::MIN })
    }

    fn first(once: &Once, token: Token) -> Claim {
        match once.claim(token) {
            Turn::First(claim) => claim,
            Turn::Again(_) => panic!("the token was used before"),
        }
    }

    fn again(once: &Once, token: Token) -> Pending {
        match once.claim(token) {
            Turn::First(_) => panic!("the token was not used before"),
            Turn::Again(pending) => pending,
        }
    }

    #[tokio::test]
    async fn the_second_hears_how_the_first_went() {
        let once = Once::new(10);
        let claim = first(&once, token(1));
        let (mine, theirs) = (claim.pending(), again(&once, token(1)));
        claim.settle(bought("a"));
        assert_eq!((mine.outcome().await, theirs.outcome().await), (bought("a"), bought("a")));
        assert_eq!(again(&once, token(1)).outcome().await, bought("a"));
        let doubt = Err(SubmitError::Unconfirmed("?".into()));
        first(&once, token(2)).settle(doubt.clone());
        assert_eq!(again(&once, token(2)).outcome().await, doubt);
        drop(first(&once, token(3)));
        assert!(matches!(again(&once, token(3)).outcome().await, Err(SubmitError::Unconfirmed(_))));
    }

    #[tokio::test]
    async fn what_was_not_bought_can_be_tried_again() {
        let once = Once::new(10);
        let claim = first(&once, token(1));
        let waiting = again(&once, token(1));
        claim.settle(Err(SubmitError::Busy));
        assert_eq!(waiting.outcome().await, Err(SubmitError::Busy));
        first(&once, token(1)).settle(bought("b"));
        assert_eq!(again(&once, token(1)).outcome().await, bought("b"));
    }

    #[tokio::test]
    async fn the_oldest_are_forgotten() {
        let once = Once::new(2);
        first(&once, token(1)).settle(Err(SubmitError::Busy));
        first(&once, token(1)).settle(bought("a"));
        // The first use of 1, which was freed, is forgotten; the second is not.
        first(&once, token(2)).settle(bought("b"));
        assert_eq!(again(&once, token(1)).outcome().await, bought("a"));
        first(&once, token(3)).settle(bought("c"));
        first(&once, token(1));
        let table = once.0.table.lock().unwrap();
        assert_eq!((table.used.len(), table.order.len()), (2, 2));
    }

    #[tokio::test]
    async fn who_comes_late_does_not_free_what_another_has_used_since() {
        let once = Once::new(1);
        let late = first(&once, token(1));
        first(&once, token(2)).settle(bought("a"));
        let second = first(&once, token(1));
        late.settle(Err(SubmitError::Busy));
        second.settle(bought("b"));
        assert_eq!(again(&once, token(1)).outcome().await, bought("b"));
    }

    #[test]
    fn tokens_are_what_forms_can_carry_and_never_the_same() {
        let once = Once::new(1);
        let (one, two) = (once.token(), once.token());
        assert_ne!(one, two);
        assert_eq!(Token::parse(one.as_str()), Some(one));
        let (long, longer) = ("x".repeat(64), "x".repeat(65));
        for (text, valid) in [
            (&*long, true),
            ("0123456789abcdef", true),
            ("A-b_0123456789xyz", true),
            (&*longer, false),
            ("0123456789abcde", false),
            ("0123456789abcde<", false),
            ("0123456789abcdé", false),
            ("", false),
        ] {
            assert_eq!(Token::parse(text).is_some(), valid, "{text}");
        }
    }
}
