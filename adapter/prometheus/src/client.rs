//! One question after the other, within time and bounds.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited, combinators::UnsyncBoxBody};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use podgauge_promql::Point;
use prometheus_client::registry::Registry;
use tokio::{
    sync::Semaphore,
    time::{self, Instant},
};

use crate::{
    answer::{self, SeriesNames},
    breaker::{Breaker, Refused},
    cache::Cache,
    config::{Config, Verb},
    error::QueryError,
    metrics::Metrics,
};

/// What carries requests to Prometheus: it puts the URL's beginning before the path, and adds credentials. It neither
/// follows redirects nor tries again. Errors say in one line what happened.
pub type Transport = Arc<dyn Fn(Request<Bytes>) -> Exchange + Send + Sync>;

/// A response under way.
pub type Exchange = Pin<Box<dyn Future<Output = io::Result<Response<Payload>>> + Send>>;

/// The body of a response.
pub type Payload = UnsyncBoxBody<Bytes, io::Error>;

/// A client of one Prometheus. Clones are one.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    config: Config,
    transport: Transport,
    /// For those who are under way.
    room: Semaphore,
    /// For them and those who wait.
    queue: Semaphore,
    breaker: Breaker,
    cache: Mutex<Cache>,
    metrics: Metrics,
}

/// What is asked.
#[derive(Clone, Copy)]
struct Question<'a> {
    kind: &'static str,
    path: &'static str,
    form: &'a [(&'static str, &'a str)],
}

/// How many wait for each that is under way. Whoever waits has one of the requests that may be under way at all, so that
/// without an end to it a slow Prometheus would take them from all other metrics.
const WAITING: usize = 8;
const MOST_IN_FLIGHT: usize = Semaphore::MAX_PERMITS / (1 + WAITING);

// === impl Client ===

impl Client {
    /// Asks through `transport`.
    #[must_use]
    pub fn new(config: Config, transport: Transport, registry: &mut Registry) -> Self {
        Self(Arc::new(Shared {
            room: Semaphore::new(config.in_flight.clamp(1, MOST_IN_FLIGHT)),
            queue: Semaphore::new(config.in_flight.clamp(1, MOST_IN_FLIGHT) * (1 + WAITING)),
            breaker: Breaker::new(config.failures, config.pause),
            cache: Mutex::new(Cache::new(config.cache_ttl, config.cache_bytes)),
            metrics: Metrics::register(registry),
            config,
            transport,
        }))
    }

    /// What an expression gives now, or gave not longer ago than answers are remembered. The points' times are those of
    /// the evaluation, by Prometheus' clock. `left` is the time that whoever asks still has.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn instant(&self, query: &str, left: Duration) -> Result<Arc<[Point]>, QueryError> {
        let shared = &*self.0;
        let remembered = shared.cache().get(query, Instant::now());
        if let Some(points) = remembered {
            shared.metrics.cache_hits.inc();
            return Ok(points);
        }
        // Thanos leaves out what a store does not say, unless it is told not to; others do not know the word.
        let form = [("query", query), ("partial_response", "false")];
        let question = Question { kind: "query", path: "/api/v1/query", form: &form };
        let (points, bytes) = shared.ask(question, left, answer::points).await?;
        let points: Arc<[Point]> = points.into();
        shared.cache().put(query, &points, bytes, Instant::now());
        Ok(points)
    }

    /// The series that fit `selector` and had a sample between the two instants, in milliseconds since the epoch.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn series(&self, selector: &str, from_ms: i64, to_ms: i64) -> Result<SeriesNames, QueryError> {
        let seconds = |ms: i64| format!("{}.{:03}", ms.max(0) / 1_000, ms.max(0) % 1_000);
        let (start, end) = (seconds(from_ms), seconds(to_ms));
        let form = [("match[]", selector), ("start", &*start), ("end", &*end), ("partial_response", "false")];
        let question = Question { kind: "series", path: "/api/v1/series", form: &form };
        let shared = &*self.0;
        shared.ask(question, shared.config.timeout, answer::names).await.map(|(names, _)| names)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.0.config).finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer and its length, when it is this question's turn and Prometheus may be asked.
    async fn ask<T>(
        &self,
        question: Question<'_>,
        left: Duration,
        read: fn(StatusCode, &[u8]) -> Result<T, QueryError>,
    ) -> Result<(T, usize), QueryError> {
        let Ok(_place) = self.queue.try_acquire() else {
            let most = self.config.in_flight;
            let crowded = Err(QueryError::Crowded { most, waiting: most.saturating_mul(WAITING) });
            self.metrics.ended(question.kind, &crowded, None);
            return crowded;
        };
        let limit = left.min(self.config.timeout);
        let deadline = Instant::now() + limit;
        let turn = time::timeout_at(deadline, self.room.acquire()).await;
        // The semaphore is never closed.
        let Ok(Ok(_turn)) = turn else {
            let busy = Err(QueryError::Busy { most: self.config.in_flight });
            self.metrics.ended(question.kind, &busy, None);
            return busy;
        };
        let started = Instant::now();
        let limit = deadline.saturating_duration_since(started);
        // Whoever is in a hurry, or waited long for the turn, finds out nothing about Prometheus.
        let is_patient = limit >= self.config.timeout / 2;
        let admission = match self.breaker.admit(started, is_patient) {
            Ok(admission) => admission,
            Err(Refused { failures, left, last }) => {
                let open = Err(QueryError::Open { failures, left, last });
                self.metrics.ended(question.kind, &open, None);
                return open;
            }
        };
        let result = time::timeout_at(deadline, self.exchange(question, limit, read)).await;
        let result = result.unwrap_or(Err(QueryError::Timeout { limit }));
        let ended = Instant::now();
        match &result {
            Err(error) if error.is_outage() && is_patient => {
                let was_open = self.breaker.is_open();
                admission.failed(error.to_string(), ended, chance());
                if self.breaker.is_open() && !was_open {
                    tracing::warn!("Prometheus is left alone for a while: {error}");
                }
            }
            Err(error) if error.is_outage() => drop(admission),
            Ok(_) | Err(_) => admission.succeeded(),
        }
        self.metrics.breaker_open.set(u64::from(self.breaker.is_open()));
        self.metrics.ended(question.kind, &result, Some(ended - started));
        result
    }

    async fn exchange<T>(
        &self,
        question: Question<'_>,
        limit: Duration,
        read: fn(StatusCode, &[u8]) -> Result<T, QueryError>,
    ) -> Result<(T, usize), QueryError> {
        let request = question.request(self.config.verb, limit)?;
        let response = (self.transport)(request).await;
        let response = response.map_err(|error| QueryError::Unreachable(error.to_string()))?;
        let code = response.status();
        let most = self.config.body_bytes;
        let body = Limited::new(response.into_body(), most).collect().await;
        let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => QueryError::TooLarge { most },
            None => QueryError::Unreachable(error.to_string()),
        })?;
        let body = body.to_bytes();
        Ok((read(code, &body)?, body.len()))
    }
}

// === impl Question ===

impl Question<'_> {
    fn request(&self, verb: Verb, limit: Duration) -> Result<Request<Bytes>, QueryError> {
        let timeout = format!("{}ms", limit.as_millis());
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let form = self.form.iter().copied().chain([("timeout", &*timeout)]);
        let form: Vec<String> =
            form.map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
        let form = form.join("&");
        let request = Request::builder().header(header::ACCEPT, "application/json");
        let request = match verb {
            Verb::Get => request.uri(format!("{}?{form}", self.path)).body(Bytes::new()),
            Verb::Post => request
                .method(Method::POST)
                .uri(self.path)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.into()),
        };
        // A URL that is too long.
        request.map_err(|error| QueryError::Refused(format!("{error} (--prometheus-verb=POST)")))
    }
}

/// A number from 0 to 1 that nobody can guess. The standard library's keys come from the operating system.
fn chance() -> f64 {
    let hash = RandomState::new().hash_one(());
    f64::from(u32::try_from(hash >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}
