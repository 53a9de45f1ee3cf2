//! Connections: accept, TLS, and from each request to its answer.

use super::Core;
use super::authn::PeerCertificate;
use super::authz;
use super::call::Call;
use super::faults::Effect;
use super::request_info::{RequestInfo, query_pairs};
use super::requests::SeenRequest;
use super::respond::{self, Answer, BoxError};
use super::route;
use super::status::Status;
use super::user::User;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

/// Accepts connections until the sandbox stops.
pub(crate) async fn accept(core: Arc<Core>, listener: TcpListener, tls: TlsAcceptor, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = core.stop.cancelled() => return,
        };
        match accepted {
            Ok((tcp, peer)) => {
                tasks.spawn(connection(core.clone(), tcp, peer, tls.clone()));
            }
            Err(error) => {
                // Out of descriptors, most likely: give connections a moment to end instead of spinning.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(core.config.accept_backoff).await;
            }
        }
    }
}

async fn connection(core: Arc<Core>, tcp: TcpStream, peer: SocketAddr, tls: TlsAcceptor) {
    let _ = tcp.set_nodelay(true);
    let tls = match tokio::time::timeout(core.config.handshake_timeout, tls.accept(tcp)).await {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => return tracing::debug!(%peer, %error, "the TLS handshake failed"),
        Err(_) => return tracing::debug!(%peer, "the TLS handshake took too long"),
    };
    let certificate =
        core.authenticator.certificate(tls.get_ref().1.peer_certificates(), core.registry.clock.now());
    let certificate = Arc::new(certificate);
    let service = service_fn(|request| answer(core.clone(), certificate.clone(), peer, request));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(core.config.header_timeout);
    builder.http2().timer(TokioTimer::new());
    let connection = builder.serve_connection(TokioIo::new(tls), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => if let Err(error) = result {
            tracing::debug!(%peer, %error, "a connection broke");
        },
        () = core.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(core.config.drain_timeout, connection).await;
        }
    }
}

/// Faults first, then everything that a request goes through; the log sees all of it.
async fn answer(
    core: Arc<Core>,
    certificate: Arc<PeerCertificate>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Answer, BoxError> {
    let (head, body) = request.into_parts();
    let raw_query = head.uri.query().unwrap_or_default().to_owned();
    let query = query_pairs(&raw_query);
    let info = RequestInfo::parse(&head.method, head.uri.path(), &query);
    let mut seen = SeenRequest {
        method: head.method.as_str().to_owned(),
        path: info.as_ref().map_or_else(|| head.uri.path().to_owned(), |info| info.path.clone()),
        query: raw_query,
        user: String::new(),
        code: 0,
    };
    let effect = core.faults.take(&seen.method, &seen.path, &seen.query);
    if let Some(Effect::Delay(delay)) = effect {
        tokio::time::sleep(delay).await;
    }
    let outcome = match (effect, info) {
        (Some(Effect::Reset), _) => {
            core.requests.record(seen);
            return Err("reset by an injected fault".into());
        }
        (Some(Effect::Fail(code)), _) => {
            let code = if (400..600).contains(&code) { code } else { 500 };
            Err(Status::with_code(code, "an injected fault"))
        }
        (_, None) => Err(Status::bad_request("the path is not valid UTF-8")),
        (_, Some(info)) => match admit(&core, &certificate, &head.headers, &info) {
            Err(status) => Err(status),
            Ok(user) => {
                seen.user = user.name.clone();
                match read(body, core.config.max_body_bytes).await {
                    Err(status) => Err(status),
                    Ok(body) => {
                        let (method, uri, headers) = (head.method, head.uri, head.headers);
                        let call = Call { method, uri, query, headers, info, user, body, peer };
                        route::route(&core, &call).await
                    }
                }
            }
        },
    };
    let answer = outcome.unwrap_or_else(|status| respond::status(&status));
    seen.code = answer.status().as_u16();
    core.requests.record(seen);
    Ok(answer)
}

/// Authentication, impersonation, authorization.
fn admit(
    core: &Core,
    certificate: &PeerCertificate,
    headers: &HeaderMap,
    info: &RequestInfo,
) -> Result<User, Status> {
    let user = core.authenticator.authenticate(certificate, headers)?;
    let user = super::impersonate::resolve(&core.registry.store, user, headers)?;
    authz::check(&core.registry.store, &user, info)?;
    Ok(user)
}

async fn read(body: Incoming, limit: usize) -> Result<Bytes, Status> {
    let body = Limited::new(body, limit).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Status::body_too_large(limit)
        } else {
            Status::bad_request(format!("cannot read the body of the request: {error}"))
        }
    })?;
    Ok(body.to_bytes())
}
