//! How long things took: counts by upper bound, as Prometheus' histograms have them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Durations that several tasks observe.
#[derive(Debug)]
pub struct Histogram {
    /// Upper bounds in seconds, ascending, each inclusive. What is above the last counts under `+Inf`.
    bounds: &'static [f64],
    /// Observations of each bound alone, and of `+Inf` last.
    counts: Vec<AtomicU64>,
    sum_ns: AtomicU64,
}

/// What a [`Histogram`] holds at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Bounds, and the observations up to and including each; the last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// Of all observations, in seconds.
    pub sum: f64,
}

// === impl Histogram ===

impl Histogram {
    /// An empty one.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum_ns: AtomicU64::new(0),
        }
    }

    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let at = self.bounds.partition_point(|&bound| bound < seconds);
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// The counts now. They rise from bound to bound whatever is observed meanwhile.
    pub fn snapshot(&self) -> Snapshot {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let mut total = 0;
        let buckets = bounds
            .zip(&self.counts)
            .map(|(bound, count)| {
                total += count.load(Ordering::Relaxed);
                (bound, total)
            })
            .collect();
        Snapshot { buckets, sum: self.sum_ns.load(Ordering::Relaxed) as f64 / 1e9 }
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.buckets.last().map_or(0, |&(_, count)| count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observations_count_for_every_bound_that_they_do_not_exceed() {
        let histogram = Histogram::new(&[0.1, 1.0, 10.0]);
        for ms in [0, 100, 101, 1000, 10_000, 10_001] {
            histogram.observe(Duration::from_millis(ms));
        }
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.buckets, [(0.1, 2), (1.0, 4), (10.0, 5), (f64::INFINITY, 6)]);
        assert_eq!((snapshot.count(), snapshot.sum), (6, 21.202));
    }
}
