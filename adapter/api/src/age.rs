//! podgauge's headline: how old a value is at the moment it is served.

use std::time::Duration;

use podgauge_apiserver::{Reason, Status};
use prometheus_client::{metrics::counter::Counter, metrics::histogram::Histogram, registry::Registry};

/// What the API counts about its own answers.
#[derive(Clone, Debug)]
pub struct AgeMetrics {
    age: Histogram,
    unavailable: Counter,
}

/// Upper bounds in seconds: fine where values should be, coarse where they should not.
const BOUNDS: [f64; 16] =
    [0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0];

// === impl AgeMetrics ===

impl AgeMetrics {
    /// Registers `metric_age_seconds` and `metric_unavailable_total`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self { age: Histogram::new(BOUNDS), unavailable: Counter::default() };
        registry.register(
            "metric_age_seconds",
            "Age of a value at the moment it is served",
            metrics.age.clone(),
        );
        registry.register(
            "metric_unavailable",
            "Requests for a metric that had no value to serve",
            metrics.unavailable.clone(),
        );
        metrics
    }

    pub(crate) fn served(&self, age: Duration) {
        self.age.observe(age.as_secs_f64());
    }

    /// Counts an answer that is none, for want of a value.
    pub(crate) fn answered<T>(&self, answer: &Result<T, Status>) {
        let is_lacking =
            |status: &Status| matches!(status.reason, Reason::NotFound | Reason::ServiceUnavailable);
        if answer.as_ref().is_err_and(is_lacking) {
            self.unavailable.inc();
        }
    }
}
