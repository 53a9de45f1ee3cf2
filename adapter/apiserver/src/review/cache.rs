//! Remembering answers for a short while, and asking once for many who wait.
//!
//! Keys are hashed with a random key, so that no token is kept and nobody can aim at a collision. The
//! answers, the refusals and the questions under way are bounded separately; the oldest goes first.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, WeakShared},
};
use ring::{hmac, rand::SystemRandom};
use tokio::time::Instant;

use super::ReviewError;

/// What a question came to: an answer, a definite refusal, or no word.
pub(crate) type Outcome<T, F> = Result<Result<T, F>, ReviewError>;

/// Answers `T` and refusals `F`.
pub(crate) struct ReviewCache<T, F> {
    key: hmac::Key,
    state: Arc<Mutex<State<T, F>>>,
    capacity: usize,
}

struct State<T, F> {
    answers: Expiring<T>,
    refusals: Expiring<F>,
    /// Weak, so that a question nobody waits for any more is dropped rather than resumed.
    asked: HashMap<Key, WeakShared<BoxFuture<'static, Outcome<T, F>>>>,
}

type Key = [u8; 32];

/// Values that live equally long, so that the oldest is also the first to expire.
struct Expiring<V> {
    lifetime: Duration,
    capacity: usize,
    values: HashMap<Key, (Instant, V)>,
    oldest_first: VecDeque<(Instant, Key)>,
}

// === impl ReviewCache ===

impl<T, F> ReviewCache<T, F>
where
    T: Clone + Send + Sync + 'static,
    F: Clone + Send + Sync + 'static,
{
    /// # Errors
    /// When the system has no randomness.
    pub(crate) fn new(
        answers_live: Duration,
        refusals_live: Duration,
        capacity: usize,
    ) -> Result<Self, ring::error::Unspecified> {
        let state = State {
            answers: Expiring::new(answers_live, capacity),
            refusals: Expiring::new(refusals_live, capacity),
            asked: HashMap::new(),
        };
        Ok(Self {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?,
            state: Arc::new(Mutex::new(state)),
            capacity,
        })
    }

    /// What is remembered for `question`.
    pub(crate) fn remembered(&self, question: &[u8]) -> Option<Result<T, F>> {
        lock(&self.state).remembered(&self.key_of(question), Instant::now())
    }

    /// The outcome for `question`, and whether it was remembered.
    ///
    /// `ask` is called when nobody has asked the same within the lifetime; it goes on as long as
    /// anybody waits for it.
    pub(crate) async fn get<A>(&self, question: &[u8], ask: impl FnOnce() -> A) -> (Outcome<T, F>, bool)
    where
        A: Future<Output = Outcome<T, F>> + Send + 'static,
    {
        let key = self.key_of(question);
        let asked = {
            let mut state = lock(&self.state);
            if let Some(outcome) = state.remembered(&key, Instant::now()) {
                return (Ok(outcome), true);
            }
            match state.asked.get(&key).and_then(WeakShared::upgrade) {
                Some(asked) => asked,
                None => {
                    let asked = remember(self.state.clone(), key, ask()).boxed().shared();
                    if state.asked.len() >= self.capacity {
                        state.asked.retain(|_, asked| asked.upgrade().is_some());
                    }
                    if let Some(weak) = asked.downgrade() {
                        state.asked.insert(key, weak);
                    }
                    asked
                }
            }
        };
        (asked.await, false)
    }

    fn key_of(&self, question: &[u8]) -> Key {
        let mut key = Key::default();
        key.copy_from_slice(hmac::sign(&self.key, question).as_ref());
        key
    }

    #[cfg(test)]
    pub(crate) fn sizes(&self) -> (usize, usize, usize) {
        let state = lock(&self.state);
        (state.answers.len(), state.refusals.len(), state.asked.len())
    }
}

async fn remember<T: Clone, F: Clone>(
    state: Arc<Mutex<State<T, F>>>,
    key: Key,
    ask: impl Future<Output = Outcome<T, F>>,
) -> Outcome<T, F> {
    let outcome = ask.await;
    let mut state = lock(&state);
    let now = Instant::now();
    state.asked.remove(&key);
    match &outcome {
        Ok(Ok(answer)) => state.answers.insert(key, answer.clone(), now),
        Ok(Err(refusal)) => state.refusals.insert(key, refusal.clone(), now),
        // No word is no answer: the next who asks may be luckier.
        Err(_) => {}
    }
    outcome
}

/// Nothing that runs under the lock leaves the state half-changed.
fn lock<S>(state: &Mutex<S>) -> MutexGuard<'_, S> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl State ===

impl<T: Clone, F: Clone> State<T, F> {
    fn remembered(&self, key: &Key, now: Instant) -> Option<Result<T, F>> {
        let answer = self.answers.get(key, now).map(Ok);
        answer.or_else(|| self.refusals.get(key, now).map(Err))
    }
}

// === impl Expiring ===

impl<V: Clone> Expiring<V> {
    fn new(lifetime: Duration, capacity: usize) -> Self {
        Self { lifetime, capacity, values: HashMap::new(), oldest_first: VecDeque::new() }
    }

    fn get(&self, key: &Key, now: Instant) -> Option<V> {
        self.values.get(key).filter(|(until, _)| now < *until).map(|(_, value)| value.clone())
    }

    fn insert(&mut self, key: Key, value: V, now: Instant) {
        if self.lifetime.is_zero() || self.capacity == 0 {
            return;
        }
        while let Some((until, oldest)) = self.oldest_first.front().copied() {
            if now < until && self.oldest_first.len() < self.capacity {
                break;
            }
            self.oldest_first.pop_front();
            self.values.remove(&oldest);
        }
        let until = now + self.lifetime;
        if self.values.insert(key, (until, value)).is_none() {
            self.oldest_first.push_back((until, key));
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.oldest_first.len()
    }
}
