//! When a target is due that nobody is expected to read.
//!
//! Each target has its place within the interval, by a hash of what it is, so that a thousand pods do not answer
//! at once and a target keeps its rhythm. There are [`PLACES`] of them: a thread that wakes finds its caches cold, which
//! costs more than a scrape, and those that share a place share that. A new target does not wait for its place. All of it
//! is arithmetic over instants that are handed in.

use std::time::Duration;

use podgauge_store::{Endpoint, PodKey};
use tokio::time::Instant;

/// Places within the interval: each three quarters of a second for the default of 15 s.
const PLACES: u32 = 20;

/// What is due within one of so many parts of the interval is done in one go: 16 ms for the default.
const GRAINS: u32 = 960;

/// The rhythm of all scrapes.
#[derive(Clone, Debug)]
pub(crate) struct Cadence {
    /// From when places within the interval are counted.
    pub(crate) epoch: Instant,
    pub(crate) interval: Duration,
    /// The longest pause after failures; at least `interval`.
    pub(crate) backoff_limit: Duration,
}

// === impl Cadence ===

impl Cadence {
    /// The rhythm of targets that have an interval of their own.
    pub(crate) fn every(&self, interval: Option<Duration>) -> Self {
        let interval = interval.unwrap_or(self.interval);
        Self { epoch: self.epoch, interval, backoff_limit: self.backoff_limit }
    }

    /// A target's place within the interval.
    pub(crate) fn offset(&self, pod: &PodKey, endpoint: &Endpoint) -> Duration {
        let mut hash = Fnv::default();
        for part in [&*pod.namespace, &*pod.name, &*endpoint.path] {
            hash.write(part.as_bytes());
            hash.write(&[0]);
        }
        hash.write(&endpoint.port.to_be_bytes());
        let place = u32::try_from(hash.finish() % u64::from(PLACES)).unwrap_or(0);
        self.interval / PLACES * place
    }

    /// An instant shortly before `at`, the same one for all that are close to each other: what is due then is done in one
    /// go.
    pub(crate) fn together(&self, at: Instant) -> Instant {
        let grain = (self.interval / GRAINS).as_nanos().max(1);
        let since = at.saturating_duration_since(self.epoch).as_nanos();
        at - Duration::from_nanos(u64::try_from(since % grain).unwrap_or(0))
    }

    /// When a target whose last scrape began at `started` is due again, after so many `failures` in a row.
    ///
    /// That is at its place within the interval, half an interval from `started` at the earliest and one and a half
    /// at the latest; after failures as much later as the pause is longer than the interval.
    pub(crate) fn next(&self, offset: Duration, started: Instant, failures: u32) -> Instant {
        let earliest = started + self.pause(failures) - self.interval / 2;
        let nanos = self.interval.as_nanos().max(1);
        let first_place = self.epoch + offset;
        let past = earliest.saturating_duration_since(first_place).as_nanos();
        // Rounding up; seconds of uptime do not fill u64's nanoseconds for centuries.
        let places = past.div_ceil(nanos);
        first_place + Duration::from_nanos(u64::try_from(places * nanos).unwrap_or(u64::MAX))
    }

    /// One failure may be chance; from the second on the pause doubles.
    fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        self.interval.saturating_mul(1 << doublings).min(self.backoff_limit).max(self.interval)
    }
}

/// FNV-1a of 64 bits, with its bits mixed at the end: fixed for ever, unlike the standard library's hasher.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(self) -> u64 {
        let mut hash = self.0;
        hash ^= hash >> 33;
        hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^ (hash >> 33)
    }
}

#[cfg(test)]
mod tests {
    use podgauge_store::Scheme;
    use proptest::prelude::*;

    use super::*;

    fn cadence(interval_ms: u64, limit_ms: u64) -> Cadence {
        Cadence {
            // Instants cannot lie before the machine's start, so the epoch is not too close to it.
            epoch: Instant::now() + Duration::from_secs(3600),
            interval: Duration::from_millis(interval_ms),
            backoff_limit: Duration::from_millis(limit_ms),
        }
    }

    fn endpoint(port: u16) -> Endpoint {
        Endpoint {
            scheme: Scheme::Http,
            address: [10, 0, 0, 1].into(),
            port,
            path: "/metrics".into(),
            terms: 0,
        }
    }

    #[test]
    fn a_thousand_pods_do_not_answer_at_once() {
        let cadence = cadence(15_000, 60_000);
        let mut parts = [0u32; 5];
        for n in 0..1000 {
            let pod = PodKey::new("default", &format!("backend-7c9d8b6f5-{n:05}"));
            let offset = cadence.offset(&pod, &endpoint(8080));
            assert_eq!(offset, cadence.offset(&pod, &endpoint(8080)), "the place is fixed");
            parts[offset.as_secs() as usize / 3] += 1;
        }
        // 200 on average; a fair hash strays from that by a few times its root.
        assert!(parts.iter().all(|count| (140..=260).contains(count)), "{parts:?}");
    }

    #[test]
    fn ports_of_a_pod_have_their_own_places() {
        let cadence = cadence(15_000, 60_000);
        let pod = PodKey::new("default", "backend");
        assert_ne!(cadence.offset(&pod, &endpoint(8080)), cadence.offset(&pod, &endpoint(8081)));
    }

    #[test]
    fn what_is_close_is_done_together() {
        let cadence = cadence(15_000, 60_000);
        let at =
            |micros: u64| cadence.together(cadence.epoch + Duration::from_micros(micros)) - cadence.epoch;
        let grain = Duration::from_micros(15_625);
        for (micros, want) in
            [(0, 0), (15_624, 0), (15_625, 1), (1_000_000, 64), (1_015_624, 64), (1_015_625, 65)]
        {
            assert_eq!(at(micros), grain * want, "{micros}");
        }
        let before = cadence.epoch - Duration::from_secs(1);
        assert_eq!(cadence.together(before), before);
    }

    #[test]
    fn failures_double_the_pause() {
        let cadence = cadence(15_000, 60_000);
        let offset = Duration::from_secs(3);
        let started = cadence.epoch + offset;
        for (failures, pause) in [(0, 15), (1, 15), (2, 30), (3, 60), (4, 60), (u32::MAX, 60)] {
            let due = cadence.next(offset, started, failures);
            assert_eq!(due - started, Duration::from_secs(pause), "{failures} failures");
        }
    }

    proptest! {
        #[test]
        fn next_is_at_the_targets_place(
            interval in 1u64..100_000,
            limit_factor in 1u64..10,
            offset in any::<prop::sample::Index>(),
            started in 0u64..10_000_000,
            failures in 0u32..40,
        ) {
            let cadence = cadence(interval, interval * limit_factor);
            let offset = Duration::from_millis(offset.index(interval as usize) as u64);
            let started = cadence.epoch + offset + Duration::from_millis(started);
            let due = cadence.next(offset, started, failures);
            let place = (due - (cadence.epoch + offset)).as_nanos() % cadence.interval.as_nanos();
            prop_assert_eq!(place, 0);
            let gap = due - started;
            prop_assert!(gap * 2 >= cadence.interval);
            prop_assert!(gap * 2 < cadence.pause(failures) * 2 + cadence.interval);
            prop_assert!(cadence.pause(failures) <= cadence.backoff_limit);
        }

        #[test]
        fn a_steady_target_keeps_its_rhythm(offset in 0u64..15_000, jitter in 0u64..7_000) {
            let cadence = cadence(15_000, 60_000);
            let offset = Duration::from_millis(offset);
            let place = cadence.epoch + offset + cadence.interval * 7;
            let due = cadence.next(offset, place + Duration::from_millis(jitter), 0);
            prop_assert_eq!(due, place + cadence.interval);
        }
    }
}
