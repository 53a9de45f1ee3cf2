//! One connection, from its handshake to its end.
//!
//! A connection ends because the peer closes it, or it idles, or it is old, or the server drains, or
//! its caller is unknown, or nobody known asks for long. In all but the first case it is asked to go (GOAWAY, or
//! `Connection: close`): what is in flight is answered, nothing new is taken.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, Request, Response, Version, header};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{self, Instant, Sleep},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::{
    authn::peer::Peer,
    body::{self, Body},
    config::LimitsConfig,
    handler::{Handled, Handler},
    linger::Linger,
    review::jitter,
};

/// The least that hyper buffers.
const MIN_BUFFER_BYTES: usize = 8 * 1024;

/// What every connection needs.
pub(crate) struct Shared {
    pub(crate) handler: Arc<Handler>,
    pub(crate) limits: LimitsConfig,
    /// Set from the shutdown signal on: HTTP/1.1 answers end their connection, so that clients find another
    /// replica while this one still takes what is asked on the way.
    pub(crate) is_draining: Arc<AtomicBool>,
    /// Cancelled when connections should go.
    pub(crate) leave: CancellationToken,
}

/// The requests of one connection.
struct Activity {
    peer: Peer,
    in_flight: watch::Sender<usize>,
    /// Whether a known caller has asked.
    is_known: AtomicBool,
    leave: CancellationToken,
}

/// Why a connection did not come to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("the TLS handshake took longer than {0:?}")]
    Timeout(Duration),
    #[error("TLS handshake: {0}")]
    Tls(#[from] std::io::Error),
}

/// Shakes hands.
pub(crate) async fn handshake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    limit: Duration,
) -> Result<TlsStream<TcpStream>, HandshakeError> {
    match time::timeout(limit, acceptor.accept(stream)).await {
        Err(_) => Err(HandshakeError::Timeout(limit)),
        Ok(stream) => Ok(stream?),
    }
}

/// Serves until the connection, which was accepted at `since`, ends.
pub(crate) async fn serve(
    stream: TlsStream<TcpStream>,
    since: Instant,
    shared: Arc<Shared>,
) -> Result<(), hyper::Error> {
    let (_, tls) = stream.get_ref();
    let is_http2 = tls.alpn_protocol() == Some(b"h2");
    let chain = tls.peer_certificates().unwrap_or_default().iter().map(|c| c.clone().into_owned());
    let activity = Arc::new(Activity {
        peer: Peer::new(chain.collect()),
        in_flight: watch::Sender::new(0),
        is_known: AtomicBool::new(false),
        leave: shared.leave.child_token(),
    });
    let service = service_fn({
        let (shared, activity) = (shared.clone(), activity.clone());
        move |request: Request<Incoming>| {
            let (shared, activity) = (shared.clone(), activity.clone());
            async move { Ok::<_, Infallible>(answer(&shared, &activity, request).await) }
        }
    });
    let limits = &shared.limits;
    let known_by = since + limits.stranger_lifetime;
    let io = TokioIo::new(Linger::new(stream));
    if is_http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.http2_max_streams)
            .max_header_list_size(limits.max_header_bytes)
            .serve_connection(io, service);
        drive(connection, &activity, known_by, limits).await
    } else {
        let header_bytes = usize::try_from(limits.max_header_bytes).unwrap_or(usize::MAX);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_read_timeout)
            .max_headers(limits.max_header_fields)
            .max_header_size(header_bytes)
            .max_buf_size(header_bytes.max(MIN_BUFFER_BYTES))
            .serve_connection(io, service);
        drive(connection, &activity, known_by, limits).await
    }
}

/// Bodies are never read: everything here is asked in the head.
async fn answer(shared: &Shared, activity: &Activity, request: Request<Incoming>) -> Response<Body> {
    let _in_flight = InFlight::new(&activity.in_flight);
    let (head, _body) = request.into_parts();
    let Handled { mut reply, permit, is_known, close } = shared.handler.handle(&activity.peer, &head).await;
    activity.is_known.fetch_or(is_known, Ordering::Relaxed);
    if close {
        activity.leave.cancel();
    }
    let is_http1 = head.version < Version::HTTP_2;
    if is_http1 && (close || shared.is_draining.load(Ordering::Relaxed)) {
        // Said here as well because the head may be written before the connection is seen to leave.
        reply.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    reply.map(|bytes| body::new(bytes, permit))
}

/// Runs the connection and decides when it goes.
async fn drive<C: GracefulConnection>(
    connection: C,
    activity: &Activity,
    known_by: Instant,
    limits: &LimitsConfig,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    let mut in_flight = activity.in_flight.subscribe();
    let age = limits.max_connection_age;
    let mut too_old = pin!(time::sleep(age - jitter(age / 10)));
    let mut too_strange = pin!(time::sleep_until(known_by));
    let mut is_judged = false;
    // A peer that says nothing after the handshake has as long as one that starts a request.
    let mut too_quiet: std::pin::Pin<&mut Sleep> = pin!(time::sleep(limits.header_read_timeout));
    let mut is_idle = true;
    let mut is_leaving = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended,
            () = activity.leave.cancelled(), if !is_leaving => is_leaving = true,
            () = too_old.as_mut(), if !is_leaving => is_leaving = true,
            () = too_strange.as_mut(), if !is_judged && !is_leaving => {
                is_judged = true;
                if activity.is_known.load(Ordering::Relaxed) {
                    continue;
                }
                is_leaving = true;
            }
            Ok(()) = in_flight.changed() => {
                is_idle = *in_flight.borrow_and_update() == 0;
                let quiet_for = if is_leaving { limits.goaway_grace } else { limits.idle_timeout };
                too_quiet.as_mut().reset(Instant::now() + quiet_for);
                continue;
            }
            () = too_quiet.as_mut(), if is_idle => {
                if is_leaving {
                    // It was asked to go and did not.
                    return Ok(());
                }
                is_leaving = true;
            }
        }
        // Reached once, when the connection starts to leave.
        connection.as_mut().graceful_shutdown();
        too_quiet.as_mut().reset(Instant::now() + limits.goaway_grace);
    }
}

/// Counts a request while it lives, also when it is cancelled.
struct InFlight<'a>(&'a watch::Sender<usize>);

// === impl InFlight ===

impl<'a> InFlight<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|n| *n += 1);
        Self(count)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}
