//! Who reads, and when: patterns seen on clusters, and some that are worse.

use std::ops::Range;

use crate::world::Policy;

/// How long each simulation lasts, in seconds; the first [`WARM`] of them are not counted.
pub(crate) const SPAN: f64 = 1_900.0;
/// Long enough for a rhythm to be found.
pub(crate) const WARM: f64 = 100.0;

/// Pods, and those who read them.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) pods: usize,
    pub(crate) readers: Vec<Reader>,
    /// How long a scrape takes, in seconds: anything in this range.
    pub(crate) fastest: f64,
    pub(crate) slowest: f64,
    pub(crate) more_policies: &'static [Policy],
}

/// One who asks one question.
pub(crate) struct Reader {
    /// What it asks: readers of the same question have the same.
    pub(crate) question: u64,
    /// The pods that it is about.
    pub(crate) pods: Range<usize>,
    /// When it asks, in seconds.
    pub(crate) reads: Vec<f64>,
    /// Whether the ages that it sees are counted.
    pub(crate) counts: bool,
}

/// A fixed sequence that looks random (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

pub(crate) fn scenarios() -> Vec<Scenario> {
    let autoscaler = |seed| Reader::autoscaler(seed, 4.2, 15.0);
    vec![
        Scenario { readers: vec![autoscaler(1)], ..Scenario::of_pods("one autoscaler, 15 s", 40) },
        Scenario {
            readers: vec![Reader::grid(2, 11.1, 15.0)],
            ..Scenario::of_pods("one autoscaler, exact to the grid", 40)
        },
        Scenario { readers: vec![autoscaler(3)], ..Scenario::of_pods("one autoscaler, 1,000 pods", 1_000) },
        Scenario {
            readers: (0..5)
                .map(|n| Reader {
                    question: n as u64,
                    pods: n..n + 6,
                    ..Reader::autoscaler(10 + n as u64, 2.9 * n as f64, 15.0)
                })
                .collect(),
            more_policies: &[Policy::Aligned { per_interval: 2 }, Policy::Aligned { per_interval: 4 }],
            ..Scenario::of_pods("five autoscalers, overlapping pods", 10)
        },
        Scenario {
            readers: vec![Reader::autoscaler(4, 1.0, 30.0)],
            ..Scenario::of_pods("one autoscaler, 30 s", 40)
        },
        Scenario {
            readers: vec![Reader::autoscaler(5, 1.0, 20.0)],
            ..Scenario::of_pods("one autoscaler, 20 s", 40)
        },
        Scenario {
            readers: vec![Reader::autoscaler(6, 1.0, 10.0)],
            ..Scenario::of_pods("one autoscaler, 10 s", 40)
        },
        Scenario {
            readers: vec![autoscaler(7).restarting(300.0, 0.37)],
            ..Scenario::of_pods("restarts each 5 min, elsewhere in the interval", 40)
        },
        Scenario {
            readers: vec![
                Reader::autoscaler(8, 1.0, 15.0).until(700.0).then(Reader::autoscaler(9, 705.0, 20.0)),
            ],
            ..Scenario::of_pods("15 s, then 20 s", 40)
        },
        Scenario {
            readers: vec![autoscaler(20), Reader { counts: false, ..Reader::noise(21, 10.0) }],
            ..Scenario::of_pods("one autoscaler, and kubectl at any time", 40)
        },
        Scenario {
            readers: vec![autoscaler(22).missing(5)],
            ..Scenario::of_pods("one autoscaler, each fifth read missing", 40)
        },
        Scenario {
            readers: vec![autoscaler(28).thinned(29, 2.0)],
            ..Scenario::of_pods("one of two replicas, each read goes to either", 40)
        },
        Scenario {
            readers: vec![autoscaler(30).thinned(31, 3.0)],
            ..Scenario::of_pods("one of three replicas, each read goes to any", 40)
        },
        Scenario {
            readers: vec![autoscaler(23)],
            fastest: 0.5,
            slowest: 3.0,
            ..Scenario::of_pods("one autoscaler, pods take 0.5 to 3 s", 40)
        },
        Scenario {
            readers: vec![autoscaler(24), Reader::autoscaler(25, 10.7, 15.0)],
            more_policies: &[Policy::Aligned { per_interval: 2 }],
            ..Scenario::of_pods("two readers of one question, out of phase", 40)
        },
        Scenario {
            readers: vec![
                autoscaler(32),
                Reader { question: 1, counts: false, ..Reader::autoscaler(33, 0.1, 0.3) },
            ],
            ..Scenario::of_pods("one autoscaler, and a script that asks all the time", 40)
        },
        Scenario { readers: vec![Reader::noise(26, 6.0)], ..Scenario::of_pods("nothing but kubectl", 40) },
        Scenario {
            readers: vec![Reader::autoscaler(27, 1.0, 1.0)],
            ..Scenario::of_pods("a dashboard, each second", 40)
        },
    ]
}

// === impl Scenario ===

impl Scenario {
    pub(crate) fn of_pods(name: &'static str, pods: usize) -> Self {
        let readers = Vec::new();
        Self { name, pods, readers, fastest: 0.001, slowest: 0.02, more_policies: &[] }
    }
}

// === impl Reader ===

impl Reader {
    /// Waits a period after it has finished: up to 0.1 s off each time, and what it is off by stays.
    pub(crate) fn autoscaler(seed: u64, first: f64, period: f64) -> Self {
        let mut dice = Dice(seed);
        let mut at = first;
        Self::at(std::iter::from_fn(|| {
            let read = at;
            at += period + dice.between(-0.1, 0.1).max(0.01 - period);
            Some(read)
        }))
    }

    /// Comes at places in a grid, up to 0.1 s off each time.
    pub(crate) fn grid(seed: u64, first: f64, period: f64) -> Self {
        let mut dice = Dice(seed);
        Self::at((0u32..).map(|n| first + period * f64::from(n) + dice.between(-0.1, 0.1)))
    }

    /// Comes at any time, so many seconds apart on average.
    pub(crate) fn noise(seed: u64, mean: f64) -> Self {
        let mut dice = Dice(seed);
        let mut at = 0.0;
        Self::at(std::iter::from_fn(|| {
            at -= mean * dice.between(1e-9, 1.0).ln();
            Some(at)
        }))
    }

    /// Begins anew each `span`, so much of a period later or earlier.
    fn restarting(mut self, span: f64, shift: f64) -> Self {
        for read in &mut self.reads {
            *read += (*read / span).floor() * shift * 15.0;
        }
        self
    }

    fn missing(mut self, each: usize) -> Self {
        let mut n = 0;
        self.reads.retain(|_| {
            n += 1;
            n % each != 0
        });
        self
    }

    /// As one of so many replicas hears it when a read goes to any of them.
    fn thinned(mut self, seed: u64, replicas: f64) -> Self {
        let mut dice = Dice(seed);
        self.reads.retain(|_| dice.between(0.0, replicas) < 1.0);
        self
    }

    fn until(mut self, end: f64) -> Self {
        self.reads.retain(|read| *read < end);
        self
    }

    fn then(mut self, other: Self) -> Self {
        self.reads.extend(other.reads);
        self
    }

    fn at(reads: impl Iterator<Item = f64>) -> Self {
        let reads = reads.take_while(|read| *read < SPAN).collect();
        Self { question: 0, pods: 0..usize::MAX, reads, counts: true }
    }
}

// === impl Dice ===

impl Dice {
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        low + (high - low) * ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
