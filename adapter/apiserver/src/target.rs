//! A request's URL, decoded once and within limits.
//!
//! Everything behind this works on decoded text: the path is decoded before it is split, so an encoded
//! slash separates like any other, for routing and for authorization alike.

use http::{StatusCode, Uri};

use crate::{
    api::Query,
    config::LimitsConfig,
    status::{Reason, Status},
};

/// A decoded URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The whole path, with its leading slash.
    pub(crate) path: String,
    /// Every parameter, in the order sent.
    pub(crate) query: Query,
}

// === impl Target ===

impl Target {
    /// Decodes `uri`.
    ///
    /// A badly encoded parameter is refused. Upstream drops it, and so answers for more objects than
    /// were asked for when it was a selector.
    ///
    /// # Errors
    /// 414 when a part exceeds its limit, 400 when it is not percent-encoded UTF-8.
    pub(crate) fn parse(uri: &Uri, limits: &LimitsConfig) -> Result<Self, Status> {
        let query = uri.query().unwrap_or_default();
        check_length("path", uri.path().len(), limits.max_path_bytes)?;
        check_length("query", query.len(), limits.max_query_bytes)?;
        let path = decode(uri.path(), false)
            .ok_or_else(|| Status::bad_request("the path is not percent-encoded UTF-8"))?;
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(key), Some(value)) = (decode(key, true), decode(value, true)) else {
                return Err(Status::bad_request("a query parameter is not percent-encoded UTF-8"));
            };
            pairs.push((key, value));
        }
        Ok(Self { path, query: Query(pairs) })
    }

    /// The path's segments; one trailing slash does not count.
    ///
    /// `None` when a segment is empty: no route has a double slash in it.
    pub(crate) fn segments(&self) -> Option<Vec<&str>> {
        let path = self.path.strip_prefix('/')?;
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() {
            return Some(Vec::new());
        }
        let segments: Vec<&str> = path.split('/').collect();
        segments.iter().all(|segment| !segment.is_empty()).then_some(segments)
    }
}

fn check_length(what: &str, length: usize, limit: usize) -> Result<(), Status> {
    if length <= limit {
        return Ok(());
    }
    let message = format!("the {what} has {length} bytes, this server reads at most {limit}");
    Err(Status { code: StatusCode::URI_TOO_LONG, ..Status::new(Reason::RequestEntityTooLarge, message) })
}

/// Percent-decodes, with `+` as a blank in a form.
fn decode(text: &str, form: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' if form => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path and the parameters, or the code of the refusal.
    type Decoded<'a> = Result<(&'a str, &'a [(&'a str, &'a str)]), u16>;

    fn check(uri: &str, expected: Decoded<'_>) {
        let limits = LimitsConfig { max_path_bytes: 40, max_query_bytes: 20, ..LimitsConfig::default() };
        let found = Target::parse(&uri.parse().unwrap(), &limits);
        let found = match &found {
            Ok(target) => {
                let pairs: Vec<_> = target.query.0.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
                Ok((target.path.as_str(), pairs))
            }
            Err(status) => Err(status.code.as_u16()),
        };
        assert_eq!(found, expected.map(|(path, pairs)| (path, pairs.to_vec())), "{uri}");
    }

    #[test]
    fn decoding() {
        check("/", Ok(("/", &[])));
        check("/a/%2A/b", Ok(("/a/*/b", &[])));
        check("/a%2fb+c", Ok(("/a/b+c", &[])));
        check("/%c3%a9", Ok(("/é", &[])));
        check("/a?x=app%3Dweb&y&&=z", Ok(("/a", &[("x", "app=web"), ("y", ""), ("", "z")])));
        check("/a?x=1+2&x=b=c;d", Ok(("/a", &[("x", "1 2"), ("x", "b=c;d")])));
        check("https://host/a?b", Ok(("/a", &[("b", "")])));
        check("/%zz", Err(400));
        check("/%2", Err(400));
        check("/%ff", Err(400));
        check("/a?x=%", Err(400));
        check("/a?%ff=x", Err(400));
        check("/01234567890123456789012345678901234567890", Err(414));
        check("/?01234567890123456789x", Err(414));
    }

    #[test]
    fn segments() {
        for (path, expected) in [
            ("/", Some(vec![])),
            ("/a", Some(vec!["a"])),
            ("/a/", Some(vec!["a"])),
            ("/a/b", Some(vec!["a", "b"])),
            ("/a//", None),
            ("/a//b", None),
            ("//a", None),
            ("*", None),
            ("", None),
        ] {
            let target = Target { path: path.to_owned(), query: Query::default() };
            assert_eq!(target.segments(), expected, "{path}");
        }
    }
}
