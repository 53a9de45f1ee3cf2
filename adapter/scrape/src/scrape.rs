//! One scrape of one target: fetch, read, record.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use podgauge_exposition::Limits;
use podgauge_store::{Endpoint, Failure, Outcome, Recorder, Target, Timestamp};
use tokio::time::Instant;
use tracing::{debug, error, info};

use crate::{
    Clock,
    failure::ScrapeError,
    fetch::{Connection, Fetched, Fetcher},
    ingest::{self, Memory, Shapes},
    metrics::Metrics,
    schedule::Scrape,
};

/// Scrapes pods into the store; clones share everything.
#[derive(Clone)]
pub(crate) struct PodScrape {
    pub(crate) fetcher: Fetcher,
    pub(crate) limits: Limits,
    pub(crate) shapes: Shapes,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
}

/// What is kept of a target between two scrapes.
#[derive(Debug)]
pub(crate) struct Slot {
    recorder: Recorder,
    connection: Option<Connection>,
    memory: Memory,
    /// Whether the last scrape went well; unknown before the first.
    was_good: Option<bool>,
}

// === impl PodScrape ===

impl Scrape for PodScrape {
    type Slot = Slot;

    fn open(&self, recorder: Recorder) -> Slot {
        Slot { recorder, connection: None, memory: Memory::default(), was_good: None }
    }

    async fn scrape(&self, slot: &mut Slot) -> bool {
        let started = Instant::now();
        // A page that finds a bug of ours must cost its own target only.
        let result = match AssertUnwindSafe(self.attempt(slot, started)).catch_unwind().await {
            Ok(result) => result,
            Err(_panic) => {
                slot.memory = Memory::default();
                slot.connection = None;
                error!(target = %slot.target().endpoint(), "a scrape panicked");
                Err(ScrapeError::bug())
            }
        };
        self.metrics.scrape_duration.observe(started.elapsed().as_secs_f64());
        self.metrics.count_scrape(result.as_ref().err().map(|error| error.kind));
        let is_good = result.is_ok();
        slot.note(&result);
        if let Err(error) = result {
            let failure = Failure { at: self.clock.now(), kind: error.kind, message: error.message.into() };
            slot.recorder.fail(failure);
        }
        is_good
    }
}

impl PodScrape {
    async fn attempt(&self, slot: &mut Slot, started: Instant) -> Result<(), ScrapeError> {
        let target = Arc::clone(slot.recorder.target());
        let fetched = self.fetcher.fetch(target.endpoint(), &mut slot.connection).await?;
        self.record(slot, fetched, started)
    }

    fn record(&self, slot: &mut Slot, mut fetched: Fetched, started: Instant) -> Result<(), ScrapeError> {
        let duration = started.elapsed();
        let workspace = &mut fetched.lease.workspace;
        let bytes = workspace.page.bytes.as_slice();
        self.metrics.page_bytes.inc_by(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let Slot { recorder, memory, .. } = slot;
        let values = &mut workspace.values;
        let reading =
            ingest::read(bytes, fetched.format, &self.limits, memory, &self.shapes, values, |layout| {
                recorder.intern(layout)
            })?;
        self.metrics.count_page(reading.layout_use);
        self.metrics.lines_rejected.inc_by(reading.rejected);
        fill_times(&mut workspace.times, &workspace.values.timestamps_ms, fetched.taken);
        let outcome =
            Outcome { duration, rejected: reading.rejected, first_rejected: reading.first_rejected };
        recorder
            .record(&reading.layout, &workspace.values.values, &workspace.times, fetched.taken, outcome)
            .map_err(|full| ScrapeError::store_full(&full))
    }
}

// === impl Slot ===

impl Slot {
    fn target(&self) -> &Target {
        self.recorder.target()
    }

    /// Logs turns for the better and the worse; what goes on as it was would only fill disks.
    fn note(&mut self, result: &Result<(), ScrapeError>) {
        let was_good = self.was_good.replace(result.is_ok());
        let (pod, endpoint): (_, &Endpoint) = (self.target().pod(), self.target().endpoint());
        match result {
            Ok(()) if was_good == Some(false) => info!(%pod, %endpoint, "scrapes go well again"),
            Err(error) if was_good != Some(false) => {
                info!(%pod, %endpoint, kind = error.kind.as_str(), error = error.message, "a scrape failed");
            }
            Err(error) => {
                debug!(%pod, %endpoint, kind = error.kind.as_str(), error = error.message, "a scrape failed again");
            }
            Ok(()) => {}
        }
    }
}

/// The store wants a time for each sample or none at all.
fn fill_times(times: &mut Vec<i64>, own: &[Option<i64>], taken: Timestamp) {
    times.clear();
    times.extend(own.iter().map(|time| time.unwrap_or_else(|| taken.millis())));
}

#[cfg(test)]
mod tests;
