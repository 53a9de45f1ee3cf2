//! Turning outcomes into responses, and the headers that every response has.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};

use crate::{
    api::Query,
    etag::Tagged,
    negotiate::{self, Encoding, Form, View},
    pretty,
    protobuf::{self, Message},
    status::Status,
    yaml,
};

/// A complete response.
pub(crate) type Reply = Response<Bytes>;

/// The content type of most documents.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static(Encoding::Json.media_type());

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
/// Longer audit IDs are not echoed (apiserver's `audit.maxAuditIDLength`).
const MAX_AUDIT_ID_BYTES: usize = 64;

/// Marks a response whose bytes must stay as they are: its ETag speaks of them.
#[derive(Clone, Copy)]
struct Verbatim;

/// Marks a response that [`finish`] writes as the caller likes it best; with the message, if it has a form in protobuf.
#[derive(Clone, Copy)]
struct AnyEncoding(Option<&'static Message>);

/// 200 with a JSON document, of this message in protobuf.
pub(crate) fn document(document: Vec<u8>, message: Option<&'static Message>) -> Reply {
    let mut reply = reply(StatusCode::OK, JSON, document);
    reply.extensions_mut().insert(AnyEncoding(message));
    reply
}

/// 200 with a JSON document, written in `encoding` if it can be.
pub(crate) fn encoded(document: Vec<u8>, encoding: Encoding, message: Option<&Message>) -> Reply {
    let (encoding, body) = encode(document, encoding, message);
    reply(StatusCode::OK, HeaderValue::from_static(encoding.media_type()), body)
}

/// The `APIGroupDiscoveryList` of this version, with its ETag.
pub(crate) fn discovery(document: Vec<u8>, version: &str, encoding: Encoding, request: &HeaderMap) -> Reply {
    let (encoding, body) = encode(document, encoding, Some(&protobuf::API_GROUP_DISCOVERY_LIST));
    let media_type = encoding.media_type();
    let content_type = format!("{media_type};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
    let content_type = content_type.try_into().expect("these are words of ours");
    tagged(&Tagged::new(body), content_type, request)
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
    reply.extensions_mut().insert(AnyEncoding(Some(&protobuf::STATUS)));
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

/// Adds what every response has, in the form that the caller likes.
pub(crate) fn finish(
    reply: &mut Reply,
    method: &Method,
    request: &HeaderMap,
    forms: &[Form],
    query: Option<&Query>,
) {
    let is_json = reply.headers().get(header::CONTENT_TYPE) == Some(&JSON);
    if is_json && !reply.body().is_empty() && reply.extensions().get::<Verbatim>().is_none() {
        let json = Vec::from(std::mem::take(reply.body_mut()));
        let (encoding, mut document) = match reply.extensions().get() {
            Some(AnyEncoding(message)) => {
                let preferred = negotiate::encoding_of(View::Object, forms, message.is_some());
                encode(json, preferred.unwrap_or(Encoding::Json), *message)
            }
            None => (Encoding::Json, json),
        };
        if encoding == Encoding::Json {
            if wants_pretty(request, query) {
                document = pretty::indent(&document);
            }
            document.push(b'\n');
        }
        *reply.body_mut() = document.into();
        let content_type = HeaderValue::from_static(encoding.media_type());
        reply.headers_mut().insert(header::CONTENT_TYPE, content_type);
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

/// A JSON document in another encoding, and as it is where it has no such form.
fn encode(document: Vec<u8>, encoding: Encoding, message: Option<&Message>) -> (Encoding, Vec<u8>) {
    let encoded = match encoding {
        Encoding::Json => None,
        Encoding::Yaml => yaml::from_json(&document),
        Encoding::Protobuf => message.and_then(|message| protobuf::from_json(&document, message)),
    };
    encoded.map_or((Encoding::Json, document), |encoded| (encoding, encoded))
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
