//! Which trace something belongs to: W3C Trace Context, version 00 (w3.org/TR/trace-context).
//!
//! `tracestate` is not carried on: nothing here reads or writes an entry of it.

use std::fmt::{self, Display};
use std::str::FromStr;
use thiserror::Error;

/// Names a span and the trace that it is part of. Written and read as the value of `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace, not 0.
    pub trace: TraceId,
    /// The span, not 0.
    pub span: SpanId,
    /// Whether whoever began the trace keeps it.
    pub sampled: bool,
}

/// Names a trace; shown as 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub u128);

/// Names a span; shown as 16 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId(pub u64);

/// A text is no `traceparent`, and a new trace is to be begun.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a traceparent of W3C Trace Context")]
pub struct InvalidTraceparent;

/// The length of version 00.
const LENGTH: usize = 55;

// === impl TraceContext ===

impl FromStr for TraceContext {
    type Err = InvalidTraceparent;

    /// Reads version 00 strictly, and of later versions the part that they have in common with it, as the
    /// specification asks (4.3).
    fn from_str(text: &str) -> Result<Self, InvalidTraceparent> {
        read(text).ok_or(InvalidTraceparent)
    }
}

impl Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

impl Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

fn read(text: &str) -> Option<TraceContext> {
    let (known, later) = text.split_at_checked(LENGTH)?;
    let mut parts = known.split('-');
    let version = hex(parts.next()?, 2)?;
    let trace = TraceId(hex(parts.next()?, 32)?);
    let span = SpanId(u64::try_from(hex(parts.next()?, 16)?).ok()?);
    let flags = hex(parts.next()?, 2)?;
    let whole = match version {
        0 => later.is_empty(),
        // Forbidden by the specification.
        0xff => false,
        _ => later.is_empty() || later.starts_with('-'),
    };
    let valid = parts.next().is_none() && whole && trace.0 != 0 && span.0 != 0;
    valid.then_some(TraceContext { trace, span, sampled: flags & 1 == 1 })
}

/// Exactly so many lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let valid = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    valid.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn traceparents_are_read() {
        let context = |sampled| {
            let (trace, span) =
                (TraceId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736), SpanId(0x00f0_67aa_0ba9_02b7));
            Some(TraceContext { trace, span, sampled })
        };
        let cases = [
            (format!("00-{TRACE}-{SPAN}-01"), context(true)),
            (format!("00-{TRACE}-{SPAN}-00"), context(false)),
            (format!("00-{TRACE}-{SPAN}-03"), context(true)),
            (format!("cc-{TRACE}-{SPAN}-01"), context(true)),
            (format!("cc-{TRACE}-{SPAN}-01-what-comes-later"), context(true)),
            (format!("cc-{TRACE}-{SPAN}-01x"), None),
            (format!("ff-{TRACE}-{SPAN}-01"), None),
            (format!("00-{TRACE}-{SPAN}-01-"), None),
            (format!("00-{TRACE}-{SPAN}-1"), None),
            (format!("00-{TRACE}-{SPAN}"), None),
            (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), None),
            (format!("00-{}-{SPAN}-01", "0".repeat(32)), None),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), None),
            (format!("00-{TRACE}_{SPAN}-01"), None),
            (format!("00-+{}-{SPAN}-01", &TRACE[1..]), None),
            (format!(" 00-{TRACE}-{SPAN}-01"), None),
            (String::new(), None),
            ("é".repeat(40), None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(trace in 1_u128.., span in 1_u64.., sampled: bool) {
            let context = TraceContext { trace: TraceId(trace), span: SpanId(span), sampled };
            prop_assert_eq!(context.to_string().parse(), Ok(context));
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = text.parse::<TraceContext>();
        }
    }
}
