//! Fetches a page: one GET over a connection that is kept for the next one.
//!
//! One deadline covers connecting, TLS, the request and the last byte. A page is refused as soon as it is known to be
//! too long: by its `Content-Length` before a byte of it is read. Redirects are not followed and no credential is ever
//! sent. Compression is not asked for, because bytes inside a cluster are cheaper than inflating them; gzip is taken
//! all the same from a pod that compresses regardless, within the same limit and deadline.
//!
//! Between two scrapes a target holds its socket and nothing else: the HTTP machinery with its buffers is set up for
//! each exchange, which costs a microsecond, instead of being kept for every target, which would cost tens of
//! kilobytes each.

mod connection;
mod inflate;
mod tls;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT},
    response,
};
use http_body_util::{BodyExt, Empty};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use podgauge_exposition::Format;
use podgauge_store::{Endpoint, Scheme, Timestamp};
use rustls::ClientConfig;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

pub(crate) use self::connection::Connection;
use self::{connection::Exchange, inflate::inflate};
use crate::{
    Clock, Config, ConfigError,
    buffer::{Budget, Lease, Pool},
    failure::{Phase, ScrapeError},
};

/// Both text formats, the richer one preferred, and anything else rather than nothing: with the weights that
/// Prometheus sends.
const OFFER: &str = "application/openmetrics-text;version=1.0.0;q=0.6,\
                     text/plain;version=0.0.4;q=0.4,\
                     */*;q=0.1";

/// Fetches pages; clones share memory and limits.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    pub(crate) timeout: Duration,
    body_limit: usize,
    header_limit: usize,
    /// Of every request, but for the host.
    headers: HeaderMap,
    http: http1::Builder,
    tls: Arc<ClientConfig>,
    pub(crate) budget: Budget,
    pool: Pool,
    clock: Clock,
}

/// A page as it came.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// When the request for it was sent: the pod's numbers are no older.
    pub(crate) taken: Timestamp,
    pub(crate) format: Format,
    /// The page is in [`Workspace::page`](crate::buffer::Workspace::page).
    pub(crate) lease: Lease,
}

/// How an attempt over a kept connection may end.
enum Attempt {
    /// The pod had closed the connection, or did before it answered.
    Unanswered(ScrapeError),
    Failed(ScrapeError),
}

// === impl Fetcher ===

impl Fetcher {
    pub(crate) fn new(config: &Config, clock: Clock) -> Result<Self, ConfigError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(OFFER));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("podgauge/", env!("CARGO_PKG_VERSION"))));
        if let Ok(seconds) = HeaderValue::try_from(config.timeout.as_secs_f64().to_string()) {
            headers.insert("x-prometheus-scrape-timeout-seconds", seconds);
        }
        let mut http = http1::Builder::new();
        http.max_header_size(config.header_limit).max_buf_size(connection::BUFFER_BYTES);
        Ok(Self {
            timeout: config.timeout,
            body_limit: config.body_limit,
            header_limit: config.header_limit,
            headers,
            http,
            tls: tls::client_config(config.ca_pem.as_deref())
                .map_err(|problem| ConfigError::Ca { problem })?,
            budget: Budget::new(config.memory_limit),
            pool: Pool::default(),
            clock,
        })
    }

    /// Fetches the page of `endpoint`, over the connection in `kept` if there is one that still works, and leaves
    /// there the one to use next time.
    pub(crate) async fn fetch(
        &self,
        endpoint: &Endpoint,
        kept: &mut Option<Connection>,
    ) -> Result<Fetched, ScrapeError> {
        let mut phase = Phase::Connecting;
        match timeout(self.timeout, self.attempts(endpoint, kept, &mut phase)).await {
            Ok(result) => result,
            Err(_elapsed) => Err(ScrapeError::timeout(self.timeout, phase)),
        }
    }

    async fn attempts(
        &self,
        endpoint: &Endpoint,
        kept: &mut Option<Connection>,
        phase: &mut Phase,
    ) -> Result<Fetched, ScrapeError> {
        if let Some(connection) = kept.take() {
            match self.exchange(connection, endpoint, kept, phase).await {
                Ok(fetched) => return Ok(fetched),
                Err(Attempt::Failed(error)) => return Err(error),
                // Pods close idle connections as they please, often after less than an interval.
                Err(Attempt::Unanswered(_)) => {}
            }
        }
        let connection = self.connect(endpoint, phase).await?;
        self.exchange(connection, endpoint, kept, phase).await.map_err(|attempt| match attempt {
            Attempt::Unanswered(error) | Attempt::Failed(error) => error,
        })
    }

    async fn connect(&self, endpoint: &Endpoint, phase: &mut Phase) -> Result<Connection, ScrapeError> {
        *phase = Phase::Connecting;
        let address = endpoint.address.to_canonical();
        let stream = TcpStream::connect((address, endpoint.port))
            .await
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|error| ScrapeError::connect(&error, endpoint))?;
        match endpoint.scheme {
            Scheme::Http => Ok(Connection::Plain(stream)),
            Scheme::Https => {
                *phase = Phase::Securing;
                match TlsConnector::from(Arc::clone(&self.tls)).connect(address.into(), stream).await {
                    Ok(stream) => Ok(Connection::Tls(Box::new(stream))),
                    Err(error) => Err(ScrapeError::tls(&error)),
                }
            }
        }
    }

    async fn exchange(
        &self,
        connection: Connection,
        endpoint: &Endpoint,
        kept: &mut Option<Connection>,
        phase: &mut Phase,
    ) -> Result<Fetched, Attempt> {
        *phase = Phase::Waiting;
        let fail = |error: &hyper::Error| ScrapeError::http(error, endpoint, self.header_limit);
        let mut exchange = Exchange::begin(&self.http, TokioIo::new(connection))
            .await
            .map_err(|error| Attempt::Failed(fail(&error)))?;
        let request = self.request(endpoint).map_err(Attempt::Failed)?;
        let taken = self.clock.now();
        let response = exchange.send(request).await.map_err(|error| match error.is_parse() {
            true => Attempt::Failed(fail(&error)),
            false => Attempt::Unanswered(fail(&error)),
        })?;
        *phase = Phase::Reading;
        let (head, mut body) = response.into_parts();
        let format = self.check(&head, &body, endpoint).map_err(Attempt::Failed)?;
        let mut lease = self.pool.lease();
        self.read(&mut exchange, &mut body, &mut lease, &fail).await.map_err(Attempt::Failed)?;
        *kept = exchange.finish();
        self.decode(&head, &mut lease).await.map_err(Attempt::Failed)?;
        Ok(Fetched { taken, format, lease })
    }

    fn request(&self, endpoint: &Endpoint) -> Result<Request<Empty<Bytes>>, ScrapeError> {
        let mut request = Request::new(Empty::new());
        // The target rules have checked the path; that it was accepted twice is cheaper than an assumption.
        *request.uri_mut() = endpoint.path.parse().map_err(|_| ScrapeError::path())?;
        *request.headers_mut() = self.headers.clone();
        let authority = std::net::SocketAddr::new(endpoint.address.to_canonical(), endpoint.port).to_string();
        request
            .headers_mut()
            .insert(HOST, HeaderValue::try_from(authority).map_err(|_| ScrapeError::path())?);
        Ok(request)
    }

    /// Judges an answer by its head.
    fn check(
        &self,
        head: &response::Parts,
        body: &Incoming,
        endpoint: &Endpoint,
    ) -> Result<Format, ScrapeError> {
        if head.status != StatusCode::OK {
            return Err(ScrapeError::status(head, endpoint));
        }
        if body.size_hint().lower() > u64::try_from(self.body_limit).unwrap_or(u64::MAX) {
            return Err(ScrapeError::body_limit(self.body_limit));
        }
        Ok(Format::from_content_type(head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok())))
    }

    async fn read(
        &self,
        exchange: &mut Exchange,
        body: &mut Incoming,
        lease: &mut Lease,
        fail: &impl Fn(&hyper::Error) -> ScrapeError,
    ) -> Result<(), ScrapeError> {
        let page = &mut lease.workspace.page;
        // What a pod announces gives it no memory, only what it sends: pods that announce much and send nothing would
        // otherwise have all the memory there is.
        let announced = body.size_hint().exact().and_then(|len| usize::try_from(len).ok());
        let most = announced.map_or(self.body_limit, |len| len.min(self.body_limit));
        while let Some(frame) = exchange.drive(body.frame()).await {
            let Ok(data) = frame.map_err(|error| fail(&error))?.into_data() else { continue };
            let len = page.bytes.len().saturating_add(data.len());
            if len > self.body_limit {
                return Err(ScrapeError::body_limit(self.body_limit));
            }
            page.make_room(len, most, &self.budget).await;
            page.bytes.extend_from_slice(&data);
        }
        Ok(())
    }

    async fn decode(&self, head: &response::Parts, lease: &mut Lease) -> Result<(), ScrapeError> {
        let Some(encoding) = head.headers.get(CONTENT_ENCODING) else { return Ok(()) };
        let encoding = encoding.to_str().unwrap_or("?").trim();
        if encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") {
            return Ok(());
        }
        if !encoding.eq_ignore_ascii_case("gzip") && !encoding.eq_ignore_ascii_case("x-gzip") {
            return Err(ScrapeError::encoding(encoding));
        }
        let workspace = &mut lease.workspace;
        inflate(&workspace.page.bytes, &mut workspace.spare, self.body_limit, &self.budget).await?;
        std::mem::swap(&mut workspace.page, &mut workspace.spare);
        Ok(())
    }
}
