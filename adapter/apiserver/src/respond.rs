//! Turning outcomes into responses, and the headers that every response has.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};

use crate::{api::Query, etag::Tagged, negotiate, pretty, status::Status, yaml};

/// A complete response.
pub(crate) type Reply = Response<Bytes>;

/// The content type of every document but two.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The content type of those that are asked for as YAML.
const YAML: HeaderValue = HeaderValue::from_static("application/yaml");
/// The content type of aggregated discovery.
pub(crate) const DISCOVERY: HeaderValue =
    HeaderValue::from_static("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
/// Longer audit IDs are not echoed (apiserver's `audit.maxAuditIDLength`).
const MAX_AUDIT_ID_BYTES: usize = 64;

/// Marks a response whose bytes must stay as they are: its ETag speaks of them.
#[derive(Clone, Copy)]
struct Verbatim;

/// Marks a response that has no other form.
#[derive(Clone, Copy)]
struct JsonAlone;

/// 200 with a document, in JSON until [`finish`].
pub(crate) fn json(document: Vec<u8>) -> Reply {
    reply(StatusCode::OK, JSON, document)
}

/// 200 with a JSON document, written as YAML.
pub(crate) fn yaml(document: Vec<u8>) -> Reply {
    match yaml::from_json(&document) {
        Some(yaml) => reply(StatusCode::OK, YAML, yaml),
        None => json(document),
    }
}

/// 200 with a table.
pub(crate) fn table(document: Vec<u8>) -> Reply {
    let mut reply = json(document);
    reply.extensions_mut().insert(JsonAlone);
    reply
}

/// Text for people or for Prometheus.
pub(crate) fn text(code: StatusCode, content_type: &'static str, body: String) -> Reply {
    let mut reply = reply(code, HeaderValue::from_static(content_type), body);
    reply.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

/// The failure as its document.
pub(crate) fn status(status: &Status) -> Reply {
    let mut reply = reply(status.code, JSON, status.to_json());
    match status.code {
        StatusCode::FORBIDDEN => {
            let nosniff = HeaderValue::from_static("nosniff");
            reply.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
        }
        // No Retry-After anywhere: client-go would sleep that long up to ten times while it holds one of
        // the autoscaler's few workers.
        _ => {}
    }
    reply
}

/// A document with its ETag; 304 when the caller has it.
pub(crate) fn tagged(document: &Tagged, content_type: HeaderValue, request: &HeaderMap) -> Reply {
    let known = document.is_known(request);
    let (code, body) = if known {
        (StatusCode::NOT_MODIFIED, Bytes::new())
    } else {
        (StatusCode::OK, document.body.clone())
    };
    let mut reply = reply(code, content_type, body);
    if known {
        reply.headers_mut().remove(header::CONTENT_TYPE);
    }
    reply.headers_mut().insert(header::ETAG, document.etag());
    reply.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    reply.extensions_mut().insert(Verbatim);
    reply
}

/// 301, only to a path of our own.
pub(crate) fn moved(to: &str) -> Reply {
    let mut reply = reply(StatusCode::MOVED_PERMANENTLY, JSON, Bytes::new());
    if let Ok(to) = HeaderValue::from_str(to) {
        reply.headers_mut().insert(header::LOCATION, to);
    }
    reply
}

/// Adds what every response has, in the shape that the caller likes.
pub(crate) fn finish(reply: &mut Reply, method: &Method, request: &HeaderMap, query: Option<&Query>) {
    let is_json = reply.headers().get(header::CONTENT_TYPE) == Some(&JSON);
    if is_json && !reply.body().is_empty() && reply.extensions().get::<Verbatim>().is_none() {
        let is_yaml = reply.extensions().get::<JsonAlone>().is_none() && negotiate::prefers_yaml(request);
        if let Some(document) = is_yaml.then(|| yaml::from_json(reply.body())).flatten() {
            *reply.body_mut() = document.into();
            reply.headers_mut().insert(header::CONTENT_TYPE, YAML);
        } else {
            let compact = std::mem::take(reply.body_mut());
            let mut document =
                if wants_pretty(request, query) { pretty::indent(&compact) } else { Vec::from(compact) };
            document.push(b'\n');
            *reply.body_mut() = document.into();
        }
    }
    if method == Method::HEAD {
        *reply.body_mut() = Bytes::new();
    }
    let headers = reply.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
    if let Some(id) = request.get(AUDIT_ID).filter(|id| id.len() <= MAX_AUDIT_ID_BYTES) {
        headers.insert(AUDIT_ID, id.clone());
    }
}

fn reply(code: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(body.into());
    *reply.status_mut() = code;
    reply.headers_mut().insert(header::CONTENT_TYPE, content_type);
    reply
}

/// `pretty` says so, or the caller is one that people look at.
fn wants_pretty(request: &HeaderMap, query: Option<&Query>) -> bool {
    if let Some(value) = query.and_then(|query| query.value("pretty")) {
        return matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True");
    }
    let agent = request.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    ["curl", "Wget", "Mozilla/5.0"].iter().any(|prefix| agent.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pretty_is_asked_for() {
        for (agent, query, expected) in [
            ("", "", false),
            ("kubectl/v1.36", "", false),
            ("curl/8.0", "", true),
            ("Wget/1", "", true),
            ("Mozilla/5.0 (X11)", "", true),
            ("Mozilla/4.0", "", false),
            ("curl/8.0", "false", false),
            ("curl/8.0", "maybe", false),
            ("", "1", true),
            ("", "true", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::USER_AGENT, agent.parse().unwrap());
            let query = Query(vec![("pretty".to_owned(), query.to_owned())]);
            assert_eq!(wants_pretty(&headers, Some(&query)), expected, "{agent:?} {query:?}");
        }
    }
}
