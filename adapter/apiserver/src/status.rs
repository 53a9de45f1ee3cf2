//! `meta.k8s.io/v1` `Status`: the only shape in which a request fails.

use std::{borrow::Cow, error, fmt};

use http::StatusCode;
use serde::Serialize;

/// A failed request, as Kubernetes' clients decode it.
///
/// The message is for the caller: it says what is wrong and what to do, and carries nothing that
/// the caller may not know. What the log needs is logged where the failure happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The HTTP code.
    pub code: StatusCode,
    /// The machine-readable reason.
    pub reason: Reason,
    /// One human-readable line.
    pub message: Cow<'static, str>,
    /// Details, when the reason has some.
    pub details: Option<Details>,
}

/// Why a request failed, from the closed list of `meta.k8s.io/v1` `StatusReason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names are Kubernetes' own")]
pub enum Reason {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    RequestEntityTooLarge,
    TooManyRequests,
    InternalError,
    ServiceUnavailable,
    Timeout,
}

/// What a [`Status`] is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Details {
    /// The object's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The resource, whatever the member's name says (apimachinery, `StatusDetails`).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// When to come back, in seconds; 0 is unsaid.
    #[serde(rename = "retryAfterSeconds", skip_serializing_if = "is_zero")]
    pub retry_after_seconds: u32,
}

// === impl Status ===

impl Status {
    /// A failure of `reason` with a message for the caller.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: reason.code(), reason, message: message.into(), details: None }
    }

    /// 404: the object, metric or route does not exist.
    #[must_use]
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Reason::NotFound, message)
    }

    /// 400: the request cannot be understood.
    #[must_use]
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Reason::BadRequest, message)
    }

    /// Adds details.
    #[must_use]
    pub fn with_details(mut self, details: Details) -> Self {
        self.details = Some(details);
        self
    }

    /// The compact JSON document.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document<'a> {
            kind: &'static str,
            api_version: &'static str,
            metadata: Empty,
            status: &'static str,
            message: &'a str,
            reason: Reason,
            #[serde(skip_serializing_if = "Option::is_none")]
            details: Option<&'a Details>,
            code: u16,
        }
        #[derive(Serialize)]
        struct Empty {}
        let document = Document {
            kind: "Status",
            api_version: "v1",
            metadata: Empty {},
            status: "Failure",
            message: &self.message,
            reason: self.reason,
            details: self.details.as_ref(),
            code: self.code.as_u16(),
        };
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}: {}", self.code.as_u16(), self.reason, self.message)
    }
}

impl error::Error for Status {}

// === impl Reason ===

impl Reason {
    /// The HTTP code that goes with the reason.
    #[must_use]
    pub fn code(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::RequestEntityTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}
