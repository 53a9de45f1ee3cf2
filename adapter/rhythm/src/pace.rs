//! When the next scrape begins: just before the next read, and never more often than allowed.

use std::time::{Duration, Instant};

use crate::{Expected, beat::apart};

/// How often a target is scraped.
#[derive(Clone, Debug)]
pub struct Pace {
    /// The time between two scrapes without any reader.
    pub interval: Duration,
    /// The most scrapes in an interval, over time: 1 is as many as without any reader; 0 is no advice at all.
    pub per_interval: u32,
}

/// What a target has left of its scrapes.
///
/// It is worth one scrape each [`Pace::interval`] (or its [`Pace::per_interval`]th part) less a 64th, so that readers
/// who come a little more often than that can be followed, and it may be overdrawn by one scrape: moving one to an
/// earlier place takes up to half of it. The first scrape came when the target did, at no place in particular, so the
/// second one may come soon after it.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// When the next scrape is due if all are spread evenly.
    even: Instant,
    /// The last scrape has had its time until then.
    rested: Instant,
    is_new: bool,
}

/// A target's scrapes so far.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    /// When the last one began.
    pub started: Instant,
    /// How long one takes, from when it is due to its end: rather more than less.
    pub takes: Duration,
    /// Where in a read's spread this target has its place: from 0 to 1.
    pub place: f64,
}

/// The intervals ahead that are looked at.
const HORIZON: u32 = 4;
/// The least time between a new target's first scrape and its second one.
const FIRST_REST: Duration = Duration::from_secs(1);
/// By how much longer than ever before a scrape may take and be believed.
const LEAST_DOUBT: Duration = Duration::from_millis(100);
/// How much worse, of its own, a scrape at the place of the last one may be and still be preferred: places that are as
/// good as each other would otherwise take turns.
const HABIT: f64 = 0.05;

// === impl Pace ===

impl Pace {
    /// When to begin the next scrape of a target whose last one is over, `now` or later; `None` if nothing is expected,
    /// and any time is as good as any other.
    ///
    /// That is half an interval after the last one at the earliest (less if [`per_interval`](Self::per_interval) is
    /// more than 1, or if that was a new target's first one), one and a half at the latest.
    ///
    /// Of the places before the reads of that time, and the one an interval after the last scrape, it is the one with
    /// the least age at all the reads of the intervals ahead, each weighted by what is to be believed in it and half
    /// as much in each interval. If there may be several scrapes in an interval, it is the first one.
    #[must_use]
    pub fn next(
        &self,
        now: Instant,
        allowance: &Allowance,
        past: &Past,
        expected: &[Expected],
    ) -> Option<Instant> {
        if self.per_interval == 0 || expected.is_empty() {
            return None;
        }
        let is_sure = expected.iter().any(|expected| !expected.is_guess);
        let counted = || expected.iter().filter(move |expected| !(is_sure && expected.is_guess));
        let earliest = allowance.earliest(self).max(now);
        let latest = (past.started + self.interval + self.interval / 2).max(now);
        let usual = (past.started + self.interval).max(earliest).min(latest);
        let before_reads = || {
            counted().flat_map(|expected| {
                let lead = past.lead(expected);
                reads(expected, latest + lead)
                    .filter_map(move |at| at.checked_sub(lead))
                    .filter(|at| *at >= earliest && *at <= latest)
            })
        };
        // With scrapes to spare, each read has its own as far as they go; none is spent on a guess.
        if self.per_interval > 1 && is_sure {
            return Some(before_reads().min().map_or(usual, |at| at.min(usual)));
        }
        let with_age = |at| (at, self.age(at, past, counted()));
        let usual = with_age(usual);
        let nearest = before_reads().min_by_key(|at| apart(*at, usual.0)).map(with_age);
        let kept = nearest.filter(|nearest| nearest.1 <= usual.1).unwrap_or(usual);
        let youngest = before_reads().map(with_age).min_by(|a, b| a.1.total_cmp(&b.1));
        youngest.filter(|youngest| youngest.1 < kept.1 * (1.0 - HABIT)).or(Some(kept)).map(|(at, _)| at)
    }

    /// When to think about it again: once the read that the last scrape was for must have come, and says better when
    /// the next one will.
    #[must_use]
    pub fn review(&self, allowance: &Allowance) -> Instant {
        allowance.rested
    }

    /// The age of values at the reads ahead, all together, if the next scrape begins at `next` and others follow at
    /// intervals.
    fn age<'a>(&self, next: Instant, past: &Past, expected: impl Iterator<Item = &'a Expected>) -> f64 {
        let end = past.started + self.interval * HORIZON;
        let mut sum = 0.0;
        for expected in expected {
            for read in reads(expected, end) {
                let Some(asked) = read.checked_sub(past.lead(expected)) else { continue };
                let since = asked.saturating_duration_since(next);
                let age = if asked < next {
                    asked.saturating_duration_since(past.started)
                } else {
                    let intervals = u32::try_from(since.as_nanos() / self.interval.as_nanos().max(1));
                    let age = since.saturating_sub(self.interval * intervals.unwrap_or(0));
                    // Just before a place, which will then be moved to before the read.
                    if age > self.interval - self.interval / 16 { Duration::ZERO } else { age }
                };
                let ahead = asked.saturating_duration_since(past.started).as_secs_f64();
                sum += age.as_secs_f64() * expected.weight * (-ahead / self.interval.as_secs_f64()).exp2();
            }
        }
        sum
    }

    fn step(&self) -> Duration {
        self.interval / self.per_interval.max(1)
    }
}

/// The reads until `end`, at most as many as a reader with the shortest period has in the horizon.
fn reads(expected: &Expected, end: Instant) -> impl Iterator<Item = Instant> + use<> {
    let period = expected.period.max(Duration::from_millis(1));
    std::iter::successors(Some(expected.at), move |at| Some(*at + period))
        .take_while(move |at| *at <= end)
        .take(32)
}

// === impl Past ===

impl Past {
    /// Takes in how long a scrape took, from when it was due to its end.
    ///
    /// What is remembered is the most of late: a value that is a little older is better than one that comes after the
    /// read and is an interval old. One scrape that is far off counts for twice the usual at most.
    pub fn ended(&mut self, took: Duration) {
        let usual = self.takes - self.takes / 32;
        self.takes = usual.max(took.min(self.takes * 2 + LEAST_DOUBT));
    }

    /// How long before a read the scrape for it begins.
    fn lead(&self, expected: &Expected) -> Duration {
        self.takes + self.takes / 8 + expected.margin + expected.spread.mul_f64(self.place.clamp(0.0, 1.0))
    }
}

// === impl Allowance ===

impl Allowance {
    /// Of a target that comes to be.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { even: now, rested: now, is_new: true }
    }

    /// Spends one scrape.
    pub fn spend(&mut self, started: Instant, pace: &Pace) {
        let rest = if self.is_new { FIRST_REST.min(pace.step() / 2) } else { pace.step() / 2 };
        self.is_new = false;
        self.rested = started + rest;
        self.even = self.even.max(started) + (pace.step() - pace.step() / 64);
    }

    fn earliest(&self, pace: &Pace) -> Instant {
        self.even.checked_sub(pace.step()).unwrap_or(self.even).max(self.rested)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(15);

    fn expected(at: Instant, period: Duration, weight: f64) -> Expected {
        let (margin, spread) = (Duration::from_millis(200), Duration::ZERO);
        Expected { at, period, margin, spread, weight, is_guess: false }
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// Reads as phase, period and weight; a target whose last scrape was at 0; when it is due.
    fn due(per_interval: u32, reads: &[(f64, f64, f64)]) -> Option<f64> {
        let start = Instant::now() + seconds(1e4);
        let pace = Pace { interval: INTERVAL, per_interval };
        let before = start - pace.step();
        let mut allowance = Allowance::new(before);
        allowance.spend(before, &pace);
        allowance.spend(start, &pace);
        next(start, &pace, &allowance, reads)
    }

    fn next(start: Instant, pace: &Pace, allowance: &Allowance, reads: &[(f64, f64, f64)]) -> Option<f64> {
        let past = Past { started: start, takes: seconds(0.1), place: 0.5 };
        let reads: Vec<Expected> = reads
            .iter()
            .map(|(at, period, weight)| expected(start + seconds(*at), seconds(*period), *weight))
            .collect();
        let due = pace.next(start, allowance, &past, &reads)?;
        Some((due.duration_since(start).as_secs_f64() * 100.0).round() / 100.0)
    }

    /// A scrape begins 0.31 s before its read here: 0.2 s of margin, and what it takes and an eighth.
    #[test]
    fn scrapes_go_before_reads() {
        let check = |per_interval, reads: &[(f64, f64, f64)], want| {
            assert_eq!(due(per_interval, reads), want, "{reads:?}");
        };
        check(1, &[], None);
        check(0, &[(15.0, 15.0, 1.0)], None);
        // One reader: earlier or later, by up to half an interval.
        check(1, &[(0.1, 15.0, 1.0)], Some(14.79));
        check(1, &[(8.0, 15.0, 1.0)], Some(7.69));
        check(1, &[(7.0, 15.0, 1.0)], Some(21.69));
        check(1, &[(21.0, 15.0, 1.0)], Some(20.69));
        // None in reach: the place is kept.
        check(1, &[(30.0, 30.0, 1.0)], Some(15.0));
        check(1, &[(20.0, 20.0, 1.0)], Some(19.69));
        // Several: where the least age is, or who is more to be believed.
        check(1, &[(10.0, 15.0, 1.0), (11.0, 15.0, 1.0), (14.0, 15.0, 1.0)], Some(9.69));
        check(1, &[(10.0, 15.0, 1.0), (17.0, 15.0, 0.1)], Some(9.69));
        check(1, &[(10.0, 15.0, 0.1), (17.0, 15.0, 1.0)], Some(16.69));
        // Two scrapes allowed: both have their own.
        check(2, &[(5.0, 15.0, 1.0), (12.0, 15.0, 1.0)], Some(4.69));
        check(2, &[(15.0, 15.0, 1.0)], Some(14.69));
    }

    /// Its first scrape came when it did, and the next one comes right before whoever reads it first.
    #[test]
    fn a_new_target_is_scraped_before_its_first_read() {
        let start = Instant::now() + seconds(1e4);
        let pace = Pace { interval: INTERVAL, per_interval: 1 };
        let mut allowance = Allowance::new(start);
        allowance.spend(start, &pace);
        assert_eq!(pace.review(&allowance), start + FIRST_REST);
        assert_eq!(next(start, &pace, &allowance, &[(3.0, 15.0, 1.0)]), Some(2.69));
        // A value that is a second old is fresh enough, and this one was not paid for.
        assert_eq!(next(start, &pace, &allowance, &[(1.0, 15.0, 1.0)]), Some(15.69));
        allowance.spend(start + seconds(2.69), &pace);
        assert_eq!(pace.review(&allowance), start + seconds(2.69) + INTERVAL / 2);
        assert_eq!(next(start, &pace, &allowance, &[(3.0, 15.0, 1.0)]), Some(17.69));
    }

    proptest! {
        /// Whatever is expected, a target has no more scrapes than its allowance, and none too late.
        #[test]
        fn no_reads_cost_more_than_allowed(
            per_interval in 1u32..5,
            reads in prop::collection::vec((0.0..60.0f64, 0.5..90.0f64, 0.01..1.0f64), 1..12),
            shifts in prop::collection::vec(-20.0..20.0f64, 50..100),
        ) {
            let start = Instant::now() + seconds(1e4);
            let pace = Pace { interval: INTERVAL, per_interval };
            let mut allowance = Allowance::new(start);
            let mut past = Past { started: start, takes: seconds(0.05), place: 0.0 };
            allowance.spend(start, &pace);
            let mut count = 0u32;
            for (n, shift) in shifts.into_iter().enumerate() {
                // The readers change their minds all the time.
                let reads: Vec<Expected> = reads.iter().map(|(at, period, weight)| {
                    let at = past.started + seconds((at + shift).max(0.0));
                    expected(at, seconds(*period), *weight)
                }).collect();
                let due = pace.next(pace.review(&allowance), &allowance, &past, &reads).unwrap();
                let gap = due - past.started;
                let rest = if n == 0 { FIRST_REST } else { pace.step() / 2 };
                prop_assert!(gap >= rest, "{gap:?}");
                prop_assert!(gap <= INTERVAL * 3 / 2, "{gap:?}");
                past.started = due;
                allowance.spend(due, &pace);
                count += 1;
            }
            let span = (past.started - start).as_secs_f64();
            // One step ahead of what the allowance counts, in which a step is 63 of 64 parts.
            let allowed = (span / pace.step().as_secs_f64() + 1.0) * 64.0 / 63.0;
            prop_assert!(f64::from(count) <= allowed + 1e-6, "{count} in {span} s, {allowed} allowed");
        }
    }
}
