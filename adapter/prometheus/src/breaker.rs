//! A circuit breaker: after some failures in a row nobody is let through for a while, and then one alone.
//!
//! Time and chance come in as arguments.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

#[derive(Debug)]
pub(crate) struct Breaker {
    /// After how many failures in a row it opens.
    limit: u32,
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Failures in a row.
    failures: u32,
    /// What the last one was.
    last: String,
    gate: Gate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Closed,
    Open {
        until: Instant,
    },
    /// One is through, to see how it fares.
    Probing,
}

/// Somebody was let through, and owes a verdict. Whoever goes without one lets the next try.
#[derive(Debug)]
pub(crate) struct Admission<'b> {
    breaker: &'b Breaker,
    is_probe: bool,
    is_settled: bool,
}

/// Nobody is let through.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) failures: u32,
    /// For how long; zero while somebody tries or may try.
    pub(crate) left: Duration,
    pub(crate) last: String,
}

// === impl Breaker ===

impl Breaker {
    pub(crate) fn new(limit: u32, pause: Duration) -> Self {
        let state = State { failures: 0, last: String::new(), gate: Gate::Closed };
        Self { limit: limit.max(1), pause, state: Mutex::new(state) }
    }

    /// Lets somebody through; to try it for the others only who has the time for it.
    pub(crate) fn admit(&self, now: Instant, is_patient: bool) -> Result<Admission<'_>, Refused> {
        let mut state = self.state();
        let left = match state.gate {
            Gate::Closed => return Ok(self.admission(false)),
            Gate::Open { until } if until <= now && is_patient => {
                state.gate = Gate::Probing;
                return Ok(self.admission(true));
            }
            Gate::Open { until } => until.saturating_duration_since(now),
            Gate::Probing => Duration::ZERO,
        };
        Err(Refused { failures: state.failures, left, last: state.last.clone() })
    }

    /// Whether some are refused.
    pub(crate) fn is_open(&self) -> bool {
        self.state().gate != Gate::Closed
    }

    fn admission(&self, is_probe: bool) -> Admission<'_> {
        Admission { breaker: self, is_probe, is_settled: false }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Admission ===

impl Admission<'_> {
    /// Prometheus works.
    pub(crate) fn succeeded(mut self) {
        self.is_settled = true;
        *self.breaker.state() = State { failures: 0, last: String::new(), gate: Gate::Closed };
    }

    /// It does not. `chance`, from 0 to 1, spreads those who wait, so that they do not come back all at once.
    pub(crate) fn failed(mut self, why: String, now: Instant, chance: f64) {
        self.is_settled = true;
        let mut state = self.breaker.state();
        state.failures = state.failures.saturating_add(1);
        state.last = why;
        let opens = state.gate == Gate::Closed && state.failures >= self.breaker.limit;
        if opens || self.is_probe {
            state.gate = Gate::Open { until: now + self.breaker.pause.mul_f64(0.5 + chance.clamp(0.0, 1.0)) };
        }
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if self.is_probe && !self.is_settled {
            // It was given up, and says nothing; any time is past that is not later than now.
            self.breaker.state().gate = Gate::Open { until: Instant::now() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    fn fail(breaker: &Breaker, now: Instant, chance: f64) {
        breaker.admit(now, true).unwrap().failed("broken".to_owned(), now, chance);
    }

    #[test]
    fn opens_after_failures_in_a_row() {
        let (breaker, now) = (Breaker::new(3, PAUSE), Instant::now());
        fail(&breaker, now, 0.0);
        fail(&breaker, now, 0.0);
        breaker.admit(now, true).unwrap().succeeded();
        fail(&breaker, now, 0.0);
        fail(&breaker, now, 0.0);
        assert!(!breaker.is_open());
        fail(&breaker, now, 0.0);
        let refused = breaker.admit(now, true).unwrap_err();
        assert_eq!(refused, Refused { failures: 3, left: PAUSE / 2, last: "broken".to_owned() });
    }

    #[test]
    fn the_while_is_spread() {
        for (chance, left) in [(0.0, 5.0), (0.5, 10.0), (1.0, 15.0), (7.0, 15.0)] {
            let (breaker, now) = (Breaker::new(1, PAUSE), Instant::now());
            fail(&breaker, now, chance);
            assert_eq!(breaker.admit(now, true).unwrap_err().left, Duration::from_secs_f64(left), "{chance}");
        }
    }

    #[test]
    fn one_alone_tries() {
        let (breaker, now) = (Breaker::new(1, PAUSE), Instant::now());
        fail(&breaker, now, 0.0);
        let later = now + PAUSE;
        assert_eq!(breaker.admit(later, false).unwrap_err().left, Duration::ZERO);
        let probe = breaker.admit(later, true).unwrap();
        assert_eq!(breaker.admit(later, true).unwrap_err().left, Duration::ZERO);
        probe.failed("still".to_owned(), later, 0.0);
        let refused = breaker.admit(later, true).unwrap_err();
        assert_eq!((refused.left, &*refused.last), (PAUSE / 2, "still"));
        breaker.admit(later + PAUSE, true).unwrap().succeeded();
        assert!(!breaker.is_open());
        breaker.admit(later, true).unwrap();
    }

    #[test]
    fn whoever_gives_up_lets_the_next_one_try() {
        let (breaker, now) = (Breaker::new(1, PAUSE), Instant::now());
        fail(&breaker, now, 0.0);
        drop(breaker.admit(now + PAUSE, true).unwrap());
        assert!(breaker.is_open());
        breaker.admit(now + PAUSE, true).unwrap().succeeded();
        // One that was let through before it opened changes nothing by failing late.
        let late = breaker.admit(now, true).unwrap();
        fail(&breaker, now, 0.0);
        late.failed("late".to_owned(), now + PAUSE, 1.0);
        breaker.admit(now + PAUSE, true).unwrap();
    }
}
