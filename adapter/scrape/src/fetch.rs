//! Fetches a page: one GET over a connection that is kept for the next one.
//!
//! One deadline covers connecting, TLS, the request and the last byte. A page is refused as soon as it is known to be
//! too long: by its `Content-Length` before a byte of it is read. Redirects are not followed and no credential is ever
//! sent. Compression is not asked for, because bytes inside a cluster are cheaper than inflating them; gzip is taken
//! all the same from a pod that compresses regardless, within the same limit and deadline.
//!
//! HTTP is spoken here directly: a request that is the same each time, an answer whose page is read into the memory in
//! which it is compared with the last one. Between two scrapes a target holds its socket and the start of its request and
//! nothing else, and once its buffers are warm a scrape allocates nothing. A general client cost as much again as the
//! socket itself, and held tens of kilobytes for each connection (docs/decisions/0011).

mod chunks;
mod connection;
mod head;
mod inflate;
mod tls;

use std::{io, sync::Arc, time::Duration};

use podgauge_exposition::Format;
use podgauge_store::{Endpoint, Scheme, Timestamp};
use rustls::ClientConfig;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

pub(crate) use self::connection::Connection;
use self::{
    chunks::Chunks,
    connection::Stream,
    head::{Framing, Head, Seen},
    inflate::inflate,
};
use crate::{
    Clock, Config, ConfigError,
    buffer::{Budget, Buffer, Lease, Pool},
    failure::{Phase, ScrapeError},
};

/// Both text formats, the richer one preferred, and anything else rather than nothing: with the weights that
/// Prometheus sends.
const OFFER: &str = "application/openmetrics-text;version=1.0.0;q=0.6,\
                     text/plain;version=0.0.4;q=0.4,\
                     */*;q=0.1";

/// Bytes that are read beyond a page's announced end.
const SLACK: usize = 256;

/// Fetches pages; clones share memory and limits.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    pub(crate) timeout: Duration,
    body_limit: usize,
    header_limit: usize,
    /// Of every request, but for the host; each line ended, and an empty one.
    headers: Arc<str>,
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
    /// The page is in [`Workspace::page`](crate::buffer::Workspace::page), behind the head.
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
        let headers = format!(
            "Accept: {OFFER}\r\nAccept-Encoding: identity\r\nUser-Agent: podgauge/{}\r\n\
             X-Prometheus-Scrape-Timeout-Seconds: {}\r\n\r\n",
            env!("CARGO_PKG_VERSION"),
            config.timeout.as_secs_f64()
        );
        Ok(Self {
            timeout: config.timeout,
            body_limit: config.body_limit,
            header_limit: config.header_limit,
            headers: headers.into(),
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
        let stream = match endpoint.scheme {
            Scheme::Http => Stream::Plain(stream),
            Scheme::Https => {
                *phase = Phase::Securing;
                let connector = TlsConnector::from(Arc::clone(&self.tls));
                let stream = connector.connect(address.into(), stream).await;
                Stream::Tls(Box::new(stream.map_err(|error| ScrapeError::tls(&error))?))
            }
        };
        Connection::new(stream, endpoint, &self.headers)
    }

    async fn exchange(
        &self,
        mut connection: Connection,
        endpoint: &Endpoint,
        kept: &mut Option<Connection>,
        phase: &mut Phase,
    ) -> Result<Fetched, Attempt> {
        *phase = Phase::Waiting;
        let unanswered = |error: io::Error| Attempt::Unanswered(ScrapeError::broken(&error));
        let taken = self.clock.now();
        connection.ask().await.map_err(unanswered)?;
        connection.readable().await.map_err(unanswered)?;
        let mut lease = self.pool.lease();
        let page = &mut lease.workspace.page;
        let head = self.read_head(&mut connection, page, endpoint).await?;
        *phase = Phase::Reading;
        let is_whole = self.read_page(&mut connection, page, &head).await.map_err(Attempt::Failed)?;
        // Bytes that nobody asked for belong to no answer that we could trust.
        *kept = Some(connection).filter(|_| is_whole && head.is_reusable);
        if head.is_packed {
            let workspace = &mut lease.workspace;
            inflate(workspace.page.page(), &mut workspace.spare, self.body_limit, &self.budget)
                .await
                .map_err(Attempt::Failed)?;
            std::mem::swap(&mut workspace.page, &mut workspace.spare);
        }
        Ok(Fetched { taken, format: head.format, lease })
    }

    /// Reads until the head of the answer is there, and with it some of the page, perhaps all.
    async fn read_head(
        &self,
        connection: &mut Connection,
        page: &mut Buffer,
        endpoint: &Endpoint,
    ) -> Result<Head, Attempt> {
        // Where the head begins, and how much of it has been looked at.
        let (mut start, mut checked) = (0, 0);
        loop {
            let bytes = page.bytes.get(start..).unwrap_or_default();
            match head::read(bytes, checked, self.header_limit.saturating_sub(start), endpoint) {
                Ok(Seen::Head(head)) => {
                    page.start = start + head.len;
                    return Ok(head);
                }
                Ok(Seen::Interim(len)) => (start, checked) = (start + len, 0),
                Ok(Seen::Part) => {
                    checked = bytes.len();
                    let read = self.read_more(connection, page, self.body_limit).await;
                    if read.map_err(|error| Attempt::Unanswered(ScrapeError::broken(&error)))? == 0 {
                        return Err(Attempt::Unanswered(ScrapeError::closed()));
                    }
                }
                // A server says so when it closes a connection that was idle for too long.
                Err(error) if is_idle_timeout(bytes) => return Err(Attempt::Unanswered(error)),
                Err(error) => return Err(Attempt::Failed(error)),
            }
        }
    }

    /// Reads the rest of the page; whether nothing came behind it.
    async fn read_page(
        &self,
        connection: &mut Connection,
        page: &mut Buffer,
        head: &Head,
    ) -> Result<bool, ScrapeError> {
        let limit = u64::try_from(self.body_limit).unwrap_or(u64::MAX);
        let most = page.start.saturating_add(self.body_limit);
        let broken = |error: io::Error| ScrapeError::broken(&error);
        match head.framing {
            Framing::Length(length) if length > limit => Err(ScrapeError::body_limit(self.body_limit)),
            Framing::Length(length) => {
                let end = page.start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
                while page.bytes.len() < end {
                    // What a pod announces gives it no memory, only what it sends. A little more than that is asked
                    // for, to see what should not be there, and because the next page may be longer.
                    if self.read_more(connection, page, end.saturating_add(SLACK)).await.map_err(broken)? == 0
                    {
                        return Err(ScrapeError::closed());
                    }
                }
                let is_whole = page.bytes.len() == end;
                page.bytes.truncate(end);
                Ok(is_whole)
            }
            Framing::Chunked => {
                let mut chunks = Chunks::new(page.start);
                // Behind a page of the greatest length there must be room for a line, or it would come byte by byte.
                let most = most.saturating_add(chunks::LINE_BYTES);
                while !chunks.decode(&mut page.bytes).map_err(|_| ScrapeError::chunks())? {
                    if chunks.announced() > limit {
                        return Err(ScrapeError::body_limit(self.body_limit));
                    }
                    if self.read_more(connection, page, most).await.map_err(broken)? == 0 {
                        return Err(ScrapeError::closed());
                    }
                }
                if chunks.announced() > limit {
                    return Err(ScrapeError::body_limit(self.body_limit));
                }
                let is_whole = page.bytes.len() == chunks.end();
                page.bytes.truncate(chunks.end());
                Ok(is_whole)
            }
            Framing::UntilClose => loop {
                if page.bytes.len() > most {
                    return Err(ScrapeError::body_limit(self.body_limit));
                }
                if self.read_more(connection, page, most).await.map_err(broken)? == 0 {
                    return Ok(true);
                }
            },
        }
    }

    /// Reads once, into memory that grows with what has come, up to `most` bytes in all as far as it doubles; how many
    /// bytes that were.
    async fn read_more(
        &self,
        connection: &mut Connection,
        page: &mut Buffer,
        most: usize,
    ) -> io::Result<usize> {
        page.make_room(page.bytes.len().saturating_add(1), most, &self.budget).await;
        let room = page.room();
        connection.read(&mut page.bytes, room).await
    }
}

/// Whether an answer is 408, Request Timeout.
fn is_idle_timeout(bytes: &[u8]) -> bool {
    bytes.get(b"HTTP/1.".len() + 1..).is_some_and(|rest| rest.starts_with(b" 408"))
}
