//! The shop, as a visitor meets it: its page, and the form on it.

use super::accounting::Order;
use super::api::Api;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long an answer may take. To give up on an order is to not know whether it was placed.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The largest page that is read, in bytes.
const MAX_PAGE: usize = 1 << 20;

/// The way to the shop's store.
#[derive(Clone, Debug)]
pub(super) enum Shop {
    /// Straight to a port.
    At(SocketAddr),
    /// Through the API server, to a Service.
    Through(Api, String),
}

/// The shop did not take an order.
#[derive(Debug, thiserror::Error)]
#[error("the shop did not take the order: {0}")]
pub(super) struct OrderError(String);

// === impl Shop ===

impl Shop {
    /// The shop's page, as a document; `None` if it does not answer.
    pub(super) async fn page(&self) -> Option<Value> {
        let request =
            Request::builder().uri("/").header(header::ACCEPT, "application/json").body(Bytes::new());
        let answer = self.send(request).await.ok()?;
        serde_json::from_slice(answer.body()).ok().filter(|_| answer.status().is_success())
    }

    /// Fills in the form on the page and sends it.
    pub(super) async fn buy(&self, items: u32) -> Result<Order, OrderError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/submit")
            .header(header::ACCEPT, "text/html")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(format!("quantity={items}").into());
        let answer = self.send(request).await.map_err(OrderError)?;
        if answer.status() != StatusCode::SEE_OTHER {
            return Err(OrderError(format!("it answered {}", answer.status())));
        }
        let location = answer.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
        let id = location.and_then(order_in).ok_or_else(|| OrderError("it named no order".to_owned()))?;
        Ok(Order { id: id.to_owned(), items })
    }

    async fn send(&self, request: http::Result<Request<Bytes>>) -> Result<Response<Bytes>, String> {
        let request = request.map_err(|error| error.to_string())?;
        match self {
            Self::At(address) => tokio::time::timeout(TIMEOUT, send_to(*address, request))
                .await
                .unwrap_or_else(|_| Err("no answer in time".to_owned())),
            Self::Through(api, service) => {
                let (mut head, body) = request.into_parts();
                let path = format!("{service}{}", head.uri);
                head.uri = path.parse().map_err(|_| format!("{path} is no path"))?;
                api.send(Ok(Request::from_parts(head, body))).await.map_err(|error| error.to_string())
            }
        }
    }
}

/// The order that the address of the page of thanks names.
fn order_in(location: &str) -> Option<&str> {
    let (_, query) = location.split_once('?')?;
    query.split('&').find_map(|field| field.strip_prefix("order=")).filter(|order| !order.is_empty())
}

async fn send_to(address: SocketAddr, mut request: Request<Bytes>) -> Result<Response<Bytes>, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let host = header::HeaderValue::from_str(&address.to_string()).map_err(|error| error.to_string())?;
    request.headers_mut().insert(header::HOST, host);
    let answer = sender.send_request(request.map(Full::new)).await.map_err(|error| error.to_string());
    let (head, body) = answer?.into_parts();
    let body = Limited::new(body, MAX_PAGE).collect().await.map_err(|error| error.to_string())?;
    connection.abort();
    Ok(Response::from_parts(head, body.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_in_the_address_of_the_thanks() {
        let check =
            |location: &str, expected: Option<&str>| assert_eq!(order_in(location), expected, "{location}");
        check("/confirmation?order=ab-1&quantity=3", Some("ab-1"));
        check("/api/v1/x/proxy/confirmation?quantity=3&order=ab-1", Some("ab-1"));
        check("/confirmation?order=&quantity=3", None);
        check("/confirmation?reorder=1", None);
        check("/", None);
    }
}
