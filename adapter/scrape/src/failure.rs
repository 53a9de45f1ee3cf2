//! Why a scrape failed, in the words that `kubectl describe hpa` will show.
//!
//! Each message is one line for the pod's owner: what happened, and what to change. Text from outside is tamed, and a
//! path is named without its query, in which there may be a secret.

use std::{error::Error, io, time::Duration};

use http::{StatusCode, header::LOCATION};
use podgauge_exposition::PageError;
use podgauge_store::{Endpoint, FailureKind, Scheme, StoreFull};

use crate::{
    config::flag,
    text::{bytes, quoted, tame},
};

/// A scrape that failed: its class and its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScrapeError {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
}

/// How far a scrape has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Connecting,
    Securing,
    Waiting,
    Reading,
    /// A large page is there, and others are read before it.
    Queued,
}

// === impl ScrapeError ===

impl ScrapeError {
    fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn connect(error: &io::Error, endpoint: &Endpoint) -> Self {
        let message = match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                format!("connection refused: nothing listens on port {}", endpoint.port)
            }
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                format!("no route to {}; is a network policy in the way?", endpoint.address)
            }
            _ => format!("cannot connect: {}", tame(&error.to_string())),
        };
        Self::new(FailureKind::Connect, message)
    }

    pub(crate) fn tls(error: &io::Error) -> Self {
        let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let message = match cause {
            Some(rustls::Error::InvalidMessage(_)) => {
                "the port does not speak TLS; set prometheus.io/scheme to http".to_owned()
            }
            Some(rustls::Error::InvalidCertificate(why)) => {
                format!("the certificate is refused ({}): {}", flag::CA_FILE, tame(&why.to_string()))
            }
            _ => format!("TLS failed: {}", tame(&error.to_string())),
        };
        Self::new(FailureKind::Tls, message)
    }

    pub(crate) fn timeout(after: Duration, phase: Phase) -> Self {
        let doing = match phase {
            Phase::Connecting => "while connecting; is a network policy in the way?",
            Phase::Securing => "while agreeing on TLS",
            Phase::Waiting => "while waiting for an answer",
            Phase::Reading => "while reading the page",
            Phase::Queued => "while waiting for a turn behind other large pages",
        };
        Self::new(FailureKind::Timeout, format!("timed out after {after:?} {doing}"))
    }

    /// What the HTTP library makes of a peer's answer.
    pub(crate) fn http(error: &hyper::Error, endpoint: &Endpoint, header_limit: usize) -> Self {
        let kind = FailureKind::Protocol;
        if error.is_parse_too_large() {
            return Self::new(
                FailureKind::Limit,
                format!(
                    "the response's head is larger than {} or has more than 100 headers ({})",
                    bytes(header_limit),
                    flag::HEADER_LIMIT
                ),
            );
        }
        if error.is_parse() && is_about_head(error) {
            return Self::new(kind, format!("the answer's head is not valid: {}", tame(&error.to_string())));
        }
        if error.is_parse() {
            let advice = match endpoint.scheme {
                Scheme::Http => "; if the port speaks TLS, set prometheus.io/scheme to https",
                Scheme::Https => "",
            };
            return Self::new(kind, format!("the answer is not HTTP/1{advice}"));
        }
        if let Some(cause) = error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
            return match cause.kind() {
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    Self::new(kind, "the pod reset the connection")
                }
                io::ErrorKind::UnexpectedEof => Self::closed(),
                _ => Self::new(kind, format!("the connection broke: {}", tame(&cause.to_string()))),
            };
        }
        if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            return Self::closed();
        }
        Self::new(kind, format!("HTTP failed: {}", tame(&error.to_string())))
    }

    /// The path cannot stand in a request.
    pub(crate) fn path() -> Self {
        Self::new(
            FailureKind::Protocol,
            "the path cannot be requested; set prometheus.io/path to a path such as /metrics",
        )
    }

    fn closed() -> Self {
        Self::new(FailureKind::Protocol, "the pod closed the connection before its answer was complete")
    }

    /// Any answer but 200.
    pub(crate) fn status(response: &http::response::Parts, endpoint: &Endpoint) -> Self {
        let path = endpoint.path.split('?').next().unwrap_or_default();
        let status = response.status;
        let advice = match status {
            _ if status.is_redirection() => {
                let location = response.headers.get(LOCATION).and_then(|value| value.to_str().ok());
                let to = location.map_or_else(|| "elsewhere".to_owned(), |to| quoted(without_secrets(to)));
                format!(
                    " redirects to {to}, and redirects are not followed; set the annotations prometheus.io/scheme, /port and /path to where the page is"
                )
            }
            StatusCode::NOT_FOUND => {
                "; set prometheus.io/path, and prometheus.io/port, to where the page is".into()
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "; scrapes carry no credentials, so the page must be readable without".into()
            }
            StatusCode::BAD_REQUEST if endpoint.scheme == Scheme::Http => {
                "; if the port speaks TLS, set prometheus.io/scheme to https".into()
            }
            StatusCode::NO_CONTENT => ": no page".into(),
            _ => String::new(),
        };
        Self::new(FailureKind::HttpStatus, format!("HTTP {} from {path}{advice}", status.as_u16()))
    }

    pub(crate) fn body_limit(limit: usize) -> Self {
        Self::new(
            FailureKind::Limit,
            format!("the page is larger than {} ({})", bytes(limit), flag::BODY_LIMIT),
        )
    }

    pub(crate) fn encoding(encoding: &str) -> Self {
        let message = format!("the page is encoded as {}, which was not asked for", quoted(encoding));
        Self::new(FailureKind::Protocol, message)
    }

    pub(crate) fn inflate() -> Self {
        Self::new(FailureKind::Protocol, "the page is said to be gzip and is not")
    }

    pub(crate) fn more_than_one_member() -> Self {
        let message = "the page goes on after its first gzip member; one is all that is read";
        Self::new(FailureKind::Protocol, message)
    }

    pub(crate) fn page(error: &PageError) -> Self {
        match error {
            PageError::TooManySeries { .. } | PageError::TooManyFamilies { .. } => {
                Self::new(FailureKind::Limit, format!("{error} ({})", flag::PAGE_SERIES))
            }
            _ => Self::new(FailureKind::Page, error.to_string()),
        }
    }

    /// Lines, none of which is a sample.
    pub(crate) fn not_a_page(first: &str) -> Self {
        let message = format!("not a metrics page ({first}); is prometheus.io/path right?");
        Self::new(FailureKind::Page, message)
    }

    pub(crate) fn store_full(full: &StoreFull) -> Self {
        let flag = match full {
            StoreFull::Series(_) => flag::STORE_SERIES,
            StoreFull::Bytes(_) => flag::STORE_BYTES,
        };
        Self::new(FailureKind::Limit, format!("{full} ({flag})"))
    }

    pub(crate) fn bug() -> Self {
        Self::new(FailureKind::Page, "reading the page failed because of a bug in podgauge; please report it")
    }
}

/// Whether a first line as of HTTP/1 was there, and what came after it was wrong. The HTTP library tells only its text
/// apart.
fn is_about_head(error: &hyper::Error) -> bool {
    let text = error.to_string();
    error.is_parse_status()
        || ["HTTP header", "content-length", "transfer-encoding"].iter().any(|what| text.contains(what))
}

/// A location without its query and whoever it names before the host.
fn without_secrets(location: &str) -> &str {
    let location = location.split(['?', '#']).next().unwrap_or_default();
    match location.rsplit_once('@') {
        Some((_, host)) if location.contains("://") => host,
        _ => location,
    }
}

#[cfg(test)]
mod tests;
