//! How long a container that ends again and again waits before it is started again.

use std::time::Duration;

/// The waits between restarts. The defaults are a kubelet's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RestartBackoff {
    /// The second restart waits this long, each later one twice as long as the one before; the first does not wait.
    /// Default 10 s.
    pub initial: Duration,
    /// The longest wait. Default 300 s.
    pub max: Duration,
    /// A container that ran this long starts over with the waits. Default 600 s.
    pub reset_after: Duration,
}

/// The waits of one container.
#[derive(Debug)]
pub(super) struct Waits {
    config: RestartBackoff,
    next: Duration,
}

impl Default for RestartBackoff {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { initial: seconds(10), max: seconds(300), reset_after: seconds(600) }
    }
}

// === impl Waits ===

impl Waits {
    pub(super) fn new(config: RestartBackoff) -> Self {
        Self { config, next: Duration::ZERO }
    }

    /// The wait before the next start, after a run of this length.
    pub(super) fn after(&mut self, run: Duration) -> Duration {
        if run >= self.config.reset_after {
            self.next = Duration::ZERO;
        }
        let wait = self.next;
        self.next =
            wait.saturating_mul(2).clamp(self.config.initial, self.config.max.max(self.config.initial));
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_a_long_run() {
        let seconds = Duration::from_secs;
        let mut waits =
            Waits::new(RestartBackoff { initial: seconds(10), max: seconds(45), reset_after: seconds(60) });
        let runs = [1, 1, 59, 1, 1, 60, 1, 1];
        let found: Vec<_> = runs.into_iter().map(|run| waits.after(seconds(run)).as_secs()).collect();
        assert_eq!(found, [0, 10, 20, 40, 45, 0, 10, 20]);
    }
}
