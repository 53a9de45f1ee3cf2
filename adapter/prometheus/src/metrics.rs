//! The client's own numbers.

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::error::QueryError;

/// Counts; clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    queries: Family<Labels, Counter>,
    duration: Histogram,
    pub(crate) cache_hits: Counter,
    pub(crate) breaker_open: Gauge<u64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    kind: &'static str,
    result: &'static str,
}

// === impl Metrics ===

impl Metrics {
    /// Registers `queries_total`, `query_duration_seconds`, `cache_hits_total` and `breaker_open`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            queries: Family::default(),
            duration: Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]),
            cache_hits: Counter::default(),
            breaker_open: Gauge::default(),
        };
        let help =
            "Questions to Prometheus, by kind (query, series) and result; those from the cache are none";
        registry.register("queries", help, metrics.queries.clone());
        let help = "Time that Prometheus took for a question, up to the last byte or to the failure";
        registry.register_with_unit("query_duration", help, Unit::Seconds, metrics.duration.clone());
        let help = "Queries that were answered from the cache";
        registry.register("cache_hits", help, metrics.cache_hits.clone());
        let help = "1 while questions to Prometheus are refused at once, after failures in a row; else 0";
        registry.register("breaker_open", help, metrics.breaker_open.clone());
        metrics
    }

    pub(crate) fn ended<T>(
        &self,
        kind: &'static str,
        result: &Result<T, QueryError>,
        took: Option<Duration>,
    ) {
        let result = result.as_ref().err().map_or("success", QueryError::class);
        self.queries.get_or_create(&Labels { kind, result }).inc();
        if let Some(took) = took {
            self.duration.observe(took.as_secs_f64());
        }
    }
}
