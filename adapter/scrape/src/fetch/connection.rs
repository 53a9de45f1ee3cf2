//! A connection to a pod: between two scrapes, a socket and the request.

use std::{fmt::Write as _, io, net::SocketAddr};

use bytes::BufMut;
use podgauge_store::Endpoint;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use crate::failure::ScrapeError;

/// A connection to a pod.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    /// The same each time.
    request: Box<[u8]>,
}

#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

// === impl Connection ===

impl Connection {
    /// For requests with these `headers`, each line of them ended.
    pub(super) fn new(stream: Stream, endpoint: &Endpoint, headers: &str) -> Result<Self, ScrapeError> {
        // The target rules have checked the path; a blank or line feed in it would be another request.
        if !endpoint.path.starts_with('/') || !endpoint.path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ScrapeError::path());
        }
        let authority = SocketAddr::new(endpoint.address.to_canonical(), endpoint.port);
        let mut request = String::with_capacity(64 + endpoint.path.len() + headers.len());
        // Writing to a String cannot fail.
        let _ = write!(request, "GET {} HTTP/1.1\r\nHost: {authority}\r\n{headers}\r\n", endpoint.path);
        Ok(Self { stream, request: request.into_bytes().into() })
    }

    /// Sends the request.
    pub(super) async fn ask(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(&self.request).await,
            Stream::Tls(stream) => {
                stream.write_all(&self.request).await?;
                stream.flush().await
            }
        }
    }

    /// Waits until there is something to read, as far as that can be known without a place to put it.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match &self.stream {
            Stream::Plain(stream) => stream.readable().await,
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
