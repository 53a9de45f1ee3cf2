//! This instance's own numbers, and the page that shows them in Prometheus' text format 0.0.4.
//!
//! `messages` is the one that the worker is scaled on: every instance reports the length of the whole queue. It is
//! absent while unknown, because a false 0 would scale the workers away from a full queue.

use crate::depth::Reading;
use crate::health::Health;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What `Content-Type` says about [`Metrics::render`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Counters and gauges that the parts write. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Numbers>);

/// The numbers since this process started.
#[derive(Debug, Default)]
pub struct Numbers {
    /// Orders that the broker confirmed to this instance's store.
    pub submitted: Number,
    /// Orders that this instance's worker has worked off and the broker has heard of.
    pub completed: Number,
    /// Orders that this instance's worker took and lost: the connection broke before the broker heard that they
    /// are done. The broker gives them to a worker again.
    pub failed: Number,
    /// 1 while this instance's worker has an order in hand.
    pub busy: Number,
}

/// One number that several tasks may write.
#[derive(Debug, Default)]
pub struct Number(AtomicU64);

/// A page in text format 0.0.4.
#[derive(Debug, Default)]
struct Page(String);

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
        page.family("orders_submitted_total", "counter", "Orders that the broker confirmed to this store.");
        page.sample("orders_submitted_total", &[], self.submitted.get());
        page.family("orders_completed_total", "counter", "Orders that this worker worked off.");
        page.sample("orders_completed_total", &[], self.completed.get());
        page.family(
            "orders_failed_total",
            "counter",
            "Orders that this worker took and could not acknowledge; the broker hands them out again.",
        );
        page.sample("orders_failed_total", &[], self.failed.get());
        page.family("worker_busy", "gauge", "1 while this worker has an order in hand.");
        page.sample("worker_busy", &[], self.busy.get());
        page.family("broker_connected", "gauge", "1 while this part is connected to the broker.");
        for link in health.links() {
            page.sample("broker_connected", &[("part", link.name)], u64::from(link.down.is_none()));
        }
        page.family("demo_shop_build_info", "gauge", "Always 1; the version is in the label.");
        page.sample("demo_shop_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        page.0
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

    /// Sets a gauge.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

// === impl Page ===

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape_label(value))).collect();
        match labels.is_empty() {
            true => self.line(format_args!("{name} {value}")),
            false => self.line(format_args!("{name}{{{}}} {value}", labels.join(","))),
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{line}").expect("a String takes all that is written to it");
    }
}

fn escape_label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_prometheus_reads() {
        let (metrics, health) = (Metrics::default(), Health::default());
        metrics.submitted.add(3);
        metrics.completed.add(2);
        metrics.failed.add(1);
        metrics.busy.set(1);
        health.register("store").up();
        health.register("worker").down("refused");
        let reading = Reading { messages: 42, ..Reading::default() };
        let expected = "\
# HELP messages Messages in the queue that no worker has acknowledged yet.
# TYPE messages gauge
messages 42
# HELP orders_submitted_total Orders that the broker confirmed to this store.
# TYPE orders_submitted_total counter
orders_submitted_total 3
# HELP orders_completed_total Orders that this worker worked off.
# TYPE orders_completed_total counter
orders_completed_total 2
# HELP orders_failed_total Orders that this worker took and could not acknowledge; the broker hands them out again.
# TYPE orders_failed_total counter
orders_failed_total 1
# HELP worker_busy 1 while this worker has an order in hand.
# TYPE worker_busy gauge
worker_busy 1
# HELP broker_connected 1 while this part is connected to the broker.
# TYPE broker_connected gauge
broker_connected{part=\"store\"} 1
broker_connected{part=\"worker\"} 0
# HELP demo_shop_build_info Always 1; the version is in the label.
# TYPE demo_shop_build_info gauge
demo_shop_build_info{version=\"0.1.0\"} 1
";
        assert_eq!(metrics.render(Some(&reading), &health), expected);
    }

    #[test]
    fn an_unknown_depth_is_absent() {
        let page = Metrics::default().render(None, &Health::default());
        assert!(!page.contains("messages"), "{page}");
    }

    #[test]
    fn help_and_label_values_are_escaped() {
        let mut page = Page::default();
        page.family("m", "gauge", "a\\b\nc\"d");
        page.sample("m", &[("l", "a\\b\nc\"d"), ("k", "}")], 1);
        assert_eq!(page.0, "# HELP m a\\\\b\\nc\"d\n# TYPE m gauge\nm{l=\"a\\\\b\\nc\\\"d\",k=\"}\"} 1\n");
    }
}
