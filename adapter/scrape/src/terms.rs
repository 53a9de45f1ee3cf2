//! On which terms a page is scraped, where they are not podgauge's own.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    num::NonZeroU64,
    time::Duration,
};

use crate::relabel::Relabeling;

/// Terms of a page's own. What is missing is as for any other.
#[derive(Debug)]
pub(crate) struct Terms {
    id: NonZeroU64,
    /// How often it is scraped. Reads do not move its scrapes then.
    pub(crate) interval: Option<Duration>,
    /// The deadline of one scrape.
    pub(crate) timeout: Option<Duration>,
    /// What becomes of its series.
    pub(crate) relabeling: Option<Relabeling>,
}

// === impl Terms ===

impl Terms {
    /// Terms as `text` has them: those of the same text are the same.
    pub(crate) fn new(
        text: &str,
        interval: Option<Duration>,
        timeout: Option<Duration>,
        relabeling: Option<Relabeling>,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        (text, interval, timeout).hash(&mut hasher);
        let id = NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MIN);
        Self { id, interval, timeout, relabeling }
    }

    /// Tells terms apart; 0 is nobody's.
    pub(crate) fn id(&self) -> u64 {
        self.id.get()
    }
}
