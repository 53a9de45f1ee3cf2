//! The scraper's own numbers.

use podgauge_store::FailureKind;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Counts; clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    scrapes: Family<ResultLabel, Counter>,
    pub(crate) scrape_duration: Histogram,
    pub(crate) start_delay: Histogram,
    pub(crate) in_flight: Gauge,
    pub(crate) scrapes_for_readers: Counter,
    pub(crate) page_bytes: Counter,
    pages: Family<LayoutLabel, Counter>,
    pub(crate) lines_rejected: Counter,
    pub(crate) lists: Counter,
    pub(crate) watch_failures: Counter,
    pub(crate) undecodable_pods: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: ScrapeResult,
}

/// `success`, or the class of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ScrapeResult(Option<FailureKind>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LayoutLabel {
    layout: LayoutUse,
}

/// What it took to read a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LayoutUse {
    /// Compared with the layout of the page before: the cheap way.
    Known,
    /// Parsed, and found to have a layout that was there already.
    Found,
    /// Parsed, and given a layout of its own.
    New,
}

// === impl Metrics ===

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            scrapes: Family::default(),
            scrape_duration: Histogram::new([
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
            ]),
            start_delay: Histogram::new([0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0]),
            in_flight: Gauge::default(),
            scrapes_for_readers: Counter::default(),
            page_bytes: Counter::default(),
            pages: Family::default(),
            lines_rejected: Counter::default(),
            lists: Counter::default(),
            watch_failures: Counter::default(),
            undecodable_pods: Counter::default(),
        };
        registry.register("scrapes", "Scrapes ended, by result", metrics.scrapes.clone());
        registry.register_with_unit(
            "scrape_duration",
            "Time from connecting to the last byte of a page",
            Unit::Seconds,
            metrics.scrape_duration.clone(),
        );
        registry.register_with_unit(
            "scrape_start_delay",
            "Time by which scrapes began later than planned, for want of a free slot",
            Unit::Seconds,
            metrics.start_delay.clone(),
        );
        registry.register("scrapes_in_flight", "Scrapes under way", metrics.in_flight.clone());
        registry.register(
            "scrapes_for_readers",
            "Scrapes planned by the reads that were expected",
            metrics.scrapes_for_readers.clone(),
        );
        registry.register_with_unit(
            "scrape_page",
            "Bytes of pages read, after inflating",
            Unit::Bytes,
            metrics.page_bytes.clone(),
        );
        registry.register("scrape_pages", "Pages read, by what their layout took", metrics.pages.clone());
        registry.register(
            "scrape_lines_rejected",
            "Lines of pages that were skipped because they are malformed",
            metrics.lines_rejected.clone(),
        );
        registry.register("pod_lists", "Complete lists of pods taken in", metrics.lists.clone());
        registry.register(
            "pod_watch_failures",
            "Times that listing or watching pods failed",
            metrics.watch_failures.clone(),
        );
        registry.register(
            "pods_undecodable",
            "Pods passed over because they could not be decoded",
            metrics.undecodable_pods.clone(),
        );
        metrics
    }

    pub(crate) fn count_scrape(&self, failure: Option<FailureKind>) {
        self.scrapes.get_or_create(&ResultLabel { result: ScrapeResult(failure) }).inc();
    }

    pub(crate) fn count_page(&self, layout: LayoutUse) {
        self.pages.get_or_create(&LayoutLabel { layout }).inc();
    }
}

// === impl LayoutUse ===

impl EncodeLabelValue for LayoutUse {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let text = match self {
            Self::Known => "known",
            Self::Found => "found",
            Self::New => "new",
        };
        text.encode(encoder)
    }
}

// === impl ScrapeResult ===

impl EncodeLabelValue for ScrapeResult {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.map_or("success", FailureKind::as_str).encode(encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_are_as_documented() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        metrics.count_scrape(None);
        metrics.count_scrape(Some(FailureKind::Timeout));
        metrics.count_page(LayoutUse::Known);
        metrics.page_bytes.inc_by(41_000);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "scrapes_total{result=\"success\"} 1",
            "scrapes_total{result=\"timeout\"} 1",
            "scrape_duration_seconds_count 0",
            "scrape_start_delay_seconds_count 0",
            "scrapes_in_flight 0",
            "scrapes_for_readers_total 0",
            "scrape_page_bytes_total 41000",
            "scrape_pages_total{layout=\"known\"} 1",
            "scrape_lines_rejected_total 0",
            "pod_lists_total 0",
            "pod_watch_failures_total 0",
            "pods_undecodable_total 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
