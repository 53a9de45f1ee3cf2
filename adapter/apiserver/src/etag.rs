//! Documents that clients keep and ask for again: a strong ETag from their bytes.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use ring::digest;

use crate::x509;

/// A document and the hash of its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Tagged {
    pub(crate) body: Bytes,
    /// Upper-case hex, without quotes.
    pub(crate) hash: String,
}

// === impl Tagged ===

impl Tagged {
    pub(crate) fn new(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let hash = x509::hex(digest::digest(&digest::SHA256, &body).as_ref()).to_ascii_uppercase();
        Self { body, hash }
    }

    /// The quoted form, as `ETag` has it.
    pub(crate) fn etag(&self) -> HeaderValue {
        HeaderValue::try_from(format!("\"{}\"", self.hash)).expect("hex is a legal header value")
    }

    /// Whether the caller says that it has these bytes already.
    pub(crate) fn is_known(&self, headers: &HeaderMap) -> bool {
        let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
        tags.any(|tag| tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) == Some(&self.hash))
    }
}
