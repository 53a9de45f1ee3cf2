//! One reader's beat: when it came last, how often it comes, and how exactly.

use std::time::{Duration, Instant};

/// A read that is expected over and over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// The next time.
    pub at: Instant,
    /// The time between two.
    pub period: Duration,
    /// How much earlier it may come than that.
    pub margin: Duration,
    /// How far ahead of the read the scrapes of all the pods that it is about may be spread, so that they do not all
    /// answer at once.
    pub spread: Duration,
    /// How much there is to be believed in it: from just above 0 to 1.
    pub weight: f64,
    /// It has not come true yet, and counts only where nothing else is expected.
    pub is_guess: bool,
}

/// A train of reads with a period.
///
/// An autoscaler waits one period after it has finished, so that what it is late by stays: the next read is expected
/// one period after the last one, not at a place in a grid.
#[derive(Clone, Debug)]
pub(crate) struct Beat {
    next: Instant,
    period: Duration,
    /// By how much reads missed what was expected of them: the most of late.
    jitter: Duration,
    /// Reads that came as expected, up to [`STEADY`].
    hits: u32,
    /// Reads in a row that did not come.
    misses: u32,
    /// Of the last read: what was expected, how it came, and the beat as it was before.
    last: Option<Hit>,
    /// How many periods passed between the last two reads, and how often in a row it was as many before.
    stride: u32,
    repeats: u32,
}

#[derive(Clone, Copy, Debug)]
struct Hit {
    expected: Instant,
    error: Duration,
    jitter_before: Duration,
}

/// What a beat makes of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is the one that was expected; by how much it was off.
    Hit(Duration),
    /// It fits the last one better than what was taken for it.
    Better,
    /// It is another's.
    Foreign,
}

/// From how many hits on there is nothing more to be believed.
const STEADY: u32 = 8;
/// Reads in a row that may fail to come before a beat is given up.
const PATIENCE: u32 = 3;
/// Likewise once half of [`STEADY`] reads have come, and close to when they were expected: an API server that asks another
/// replica each time leaves long gaps. Reads at random are rarely that close for long.
const STEADY_PATIENCE: u32 = 16;
/// How often in a row a steady beat has to skip as many reads to have a longer period.
const STEADY_REPEATS: u32 = 3;
/// The part of a period by which a read may be off and still be the one that was expected: 0.94 s of 15 s, where
/// autoscalers were seen to be off by 0.1 s.
const TOLERANCE: u32 = 16;
const MOST_TOLERANCE: Duration = Duration::from_secs(1);
/// Likewise for what is only guessed, so that reads at random rarely look like a beat: 0.23 s of 15 s.
const GUESS_TOLERANCE: u32 = 64;
/// Of what is known of jitter, the part that is forgotten with each read.
const FORGET: u32 = 16;
/// What is added to the worst jitter seen of late: reads and scrapes are both delayed by whatever else runs.
const SLACK: Duration = Duration::from_millis(100);
/// What reads may be off by, until it is known.
const FIRST_JITTER: Duration = Duration::from_millis(125);

// === impl Beat ===

impl Beat {
    /// A beat that is only guessed, after one read.
    pub(crate) fn guessed(read: Instant, period: Duration) -> Self {
        Self {
            next: read + period,
            period,
            jitter: FIRST_JITTER,
            hits: 0,
            misses: 0,
            last: None,
            stride: 1,
            repeats: 0,
        }
    }

    /// A beat that three reads agree on.
    pub(crate) fn found(read: Instant, period: Duration, error: Duration) -> Self {
        Self { jitter: error.max(FIRST_JITTER).min(2 * FIRST_JITTER), hits: 2, ..Self::guessed(read, period) }
    }

    pub(crate) fn period(&self) -> Duration {
        self.period
    }

    /// Whether a read has come as expected.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.hits > 0
    }

    /// Takes note of reads that did not come until `now`; false when there is no beat any more.
    pub(crate) fn is_alive(&mut self, now: Instant) -> bool {
        let patience = self.patience();
        let mut missed = 0;
        while now > self.next + self.tolerance() && self.misses <= patience {
            self.next += self.period;
            self.misses += 1;
            missed += 1;
        }
        missed == 0 || self.misses <= patience
    }

    /// By how much a read is off, if it may be the one that is expected, or the last one.
    pub(crate) fn distance(&self, read: Instant) -> Option<Duration> {
        let distance =
            |expected: Instant| Some(apart(read, expected)).filter(|distance| *distance <= self.tolerance());
        distance(self.next).or_else(|| {
            self.last.and_then(|last| distance(last.expected).filter(|distance| *distance < last.error))
        })
    }

    /// Takes in a read of a reader who comes at least each `longest`.
    pub(crate) fn hear(&mut self, read: Instant, longest: Duration) -> Heard {
        let error = apart(read, self.next);
        if error <= self.tolerance() {
            let periods = self.count_periods(longest);
            let late = read.saturating_duration_since(self.next);
            let early = self.next.saturating_duration_since(read);
            self.last = Some(Hit { expected: self.next, error, jitter_before: self.jitter });
            // The period follows slowly what reads are off by.
            let share = 8 * periods;
            self.period = (self.period + late / share).saturating_sub(early / share);
            self.next = read + self.period;
            // Somebody else's read may look like this one's; what is really unsteady shows again.
            self.jitter = (self.jitter - self.jitter / FORGET).max(error.min(2 * self.jitter + SLACK));
            self.hits = (self.hits + 1).min(STEADY);
            self.misses = 0;
            return Heard::Hit(error);
        }
        // Somebody else asked shortly before or after, and was taken for the one that was expected.
        if let Some(last) = self.last
            && apart(read, last.expected) < last.error
        {
            let error = apart(read, last.expected);
            self.next = read + self.period;
            self.jitter = last.jitter_before.max(error.min(2 * last.jitter_before + SLACK));
            self.last = Some(Hit { error, ..last });
            return Heard::Better;
        }
        Heard::Foreign
    }

    /// What is to be expected of it.
    pub(crate) fn expected(&self, spread: Duration) -> Expected {
        let belief = f64::from(self.hits + 1) / f64::from(STEADY + 1);
        Expected {
            at: self.next,
            period: self.period,
            margin: self.jitter + self.jitter / 4 + SLACK,
            spread,
            // A reader that has gone quiet is soon worth less than one that has just come.
            weight: belief * belief / f64::from(1 << (2 * self.misses.min(STEADY))),
            is_guess: !self.is_confirmed(),
        }
    }

    /// Which of two beats is rather kept.
    pub(crate) fn rank(&self) -> (u32, std::cmp::Reverse<u32>) {
        (self.hits, std::cmp::Reverse(self.misses))
    }

    /// How many periods have passed since the last read, now that one has come. A reader that comes at every n-th time
    /// over and over has n times the period. If it was steady that takes longer: its other reads may go elsewhere.
    fn count_periods(&mut self, longest: Duration) -> u32 {
        let strides = self.misses + 1;
        self.repeats = if strides == self.stride { self.repeats + 1 } else { 0 };
        self.stride = strides;
        let enough = if self.is_steady() { STEADY_REPEATS } else { 1 };
        if strides > 1 && self.repeats >= enough && self.period * strides <= longest {
            self.period *= strides;
            (self.stride, self.repeats) = (1, 0);
        }
        self.stride
    }

    fn patience(&self) -> u32 {
        if self.is_steady() && self.jitter <= self.tolerance() / 2 { STEADY_PATIENCE } else { PATIENCE }
    }

    fn is_steady(&self) -> bool {
        self.hits >= STEADY / 2
    }

    fn tolerance(&self) -> Duration {
        if self.is_confirmed() {
            (self.period / TOLERANCE).min(MOST_TOLERANCE)
        } else {
            guess_tolerance(self.period)
        }
    }
}

/// By how much reads may be off that are taken for a beat.
pub(crate) fn guess_tolerance(period: Duration) -> Duration {
    (period / GUESS_TOLERANCE).min(MOST_TOLERANCE)
}

pub(crate) fn apart(a: Instant, b: Instant) -> Duration {
    a.saturating_duration_since(b).max(b.saturating_duration_since(a))
}
