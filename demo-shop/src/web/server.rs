//! Sockets and connections of the web server.

use super::Config;
use super::live;
use super::patient::Patient;
use super::routes::{Context, Shop, serve};
use super::seats::Seats;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// The web server. It ends when it is told to.
pub struct Task {
    context: Arc<Context>,
    listener: TcpListener,
    address: SocketAddr,
}

/// The port cannot be had.
#[derive(Debug, Error)]
#[error("cannot serve HTTP on {listen}: {source}; choose another with ADDRESS and PORT")]
pub struct BindError {
    /// The address that was asked for.
    pub listen: SocketAddr,
    /// What the system says.
    pub source: io::Error,
}

/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 << 10;

// === impl Config ===

impl Config {
    /// Binds the port.
    ///
    /// # Errors
    /// [`BindError`].
    pub async fn build(self, shop: Shop) -> Result<Task, BindError> {
        let listen = self.listen;
        let bind = async {
            let listener = TcpListener::bind(listen).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bind.await.map_err(|source| BindError { listen, source })?;
        Ok(Task { context: Arc::new(Context::new(self, shop)), listener, address })
    }
}

// === impl Task ===

impl Task {
    /// Where HTTP is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then finishes open requests. Whoever waits for that has a deadline; there is none here.
    pub async fn run(self, stop: CancellationToken) {
        let Self { context, listener, .. } = self;
        let graceful = GracefulShutdown::new();
        tokio::select! {
            () = stop.cancelled() => {}
            () = serve_all(&context, &listener, &graceful) => {}
            () = live::run(&context, &stop) => {}
        }
        drop(listener);
        // Streams of events have no end of their own that is near.
        context.stop.cancel();
        graceful.shutdown().await;
    }
}

/// Accepts connections and serves each in a task of its own, for ever.
async fn serve_all(context: &Arc<Context>, listener: &TcpListener, graceful: &GracefulShutdown) {
    let slots = Arc::new(Semaphore::new(context.config.max_connections));
    let seats = Seats::new(context.config.max_connections_each);
    loop {
        let Some((stream, client, slot)) = accept(listener, &slots).await else {
            // Usually out of file descriptors; they come back when connections end.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Some(seat) = seats.take(client) else {
            debug!(%client, "too many connections of one client");
            continue;
        };
        let (service_context, patience) = (Arc::clone(context), context.config.write_timeout);
        let service = service_fn(move |request| {
            let context = Arc::clone(&service_context);
            async move { Ok::<_, Infallible>(serve(&context, client, request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(context.config.head_timeout)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(Patient::new(stream, patience)), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "an HTTP connection has failed");
            }
            drop((seat, slot));
        });
    }
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, client)) => Some((stream, client.ip(), slot)),
        Err(error) => {
            warn!(%error, "cannot accept HTTP connections");
            None
        }
    }
}
