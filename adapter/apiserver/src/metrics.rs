//! This server's own numbers.
//!
//! Every label takes its values from a fixed, small set: what a peer sends never becomes a label.

use std::{
    sync::atomic::AtomicU64,
    time::{Duration, SystemTime},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Handles to the numbers; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) requests: Family<RequestLabels, Counter>,
    pub(crate) request_duration: Durations<RouteLabels>,
    pub(crate) in_flight: Gauge,
    pub(crate) shed: Counter,
    pub(crate) evaluations_waiting: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) connections_accepted: Counter,
    pub(crate) connections_at_limit: Counter,
    pub(crate) handshake_failures: Counter,
    pub(crate) authentication: Family<AuthenticationLabels, Counter>,
    pub(crate) authorization: Family<AuthorizationLabels, Counter>,
    pub(crate) reviews: Family<ReviewLabels, Counter>,
    pub(crate) review_duration: Durations<ReviewKindLabels>,
    pub(crate) certificate_expiry: Gauge<f64, AtomicU64>,
    pub(crate) reloads: Family<ReloadLabels, Counter>,
    pub(crate) authentication_loaded: Gauge,
}

/// Labels of a finished request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) verb: &'static str,
    pub(crate) route: String,
    pub(crate) code: u16,
}

/// Labels of a request's duration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RouteLabels {
    pub(crate) route: String,
}

/// Labels of an attempt to tell who is asking.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct AuthenticationLabels {
    pub(crate) method: &'static str,
    pub(crate) result: &'static str,
}

/// Labels of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct AuthorizationLabels {
    pub(crate) decision: &'static str,
    pub(crate) source: &'static str,
}

/// Labels of a question to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReviewLabels {
    pub(crate) kind: &'static str,
    pub(crate) result: &'static str,
}

/// Labels of a question's duration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReviewKindLabels {
    pub(crate) kind: &'static str,
}

/// Labels of a reload.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReloadLabels {
    pub(crate) what: &'static str,
    pub(crate) result: &'static str,
}

/// Histograms of durations in seconds.
type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

// === impl Metrics ===

impl Metrics {
    /// Registers everything under the prefix `apiserver`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let m = Self::default();
        let r = registry.sub_registry_with_prefix("apiserver");
        r.register("requests", "Requests answered, by verb, route and HTTP code", m.requests.clone());
        r.register_with_unit(
            "request_duration",
            "Time to answer a request, including lookups in the cluster",
            Unit::Seconds,
            m.request_duration.clone(),
        );
        r.register("requests_in_flight", "Requests being answered", m.in_flight.clone());
        r.register(
            "requests_shed",
            "Requests refused with 429 because too many were in flight",
            m.shed.clone(),
        );
        r.register(
            "evaluations_waiting",
            "Answers that wait for their turn to be computed",
            m.evaluations_waiting.clone(),
        );
        r.register("connections", "Connections open, including handshakes", m.connections.clone());
        r.register("connections_accepted", "Connections accepted", m.connections_accepted.clone());
        r.register(
            "connections_at_limit",
            "Times that accepting had to wait for a connection to close",
            m.connections_at_limit.clone(),
        );
        r.register(
            "tls_handshake_failures",
            "TLS handshakes that failed or took too long",
            m.handshake_failures.clone(),
        );
        r.register(
            "authentication_attempts",
            "Attempts to tell who is asking, by method and result",
            m.authentication.clone(),
        );
        r.register(
            "authorization_decisions",
            "Decisions whether a caller may, by decision and where it came from",
            m.authorization.clone(),
        );
        r.register("reviews", "Questions to the cluster, by kind and result", m.reviews.clone());
        r.register_with_unit(
            "review_duration",
            "Time of a question to the cluster, with its retries",
            Unit::Seconds,
            m.review_duration.clone(),
        );
        r.register_with_unit(
            "serving_certificate_expiry_timestamp",
            "When the serving certificate in use expires, as a Unix time",
            Unit::Seconds,
            m.certificate_expiry.clone(),
        );
        r.register("reloads", "Reloads of what changes at run time, by result", m.reloads.clone());
        r.register(
            "authentication_configuration_loaded",
            "1 once the CAs of callers are known",
            m.authentication_loaded.clone(),
        );
        m
    }

    pub(crate) fn request(&self, verb: &'static str, route: &str, code: u16, took: Duration) {
        let route = route.to_owned();
        self.request_duration
            .get_or_create(&RouteLabels { route: route.clone() })
            .observe(took.as_secs_f64());
        self.requests.get_or_create(&RequestLabels { verb, route, code }).inc();
    }

    pub(crate) fn attempt(&self, method: &'static str, result: &'static str) {
        self.authentication.get_or_create(&AuthenticationLabels { method, result }).inc();
    }

    pub(crate) fn decision(&self, allowed: bool, source: &'static str) {
        let decision = if allowed { "allowed" } else { "denied" };
        self.authorization.get_or_create(&AuthorizationLabels { decision, source }).inc();
    }

    pub(crate) fn review(&self, kind: &'static str, result: &'static str, took: Duration) {
        self.reviews.get_or_create(&ReviewLabels { kind, result }).inc();
        self.review_duration.get_or_create(&ReviewKindLabels { kind }).observe(took.as_secs_f64());
    }

    pub(crate) fn reload(&self, what: &'static str, ok: bool) {
        let result = if ok { "success" } else { "failure" };
        self.reloads.get_or_create(&ReloadLabels { what, result }).inc();
    }

    pub(crate) fn certificate_until(&self, not_after: SystemTime) {
        let since_epoch = not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.certificate_expiry.set(since_epoch.as_secs_f64());
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            request_duration: Family::new_with_constructor(durations),
            in_flight: Gauge::default(),
            shed: Counter::default(),
            evaluations_waiting: Gauge::default(),
            connections: Gauge::default(),
            connections_accepted: Counter::default(),
            connections_at_limit: Counter::default(),
            handshake_failures: Counter::default(),
            authentication: Family::default(),
            authorization: Family::default(),
            reviews: Family::default(),
            review_duration: Family::new_with_constructor(durations),
            certificate_expiry: Gauge::default(),
            reloads: Family::default(),
            authentication_loaded: Gauge::default(),
        }
    }
}

/// Buckets from a read of memory to the longest request.
fn durations() -> Histogram {
    Histogram::new([0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0])
}
