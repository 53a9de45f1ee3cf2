//! Plain HTTP for operators, on a port of its own.
//!
//! | path | answers |
//! |---|---|
//! | `/livez` | 200 `ok` while podgauge's loops come round; else 500 with the one that does not |
//! | `/readyz` | 200 `ok` when podgauge can answer what it should; else 500 with what is missing |
//! | `/healthz` | as `/livez`, for those who know no other |
//! | `/metrics` | podgauge's own numbers, OpenMetrics text |
//!
//! Both probes are about the job, not about other people's pods: a cluster without a single target is healthy.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use prometheus_client::registry::Registry;
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// A question about podgauge itself: what is wrong, if anything.
pub(crate) type Check = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// What the admin server tells.
pub(crate) struct Config {
    /// Where to listen.
    pub(crate) address: SocketAddr,
    /// What is wrong such that only a restart helps.
    pub(crate) live: Check,
    /// What is still missing before requests should come.
    pub(crate) ready: Check,
    /// podgauge's own metrics.
    pub(crate) metrics: Registry,
}

/// A bound admin server.
pub(crate) struct Admin {
    listener: TcpListener,
    state: Arc<State>,
}

struct State {
    live: Check,
    ready: Check,
    metrics: Registry,
}

/// Probes and one or two scrapers need a handful; the rest waits.
const MOST_CONNECTIONS: usize = 256;
/// A connection carries one request, and takes no longer than this in all: who asks and does not read, or connects and
/// does not ask, holds up the kubelet's probe for no longer than that.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(3);
const PAUSE_AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(200);
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

// === impl Admin ===

impl Admin {
    /// Binds the socket.
    pub(crate) async fn build(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind(config.address).await?;
        let state = State { live: config.live, ready: config.ready, metrics: config.metrics };
        Ok(Self { listener, state: Arc::new(state) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`. Probes in flight are cut: nobody waits for them any more.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        if let Ok(address) = self.address() {
            info!(%address, "serving probes and metrics");
        }
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = accept(&self.listener, &places) => accepted,
            };
            let (stream, place) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "cannot accept a connection to the admin port");
                    tokio::time::sleep(PAUSE_AFTER_ACCEPT_ERROR).await;
                    continue;
                }
            };
            let state = Arc::clone(&self.state);
            let stop = stop.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let answer = state.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let connection =
                    http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    () = stop.cancelled() => {}
                    served = timeout(CONNECTION_TIMEOUT, connection) => match served {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => debug!(%error, "a connection to the admin port ended"),
                        Err(_) => debug!("a connection to the admin port took too long"),
                    }
                }
                drop(place);
            });
        }
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(tokio::net::TcpStream, Option<tokio::sync::OwnedSemaphorePermit>)> {
    // The semaphore is never closed, so there is always a permit.
    let place = Arc::clone(places).acquire_owned().await.ok();
    Ok((listener.accept().await?.0, place))
}

// === impl State ===

impl State {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return plain(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET is served here\n".to_owned());
        }
        match request.uri().path() {
            "/livez" | "/healthz" => probe((self.live)()),
            "/readyz" => probe((self.ready)()),
            "/metrics" => {
                let mut page = String::new();
                match prometheus_client::encoding::text::encode(&mut page, &self.metrics) {
                    Ok(()) => plain(StatusCode::OK, OPENMETRICS, page),
                    Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
                }
            }
            _ => plain(StatusCode::NOT_FOUND, TEXT, "try /livez, /readyz or /metrics\n".to_owned()),
        }
    }
}

fn probe(problem: Option<String>) -> Response<Full<Bytes>> {
    match problem {
        None => plain(StatusCode::OK, TEXT, "ok".to_owned()),
        Some(problem) => plain(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{problem}\n")),
    }
}

fn plain(code: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
