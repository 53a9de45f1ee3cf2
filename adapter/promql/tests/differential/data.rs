//! The samples: counters with resets, gauges, histograms, gaps, and series that come and go.

use std::fmt::Write as _;

use podgauge_promql::{Labels, MemorySource, Sample};

/// When the samples begin.
pub(crate) const START_MS: i64 = 1_700_000_000_000;

/// How long they go on.
pub(crate) const LENGTH_MS: i64 = 3_600_000;

/// A generator of numbers that look random: xorshift.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

type Series = (Vec<(&'static str, String)>, Vec<(i64, f64)>);

/// All series. Values are multiples of a quarter, so that sums are exact and differences are no rounding.
fn series() -> Vec<Series> {
    let mut random = Random::new(42);
    let mut all = Vec::new();
    for job in ["api", "web"] {
        for pod in 0..4 {
            let labels = |name: &str| {
                vec![("__name__", name.to_owned()), ("job", job.to_owned()), ("pod", format!("{job}-{pod}"))]
            };
            let (mut counter, mut gauge) = (random.below(1_000) as f64, random.below(80) as f64 / 4.0);
            let mut samples = (Vec::new(), Vec::new());
            let jitter = random.below(15_000) as i64;
            for step in 0..LENGTH_MS / 15_000 {
                let t_ms = START_MS + jitter + step * 15_000;
                // One pod restarts now and then, one is away for ten minutes, one begins late, one ends early.
                let away = match pod {
                    1 => (80..120).contains(&step),
                    2 => step < 60,
                    3 => step > 180,
                    _ => random.below(20) == 0,
                };
                if random.below(60) == 0 {
                    counter = 0.0;
                }
                counter += random.below(40) as f64 / 4.0;
                gauge += random.below(17) as f64 / 4.0 - 2.0;
                if !away {
                    samples.0.push((t_ms, counter));
                    let value = if job == "web" && random.below(40) == 0 { f64::NAN } else { gauge };
                    samples.1.push((t_ms, value));
                }
            }
            all.push((labels("requests_total"), samples.0));
            all.push((labels("load"), samples.1));
        }
        let mut buckets = [0_u64; 4];
        let mut columns = vec![Vec::new(); 4];
        for step in 0..LENGTH_MS / 30_000 {
            let t_ms = START_MS + step * 30_000;
            for (place, le) in columns.iter_mut().enumerate() {
                buckets[place] += random.below(8);
                le.push((t_ms, buckets[..=place].iter().sum::<u64>() as f64));
            }
        }
        for (le, samples) in ["0.25", "0.5", "2", "+Inf"].iter().zip(columns) {
            let labels = vec![
                ("__name__", "seconds_bucket".to_owned()),
                ("job", job.to_owned()),
                ("le", (*le).to_owned()),
            ];
            all.push((labels, samples));
        }
        let steps = (0..LENGTH_MS / 60_000).map(|step| (START_MS + step * 60_000, 1.0));
        let team = if job == "api" { "red" } else { "blue" };
        all.push((
            vec![("__name__", "info".to_owned()), ("job", job.to_owned()), ("team", team.to_owned())],
            steps.collect(),
        ));
    }
    all.push((vec![("__name__", "once".to_owned())], vec![(START_MS + 1_800_000, 7.0)]));
    all.push((
        vec![("__name__", "steady".to_owned())],
        (0..240).map(|s| (START_MS + s * 15_000, 5.0)).collect(),
    ));
    all
}

/// The samples as an OpenMetrics page.
pub(crate) fn page() -> String {
    let mut page = String::new();
    let mut named = String::new();
    for (labels, samples) in series() {
        let name = &labels[0].1;
        if *name != named {
            named.clone_from(name);
        }
        let rest: Vec<String> =
            labels[1..].iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        for (t_ms, value) in samples {
            let seconds = t_ms as f64 / 1_000.0;
            writeln!(page, "{name}{{{}}} {value} {seconds:.3}", rest.join(",")).unwrap();
        }
    }
    page.push_str("# EOF\n");
    page
}

/// The same in memory.
pub(crate) fn source() -> MemorySource {
    let mut source = MemorySource::default();
    for (labels, samples) in series() {
        let labels = Labels::new(labels.iter().map(|(name, value)| (*name, value.as_str())));
        for (t_ms, value) in samples {
            source.push(&labels, Sample { t_ms, value });
        }
    }
    source
}
