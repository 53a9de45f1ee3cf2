//! A response's body, and the permit that it holds.
//!
//! The permit goes with the bytes, through the HTTP library's buffers, until they are written or thrown
//! away with their stream: what peers do not read is bounded by the permits that there are.

use bytes::{Buf, Bytes};
use http_body_util::Full;

use crate::pools::Permit;

/// A body in one piece.
pub(crate) type Body = Full<Held>;

/// Bytes and what they hold.
pub(crate) struct Held {
    bytes: Bytes,
    _permit: Option<Permit>,
}

/// An empty body lets its permit go at once.
pub(crate) fn new(bytes: Bytes, permit: Option<Permit>) -> Body {
    Full::new(Held { bytes, _permit: permit })
}

// === impl Held ===

impl Buf for Held {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}
