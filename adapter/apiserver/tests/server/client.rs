//! A client that says exactly what the test wants it to.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{
    ClientConfig, RootCertStore,
    client::ResolvesClientCert,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::{
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::pki::Identity;

/// An open connection.
pub(crate) struct Connection {
    sender: Sender,
    /// Ends when the connection does.
    pub(crate) ended: JoinHandle<hyper::Result<()>>,
}

enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

/// How to connect.
#[derive(Clone)]
pub(crate) struct Dial {
    pub(crate) address: SocketAddr,
    pub(crate) server_ca: String,
    pub(crate) identity: Option<Arc<dyn ResolvesClientCert>>,
    pub(crate) http2: bool,
    /// How much of each answer is taken before it is read, in bytes, over HTTP/2.
    pub(crate) window: Option<u32>,
    /// What the socket takes before it is read, in bytes.
    pub(crate) socket_buffer: Option<u32>,
    /// How often it asks whether the server is there, over HTTP/2.
    pub(crate) ping_interval: Option<Duration>,
    pub(crate) versions: &'static [&'static rustls::SupportedProtocolVersion],
}

/// After this long a test fails rather than hangs.
const PATIENCE: Duration = Duration::from_secs(300);

static TLS12: [&rustls::SupportedProtocolVersion; 1] = [&rustls::version::TLS12];

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    /// What is no text in it is replaced.
    pub(crate) body: String,
}

// === impl Dial ===

impl Dial {
    pub(crate) fn with(mut self, identity: &Identity) -> Self {
        self.identity = Some(certified(identity.chain.clone(), identity));
        self
    }

    pub(crate) fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    pub(crate) fn tls12(mut self) -> Self {
        self.versions = &TLS12;
        self
    }

    pub(crate) async fn tls(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.server_ca.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => config.with_no_client_auth(),
            Some(identity) => config.with_client_cert_resolver(identity.clone()),
        };
        config.alpn_protocols = vec![if self.http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        let socket = TcpSocket::new_v4()?;
        if let Some(size) = self.socket_buffer {
            socket.set_recv_buffer_size(size)?;
        }
        let stream = socket.connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    pub(crate) async fn connect(&self) -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> {
        let io = TokioIo::new(self.tls().await?);
        Ok(if self.http2 {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .initial_stream_window_size(self.window)
                .keep_alive_interval(self.ping_interval)
                .handshake(io)
                .await?;
            Connection { sender: Sender::Http2(sender), ended: tokio::spawn(connection) }
        } else {
            let (sender, connection) = http1::handshake(io).await?;
            Connection { sender: Sender::Http1(sender), ended: tokio::spawn(connection) }
        })
    }

    /// One request on a connection of its own.
    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.connect().await.unwrap().get(path, headers).await
    }
}

// === impl Connection ===

impl Connection {
    pub(crate) async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let reply = tokio::time::timeout(PATIENCE, self.send("GET", path, headers)).await;
        reply.unwrap_or_else(|_| panic!("no answer to {path} within {PATIENCE:?}")).unwrap()
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> hyper::Result<Reply> {
        let (head, body) = self.begin(method, path, headers).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Reply {
            code: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    /// Does not read the body.
    pub(crate) async fn begin(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> hyper::Result<Response<Incoming>> {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                let request = request.uri(path).header("host", "localhost").body(Empty::new()).unwrap();
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                let request = request.uri(format!("https://localhost{path}")).body(Empty::new()).unwrap();
                sender.send_request(request).await
            }
        }
    }
}

// === impl Reply ===

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A certificate chain to show, with a key that may belong to it.
pub(crate) fn certified(
    chain: Vec<CertificateDer<'static>>,
    key_of: &Identity,
) -> Arc<dyn ResolvesClientCert> {
    let key = provider().key_provider.load_private_key(key_of.key()).unwrap();
    Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
