//! A controller whose time passes faster, so that minutes of stabilisation can be watched in seconds.
//!
//! All that the algorithm sees of time is converted on its way in, and what it says of time on its way out: its windows,
//! periods and delays shrink together, and what is written to the API is true for everybody else. Converting back and
//! forth alters nothing, so a status that did not change stays the same to the byte.

use jiff::Timestamp;
use sandbox_hpa::metrics::{PodMetric, Samples};
use sandbox_hpa::pod::Pod;
use sandbox_hpa::spec::Status;
use sandbox_hpa::time::Time;
use std::num::NonZeroU32;
use std::time::Duration;

/// How many seconds pass for the controller in one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace(NonZeroU32);

/// Converts instants between everybody's time and the controller's. Both clocks agree at `start`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conversion {
    pace: i64,
    start: i64,
}

// === impl Pace ===

impl Pace {
    /// So many seconds in one; 0 is taken for 1.
    pub fn new(seconds: u32) -> Self {
        Self(NonZeroU32::new(seconds).unwrap_or(NonZeroU32::MIN))
    }

    /// The number of seconds.
    pub fn seconds(self) -> u32 {
        self.0.get()
    }

    /// How long everybody waits while this time passes for the controller.
    pub fn wait(self, time: Duration) -> Duration {
        time / self.seconds()
    }
}

impl Default for Pace {
    /// As fast as everybody's.
    fn default() -> Self {
        Self::new(1)
    }
}

// === impl Conversion ===

impl Conversion {
    pub(super) fn new(pace: Pace, start: Timestamp) -> Self {
        // Whole seconds: then what the API stores in whole seconds converts without remainder, too.
        Self { pace: i64::from(pace.seconds()), start: start.as_second().saturating_mul(1_000_000_000) }
    }

    /// An instant of everybody's, as the controller sees it.
    pub(super) fn hasten(&self, at: Time) -> Time {
        let passed = at.nanos().saturating_sub(self.start);
        Time::from_nanos(self.start.saturating_add(passed.saturating_mul(self.pace)))
    }

    /// An instant of the controller's, as everybody sees it.
    pub(super) fn slow(&self, at: Time) -> Time {
        let passed = at.nanos().saturating_sub(self.start);
        Time::from_nanos(self.start.saturating_add(passed.div_euclid(self.pace)))
    }

    /// The present.
    pub(super) fn now(&self, now: Timestamp) -> Time {
        self.hasten(Time::from_nanos(i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX)))
    }

    pub(super) fn hasten_status(&self, status: &mut Status) {
        self.each_time(status, |at| self.hasten(at));
    }

    pub(super) fn slow_status(&self, status: &mut Status) {
        self.each_time(status, |at| self.slow(at));
    }

    pub(super) fn hasten_pod(&self, pod: &mut Pod) {
        let conditions =
            pod.status.conditions.iter_mut().map(|condition| &mut condition.last_transition_time);
        for time in conditions.chain([&mut pod.status.start_time]) {
            *time = time.map(|at| self.hasten(at));
        }
    }

    pub(super) fn hasten_samples(&self, samples: &mut Samples) {
        if let Samples::Pods(pods) = samples {
            for PodMetric { timestamp, window, .. } in pods.values_mut() {
                *timestamp = self.hasten(*timestamp);
                *window = window.saturating_mul(u32::try_from(self.pace).unwrap_or(u32::MAX));
            }
        }
    }

    fn each_time(&self, status: &mut Status, convert: impl Fn(Time) -> Time) {
        status.last_scale_time = status.last_scale_time.map(&convert);
        for condition in &mut status.conditions {
            condition.last_transition_time = condition.last_transition_time.map(&convert);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: i64 = 1_787_311_751;

    fn conversion(pace: u32) -> Conversion {
        Conversion::new(Pace::new(pace), Timestamp::new(START, 700_000_000).unwrap())
    }

    #[test]
    fn the_controllers_seconds_are_shorter() {
        let check = |pace: u32, at: i64, expected: i64| {
            let seen = conversion(pace).hasten(Time::from_seconds(at));
            assert_eq!(seen, Time::from_seconds(expected), "{pace} {at}");
        };
        check(1, START + 7, START + 7);
        check(10, START, START);
        check(10, START + 7, START + 70);
        check(10, START - 7, START - 70);
        check(0, START + 7, START + 7);
        assert_eq!(Pace::new(15).wait(Duration::from_secs(15)), Duration::from_secs(1));
    }

    proptest! {
        /// What the API stored is read, seen, and would be written again as it was.
        #[test]
        fn stored_times_survive(pace in 0u32..1_000, offset in -100_000i64..100_000) {
            let stored = Time::from_seconds(START + offset);
            let conversion = conversion(pace);
            prop_assert_eq!(conversion.slow(conversion.hasten(stored)), stored);
        }

        /// What the controller says now is not later than everybody's now, in seconds as the API writes them.
        #[test]
        fn what_is_written_is_never_in_the_future(pace in 1u32..1_000, nanos in 0i64..1_000_000_000_000) {
            let now = Timestamp::new(START + nanos / 1_000_000_000, (nanos % 1_000_000_000) as i32).unwrap();
            let conversion = conversion(pace);
            prop_assert_eq!(conversion.slow(conversion.now(now)).nanos(), now.as_nanosecond() as i64);
        }
    }
}
