//! Everybody who asks: bounded, and cheap for those who ask in vain.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{
    Expected,
    question::{Question, Told},
};

/// What is remembered, and what counts as a rhythm.
#[derive(Clone, Debug)]
pub struct Config {
    /// Questions that are remembered; some 400 bytes each. Questions beyond them have no rhythm until others have
    /// fallen silent, and those that have one already keep it. Default: 4,096.
    pub questions: usize,
    /// The period to guess for a question that was asked once. Default: 15 s, an autoscaler's
    /// (`--horizontal-pod-autoscaler-sync-period`).
    pub period: Duration,
    /// Readers who come more often than this have no rhythm. Default: 3.75 s.
    pub shortest: Duration,
    /// Readers who come less often than this have none either. Default: 120 s.
    pub longest: Duration,
}

/// Who asks what, and when.
#[derive(Debug)]
pub struct Audience {
    config: Config,
    by_key: HashMap<u64, QuestionId>,
    questions: HashMap<QuestionId, (u64, Question)>,
    last_id: u64,
    swept: Option<Instant>,
    totals: Totals,
}

/// Identifies a question for as long as it is remembered; never reused. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuestionId(u64);

/// How it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Questions that are remembered.
    pub questions: usize,
    /// Those of them that are asked in a rhythm.
    pub rhythmic: usize,
    /// Reads that came when they were expected.
    pub expected: u64,
    /// Reads that did not.
    pub unexpected: u64,
    /// Reads of questions for which there was no room.
    pub passed_over: u64,
}

/// The least time between two looks at all questions for those that are over.
const SWEEP: Duration = Duration::from_secs(1);

// === impl Audience ===

impl Audience {
    /// Nobody yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            by_key: HashMap::new(),
            questions: HashMap::new(),
            last_id: 0,
            swept: None,
            totals: Totals::default(),
        }
    }

    /// Takes in that the question `key` was asked at `read`, and was about so many pods.
    ///
    /// The question's id, if there is something to be learned from this read; then whoever knows the pods notes there
    /// that this question is about them. `None` for a read that came right after another one and for a question for
    /// which there is no room: such reads cost a look-up.
    pub fn hear(&mut self, key: u64, read: Instant, pods: usize) -> Option<QuestionId> {
        let id = match self.by_key.get(&key) {
            Some(id) => *id,
            None => self.remember(key, read)?,
        };
        let (_, question) = self.questions.get_mut(&id)?;
        match question.hear(read, pods, &self.config) {
            Told::Expected(_) => {
                self.totals.expected += 1;
                Some(id)
            }
            Told::News => {
                self.totals.unexpected += 1;
                Some(id)
            }
            Told::Nothing => {
                self.totals.unexpected += 1;
                None
            }
        }
    }

    /// Adds the reads of a question that are to be expected to `expected`; false if there are none, and whoever has
    /// noted the question may forget it until it is heard again.
    pub fn expect(&mut self, id: QuestionId, now: Instant, expected: &mut Vec<Expected>) -> bool {
        self.questions.get_mut(&id).is_some_and(|(_, question)| question.expect(now, expected))
    }

    /// How it goes; looks at every question.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            questions: self.questions.len(),
            rhythmic: self.questions.values().filter(|(_, question)| question.is_rhythmic()).count(),
            ..self.totals
        }
    }

    /// Makes a place for a question, if there is or can be one.
    ///
    /// Looking for one takes time in proportion to what is remembered, so it is done each [`SWEEP`] at most: made-up
    /// questions, however many, cost a look-up each.
    fn remember(&mut self, key: u64, now: Instant) -> Option<QuestionId> {
        let is_due = self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP);
        if self.questions.len() >= self.config.questions && is_due {
            self.swept = Some(now);
            self.sweep(now);
        }
        if self.questions.len() >= self.config.questions {
            self.totals.passed_over += 1;
            return None;
        }
        self.last_id += 1;
        let id = QuestionId(self.last_id);
        self.by_key.insert(key, id);
        self.questions.insert(id, (key, Question::new(&self.config)));
        Some(id)
    }

    /// Forgets what is over; if that is not enough, everything that has no rhythm.
    fn sweep(&mut self, now: Instant) {
        let config = &self.config;
        self.questions.retain(|_, (_, question)| !question.is_over(now, config));
        if self.questions.len() >= self.config.questions {
            self.questions.retain(|_, (_, question)| question.is_rhythmic());
        }
        let questions = &self.questions;
        self.by_key.retain(|_, id| questions.contains_key(id));
    }
}

// === impl QuestionId ===

impl QuestionId {
    /// The number, to be kept elsewhere; never 0.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// From its number.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }
}

// === impl Config ===

impl Config {
    /// For a scrape interval: periods from a quarter of it to eight times it.
    #[must_use]
    pub fn for_interval(interval: Duration) -> Self {
        Self {
            questions: 4_096,
            period: Duration::from_secs(15),
            shortest: interval / 4,
            longest: interval * 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    /// Reads one question at these seconds: whether there is a rhythm, and when reads are expected after the last one, in
    /// tenths of a second, what is believed most first.
    fn expected_after(reads: &[f64]) -> (bool, Vec<i64>) {
        let start = Instant::now();
        let mut audience = Audience::new(Config::for_interval(Duration::from_secs(15)));
        let id = reads.iter().filter_map(|read| audience.hear(7, at(start, *read), 1)).last().unwrap();
        let now = at(start, reads[reads.len() - 1]);
        let mut expected = Vec::new();
        audience.expect(id, now, &mut expected);
        expected.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let tenths = |expected: &Expected| ((expected.at - start).as_secs_f64() * 10.0).round() as i64;
        (audience.totals().rhythmic > 0, expected.iter().map(tenths).collect())
    }

    #[test]
    fn rhythms_are_found() {
        let check = |reads: &[f64], want: &[i64]| {
            let (is_rhythmic, mut expected) = expected_after(reads);
            expected.truncate(want.len());
            expected.sort_unstable();
            assert_eq!((is_rhythmic, &expected[..]), (!want.is_empty(), want), "{reads:?}");
        };
        check(&[1.0], &[]);
        // An autoscaler's period is guessed, another one is learned.
        check(&[1.0, 16.0], &[310]);
        check(&[0.0, 20.0], &[]);
        check(&[0.0, 20.0, 40.0], &[600]);
        check(&[0.0, 30.0, 60.0, 90.0], &[1200]);
        // What it is late by stays, and one read may be missing.
        check(&[1.0, 16.1, 31.2], &[462]);
        check(&[1.0, 16.0, 46.0], &[610]);
        // Two readers of one question.
        check(&[0.0, 7.0, 15.0, 22.0, 30.0], &[370, 450]);
        // Somebody in between changes nothing, not even a moment before.
        check(&[1.0, 16.0, 18.5, 31.0], &[460]);
        check(&[1.0, 16.0, 30.6, 31.0], &[460]);
        check(&[1.0, 16.0, 31.0, 31.4], &[460]);
        // No rhythm at all, and too quick a one.
        check(&[0.0, 2.0, 11.0, 13.5, 40.0, 49.0, 53.0], &[]);
        check(&[0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5], &[]);
    }

    #[test]
    fn who_asks_all_the_time_has_no_rhythm() {
        let reads: Vec<f64> = (0..1_000).map(|n| f64::from(n) * 0.2).collect();
        assert!(!expected_after(&reads).0);
    }

    /// Until there is a rhythm, every read may be an autoscaler's.
    #[test]
    fn one_read_is_a_guess() {
        assert_eq!(expected_after(&[1.0]), (false, vec![160]));
        // Several may be anybody's, and a rhythm is better.
        assert_eq!(expected_after(&[1.0, 5.0]), (false, vec![]));
        assert_eq!(expected_after(&[1.0, 16.0, 20.0]), (true, vec![310]));
    }

    #[test]
    fn no_rhythm_is_longer_than_the_longest() {
        // Steady, and then at each 17th of its times.
        let mut reads: Vec<f64> = (0..10).map(|n| 15.0 * f64::from(n)).collect();
        reads.extend((1..10).map(|n| 135.0 + 255.0 * f64::from(n)));
        let (is_rhythmic, expected) = expected_after(&reads);
        assert!(is_rhythmic && expected.len() == 1, "{expected:?}");
        assert_eq!(expected[0], 10 * (135 + 255 * 9 + 15));
    }

    #[test]
    fn who_has_gone_is_forgotten() {
        let start = Instant::now();
        // How many reads may fail to come after so many that came.
        for (reads, patience) in [(1, 3), (2, 3), (4, 3), (5, 16), (20, 16)] {
            let mut audience = Audience::new(Config::for_interval(Duration::from_secs(15)));
            let id = (0..reads)
                .filter_map(|n| audience.hear(7, at(start, 15.0 * f64::from(n)), 1))
                .last()
                .unwrap();
            let next = 15.0 * f64::from(reads + patience);
            assert!(audience.expect(id, at(start, next), &mut Vec::new()), "{reads} reads");
            assert!(!audience.expect(id, at(start, next + 1.0), &mut Vec::new()), "{reads} reads");
            assert_eq!(audience.totals().rhythmic, 0);
        }
    }

    #[test]
    fn who_comes_back_is_known_again() {
        let start = Instant::now();
        let mut audience = Audience::new(Config::for_interval(Duration::from_secs(15)));
        let id = audience.hear(7, start, 1).unwrap();
        audience.hear(7, at(start, 15.0), 1);
        let mut expected = Vec::new();
        assert!(!audience.expect(id, at(start, 100.0), &mut expected));
        // It comes back with another phase.
        assert_eq!(audience.hear(7, at(start, 200.0), 1), Some(id));
        audience.hear(7, at(start, 215.0), 1);
        expected.clear();
        assert!(audience.expect(id, at(start, 215.0), &mut expected));
        assert_eq!(expected.len(), 1);
    }

    #[test]
    fn made_up_questions_cost_others_nothing() {
        let config = Config { questions: 100, ..Config::for_interval(Duration::from_secs(15)) };
        let start = Instant::now();
        let mut audience = Audience::new(config);
        let mut made_up = 1_000_000;
        for tick in 0..1_200u32 {
            let now = at(start, f64::from(tick) / 10.0);
            if tick % 150 == 0 {
                audience.hear(7, now, 1).unwrap();
                // It was asked twice before the others came, and keeps its rhythm whatever they do.
                assert_eq!(audience.totals().rhythmic, usize::from(tick > 0));
            }
            if tick > 200 {
                (0..500).for_each(|_| {
                    made_up += 1;
                    audience.hear(made_up, now, 1);
                });
            }
            assert!(audience.totals().questions <= 100);
            assert!(audience.by_key.len() <= 100);
        }
        assert!(audience.totals().passed_over > 400_000);
        // When they have gone, there is room again.
        let now = at(start, 300.0);
        let id = audience.hear(8, now, 1).unwrap();
        assert_eq!(audience.hear(8, at(start, 315.0), 1), Some(id));
    }
}
