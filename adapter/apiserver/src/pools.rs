//! How many requests may be under way at once, by what they wait for.
//!
//! Whoever waits for the cluster takes nothing from those who are answered from memory, and strangers,
//! of whom there may be any number, take nothing from callers who are known.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    config::Config,
    status::{Reason, Status},
};

/// The pools that a request takes permits from.
pub(crate) struct Pools {
    /// Requests that wait for the cluster to say who asks, or what somebody anonymous may.
    pub(crate) strangers: Pool,
    /// Requests that wait for the cluster to say what a known caller may.
    pub(crate) access: Pool,
    /// Answers, until they are written.
    pub(crate) answers: Pool,
    /// The same for callers that nobody may keep out.
    pub(crate) privileged: Pool,
    /// Answers that are computed; whoever finds none left waits.
    pub(crate) evaluations: Arc<Semaphore>,
    /// Those who wait for that.
    pub(crate) waiting: Pool,
}

/// Permits for one kind of work.
pub(crate) struct Pool {
    permits: Arc<Semaphore>,
    most: usize,
    /// What those who hold permits do, for the message.
    doing: &'static str,
    flag: &'static str,
}

/// What a request holds while it is under way.
pub(crate) type Permit = OwnedSemaphorePermit;

// === impl Pools ===

impl Pools {
    pub(crate) fn new(config: &Config) -> Self {
        let Config { authentication, authorization, limits, .. } = config;
        let in_flight = |most, flag| Pool::new(most, "are in flight", flag);
        Self {
            strangers: in_flight(authentication.reviews_in_flight, "--authentication-token-webhook-inflight"),
            access: in_flight(authorization.reviews_in_flight, "--authorization-webhook-inflight"),
            answers: in_flight(limits.max_requests_in_flight, "--max-requests-inflight"),
            privileged: in_flight(limits.max_requests_in_flight, "--max-requests-inflight"),
            evaluations: Arc::new(Semaphore::new(limits.max_evaluations.clamp(1, Semaphore::MAX_PERMITS))),
            waiting: Pool::new(
                limits.max_evaluations_waiting,
                "wait for their turn to be computed",
                "--max-evaluations-waiting",
            ),
        }
    }
}

// === impl Pool ===

impl Pool {
    /// `most` 0 is no limit; `flag` is what an administrator can turn.
    fn new(most: usize, doing: &'static str, flag: &'static str) -> Self {
        let permits = if most == 0 { Semaphore::MAX_PERMITS } else { most.min(Semaphore::MAX_PERMITS) };
        Self { permits: Arc::new(Semaphore::new(permits)), most, doing, flag }
    }

    /// # Errors
    /// 429 when none is left.
    pub(crate) fn take(&self) -> Result<Permit, Status> {
        self.permits.clone().try_acquire_owned().map_err(|_| {
            let Self { most, doing, flag, .. } = self;
            Status::new(
                Reason::TooManyRequests,
                format!("too many requests: {most} {doing} ({flag}); try again later"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_no_limit() {
        for (most, expected) in [(0, 1000), (1, 1), (7, 7), (usize::MAX, 1000)] {
            let pool = Pool::new(most, "are in flight", "--flag");
            let taken: Vec<_> = std::iter::from_fn(|| pool.take().ok()).take(1000).collect();
            assert_eq!(taken.len(), expected, "{most}");
        }
    }
}
