//! Faults on demand: what tests of a client's stamina ask for.

use super::requests::RequestPattern;
use super::store::Store;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// What happens to a request that a fault meets.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// It is answered with a `Status` of this code (400 to 599; anything else counts as 500).
    Fail(u16),
    /// It is answered, but only after this long.
    Delay(Duration),
    /// Its stream (HTTP/2) or connection (HTTP/1.1) is reset without an answer.
    Reset,
}

/// How watches end when they are cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cut {
    End,
    Reset,
}

/// The faults that wait for their requests.
#[derive(Debug)]
pub(crate) struct Faults {
    pending: Mutex<Vec<Fault>>,
    cuts: watch::Sender<Cut>,
}

/// The way to inject faults, from [`Handle::faults`](super::Handle::faults).
pub struct Injector<'a> {
    faults: &'a Faults,
    store: &'a Store,
}

#[derive(Debug)]
struct Fault {
    pattern: RequestPattern,
    effect: Effect,
    times: usize,
}

// === impl Faults ===

impl Faults {
    pub(crate) fn new() -> Self {
        Self { pending: Mutex::default(), cuts: watch::Sender::new(Cut::End) }
    }

    pub(crate) fn injector<'a>(&'a self, store: &'a Store) -> Injector<'a> {
        Injector { faults: self, store }
    }

    /// Tells watches when to end.
    pub(crate) fn cuts(&self) -> watch::Receiver<Cut> {
        self.cuts.subscribe()
    }

    /// The effect on this request, if a fault waits for it; counts it as used.
    pub(crate) fn take(&self, method: &str, path: &str, query: &str) -> Option<Effect> {
        let mut pending = self.lock();
        let index = pending.iter().position(|fault| fault.pattern.matches(method, path, query))?;
        let fault = pending.get_mut(index)?;
        fault.times = fault.times.saturating_sub(1);
        let effect = fault.effect.clone();
        if fault.times == 0 {
            pending.remove(index);
        }
        Some(effect)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Injector ===

impl Injector<'_> {
    /// Lets the next `times` requests that match meet `effect`, before they are even authenticated.
    pub fn inject(&self, pattern: RequestPattern, effect: Effect, times: usize) {
        if times > 0 {
            self.faults.lock().push(Fault { pattern, effect, times });
        }
    }

    /// Takes back every fault that has not been used up.
    pub fn clear(&self) {
        self.faults.lock().clear();
    }

    /// Ends every open watch as a timeout would.
    pub fn end_watches(&self) {
        self.faults.cuts.send_replace(Cut::End);
    }

    /// Breaks every open watch off in the middle.
    pub fn reset_watches(&self) {
        self.faults.cuts.send_replace(Cut::Reset);
    }

    /// Forgets all history: a watch that resumes from any version seen so far gets 410. Open watches go on.
    pub fn compact(&self) {
        self.store.compact();
    }

    /// Compacts and ends every open watch, so that every client that resumes meets 410.
    pub fn expire_watches(&self) {
        self.compact();
        self.end_watches();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_used_up_in_order() {
        let (faults, store) = (Faults::new(), Store::new(1));
        let injector = faults.injector(&store);
        injector.inject(RequestPattern::new("GET", "/a"), Effect::Fail(500), 2);
        injector.inject(RequestPattern::new("*", "*"), Effect::Reset, 1);
        assert_eq!(faults.take("GET", "/a", ""), Some(Effect::Fail(500)));
        assert_eq!(faults.take("GET", "/b", ""), Some(Effect::Reset));
        assert_eq!(faults.take("GET", "/b", ""), None);
        assert_eq!(faults.take("GET", "/a", ""), Some(Effect::Fail(500)));
        assert_eq!(faults.take("GET", "/a", ""), None);
    }
}
