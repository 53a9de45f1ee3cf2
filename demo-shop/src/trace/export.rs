//! Sends finished spans to an OpenTelemetry collector: OTLP over HTTP/1.1, in JSON, without TLS.
//!
//! A batch is sent when it is full or old enough, once: a batch that the collector does not take is dropped and
//! counted, because spans that are kept for a collector that is away would be memory without a bound. The names of
//! the settings are those of OpenTelemetry's specification.

use super::otlp::{self, Resource};
use super::span::{Finished, Tracer};
use crate::clock::Clock;
use crate::dial::{Dialer, Stream};
use crate::metrics::Metrics;
use crate::stomp::BrokerUrl;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Where spans go, and how many may be on their way.
#[derive(Clone, Debug)]
pub struct Config {
    /// The collector; none for ids in the log alone.
    pub endpoint: Option<Endpoint>,
    /// What these spans are told apart by: `service.name`. Default `demo-shop`.
    pub service: String,
    /// This instance: `service.instance.id`.
    pub instance: String,
    /// Headers of every request, as a collector's password.
    pub headers: HeaderMap,
    /// Longest time for one batch. Default 10 s.
    pub timeout: Duration,
    /// Finished spans that may wait, each some 500 bytes; more are dropped. Default 2,048.
    pub queue: usize,
    /// Most spans of a batch. Default 512.
    pub batch: usize,
    /// How long a span waits for its batch to fill. Default 5 s.
    pub delay: Duration,
}

/// Where a collector takes traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
    path: String,
}

/// Why a text is no endpoint.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum EndpointError {
    /// Not a URL with a host.
    #[error("expected a URL such as http://collector:4318")]
    Malformed,
    /// Another scheme.
    #[error("expected http://: spans are sent without TLS, to a collector in the cluster or beside the shop")]
    Scheme,
}

/// Sends spans. It ends when it is told to, after the last batch.
pub struct Task {
    config: Config,
    endpoint: Endpoint,
    dialer: Dialer,
    finished: mpsc::Receiver<Finished>,
    metrics: Metrics,
    /// Whether the collector took the last batch, so that the log tells changes alone.
    taken: bool,
}

/// Why a batch was not taken.
#[derive(Debug, Error)]
enum ExportError {
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error(transparent)]
    Connect(#[from] std::io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("the collector answers {0}")]
    Refused(http::StatusCode),
    #[error("the answer cannot be read: {0}")]
    Answer(Box<dyn std::error::Error + Send + Sync>),
    #[error("no request can be made for this endpoint: {0}")]
    Request(#[from] http::Error),
}

/// Bytes of an answer; it says how many spans were not taken, and why.
const ANSWER_BYTES: usize = 64 << 10;

/// The port of OTLP over HTTP.
const DEFAULT_PORT: u16 = 4318;

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: None,
            service: "demo-shop".into(),
            instance: "demo-shop".into(),
            headers: HeaderMap::new(),
            timeout: Duration::from_secs(10),
            queue: 2048,
            batch: 512,
            delay: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// The tracer, and the task behind it when there is a collector.
    pub fn build(self, metrics: Metrics, clock: Clock) -> (Tracer, Option<Task>) {
        let Some(endpoint) = self.endpoint.clone() else { return (Tracer::new(None, metrics, clock), None) };
        let (sender, finished) = mpsc::channel(self.queue);
        let dialer =
            Dialer::tcp(&BrokerUrl { host: endpoint.host.clone(), port: endpoint.port, credentials: None });
        let task = Task { config: self, endpoint, dialer, finished, metrics: metrics.clone(), taken: true };
        (Tracer::new(Some(sender), metrics, clock), Some(task))
    }
}

// === impl Task ===

impl Task {
    /// Sends batches until `stop`, and then what is left.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::new();
        let mut due = None;
        loop {
            let stopping = tokio::select! {
                biased;
                span = self.finished.recv() => match span {
                    Some(span) => {
                        batch.push(span);
                        due = due.or_else(|| Some(Instant::now() + self.config.delay));
                        if batch.len() < self.config.batch {
                            continue;
                        }
                        false
                    }
                    None => true,
                },
                () = elapsed(due) => false,
                () = stop.cancelled() => true,
            };
            if !batch.is_empty() {
                self.send(&batch).await;
                batch.clear();
            }
            due = None;
            if stopping {
                return;
            }
        }
    }

    async fn send(&mut self, batch: &[Finished]) {
        let count = batch.len() as u64;
        let sent = timeout(self.config.timeout, self.post(batch)).await;
        match sent.unwrap_or(Err(ExportError::TimedOut(self.config.timeout))) {
            Ok(rejected) => {
                let rejected = rejected.min(count);
                self.metrics.spans_exported.add(count - rejected);
                self.metrics.spans_dropped.add(rejected);
                if !std::mem::replace(&mut self.taken, true) {
                    info!("the collector takes spans again");
                }
            }
            Err(error) => {
                self.metrics.spans_dropped.add(count);
                match std::mem::replace(&mut self.taken, false) {
                    true => {
                        warn!(%error, spans = count, "the collector does not take spans; they are dropped")
                    }
                    false => debug!(%error, spans = count, "the collector does not take spans"),
                }
            }
        }
    }

    /// Sends a batch and returns how many of its spans were rejected.
    async fn post(&self, batch: &[Finished]) -> Result<u64, ExportError> {
        let resource: Resource = vec![
            ("service.name", self.config.service.clone()),
            ("service.instance.id", self.config.instance.clone()),
            ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        let body = Bytes::from(otlp::request(&resource, batch).to_string());
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.endpoint.path)
            .header(header::HOST, self.endpoint.authority())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        request.headers_mut().extend(self.config.headers.clone());
        let stream: Box<dyn Stream> = self.dialer.dial().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let exchange = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES).collect().await.map_err(ExportError::Answer)?;
            match head.status.is_success() {
                true => Ok(otlp::rejected(&body.to_bytes())),
                false => Err(ExportError::Refused(head.status)),
            }
        };
        tokio::pin!(exchange, connection);
        tokio::select! {
            biased;
            done = &mut exchange => done,
            // The connection may end before the answer has been read from it; then the exchange knows.
            _ = &mut connection => exchange.await,
        }
    }
}

async fn elapsed(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// Reads OTEL_EXPORTER_OTLP_ENDPOINT, to whose path `/v1/traces` is added.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn base(url: &str) -> Result<Self, EndpointError> {
        let mut endpoint = Self::exact(url)?;
        endpoint.path = format!("{}/v1/traces", endpoint.path.trim_end_matches('/'));
        Ok(endpoint)
    }

    /// Reads OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, which is used as it is.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn exact(url: &str) -> Result<Self, EndpointError> {
        let uri: Uri = url.parse().map_err(|_| EndpointError::Malformed)?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(EndpointError::Scheme),
            _ => return Err(EndpointError::Malformed),
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(EndpointError::Malformed)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { host, port: uri.port_u16().unwrap_or(DEFAULT_PORT), path })
    }

    fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Reads OTEL_EXPORTER_OTLP_HEADERS: `name=value` pairs between commas, values percent-encoded.
///
/// # Errors
/// What is wrong, without the value: it may be a secret.
pub fn headers(text: &str) -> Result<HeaderMap, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or("expected name=value pairs between commas")?;
            let name =
                HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| "a header's name is not one")?;
            let value = percent_encoding::percent_decode_str(value.trim()).collect::<Vec<u8>>();
            let mut value =
                HeaderValue::from_bytes(&value).map_err(|_| format!("the value of {name} cannot be sent"))?;
            value.set_sensitive(true);
            Ok((name, value))
        })
        .collect()
}

#[cfg(test)]
mod tests;
