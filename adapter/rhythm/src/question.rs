//! One question, and the beats at which it is asked.
//!
//! Several readers may ask the same: replicas of a control plane, an autoscaler and somebody at a terminal. So a read
//! first goes to the beat that it fits; what fits none is a stray. Three strays at equal distances are a beat, and
//! one is a guess at the period that was seen last, which the next read confirms or not.

use std::time::{Duration, Instant};

use crate::{
    Config, Expected,
    beat::{Beat, Heard, apart, guess_tolerance},
};

/// What is known of one question.
#[derive(Debug)]
pub(crate) struct Question {
    beats: Vec<Beat>,
    /// Reads that fit no beat, oldest first.
    strays: Vec<Instant>,
    last_read: Option<Instant>,
    /// The period to guess.
    period: Duration,
    /// How many pods the last read was about.
    pods: usize,
}

/// What a read told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It was expected, and by so much off.
    Expected(Duration),
    /// It was not, or nobody knows.
    News,
    /// Nothing: it came too soon after another one.
    Nothing,
}

/// Beats of one question: more readers than that are served as they come.
const BEATS: usize = 4;
/// Strays that are remembered: a beat is found among the noise as long as two of its reads are.
const STRAYS: usize = 8;
/// How much of the time that a scrape takes its turn in, for each pod: a core is busy with it for a fifth of that.
const SPREAD_PER_POD: Duration = Duration::from_micros(250);
/// The most by which scrapes are spread ahead of a read.
const SPREAD: Duration = Duration::from_secs(1);

// === impl Question ===

impl Question {
    pub(crate) fn new(config: &Config) -> Self {
        Self { beats: Vec::new(), strays: Vec::new(), last_read: None, period: config.period, pods: 0 }
    }

    /// Takes in a read about so many pods.
    pub(crate) fn hear(&mut self, read: Instant, pods: usize, config: &Config) -> Told {
        let since = self.last_read.map(|last| read.saturating_duration_since(last));
        self.last_read = Some(read);
        self.pods = pods;
        self.beats.retain_mut(|beat| beat.is_alive(read));
        // Who asks all the time has every age there is; no rhythm would help, and looking for one would cost. A guess would
        // come true by itself.
        let is_crowded = since.is_some_and(|since| since < config.shortest / 4);
        if let Some(beat) = self.nearest(read, |beat| beat.is_confirmed() || !is_crowded) {
            match beat.hear(read, config.longest) {
                Heard::Hit(error) => {
                    if beat.is_confirmed() {
                        self.period = beat.period();
                    }
                    return Told::Expected(error);
                }
                Heard::Better => return Told::News,
                Heard::Foreign => {}
            }
        }
        if is_crowded {
            return Told::Nothing;
        }
        self.take_stray(read, config);
        Told::News
    }

    /// Whether there is nothing to expect, nor was for some time.
    pub(crate) fn is_over(&mut self, now: Instant, config: &Config) -> bool {
        self.beats.retain_mut(|beat| beat.is_alive(now));
        self.beats.is_empty()
            && self.last_read.is_none_or(|last| now.saturating_duration_since(last) > config.longest)
    }

    /// Whether a reader has come as expected, and has not gone since.
    pub(crate) fn is_rhythmic(&self) -> bool {
        self.beats.iter().any(Beat::is_confirmed)
    }

    /// Adds what is to be expected; false if that is nothing.
    pub(crate) fn expect(&mut self, now: Instant, expected: &mut Vec<Expected>) -> bool {
        self.beats.retain_mut(|beat| beat.is_alive(now));
        let pods = u32::try_from(self.pods).unwrap_or(u32::MAX);
        let spread = SPREAD_PER_POD.saturating_mul(pods).min(SPREAD);
        // One read may be the first of a beat. Several that have nothing to do with each other are somebody's at a terminal.
        let guesses_count = self.beats.len() == 1;
        let beats = self.beats.iter().filter(|beat| beat.is_confirmed() || guesses_count);
        expected.extend(beats.map(|beat| beat.expected(spread)));
        !self.beats.is_empty()
    }

    fn nearest(&mut self, read: Instant, may_hear: impl Fn(&Beat) -> bool) -> Option<&mut Beat> {
        self.beats
            .iter_mut()
            .filter(|beat| may_hear(beat))
            .filter_map(|beat| Some((beat.distance(read)?, beat)))
            .min_by_key(|(distance, beat)| (*distance, std::cmp::Reverse(beat.rank())))
            .map(|(_, beat)| beat)
    }

    fn take_stray(&mut self, read: Instant, config: &Config) {
        let beat = self.find_beat(read, config).unwrap_or_else(|| Beat::guessed(read, self.period));
        if beat.is_confirmed() {
            self.strays.clear();
        } else {
            if self.strays.len() == STRAYS {
                self.strays.remove(0);
            }
            self.strays.push(read);
        }
        if self.beats.len() < BEATS {
            self.beats.push(beat);
        } else if let Some(weakest) = self.beats.iter_mut().min_by_key(|beat| beat.rank())
            && weakest.rank() <= beat.rank()
        {
            *weakest = beat;
        }
    }

    /// The shortest period that this read and two strays agree on.
    fn find_beat(&self, read: Instant, config: &Config) -> Option<Beat> {
        self.strays.iter().rev().find_map(|last| {
            let period = read.saturating_duration_since(*last);
            if period < config.shortest || period > config.longest {
                return None;
            }
            let before = last.checked_sub(period)?;
            let error = self.strays.iter().map(|stray| apart(*stray, before)).min()?;
            (error <= guess_tolerance(period)).then(|| Beat::found(read, period, error))
        })
    }
}
