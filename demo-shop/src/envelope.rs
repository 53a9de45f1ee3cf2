//! What the store writes on a message beside the order itself, and the worker reads: who it is, when it was
//! submitted, and which trace it belongs to.
//!
//! Messages of others (an older store, a person at a console) lack some of it; a worker takes them all the same.

use crate::stomp::Frame;
use crate::trace::TraceContext;
use std::time::Duration;

/// The header with the order's name.
pub const ORDER_ID: &str = "order-id";

/// The header with the time of submission, in milliseconds since 1970 by the store's clock.
pub const SUBMITTED_AT: &str = "submitted-at";

/// The header with the trace, as W3C Trace Context for messages has it.
pub const TRACEPARENT: &str = "traceparent";

/// Where and when an order came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// When it was submitted, in milliseconds since 1970.
    pub submitted_ms: Option<u64>,
    /// What its worker's span is part of.
    pub trace: Option<TraceContext>,
}

const LONGEST_WAIT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

// === impl Origin ===

impl Origin {
    /// Writes it on a message.
    #[must_use]
    pub fn stamp(&self, mut message: Frame) -> Frame {
        if let Some(ms) = self.submitted_ms {
            message = message.with(SUBMITTED_AT, ms.to_string());
        }
        match self.trace {
            Some(trace) => message.with(TRACEPARENT, trace.to_string()),
            None => message,
        }
    }

    /// Reads what is on a message; what cannot be read counts as missing.
    pub fn read(message: &Frame) -> Self {
        Self {
            submitted_ms: message.header(SUBMITTED_AT).and_then(|text| text.parse().ok()),
            trace: message.header(TRACEPARENT).and_then(|text| text.parse().ok()),
        }
    }

    /// How long it waited until `now_ms`. A store whose clock is ahead of the worker's gives 0. More than 30 days is
    /// no wait but a clock that was never set, and counts as missing: it would spoil every mean.
    pub fn waited(&self, now_ms: u64) -> Option<Duration> {
        let waited = Duration::from_millis(now_ms.saturating_sub(self.submitted_ms?));
        (waited <= LONGEST_WAIT).then_some(waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stomp::Command;

    #[test]
    fn what_is_written_is_read_again() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok();
        for origin in [Origin::default(), Origin { submitted_ms: Some(7), trace }] {
            assert_eq!(Origin::read(&origin.stamp(Frame::new(Command::Send))), origin);
        }
    }

    #[test]
    fn nonsense_counts_as_missing() {
        for text in ["", "-1", "soon", "99999999999999999999999", "00-00-00-00"] {
            let message = Frame::new(Command::Message).with(SUBMITTED_AT, text).with(TRACEPARENT, text);
            assert_eq!(Origin::read(&message), Origin::default(), "{text}");
        }
    }

    #[test]
    fn waiting_is_neither_negative_nor_longer_than_it_can_be() {
        let origin = Origin { submitted_ms: Some(5000), trace: None };
        assert_eq!(origin.waited(7500), Some(Duration::from_millis(2500)));
        assert_eq!(origin.waited(4000), Some(Duration::ZERO));
        assert_eq!(origin.waited(1_700_000_000_000), None);
        assert_eq!(Origin::default().waited(1), None);
    }
}
