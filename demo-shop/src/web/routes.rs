//! Requests to answers. Everything here works on a request and a [`Context`], without a socket.

use super::accept::{Format, preferred};
use super::limit::Limiter;
use super::live::Live;
use super::once::Once;
use super::pages::{self, Notice};
use super::respond::{Answer, HTML, JSON, TEXT, answer, events, with};
use super::submit::{is_foreign, not_asked_for, submit, too_often};
use super::view::View;
use super::{Config, forms};
use crate::depth::Depth;
use crate::health::Health;
use crate::metrics::{self, Metrics, RequestKind};
use crate::orders::Orders;
use crate::trace::{Kind, TraceContext, Tracer};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use serde_json::json;
use std::error::Error;
use std::net::IpAddr;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug};

/// What the pages are about.
#[derive(Clone, Debug)]
pub struct Shop {
    /// Takes orders; none without a store.
    pub orders: Option<Orders>,
    /// The queue's length.
    pub depth: Depth,
    /// The length of the queue of orders that no worker could finish.
    pub put_aside: Depth,
    /// This instance's numbers.
    pub metrics: Metrics,
    /// This instance's connections.
    pub health: Health,
    /// Begins spans.
    pub tracer: Tracer,
    /// Where the broker is, for people.
    pub broker: String,
}

/// What every request is answered from.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) config: Config,
    pub(super) shop: Shop,
    pub(super) live: Live,
    pub(super) once: Once,
    pub(super) limiter: Limiter,
    /// Ends the streams of events.
    pub(super) stop: CancellationToken,
}

// === impl Context ===

impl Context {
    pub(super) fn new(config: Config, shop: Shop) -> Self {
        Self {
            live: Live::new(config.viewers),
            once: Once::new(config.tokens),
            limiter: Limiter::new(config.rate, Instant::now()),
            stop: CancellationToken::new(),
            config,
            shop,
        }
    }
}

/// Answers a request of that client, as a span, and counts it.
pub(super) async fn serve<B>(context: &Context, client: IpAddr, request: Request<B>) -> Answer
where
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send,
{
    let started = Instant::now();
    let (method, route) = (method_name(request.method()), route_name(request.uri().path()));
    let mut span =
        context.shop.tracer.begin(format!("{method} {route}"), Kind::Server, parent(request.headers()));
    if !matches!(route, "/" | "/admin" | "/submit" | "/confirmation") {
        span.keep_quiet();
    }
    let answered = answer_to(context, client, request, span.context());
    let mut answer = answered.instrument(span.log()).await;
    let code = answer.status().as_u16();
    span.log().in_scope(|| debug!(method, route, code, "answered"));
    context.shop.metrics.requests.observe(RequestKind { method, route, code }, started.elapsed());
    span.set("http.request.method", method);
    span.set("http.route", route);
    span.set("http.response.status_code", u64::from(code));
    if code >= 500 {
        span.fail(format_args!("HTTP {code}"));
    }
    // Names the trace to whoever looks at the answer in a browser.
    let timing = format!("traceparent;desc=\"{}\"", span.context());
    answer = with(answer, HeaderName::from_static("server-timing"), &timing);
    answer
}

async fn answer_to<B>(context: &Context, client: IpAddr, request: Request<B>, trace: TraceContext) -> Answer
where
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send,
{
    let (head, body) = request.into_parts();
    let format = head.headers.get(header::ACCEPT).and_then(|value| preferred(value.to_str().ok()));
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let read = matches!(head.method, Method::GET | Method::HEAD);
    match head.uri.path() {
        "/" | "/admin" if read && format == Some(Format::Json) => {
            answer(StatusCode::OK, JSON, format!("{}\n", View::now(context).await.to_json()))
        }
        "/" if read && context.config.store => store(context, StatusCode::OK, None).await,
        "/" | "/admin" if read => {
            let refresh = !forms::fields(query).any(|(name, value)| name == "refresh" && value == "off");
            let view = View::now(context).await;
            answer(StatusCode::OK, HTML, pages::admin(&view, &context.live.chart(), refresh))
        }
        "/admin/events" if head.method == Method::GET => match Live::watch(context, &context.stop) {
            Some(stream) => events(stream),
            None => {
                let full = "too many are watching; ask /admin for JSON instead\n";
                with(answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, full), header::RETRY_AFTER, "30")
            }
        },
        // Not for HEAD: it must not buy, and an answer without buying would be a lie.
        "/submit" if matches!(head.method, Method::GET | Method::POST) => {
            let format = format.unwrap_or(Format::Json);
            if is_foreign(&head.headers) {
                return not_asked_for(context, format).await;
            }
            if let Err(wait) = context.limiter.take(client, Instant::now()) {
                return too_often(context, format, wait).await;
            }
            if head.method == Method::GET {
                return submit(context, format, &head.headers, query, trace).await;
            }
            match form(context, &head.headers, body).await {
                Ok(form) => submit(context, format, &head.headers, &form, trace).await,
                Err((status, reason)) => failure(context, format, status, Notice::plain(reason)).await,
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

/// What was asked for was not done, and why.
pub(super) async fn failure(context: &Context, format: Format, status: StatusCode, notice: Notice) -> Answer {
    match format {
        Format::Html if context.config.store => store(context, status, Some(notice)).await,
        Format::Html => answer(status, HTML, pages::message("Sorry", &notice.text)),
        Format::Json => answer(status, JSON, format!("{}\n", json!({"error": notice.text}))),
    }
}

/// The methods of the addresses that there are.
fn allowed(path: &str) -> Option<&'static str> {
    match path {
        "/submit" => Some("GET, POST"),
        "/admin/events" => Some("GET"),
        "/" | "/admin" | "/confirmation" | "/health" | "/livez" | "/metrics" => Some("GET, HEAD"),
        path => pages::asset(path).map(|_| "GET, HEAD"),
    }
}

/// What a request is counted under: never a client's own words.
fn route_name(path: &str) -> &'static str {
    let routes =
        ["/", "/admin", "/admin/events", "/submit", "/confirmation", "/health", "/livez", "/metrics"];
    let known = routes.into_iter().find(|route| *route == path);
    known.unwrap_or_else(|| if pages::asset(path).is_some() { "/assets" } else { "other" })
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    }
}

/// The trace that a request is part of. Of several headers none counts, as the specification has it.
fn parent(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all("traceparent").iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok()?.parse().ok(),
        _ => None,
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

fn confirmation(query: &[u8]) -> Answer {
    let (mut order, mut again) = (None, false);
    for (name, value) in forms::fields(query) {
        // Only what our own redirect can have said.
        let ours = (1..=64).contains(&value.len())
            && value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        match &*name {
            "order" if ours => order = Some(value),
            "again" => again = true,
            _ => {}
        }
    }
    match (order, forms::quantity(query)) {
        (Some(order), Ok(quantity)) => {
            answer(StatusCode::OK, HTML, pages::confirmation(&order, quantity.get(), again))
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
        Some(Format::Html) => {
            let page = pages::message("Not found", "There is no such page in this shop.");
            answer(StatusCode::NOT_FOUND, HTML, page)
        }
        Some(Format::Json) => answer(StatusCode::NOT_FOUND, JSON, "{\"error\":\"there is nothing here\"}\n"),
        None => answer(StatusCode::NOT_FOUND, TEXT, "there is nothing here\n"),
    }
}

async fn store(context: &Context, status: StatusCode, notice: Option<Notice>) -> Answer {
    let away = context.shop.health.links().iter().any(|link| link.name == "store" && link.down.is_some());
    answer(status, HTML, pages::store(&context.once.token(), notice.as_ref(), away))
}

#[cfg(test)]
mod tests;
