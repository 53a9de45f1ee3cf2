//! A connection to a pod: between two scrapes, a socket and what the request begins with.

use std::{future::poll_fn, io, net::SocketAddr, sync::Arc};

use bytes::{Buf, BufMut};
use podgauge_store::Endpoint;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use crate::failure::ScrapeError;

/// A request that is no longer than this is sent in one piece.
const PIECE_BYTES: usize = 512;

/// A connection to a pod.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    /// What the request begins with, up to the headers that all targets have in common.
    start: Box<[u8]>,
    headers: Arc<str>,
}

#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

// === impl Connection ===

impl Connection {
    /// For requests that end with these `headers` and an empty line, each line of them ended.
    pub(super) fn new(stream: Stream, endpoint: &Endpoint, headers: &Arc<str>) -> Result<Self, ScrapeError> {
        // The target rules have checked the path; a blank or line feed in it would be another request.
        if !endpoint.path.starts_with('/') || !endpoint.path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ScrapeError::path());
        }
        let authority = SocketAddr::new(endpoint.address.to_canonical(), endpoint.port);
        let start = format!("GET {} HTTP/1.1\r\nHost: {authority}\r\n", endpoint.path);
        Ok(Self { stream, start: start.into_bytes().into(), headers: Arc::clone(headers) })
    }

    /// Sends the request.
    pub(super) async fn ask(&mut self) -> io::Result<()> {
        let mut request = Buf::chain(&*self.start, self.headers.as_bytes());
        match &mut self.stream {
            Stream::Plain(stream) => {
                let sent = send_at_once(stream, Buf::chain(&*self.start, self.headers.as_bytes()));
                request.advance(sent);
                stream.write_all_buf(&mut request).await
            }
            Stream::Tls(stream) => {
                stream.write_all_buf(&mut request).await?;
                stream.flush().await
            }
        }
    }

    /// Waits until there is something to read, as far as that can be known without a place to put it.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match &self.stream {
            // As `readable`, which is for several who wait.
            Stream::Plain(stream) => poll_fn(|context| stream.poll_read_ready(context)).await,
            Stream::Tls(_) => Ok(()),
        }
    }

    /// Reads what there is, up to `most` bytes; how many that were, 0 at the end.
    pub(super) async fn read(&mut self, bytes: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        let mut room = bytes.limit(most);
        match &mut self.stream {
            Stream::Plain(stream) => stream.read_buf(&mut room).await,
            Stream::Tls(stream) => stream.read_buf(&mut room).await,
        }
    }
}

/// Sends a request in one piece, which the kernel takes more cheaply than two; how many bytes of it went out. That is
/// nearly always all of it, and whatever stood in the way is in the way of the rest as well.
fn send_at_once(stream: &TcpStream, mut request: impl Buf) -> usize {
    let mut piece = [0; PIECE_BYTES];
    let Some(piece) = piece.get_mut(..request.remaining()) else { return 0 };
    request.copy_to_slice(piece);
    stream.try_write(piece).unwrap_or(0)
}
