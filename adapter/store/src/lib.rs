//! What is known now: pods, the pages that they served, and a short window of earlier values.
//!
//! ```text
//! Store ── namespace ── Pod ── Target ── Page = Layout (shared) + columns of numbers
//! ```
//!
//! The order and labels of the series on a pod's page hardly ever change between scrapes, and are the
//! same across the pods of one workload. So a page is kept as an interned [`Layout`] and plain columns,
//! and a million series cost tens of megabytes.
//!
//! One [`Writer`] owns which pods exist; one [`Recorder`] for each target owns what was read from it;
//! any number of [`Reader`]s look. A pod's series live exactly as long as the pod is a target: they go
//! when the last reference to the target goes, and nothing sweeps. Locks are held for as long as a copy
//! in memory takes, never across I/O. Time enters as an argument ([`Timestamp`]); this crate reads no
//! clock, and leaves to its readers what is too old to be served.

mod history;
mod keep;
mod layout;
mod namespace;
mod objects;
mod page;
mod pod;
mod reader;
mod registry;
mod room;
mod runs;
mod target;
mod time;
mod writer;

pub use keep::{Keeper, Policy};
pub use layout::{Kind, Labels, Layout, LayoutBuilder, Name, Series};
pub use objects::{NoPodSet, ObjectKind, Objects, PodSet, Selectors};
pub use page::{Increase, Observed, Page, Sample};
pub use pod::{Pod, PodKey, PodLabels, Scrapeable, WhyNot};
pub use reader::{Reader, Totals};
pub use room::StoreFull;
pub use target::{Endpoint, Failure, FailureKind, Outcome, Recorder, Scheme, Target, TargetId, TargetStatus};
pub use time::Timestamp;
pub use writer::{Change, PodUpdate, Writer};

use std::{sync::Arc, time::Duration};

/// How much the store may keep.
#[derive(Clone, Debug)]
pub struct Config {
    /// The most series over all targets; a page that would go past it is refused whole.
    pub series: usize,
    /// The most bytes of all pages and layouts; a page that would go past it is refused whole. See
    /// [`Layout::cost`] for what counts.
    pub bytes: usize,
    /// How far back rates, means and quantiles look, from the newest sample.
    pub window: Duration,
    /// The most columns kept of a page whose series need a window, the newest included: one for each scrape in the
    /// window and the one at its beginning. At least 2.
    pub columns: usize,
}

/// An empty store: the one who writes it, and a reader to clone.
#[must_use]
pub fn open(config: Config) -> (Writer, Reader) {
    let shared = Arc::new(registry::Registry::new(config));
    (Writer::new(Arc::clone(&shared)), Reader::new(shared))
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self { series: 5_000_000, bytes: 1 << 30, window: Duration::from_secs(60), columns: 5 }
    }
}
