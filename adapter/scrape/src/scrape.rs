//! One scrape of one target: fetch, read, record.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::FutureExt;
use podgauge_exposition::Limits;
use podgauge_store::{Endpoint, Failure, Outcome, Recorder, Target, Timestamp};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, error, info};

use crate::{
    Clock,
    failure::{Phase, ScrapeError},
    fetch::{Connection, Fetched, Fetcher},
    ingest::{self, Memory, Shapes},
    metrics::Metrics,
    offload::{INLINE_BYTES, Offload},
    schedule::Scrape,
    terms::Terms,
};

/// Scrapes pods into the store; clones share everything.
#[derive(Clone)]
pub(crate) struct PodScrape {
    pub(crate) fetcher: Fetcher,
    pub(crate) limits: Limits,
    pub(crate) shapes: Shapes,
    pub(crate) offload: Offload,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
}

/// What is kept of a target between two scrapes.
#[derive(Debug)]
pub(crate) struct Slot {
    target: Arc<Target>,
    desk: Arc<Mutex<Desk>>,
    connection: Option<Connection>,
    /// With a deadline of its own, if it has one.
    fetcher: Option<Box<Fetcher>>,
    /// Whether the last scrape went well; unknown before the first.
    was_good: Option<bool>,
}

/// What reading a page needs of its target. The thread that reads it has it alone; when its scrape is given up
/// meanwhile, nobody else is left to want it.
#[derive(Debug)]
struct Desk {
    recorder: Recorder,
    memory: Memory,
}

// === impl PodScrape ===

impl Scrape for PodScrape {
    type Slot = Slot;

    fn open(&self, recorder: Recorder, terms: Option<Arc<Terms>>) -> Slot {
        let target = Arc::clone(recorder.target());
        let timeout = terms.as_ref().and_then(|terms| terms.timeout);
        let fetcher = timeout.map(|timeout| {
            let mut own = Box::new(self.fetcher.clone());
            own.timeout = timeout;
            own
        });
        let desk = Arc::new(Mutex::new(Desk { recorder, memory: Memory::new(terms) }));
        Slot { target, desk, connection: None, fetcher, was_good: None }
    }

    async fn scrape(&self, slot: &mut Slot) -> bool {
        let started = Instant::now();
        // A page that finds a bug of ours must cost its own target only.
        let result = match AssertUnwindSafe(self.attempt(slot, started)).catch_unwind().await {
            Ok(result) => result,
            Err(_panic) => {
                slot.desk().memory.forget();
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
            slot.desk().recorder.fail(failure);
        }
        is_good
    }
}

impl PodScrape {
    async fn attempt(&self, slot: &mut Slot, started: Instant) -> Result<(), ScrapeError> {
        let fetcher = slot.fetcher.as_deref().unwrap_or(&self.fetcher);
        let fetched = fetcher.fetch(slot.target.endpoint(), &mut slot.connection).await?;
        self.read(slot, fetched, started).await
    }

    /// Reads and records a page, here if it is of the usual size.
    async fn read(&self, slot: &Slot, fetched: Fetched, started: Instant) -> Result<(), ScrapeError> {
        let duration = started.elapsed();
        if fetched.lease.workspace.page.page().len() <= INLINE_BYTES {
            return self.record(&mut slot.desk(), fetched, duration);
        }
        let timeout = slot.fetcher.as_deref().unwrap_or(&self.fetcher).timeout;
        let turn = timeout_at(started + timeout, self.offload.turn())
            .await
            .map_err(|_elapsed| ScrapeError::timeout(timeout, Phase::Queued))?;
        let (scrape, desk) = (self.clone(), Arc::clone(&slot.desk));
        turn.run(move || scrape.record(&mut lock(&desk), fetched, duration)).await
    }

    fn record(&self, desk: &mut Desk, mut fetched: Fetched, duration: Duration) -> Result<(), ScrapeError> {
        let workspace = &mut fetched.lease.workspace;
        let bytes = workspace.page.page();
        self.metrics.page_bytes.inc_by(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let Desk { recorder, memory } = desk;
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
        &self.target
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
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

/// Who panics while reading a page leaves a memory that is dropped, and a recorder that is whole.
fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The store wants a time for each sample or none at all.
fn fill_times(times: &mut Vec<i64>, own: &[Option<i64>], taken: Timestamp) {
    times.clear();
    times.extend(own.iter().map(|time| time.unwrap_or_else(|| taken.millis())));
}

#[cfg(test)]
mod tests;
