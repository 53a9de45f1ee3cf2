//! Requests to answers. Everything here works on a request and a [`Context`], without a socket.

use super::Config;
use super::accept::{Format, preferred};
use super::forms::{self, QuantityError};
use super::pages::{self, Notice, View};
use super::respond::{Answer, HTML, JSON, TEXT, answer, with};
use crate::depth::Depth;
use crate::health::Health;
use crate::metrics::{self, Metrics};
use crate::orders::{Confirmation, Orders, SubmitError};
use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use serde_json::json;
use std::error::Error;
use std::num::NonZeroU32;
use tokio::time::timeout;
use tracing::{info, warn};

/// What the pages are about.
#[derive(Clone, Debug)]
pub struct Shop {
    /// Takes orders; none without a store.
    pub orders: Option<Orders>,
    /// The queue's length.
    pub depth: Depth,
    /// This instance's numbers.
    pub metrics: Metrics,
    /// This instance's connections.
    pub health: Health,
    /// Where the broker is, for people.
    pub broker: String,
}

/// What every request is answered from.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) config: Config,
    pub(super) shop: Shop,
}

/// Answers a request.
pub(super) async fn route<B>(context: &Context, request: Request<B>) -> Answer
where
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send,
{
    let (head, body) = request.into_parts();
    let format = head.headers.get(header::ACCEPT).and_then(|value| preferred(value.to_str().ok()));
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let read = matches!(head.method, Method::GET | Method::HEAD);
    match head.uri.path() {
        "/" if read => match format.unwrap_or(Format::Html) {
            Format::Html => page(context, StatusCode::OK, None).await,
            Format::Json => answer(StatusCode::OK, JSON, view(context, None).await.to_json().to_string()),
        },
        // Not for HEAD: it must not buy, and an answer without buying would be a lie.
        "/submit" if head.method == Method::GET => {
            order(context, format.unwrap_or(Format::Json), forms::quantity(query)).await
        }
        "/submit" if head.method == Method::POST => {
            let format = format.unwrap_or(Format::Json);
            match form(context, &head.headers, body).await {
                Ok(form) => order(context, format, forms::quantity(&form)).await,
                Err((status, reason)) => failure(context, format, status, &reason).await,
            }
        }
        "/confirmation" if read => confirmation(query),
        "/health" if read => health(context),
        "/livez" if read => answer(StatusCode::OK, TEXT, "ok\n"),
        "/metrics" if read => {
            let depth = context.shop.depth.read().await;
            let page = context.shop.metrics.render(depth.as_ref(), &context.shop.health);
            answer(StatusCode::OK, metrics::CONTENT_TYPE, page)
        }
        path => match (pages::asset(path), allowed(path)) {
            (Some((content_type, bytes)), _) if read => {
                let asset = answer(StatusCode::OK, content_type, bytes);
                with(asset, header::CACHE_CONTROL, "public, max-age=300")
            }
            (_, Some(methods)) => {
                let refused = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, format!("use {methods}\n"));
                with(refused, header::ALLOW, methods)
            }
            _ => not_found(format),
        },
    }
}

/// The methods of the addresses that there are.
fn allowed(path: &str) -> Option<&'static str> {
    match path {
        "/submit" => Some("GET, POST"),
        "/" | "/confirmation" | "/health" | "/livez" | "/metrics" => Some("GET, HEAD"),
        path => pages::asset(path).map(|_| "GET, HEAD"),
    }
}

/// Reads a form, or says why not.
async fn form<B>(context: &Context, headers: &HeaderMap, body: B) -> Result<Bytes, (StatusCode, String)>
where
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send,
{
    let content_type = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let media_type = content_type.map(|value| value.split(';').next().unwrap_or_default().trim());
    if media_type.is_some_and(|known| !known.eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
        let reason = "Send the form as application/x-www-form-urlencoded.";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, reason.into()));
    }
    let most = context.config.body_bytes;
    match timeout(context.config.body_timeout, Limited::new(body, most).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, format!("The form is larger than {most} bytes.")))
        }
        Ok(Err(error)) => Err((StatusCode::BAD_REQUEST, format!("The form did not arrive whole: {error}."))),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "The form did not arrive in time.".into())),
    }
}

/// Orders, and says how it went.
async fn order(context: &Context, format: Format, quantity: Result<NonZeroU32, QuantityError>) -> Answer {
    let Some(orders) = &context.shop.orders else {
        let reason = "This instance has no store (STORE_ENABLED is off).";
        return failure(context, format, StatusCode::NOT_FOUND, reason).await;
    };
    let quantity = match quantity {
        Ok(quantity) => quantity,
        Err(error) => return failure(context, format, StatusCode::BAD_REQUEST, &error.to_string()).await,
    };
    let submitted = timeout(context.config.order_timeout, orders.submit(quantity))
        .await
        .unwrap_or_else(|_| Err(SubmitError::Unconfirmed("no answer in time".into())));
    match (submitted, format) {
        (Ok(confirmed), Format::Json) => {
            info!(order = confirmed.order, quantity, "ordered");
            let body = json!({"order": confirmed.order, "quantity": confirmed.quantity});
            answer(StatusCode::OK, JSON, format!("{body}\n"))
        }
        (Ok(Confirmation { order, quantity }), Format::Html) => {
            info!(order, quantity, "ordered");
            // A page of its own, so that reloading it does not order again.
            let location = format!("/confirmation?order={order}&quantity={quantity}");
            with(answer(StatusCode::SEE_OTHER, TEXT, "ordered\n"), header::LOCATION, &location)
        }
        (Err(error), format) => {
            warn!(%error, quantity, "an order was not confirmed");
            let (status, reason) = told(&error);
            let answer = failure(context, format, status, &reason).await;
            match status {
                StatusCode::SERVICE_UNAVAILABLE => {
                    let seconds = context.config.retry_after.as_secs().to_string();
                    with(answer, header::RETRY_AFTER, &seconds)
                }
                _ => answer,
            }
        }
    }
}

/// What the buyer is told; the log has the rest.
fn told(error: &SubmitError) -> (StatusCode, String) {
    let text = match error {
        SubmitError::Unavailable(_) => {
            "We cannot reach our order queue right now. Nothing was ordered; please try again in a moment."
        }
        SubmitError::Busy => {
            "Too many people are ordering right now. Nothing was ordered; please try again in a moment."
        }
        SubmitError::Refused(_) => {
            "Our order queue takes no more orders right now. Nothing was ordered; please try again in a moment."
        }
        SubmitError::Unconfirmed(_) => {
            let text = "Our order queue did not confirm the order. It may or may not have been taken: look at the queue before you order again.";
            return (StatusCode::GATEWAY_TIMEOUT, text.into());
        }
    };
    (StatusCode::SERVICE_UNAVAILABLE, text.into())
}

async fn failure(context: &Context, format: Format, status: StatusCode, reason: &str) -> Answer {
    match format {
        Format::Html => page(context, status, Some(Notice(reason.to_owned()))).await,
        Format::Json => answer(status, JSON, format!("{}\n", json!({"error": reason}))),
    }
}

fn confirmation(query: &[u8]) -> Answer {
    let mut order = None;
    for (name, value) in forms::fields(query) {
        // Only what our own redirect can have said.
        let ours = value.len() <= 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if name == "order" && ours {
            order = Some(value);
        }
    }
    match (order, forms::quantity(query)) {
        (Some(order), Ok(quantity)) => {
            answer(StatusCode::OK, HTML, pages::confirmation(&order, quantity.get()))
        }
        _ => not_found(Some(Format::Html)),
    }
}

fn health(context: &Context) -> Answer {
    let complaints = context.shop.health.complaints();
    match complaints.is_empty() {
        true => answer(StatusCode::OK, TEXT, "ok\n"),
        false => {
            let text = format!("not ready\n{}\n", complaints.join("\n"));
            answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
        }
    }
}

fn not_found(format: Option<Format>) -> Answer {
    match format {
        Some(Format::Html) => answer(StatusCode::NOT_FOUND, HTML, pages::not_found()),
        Some(Format::Json) => answer(StatusCode::NOT_FOUND, JSON, "{\"error\":\"there is nothing here\"}\n"),
        None => answer(StatusCode::NOT_FOUND, TEXT, "there is nothing here\n"),
    }
}

async fn page(context: &Context, status: StatusCode, notice: Option<Notice>) -> Answer {
    answer(status, HTML, pages::home(&view(context, notice).await))
}

/// The facts that page and JSON show.
async fn view(context: &Context, notice: Option<Notice>) -> View {
    let Context { config, shop } = context;
    View {
        notice,
        store: config.store,
        worker: config.worker,
        hostname: config.hostname.clone(),
        queue: config.queue.clone(),
        broker: shop.broker.clone(),
        complaints: shop.health.complaints(),
        depth: shop.depth.read().await,
        submitted: shop.metrics.submitted.get(),
        completed: shop.metrics.completed.get(),
        failed: shop.metrics.failed.get(),
        busy: shop.metrics.busy.get() == 1,
    }
}

#[cfg(test)]
mod tests;
