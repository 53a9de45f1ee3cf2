//! How a connection to the broker is opened: over TCP, or in tests over an in-memory pipe, so that logic on top of
//! it runs under a paused clock.

use crate::stomp::BrokerUrl;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A byte stream in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Opens streams to one broker. Cheap to clone.
#[derive(Clone)]
pub struct Dialer(Arc<dyn Fn() -> Opening + Send + Sync>);

/// A stream that is being opened.
pub type Opening = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

// === impl Dialer ===

impl Dialer {
    /// Dials with `open`.
    pub fn new(open: impl Fn() -> Opening + Send + Sync + 'static) -> Self {
        Self(Arc::new(open))
    }

    /// Dials the broker's host and port over TCP. The name is resolved anew each time, because a broker that
    /// comes back may have moved.
    pub fn tcp(broker: &BrokerUrl) -> Self {
        let (host, port) = (broker.host.clone(), broker.port);
        Self::new(move || {
            let host = host.clone();
            Box::pin(async move {
                let stream = TcpStream::connect((host.as_str(), port)).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream) as Box<dyn Stream>)
            })
        })
    }

    /// Opens one stream.
    ///
    /// # Errors
    /// What the transport says. There is no deadline here; callers have one.
    pub async fn dial(&self) -> io::Result<Box<dyn Stream>> {
        (self.0)().await
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer")
    }
}
