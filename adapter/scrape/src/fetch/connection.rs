//! A connection between two exchanges, and during one.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

/// Bytes that are read at a time, at most; for as long as an exchange takes.
pub(super) const BUFFER_BYTES: usize = 128 << 10;

/// A connection to a pod on which nothing is under way.
#[derive(Debug)]
pub(crate) enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// One request and its response.
///
/// There is no task beside it: the machinery moves only while somebody waits for something.
pub(super) struct Exchange {
    sender: http1::SendRequest<Empty<Bytes>>,
    machinery: http1::Connection<TokioIo<Connection>, Empty<Bytes>>,
    has_ended: bool,
}

// === impl Exchange ===

impl Exchange {
    pub(super) async fn begin(http: &http1::Builder, io: TokioIo<Connection>) -> hyper::Result<Self> {
        let (sender, machinery) = http.handshake(io).await?;
        Ok(Self { sender, machinery, has_ended: false })
    }

    /// Sends the request and waits for the head of its response.
    pub(super) async fn send(&mut self, request: Request<Empty<Bytes>>) -> hyper::Result<Response<Incoming>> {
        let response = self.sender.send_request(request);
        Self::move_along(&mut self.machinery, &mut self.has_ended, response).await
    }

    /// Moves the exchange along until `work`, which waits for a part of it, is done.
    pub(super) async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        Self::move_along(&mut self.machinery, &mut self.has_ended, work).await
    }

    /// The connection, if the response was read to its end and both sides are content to go on.
    pub(super) fn finish(mut self) -> Option<Connection> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let has_ended = self.has_ended || Pin::new(&mut self.machinery).poll(&mut context).is_ready();
        if has_ended || !self.sender.is_ready() {
            return None;
        }
        let parts = self.machinery.into_parts();
        // Bytes that nobody asked for belong to no response that we could trust.
        parts.read_buf.is_empty().then(|| parts.io.into_inner())
    }

    async fn move_along<T>(
        machinery: &mut http1::Connection<TokioIo<Connection>, Empty<Bytes>>,
        has_ended: &mut bool,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            // How it ended, the waiting side learns by itself.
            *has_ended = *has_ended || Pin::new(&mut *machinery).poll(context).is_ready();
            work.as_mut().poll(context)
        })
        .await
    }
}

// === impl Connection ===

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
