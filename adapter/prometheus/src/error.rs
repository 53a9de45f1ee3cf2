//! Why a query has no answer.

use std::time::Duration;

use http::StatusCode;

/// Why a query has no answer. The message is for whoever asked, and says what to do where that is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// No connection, or one that broke.
    #[error("Prometheus cannot be reached: {0}")]
    Unreachable(String),
    /// It took too long.
    #[error("Prometheus did not answer within {} ms", limit.as_millis())]
    Timeout {
        /// How long it had.
        limit: Duration,
    },
    /// Too many others are under way.
    #[error("{most} queries to Prometheus are under way, and none ended in time (--prometheus-max-inflight)")]
    Busy {
        /// How many.
        most: usize,
    },
    /// Too many others wait already.
    #[error(
        "{most} queries to Prometheus are under way, and {waiting} wait for their turn (--prometheus-max-inflight)"
    )]
    Crowded {
        /// How many are under way.
        most: usize,
        /// How many wait.
        waiting: usize,
    },
    /// It failed too often, and is left alone for a while.
    #[error(
        "Prometheus failed {failures} times in a row, and is asked again in {} s; the last time: {last}",
        left.as_secs() + 1
    )]
    Open {
        /// How often.
        failures: u32,
        /// How long it is still left alone.
        left: Duration,
        /// What happened last.
        last: String,
    },
    /// A code that says nothing about the query.
    #[error("Prometheus answers HTTP {}{}", code.as_u16(), hint(*code, said))]
    Status {
        /// Which.
        code: StatusCode,
        /// What it said, if it is Prometheus that said it.
        said: String,
    },
    /// It is no Prometheus that answers, or only part of one.
    #[error("Prometheus' answer cannot be used: {0}")]
    Garbage(String),
    /// There is more than may be read.
    #[error("Prometheus' answer is longer than {most} bytes (--prometheus-body-limit)")]
    TooLarge {
        /// The limit.
        most: usize,
    },
    /// There are more of something than may be.
    #[error("Prometheus' answer has more than {most} {of}; make the query narrower")]
    TooMany {
        /// The limit.
        most: usize,
        /// Of what.
        of: &'static str,
    },
    /// Prometheus works, and this query does not.
    #[error("Prometheus refuses it: {0}")]
    Refused(String),
}

// === impl QueryError ===

impl QueryError {
    /// Whether another query would fare no better now: it is Prometheus that does not work, or nobody gets to it.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        !matches!(self, Self::TooLarge { .. } | Self::TooMany { .. } | Self::Refused(_))
    }

    /// The class, for metrics.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Busy { .. } | Self::Crowded { .. } => "busy",
            Self::Open { .. } => "breaker_open",
            Self::Status { .. } => "status",
            Self::Garbage(_) => "garbage",
            Self::TooLarge { .. } | Self::TooMany { .. } => "too_large",
            Self::Refused(_) => "refused",
        }
    }
}

fn hint(code: StatusCode, said: &str) -> String {
    let to_do = match code.as_u16() {
        300..=399 => "redirects are not followed, so give --prometheus-url the address that it leads to",
        401 | 403 => "see --prometheus-token-file, --prometheus-auth-config and --prometheus-header",
        404 => "see the path of --prometheus-url, to which /api/v1/query is added",
        405 => "see --prometheus-verb",
        _ => "",
    };
    match (to_do.is_empty(), said.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!(": {said}"),
        (false, true) => format!("; {to_do}"),
        (false, false) => format!(": {said}; {to_do}"),
    }
}
