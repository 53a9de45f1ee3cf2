//! One request, read and identified: what every handler is given.

use super::request_info::RequestInfo;
use super::status::Status;
use super::user::User;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, Uri};
use serde_json::Value;
use std::net::SocketAddr;

pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) info: RequestInfo,
    pub(crate) user: User,
    pub(crate) body: Bytes,
    pub(crate) peer: SocketAddr,
}

// === impl Call ===

impl Call {
    /// The first value of a query parameter; an empty one counts as absent.
    pub(crate) fn parameter(&self, key: &str) -> Option<&str> {
        let found = self.query.iter().find(|(k, _)| k == key)?;
        (!found.1.is_empty()).then_some(found.1.as_str())
    }

    /// Whether a boolean parameter is set to true.
    pub(crate) fn flag(&self, key: &str) -> bool {
        matches!(self.parameter(key), Some("true" | "1"))
    }

    pub(crate) fn dry_run(&self) -> bool {
        self.query.iter().any(|(key, value)| key == "dryRun" && value == "All")
    }

    /// The media type of the body, without parameters.
    pub(crate) fn content_type(&self) -> &str {
        let value = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim()
    }

    /// The body as a patch of whatever type; 400 if it is no JSON.
    pub(crate) fn patch(&self) -> Result<Value, Status> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Status::bad_request(format!("error decoding patch: {}", super::decoding::json_error(&error)))
        })
    }
}
