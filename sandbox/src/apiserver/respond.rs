//! Bodies and answers.

use super::status::Status;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;
pub(crate) type Answer = Response<Body>;

/// A complete body.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A JSON document.
pub(crate) fn json(code: u16, document: &Value) -> Answer {
    typed(code, "application/json", document.to_string())
}

/// A `Status`. A refusal is marked as kube-apiserver marks it.
pub(crate) fn status(status: &Status) -> Answer {
    let mut answer = json(status.code, &status.to_json());
    if status.code == 403 {
        answer.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    }
    answer
}

/// Plain text, which only what is outside of the API answers with.
pub(crate) fn text(code: u16, text: impl Into<String>) -> Answer {
    typed(code, "text/plain; charset=utf-8", text.into())
}

/// A body of any type.
pub(crate) fn typed(code: u16, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(full(body));
    // Codes come from constants and from faults, which are checked when they are made.
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
