//! Hands a user's request on to the backend of its group and version.

use super::{Aggregator, api_services, identity, is_available};
use crate::apiserver::Core;
use crate::apiserver::call::Call;
use crate::apiserver::respond::{self, Answer};
use crate::apiserver::status::Status;
use crate::apiserver::store::Key;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What Go's `net/url` leaves alone in a path. Note that `*` is not among it.
const PATH: &AsciiSet = &QUERY
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');
/// What it leaves alone in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What concerns one connection only and is not handed on.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

impl Aggregator {
    /// Answers with what the backend answers; 503 in plain text if there is none to ask.
    pub(crate) async fn proxy(
        &self,
        core: &Core,
        call: &Call,
        group: &str,
        version: &str,
    ) -> Result<Answer, Status> {
        let key = Key::new("", format!("{version}.{group}"));
        let service = core.registry.store.get(api_services(), &key).ok_or_else(Status::no_route)?;
        if !is_available(&service) {
            return Ok(respond::text(503, "service unavailable\n"));
        }
        let client = match self.client(core, &service["spec"]) {
            Ok(client) => client,
            Err(unavailable) => return Ok(respond::text(503, format!("{}\n", unavailable.message))),
        };
        let mut request = Request::new(call.body.clone());
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = target(call)
            .parse()
            .map_err(|error| Status::bad_request(format!("the path cannot be handed on: {error}")))?;
        *request.headers_mut() = headers(core, call);
        let is_discovery = call.info.resource.is_none();
        let timeout = if is_discovery { core.config.probe_timeout } else { core.config.proxy_timeout };
        match tokio::time::timeout(timeout, client.open(request)).await {
            Ok(Ok(answer)) => hand_back(answer),
            Ok(Err(error)) => Ok(respond::text(503, format!("error trying to reach service: {error}\n"))),
            Err(_) if is_discovery => {
                Ok(respond::text(503, "error trying to reach service: no answer in time\n"))
            }
            Err(_) => Err(Status::with_code(504, "the backend did not answer in time")),
        }
    }
}

/// The path and query as Go writes them: decoded and encoded anew, parameters sorted by name.
fn target(call: &Call) -> String {
    let mut target = utf8_percent_encode(&call.info.path, PATH).to_string();
    let mut parameters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (key, value) in &call.query {
        // Go drops a pair with a bare semicolon; an encoded one has been decoded by now and is rare enough to go too.
        if !key.contains(';') && !value.contains(';') {
            parameters.entry(key).or_default().push(value);
        }
    }
    let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string().replace("%20", "+");
    let mut separator = '?';
    for (key, values) in parameters {
        for value in values {
            // Writing to a String cannot fail.
            let _ = write!(target, "{separator}{}={}", encode(key), encode(value));
            separator = '&';
        }
    }
    target
}

fn headers(core: &Core, call: &Call) -> HeaderMap {
    let mut headers = call.headers.clone();
    let dropped = [header::AUTHORIZATION, header::HOST, header::CONTENT_LENGTH].into_iter().chain(HOP_BY_HOP);
    for name in dropped {
        headers.remove(name);
    }
    let impersonation: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("impersonate-")).cloned().collect();
    for name in impersonation {
        headers.remove(name);
    }
    identity::set(&mut headers, &call.user);
    let host = call.headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    let host = host.or_else(|| call.uri.authority().map(|authority| authority.to_string()));
    let forwarded = [
        ("x-forwarded-host", host.unwrap_or_default()),
        ("x-forwarded-uri", utf8_percent_encode(&call.info.path, PATH).to_string()),
        ("x-forwarded-proto", "https".to_owned()),
    ];
    for (name, value) in forwarded {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    if let Ok(peer) = HeaderValue::from_str(&call.peer.ip().to_string()) {
        headers.append("x-forwarded-for", peer);
    }
    if !headers.contains_key("audit-id")
        && let Ok(id) = HeaderValue::from_str(&core.registry.uuid())
    {
        headers.insert("audit-id", id);
    }
    headers
}

fn hand_back(answer: Response<hyper::body::Incoming>) -> Result<Answer, Status> {
    let (mut head, body) = answer.into_parts();
    if head.status.is_redirection() && head.headers.contains_key(header::LOCATION) {
        let message = "the backend attempted to redirect this request, which is not permitted";
        return Err(Status::with_code(502, message));
    }
    for name in HOP_BY_HOP {
        head.headers.remove(name);
    }
    Ok(Response::from_parts(head, body.map_err(Into::into).boxed_unsync()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::request_info::{RequestInfo, query_pairs};
    use crate::apiserver::user::User;
    use http::{Method, Uri};

    #[test]
    fn targets_are_written_as_go_writes_them() {
        let check = |asked: &str, expected: &str| {
            let uri: Uri = asked.parse().unwrap();
            let query = query_pairs(uri.query().unwrap_or_default());
            let info = RequestInfo::parse(&Method::GET, uri.path(), &query).unwrap();
            let call = Call {
                method: Method::GET,
                uri,
                query,
                headers: HeaderMap::new(),
                info,
                user: User::anonymous(),
                body: bytes::Bytes::new(),
                peer: "127.0.0.1:1".parse().unwrap(),
            };
            assert_eq!(target(&call), expected);
        };
        check("/apis/g/v1/namespaces/a/pods/*/m", "/apis/g/v1/namespaces/a/pods/%2A/m");
        check("/apis/g/v1/pods/%2A/m/", "/apis/g/v1/pods/%2A/m/");
        check("/a/%20(b)?z=1&a=x,y+z&watch&z=0", "/a/%20%28b%29?a=x%2Cy+z&watch=&z=1&z=0");
        check("/a?labelSelector=app%3Dweb", "/a?labelSelector=app%3Dweb");
    }
}
