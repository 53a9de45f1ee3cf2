//! What functions over ranges see of a series.

use crate::{Dialect, Sample};

/// The samples of one series in a window, markers that end a series left out; never empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'s> {
    /// In order of time.
    pub(crate) samples: &'s [Sample],
    /// Where the window begins, in milliseconds since the epoch.
    pub(crate) start_ms: i64,
    /// Where it ends.
    pub(crate) end_ms: i64,
    pub(crate) dialect: Dialect,
}

// === impl Window ===

impl Window<'_> {
    /// Its length in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        seconds(self.start_ms, self.end_ms)
    }

    /// The values alone.
    pub(crate) fn values(&self) -> impl Iterator<Item = f64> {
        self.samples.iter().map(|sample| sample.value)
    }
}

/// From one time to another, in seconds.
pub(crate) fn seconds(from_ms: i64, to_ms: i64) -> f64 {
    to_ms.saturating_sub(from_ms) as f64 / 1_000.0
}
