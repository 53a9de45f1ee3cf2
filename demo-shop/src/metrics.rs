//! This instance's own numbers, and the page that shows them in Prometheus' text format 0.0.4.
//!
//! `messages` is the one that the worker is scaled on: every instance reports the length of the whole queue. It is
//! absent while unknown, because a false 0 would scale the workers away from a full queue.
//!
//! The parts write here, each its own numbers, and read nothing: web counts requests, the store what the broker
//! confirmed, the worker what it had in hand, the tracer what became of its spans.

mod histogram;
mod page;
mod requests;

pub use histogram::{Histogram, Snapshot};
pub use requests::{RequestKind, Requests};

use crate::depth::Reading;
use crate::health::Health;
use page::Page;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What `Content-Type` says about [`Metrics::render`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Counters, gauges and histograms that the parts write. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Numbers>);

/// The numbers since this process started.
#[derive(Debug)]
pub struct Numbers {
    /// Orders that the broker confirmed to this instance's store.
    pub submitted: Number,
    /// Orders that this instance's worker has worked off and the broker has heard of.
    pub completed: Number,
    /// Orders that this instance's worker took and lost: the connection broke before the broker heard that they
    /// are done. The broker gives them to a worker again.
    pub failed: Number,
    /// Orders that this instance's worker was given although somebody had them in hand before.
    pub redelivered: Number,
    /// Orders that this instance's worker put aside, because working on them failed too often.
    pub dead_lettered: Number,
    /// Orders that this instance's worker has in hand.
    pub busy: Number,
    /// From taking an order in hand to the end of the work, the acknowledgement not included.
    pub processing: Histogram,
    /// From the buyer's click to taking the order in hand, by the clocks of store and worker.
    pub wait: Histogram,
    /// HTTP requests.
    pub requests: Requests,
    /// Spans that the collector took.
    pub spans_exported: Number,
    /// Spans that nobody will see: the queue was full, or the collector did not take them.
    pub spans_dropped: Number,
}

/// One number that several tasks may write.
#[derive(Debug, Default)]
pub struct Number(AtomicU64);

/// Upper bounds of `order_processing_seconds`. An order takes 5 s by default; the bounds are close around that, so
/// that a quantile between two of them means something.
const PROCESSING_BOUNDS: &[f64] = &[
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 4.5, 5.0, 5.5, 6.0, 8.0, 10.0, 15.0, 30.0, 60.0,
    300.0,
];

/// Upper bounds of `order_wait_seconds`: from at once to half an hour behind a long queue.
const WAIT_BOUNDS: &[f64] = &[
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0,
    600.0, 1800.0,
];

// === impl Numbers ===

impl Default for Numbers {
    fn default() -> Self {
        Self {
            submitted: Number::default(),
            completed: Number::default(),
            failed: Number::default(),
            redelivered: Number::default(),
            dead_lettered: Number::default(),
            busy: Number::default(),
            processing: Histogram::new(PROCESSING_BOUNDS),
            wait: Histogram::new(WAIT_BOUNDS),
            requests: Requests::default(),
            spans_exported: Number::default(),
            spans_dropped: Number::default(),
        }
    }
}

// === impl Metrics ===

impl std::ops::Deref for Metrics {
    type Target = Numbers;

    fn deref(&self) -> &Numbers {
        &self.0
    }
}

impl Metrics {
    /// The page. `depth` is none while the queue's length is unknown.
    pub fn render(&self, depth: Option<&Reading>, health: &Health) -> String {
        let mut page = Page::default();
        if let Some(reading) = depth {
            page.family("messages", "gauge", "Messages in the queue that no worker has acknowledged yet.");
            page.sample("messages", &[], reading.messages);
        }
        let mut counter = |name: &str, help: &str, number: &Number| {
            page.family(name, "counter", help);
            page.sample(name, &[], number.get());
        };
        counter("orders_submitted_total", "Orders that the broker confirmed to this store.", &self.submitted);
        counter("orders_completed_total", "Orders that this worker worked off.", &self.completed);
        counter(
            "orders_failed_total",
            "Orders that this worker took and could not acknowledge; the broker hands them out again.",
            &self.failed,
        );
        let help = "Orders that this worker was given although somebody had them in hand before.";
        counter("orders_redelivered_total", help, &self.redelivered);
        let help = "Orders that this worker put aside, because working on them failed too often.";
        counter("orders_dead_lettered_total", help, &self.dead_lettered);
        counter("trace_spans_exported_total", "Spans that the collector took.", &self.spans_exported);
        counter("trace_spans_dropped_total", "Spans that were not exported.", &self.spans_dropped);
        page.family("worker_busy", "gauge", "Orders that this worker has in hand.");
        page.sample("worker_busy", &[], self.busy.get());
        let mut histogram = |name: &str, help: &str, histogram: &Histogram| {
            page.family(name, "histogram", help);
            page.histogram(name, &[], &histogram.snapshot());
        };
        histogram("order_processing_seconds", "Time that this worker worked on an order.", &self.processing);
        histogram(
            "order_wait_seconds",
            "Time from the submission of an order until this worker began with it.",
            &self.wait,
        );
        page.family("http_request_duration_seconds", "histogram", "Time until a request was answered.");
        for (RequestKind { route, method, code }, histogram) in self.requests.snapshot() {
            let labels = [("method", method), ("route", route), ("code", &*code.to_string())];
            page.histogram("http_request_duration_seconds", &labels, &histogram);
        }
        page.family("broker_connected", "gauge", "1 while this part is connected to the broker.");
        for link in health.links() {
            page.sample("broker_connected", &[("part", link.name)], u64::from(link.down.is_none()));
        }
        page.family("demo_shop_build_info", "gauge", "Always 1; the version is in the label.");
        page.sample("demo_shop_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        page.into_text()
    }
}

// === impl Number ===

impl Number {
    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts up.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Counts a gauge down, to no less than 0.
    pub fn sub(&self, less: u64) {
        // The closure never refuses.
        let _ =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| Some(now.saturating_sub(less)));
    }

    /// Sets a gauge.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
