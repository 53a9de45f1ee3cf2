//! How long to wait before the next attempt: doubling, capped, and jittered, so that a hundred workers do not
//! knock on a broker's door in the same instant when it comes back.

use crate::random::Random;
use std::time::Duration;

/// The delays between attempts.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
    random: Random,
}

// === impl Backoff ===

impl Backoff {
    /// Delays from `first`, doubling up to `longest`; each is jittered down to no less than its half.
    pub fn new(first: Duration, longest: Duration, random: Random) -> Self {
        Self { first, longest, next: first, random }
    }

    /// The shop's: 250 ms to 10 s.
    pub fn for_broker() -> Self {
        Self::new(Duration::from_millis(250), Duration::from_secs(10), Random::from_entropy())
    }

    /// The delay before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.next;
        self.next = (delay * 2).min(self.longest);
        delay.mul_f64(0.5 + self.random.next_fraction() / 2.0)
    }

    /// Start over, because an attempt succeeded.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_start_over() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(500), Random::new(7));
        for nominal in [100, 200, 400, 500, 500].map(ms) {
            let delay = backoff.next_delay();
            assert!((nominal / 2..=nominal).contains(&delay), "{delay:?} of {nominal:?}");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= ms(100));
    }

    #[test]
    fn two_clients_wait_differently() {
        let delays = |seed| {
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(9), Random::new(seed));
            [(); 4].map(|()| backoff.next_delay())
        };
        assert_ne!(delays(1), delays(2));
    }
}
