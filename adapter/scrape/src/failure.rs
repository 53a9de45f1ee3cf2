//! Why a scrape failed, in the words that `kubectl describe hpa` will show.
//!
//! Each message is one line for the pod's owner: what happened, and what to change. Text from outside is tamed, and a
//! path is named without its query, in which there may be a secret.

use std::{io, time::Duration};

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

    /// The connection broke.
    pub(crate) fn broken(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Self::new(FailureKind::Protocol, "the pod reset the connection")
            }
            io::ErrorKind::UnexpectedEof => Self::closed(),
            _ => Self::new(
                FailureKind::Protocol,
                format!("the connection broke: {}", tame(&error.to_string())),
            ),
        }
    }

    pub(crate) fn closed() -> Self {
        Self::new(FailureKind::Protocol, "the pod closed the connection before its answer was complete")
    }

    /// The answer does not begin as one does.
    pub(crate) fn not_http(endpoint: &Endpoint) -> Self {
        let advice = match endpoint.scheme {
            Scheme::Http => "; if the port speaks TLS, set prometheus.io/scheme to https",
            Scheme::Https => "",
        };
        Self::new(FailureKind::Protocol, format!("the answer is not HTTP/1{advice}"))
    }

    /// The answer begins as one does, and does not go on so.
    pub(crate) fn head(what: &str) -> Self {
        Self::new(FailureKind::Protocol, format!("the answer's head is not valid: {what}"))
    }

    pub(crate) fn head_limit(limit: usize) -> Self {
        let message = format!(
            "the response's head is larger than {} or has more than 100 headers ({})",
            bytes(limit),
            flag::HEADER_LIMIT
        );
        Self::new(FailureKind::Limit, message)
    }

    pub(crate) fn chunks() -> Self {
        Self::new(FailureKind::Protocol, "the answer is said to come in chunks and does not")
    }

    /// The path cannot stand in a request.
    pub(crate) fn path() -> Self {
        Self::new(
            FailureKind::Protocol,
            "the path cannot be requested; set prometheus.io/path to a path such as /metrics",
        )
    }

    /// Any answer but 200.
    pub(crate) fn status(code: u16, location: Option<&str>, endpoint: &Endpoint) -> Self {
        let path = endpoint.path.split('?').next().unwrap_or_default();
        let advice = match code {
            300..400 => {
                let to = location.map_or_else(|| "elsewhere".to_owned(), |to| quoted(without_secrets(to)));
                format!(
                    " redirects to {to}, and redirects are not followed; set the annotations prometheus.io/scheme, /port and /path to where the page is"
                )
            }
            404 => "; set prometheus.io/path, and prometheus.io/port, to where the page is".into(),
            401 | 403 => "; scrapes carry no credentials, so the page must be readable without".into(),
            400 if endpoint.scheme == Scheme::Http => {
                "; if the port speaks TLS, set prometheus.io/scheme to https".into()
            }
            204 => ": no page".into(),
            _ => String::new(),
        };
        Self::new(FailureKind::HttpStatus, format!("HTTP {code} from {path}{advice}"))
    }

    pub(crate) fn body_limit(limit: usize) -> Self {
        Self::new(
            FailureKind::Limit,
            format!("the page is larger than {} ({})", bytes(limit), flag::BODY_LIMIT),
        )
    }

    /// Rules look at more text than each of them at all of a page.
    pub(crate) fn pored_over() -> Self {
        let message = "metricRelabelings look at more text than each of them at the whole page; name fewer sourceLabels";
        Self::new(FailureKind::Limit, message)
    }

    /// Rules make more text of a page than a page may have.
    pub(crate) fn relabeled(limit: usize) -> Self {
        let message =
            format!("metricRelabelings make more than {} of it ({})", bytes(limit), flag::BODY_LIMIT);
        Self::new(FailureKind::Limit, message)
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
