//! What a request asks for: resource or not, verb, namespace, name.
//!
//! Follows `k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`, because authorization and the aggregator go by it.

use http::Method;
use percent_encoding::percent_decode_str;

/// The parsed address of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RequestInfo {
    /// The decoded path.
    pub(crate) path: String,
    /// `get`, `list`, `watch`, `create`...; for anything that is no resource the lower-case HTTP method.
    pub(crate) verb: String,
    /// The resource, if the path names one.
    pub(crate) resource: Option<ResourcePath>,
}

/// A path below `/api/v1` or `/apis/GROUP/VERSION`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ResourcePath {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) name: String,
    /// How many segments follow the subresource; what is served here has none.
    pub(crate) surplus: usize,
}

/// Decodes a query string, keeping order. Malformed UTF-8 is replaced.
pub(crate) fn query_pairs(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}

// === impl RequestInfo ===

impl RequestInfo {
    /// Parses an encoded path. `None` if it does not decode to UTF-8.
    pub(crate) fn parse(method: &Method, path: &str, query: &[(String, String)]) -> Option<Self> {
        let path = percent_decode_str(path).decode_utf8().ok()?.into_owned();
        let resource = ResourcePath::parse(&path);
        let verb = match &resource {
            None => method.as_str().to_ascii_lowercase(),
            Some(resource) => resource_verb(method, resource, query).to_owned(),
        };
        Some(Self { path, verb, resource })
    }
}

// === impl ResourcePath ===

impl ResourcePath {
    fn parse(path: &str) -> Option<Self> {
        let mut segments = path.trim_matches('/').split('/');
        let (group, version) = match segments.next()? {
            "api" => ("", segments.next()?),
            "apis" => (segments.next()?, segments.next()?),
            _ => return None,
        };
        let mut rest: Vec<&str> = segments.collect();
        if rest.is_empty() || path.contains("//") {
            return None;
        }
        let mut namespace = "";
        if let ["namespaces", in_namespace, below @ ..] = rest.as_slice() {
            namespace = in_namespace;
            if !matches!(below, [] | ["status" | "finalize", ..]) {
                rest = below.to_vec();
            }
        }
        let segment = |index: usize| rest.get(index).copied().unwrap_or_default().to_owned();
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            namespace: namespace.to_owned(),
            resource: segment(0),
            name: segment(1),
            subresource: segment(2),
            surplus: rest.len().saturating_sub(3),
        })
    }
}

fn resource_verb(method: &Method, resource: &ResourcePath, query: &[(String, String)]) -> &'static str {
    let named = !resource.name.is_empty();
    let watches =
        || query.iter().any(|(key, value)| key == "watch" && matches!(value.as_str(), "true" | "1"));
    match *method {
        Method::GET | Method::HEAD if named => "get",
        Method::GET | Method::HEAD if watches() => "watch",
        Method::GET | Method::HEAD => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_parse_as_upstreams() {
        let check = |method: Method, target: &str, expected: &str| {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let info = RequestInfo::parse(&method, path, &query_pairs(query)).unwrap();
            let found = match &info.resource {
                None => format!("{} {}", info.verb, info.path),
                Some(r) => format!(
                    "{} g={} v={} ns={} r={} n={} s={}",
                    info.verb, r.group, r.version, r.namespace, r.resource, r.name, r.subresource
                ),
            };
            assert_eq!(found, expected, "{method} {target}");
        };
        let custom = "/apis/custom.metrics.k8s.io/v1beta2";
        let g = "g=custom.metrics.k8s.io v=v1beta2";
        check(Method::GET, custom, "get /apis/custom.metrics.k8s.io/v1beta2");
        check(
            Method::GET,
            &format!("{custom}/namespaces/ns/pods/%2A/m"),
            &format!("get {g} ns=ns r=pods n=* s=m"),
        );
        check(
            Method::GET,
            &format!("{custom}/namespaces/ns/metrics/m"),
            &format!("get {g} ns=ns r=metrics n=m s="),
        );
        check(Method::GET, &format!("{custom}/nodes/n1/m"), &format!("get {g} ns= r=nodes n=n1 s=m"));
        check(Method::GET, "/api/v1/pods?watch=true", "watch g= v=v1 ns= r=pods n= s=");
        check(Method::GET, "/api/v1/pods/?watch=0", "list g= v=v1 ns= r=pods n= s=");
        check(Method::POST, "/api/v1/namespaces", "create g= v=v1 ns= r=namespaces n= s=");
        check(Method::DELETE, "/api/v1/namespaces/x", "delete g= v=v1 ns=x r=namespaces n=x s=");
        check(Method::PUT, "/api/v1/namespaces/x/status", "update g= v=v1 ns=x r=namespaces n=x s=status");
        check(Method::DELETE, "/api/v1/namespaces/x/pods", "deletecollection g= v=v1 ns=x r=pods n= s=");
        check(Method::POST, "/livez/ping", "post /livez/ping");
        check(Method::GET, "/", "get /");
    }

    #[test]
    fn queries_decode() {
        let pairs = query_pairs("labelSelector=app%3Dweb%2Cx+in+(a)&watch&=1&&a=b=c");
        let expected = [("labelSelector", "app=web,x in (a)"), ("watch", ""), ("", "1"), ("a", "b=c")];
        assert_eq!(pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(RequestInfo::parse(&Method::GET, "/%ff", &[]), None);
    }
}
