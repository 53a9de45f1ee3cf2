//! A small HTTPS client for one address: the aggregator's way to a backend, and the tests' way to any server.
//!
//! Speaks HTTP/2 where the server offers it and HTTP/1.1 otherwise. One HTTP/2 connection is kept and shared; an HTTP/1.1
//! connection serves one request. Nothing is retried and no redirect is followed.

mod one_task;

use self::one_task::one_task;
use crate::kubeconfig::Credential;
use crate::tls::{self, TlsError};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderValue};
use http::{Method, Request, Response, Uri, Version};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How to reach and recognise a server.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Where to connect to.
    pub address: SocketAddr,
    /// The name in SNI that the server's certificate must carry: a DNS name or an IP address.
    pub server_name: String,
    /// What the server's certificate is verified against, PEM. `None` verifies nothing.
    pub ca_pem: Option<String>,
    /// What the client proves itself with.
    pub credential: Credential,
    /// The largest body that [`Client::send`] reads, in bytes.
    pub max_response_bytes: usize,
}

/// A request that got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The TCP connection failed.
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, std::io::Error),
    /// The TLS handshake failed, usually because one side does not accept the other's certificate.
    #[error("TLS with {0} failed: {1}")]
    Handshake(SocketAddr, std::io::Error),
    /// The connection broke or the answer was no HTTP.
    #[error("the request failed: {0}")]
    Http(#[from] hyper::Error),
    /// The answer's body is larger than the configured limit.
    #[error("the body of the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The body broke off.
    #[error("cannot read the body of the answer: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// The path is no path, or the token no header value.
    #[error("cannot make the request: {0}")]
    Request(#[from] http::Error),
}

/// A client of one server. Cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    server_name: ServerName<'static>,
    tls: TlsConnector,
    token: Option<HeaderValue>,
    max_response_bytes: usize,
    shared: Mutex<Option<http2::SendRequest<Full<Bytes>>>>,
}

// === impl Client ===

impl Client {
    /// Prepares a client; nothing is connected yet.
    pub fn new(config: &ClientConfig) -> Result<Self, TlsError> {
        let identity = match &config.credential {
            Credential::ClientCertificate(identity) => Some(identity),
            Credential::Token(_) | Credential::Anonymous => None,
        };
        let roots = config.ca_pem.as_deref().map(tls::roots).transpose()?;
        let server_name = ServerName::try_from(config.server_name.clone())
            .map_err(|error| rustls::Error::General(format!("{:?}: {error}", config.server_name)))?;
        let token = match &config.credential {
            Credential::Token(token) => Some(
                HeaderValue::from_str(&format!("Bearer {token}"))
                    .map_err(|error| rustls::Error::General(format!("the token: {error}")))?,
            ),
            _ => None,
        };
        Ok(Self(Arc::new(Inner {
            address: config.address,
            server_name,
            tls: TlsConnector::from(Arc::new(tls::client(roots, identity)?)),
            token,
            max_response_bytes: config.max_response_bytes,
            shared: Mutex::default(),
        })))
    }

    /// GETs a path (with its query) and reads the whole answer.
    pub async fn get(&self, path: &str) -> Result<Response<Bytes>, ClientError> {
        self.send(Request::builder().method(Method::GET).uri(path).body(Bytes::new())?).await
    }

    /// Sends a JSON document and reads the whole answer.
    pub async fn send_json(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        document: &serde_json::Value,
    ) -> Result<Response<Bytes>, ClientError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, content_type)
            .body(document.to_string().into())?;
        self.send(request).await
    }

    /// Sends a request, whose URI may be a bare path, and reads the whole answer.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ClientError> {
        let (head, body) = self.open(request).await?.into_parts();
        let limit = self.0.max_response_bytes;
        let body = Limited::new(body, limit).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                ClientError::TooLarge(limit)
            } else {
                ClientError::Body(error)
            }
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    /// Sends a request and leaves the body of the answer to be read as it comes.
    pub async fn open(&self, mut request: Request<Bytes>) -> Result<Response<Incoming>, ClientError> {
        if let Some(token) = &self.0.token
            && !request.headers().contains_key(AUTHORIZATION)
        {
            request.headers_mut().insert(AUTHORIZATION, token.clone());
        }
        let request = request.map(Full::new);
        let shared =
            self.shared().clone().filter(|connection| connection.is_ready() && !connection.is_closed());
        match shared {
            Some(connection) => self.send_http2(connection, request).await,
            None => self.connect_and_send(request).await,
        }
    }

    async fn connect_and_send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let address = self.0.address;
        let tcp = TcpStream::connect(address).await.map_err(|error| ClientError::Connect(address, error))?;
        // Small requests gain from going out at once; a socket that cannot is used as it is.
        let _ = tcp.set_nodelay(true);
        let tls = self.0.tls.connect(self.0.server_name.clone(), tcp).await;
        let tls = tls.map_err(|error| ClientError::Handshake(address, error))?;
        if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
            let (executor, parts) = one_task();
            let (sender, connection) = http2::handshake(executor, TokioIo::new(tls)).await?;
            tokio::spawn(parts.run(async { drop(connection.await) }));
            *self.shared() = Some(sender.clone());
            return self.send_http2(sender, request).await;
        }
        let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(self.to_http1(request)).await?)
    }

    async fn send_http2(
        &self,
        mut connection: http2::SendRequest<Full<Bytes>>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let path = path_and_query(request.uri());
        *request.uri_mut() = Uri::builder()
            .scheme("https")
            .authority(self.0.address.to_string())
            .path_and_query(path)
            .build()?;
        *request.version_mut() = Version::HTTP_2;
        request.headers_mut().remove(HOST);
        Ok(connection.send_request(request).await?)
    }

    /// The origin form that HTTP/1.1 wants, with a `Host`.
    fn to_http1(&self, mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
        if let Ok(uri) = path_and_query(request.uri()).parse() {
            *request.uri_mut() = uri;
        }
        if let Ok(host) = HeaderValue::from_str(&self.0.address.to_string()) {
            request.headers_mut().insert(HOST, host);
        }
        *request.version_mut() = Version::HTTP_11;
        request
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Option<http2::SendRequest<Full<Bytes>>>> {
        self.0.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn path_and_query(uri: &Uri) -> String {
    uri.path_and_query().map_or_else(|| "/".to_owned(), |path| path.as_str().to_owned())
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("address", &self.0.address).finish_non_exhaustive()
    }
}
