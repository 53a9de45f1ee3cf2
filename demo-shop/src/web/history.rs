//! What the queue was like in the last 15 minutes, sampled at a steady pace. A gap stays a gap: nothing is made up for
//! a time at which the broker could not be asked.

use crate::depth::Reading;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// How far back the chart reaches.
pub(super) const SPAN: Duration = Duration::from_secs(15 * 60);

/// Samples within [`SPAN`], oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    samples: VecDeque<Sample>,
    /// The broker's count of completed orders when it was last known.
    counted: Option<u64>,
    /// Orders completed since the first sample. Unlike the broker's count it survives a restart of the broker.
    completed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    pending: Option<u64>,
    /// [`History::completed`] then.
    completed: Option<u64>,
}

/// What the chart shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    /// The samples that are not older than [`SPAN`], oldest first.
    pub(super) points: Vec<Point>,
    /// Orders done between the first and the last of them; none when that is unknown.
    pub(super) completed: Option<u64>,
}

/// A sample as the chart needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) age: Duration,
    /// Orders that were not done; none when unknown.
    pub(super) pending: Option<u64>,
    /// Orders done in the minute before, or since sampling began if that is less; none when unknown.
    pub(super) completed: Option<u64>,
}

/// What [`Point::completed`] is counted over.
const MINUTE: Duration = Duration::from_secs(60);

// === impl History ===

impl History {
    /// Adds what was read now.
    pub(super) fn add(&mut self, reading: Option<Reading>, now: Instant) {
        let count = reading.and_then(|reading| reading.details).map(|details| details.dequeued);
        if let Some(count) = count {
            // A count that fell began anew: the broker has restarted.
            let risen = self.counted.map_or(0, |before| count.checked_sub(before).unwrap_or(count));
            self.completed = self.completed.saturating_add(risen);
            self.counted = Some(count);
        }
        self.samples.push_back(Sample {
            at: now,
            pending: reading.map(|reading| reading.messages),
            completed: count.map(|_| self.completed),
        });
        while self
            .samples
            .front()
            .is_some_and(|sample| now.saturating_duration_since(sample.at) > SPAN + MINUTE)
        {
            self.samples.pop_front();
        }
    }

    /// What is to be shown now.
    pub(super) fn window(&self, now: Instant) -> Window {
        let age = |sample: &Sample| now.saturating_duration_since(sample.at);
        let shown = || self.samples.iter().filter(|sample| age(sample) <= SPAN);
        let counts = || shown().filter_map(|sample| sample.completed);
        let points = shown()
            .map(|sample| Point {
                age: age(sample),
                pending: sample.pending,
                completed: sample.completed.map(|count| self.per_minute(count, sample.at)),
            })
            .collect();
        Window {
            points,
            completed: counts().next_back().zip(counts().next()).map(|(last, first)| last - first),
        }
    }

    /// How much a count has risen in the minute before that: since the newest count that is a minute old, or the first.
    /// After a gap that one is older, and the rise is put in proportion.
    fn per_minute(&self, count: u64, at: Instant) -> u64 {
        let known = || self.samples.iter().filter_map(|sample| Some((sample.at, sample.completed?)));
        let ago = |before: Instant| at.saturating_duration_since(before);
        let Some((before, base)) =
            known().rfind(|(before, _)| ago(*before) >= MINUTE).or_else(|| known().next())
        else {
            return 0;
        };
        let span = ago(before).max(MINUTE);
        let risen = count.saturating_sub(base) as f64 * MINUTE.as_secs_f64() / span.as_secs_f64();
        risen.round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::depth::Details;

    /// Adds samples a minute apart, and compares the points at the last one as (age in minutes, pending, completed), and
    /// what was completed in all.
    fn check(
        readings: &[Option<(u64, Option<u64>)>],
        expected: &[(u64, Option<u64>, Option<u64>)],
        completed: Option<u64>,
    ) {
        let mut history = History::default();
        let mut now = Instant::now();
        for (at, reading) in readings.iter().enumerate() {
            now += Duration::from_secs(if at == 0 { 0 } else { 60 });
            let reading = reading.map(|(messages, dequeued)| Reading {
                messages,
                capped: false,
                details: dequeued.map(|dequeued| Details { dequeued, ..Details::default() }),
            });
            history.add(reading, now);
        }
        let window = history.window(now);
        let points = window.points.iter();
        let points: Vec<_> =
            points.map(|point| (point.age.as_secs() / 60, point.pending, point.completed)).collect();
        assert_eq!((points.as_slice(), window.completed), (expected, completed));
    }

    #[tokio::test]
    async fn completed_orders_are_counted_by_the_minute() {
        check(
            &[Some((5, Some(100))), Some((4, Some(101))), Some((0, Some(105)))],
            &[(2, Some(5), Some(0)), (1, Some(4), Some(1)), (0, Some(0), Some(4))],
            Some(5),
        );
    }

    #[tokio::test]
    async fn what_is_unknown_stays_unknown() {
        check(
            &[Some((5, Some(7))), None, Some((3, None)), Some((2, Some(9)))],
            &[(3, Some(5), Some(0)), (2, None, None), (1, Some(3), None), (0, Some(2), Some(1))],
            Some(2),
        );
        check(&[Some((5, None))], &[(0, Some(5), None)], None);
    }

    #[tokio::test]
    async fn a_broker_that_restarts_counts_from_nothing_and_the_history_goes_on() {
        check(
            &[Some((5, Some(100))), Some((0, Some(3))), Some((0, Some(4)))],
            &[(2, Some(5), Some(0)), (1, Some(0), Some(3)), (0, Some(0), Some(1))],
            Some(4),
        );
    }

    #[tokio::test]
    async fn what_is_too_old_is_forgotten() {
        let readings: Vec<_> = (0..20).map(|minute| Some((0, Some(minute)))).collect();
        let expected: Vec<_> = (0..=15).rev().map(|age| (age, Some(0), Some(1))).collect();
        check(&readings, &expected, Some(15));
    }
}
