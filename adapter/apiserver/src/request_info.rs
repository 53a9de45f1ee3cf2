//! What a request is about, for authorization: kube-apiserver's `RequestInfo`.
//!
//! The rules are those of apiserver's `pkg/endpoints/request/requestinfo.go`, so that a role means the
//! same here as it does one hop before.

use http::Method;

use crate::api::{Attributes, Query};

/// What is to be authorized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestInfo {
    /// A resource.
    Resource(Attributes),
    /// Any other path.
    Path {
        /// The method in lower case.
        verb: String,
        /// The decoded path, as sent.
        path: String,
    },
}

// === impl RequestInfo ===

impl RequestInfo {
    pub(crate) fn parse(method: &Method, path: &str, query: &Query) -> Self {
        match attributes(method, path, query) {
            Some(attributes) => Self::Resource(attributes),
            None => Self::Path { verb: method.as_str().to_ascii_lowercase(), path: path.to_owned() },
        }
    }
}

/// The attributes of a resource request, or `None` for any other path.
fn attributes(method: &Method, path: &str, query: &Query) -> Option<Attributes> {
    let all: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, version, mut parts) = match all.as_slice() {
        ["api", version, parts @ ..] if !parts.is_empty() => ("", *version, parts),
        ["apis", group, version, parts @ ..] if !parts.is_empty() => (*group, *version, parts),
        _ => return None,
    };
    let mut verb = verb_of(method);
    // The verb as a path prefix, from before `?watch=`: no route answers it any more, but it is
    // authorized by what it says.
    if let ["proxy" | "watch", rest @ ..] = parts {
        if rest.is_empty() {
            return None;
        }
        verb = if parts.first() == Some(&"watch") { "watch" } else { "proxy" };
        parts = rest;
    }
    let mut namespace = None;
    if let ["namespaces", name, rest @ ..] = parts {
        namespace = Some(*name);
        if rest.first().is_some_and(|first| !matches!(*first, "status" | "finalize")) {
            parts = rest;
        }
    }
    let part = |index: usize| parts.get(index).copied().unwrap_or_default();
    let mut name = part(1).to_owned();
    let subresource = if verb == "proxy" { "" } else { part(2) };
    if name.is_empty() && verb == "get" {
        verb = if is_watch(query) { "watch" } else { "list" };
        name = query.value("fieldSelector").and_then(exact_name).unwrap_or_default();
    } else if name.is_empty() && verb == "delete" {
        verb = "deletecollection";
    }
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Some(Attributes {
        verb,
        group: group.to_owned(),
        version: version.to_owned(),
        namespace: namespace.and_then(some),
        resource: part(0).to_owned(),
        name: some(&name),
        subresource: some(subresource),
    })
}

fn verb_of(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" | "HEAD" => "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    }
}

/// apimachinery's idea of a boolean parameter: there, and neither `0` nor `false`.
fn is_watch(query: &Query) -> bool {
    let value = query.0.iter().find(|(key, _)| key == "watch").map(|(_, value)| value);
    value.is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
}

/// The name that a field selector requires with `metadata.name=x`, if it can be one segment of a path.
fn exact_name(selector: &str) -> Option<String> {
    let name = selector.split(',').find_map(|term| {
        let value = term.strip_prefix("metadata.name=")?;
        Some(value.strip_prefix('=').unwrap_or(value))
    })?;
    let legal = !matches!(name, "" | "." | "..") && !name.contains(['/', '%', '\\', '=', '!']);
    legal.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `verb group/version resource subresource name namespace`, `-` for what is absent.
    fn check(request: &str, expected: &str) {
        let (method, url) = request.split_once(' ').unwrap();
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let query = Query(pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect());
        let dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let found = match RequestInfo::parse(&method.parse().unwrap(), path, &query) {
            RequestInfo::Path { verb, path } => format!("{verb} {path}"),
            RequestInfo::Resource(a) => format!(
                "{} {}/{} {} {} {} {}",
                if a.verb.is_empty() { "-" } else { a.verb },
                a.group,
                a.version,
                a.resource,
                dash(a.subresource),
                dash(a.name),
                dash(a.namespace)
            ),
        };
        assert_eq!(found, expected, "{request}");
    }

    #[test]
    fn paths() {
        for (request, expected) in [
            // The table of the metrics APIs.
            ("GET /apis/c/v2/namespaces/ns/pods/*/messages", "get c/v2 pods messages * ns"),
            ("GET /apis/c/v2/namespaces/ns/pods/web-0/messages", "get c/v2 pods messages web-0 ns"),
            ("GET /apis/c/v2/namespaces/ns/deployments.apps/f/m", "get c/v2 deployments.apps m f ns"),
            ("GET /apis/c/v2/nodes/n1/m", "get c/v2 nodes m n1 -"),
            ("GET /apis/c/v2/namespaces/ns/metrics/m", "get c/v2 metrics - m ns"),
            ("GET /apis/e/v1/namespaces/ns/queue", "list e/v1 queue - - ns"),
            ("GET /apis/m/v1/namespaces/ns/pods", "list m/v1 pods - - ns"),
            ("GET /apis/m/v1/pods", "list m/v1 pods - - -"),
            ("GET /apis/m/v1/nodes/n1", "get m/v1 nodes - n1 -"),
            // Non-resource paths.
            ("GET /apis/c/v2", "get /apis/c/v2"),
            ("GET /apis/c/v2/", "get /apis/c/v2/"),
            ("GET /apis", "get /apis"),
            ("GET /openapi/v3/apis/c/v2", "get /openapi/v3/apis/c/v2"),
            ("POST /healthz", "post /healthz"),
            ("GET /APIS/c/v2/pods", "get /APIS/c/v2/pods"),
            ("GET /", "get /"),
            ("OPTIONS *", "options *"),
            // Namespaces themselves.
            ("GET /apis/c/v2/namespaces", "list c/v2 namespaces - - -"),
            ("GET /apis/c/v2/namespaces/ns", "get c/v2 namespaces - ns ns"),
            ("GET /apis/c/v2/namespaces/ns/status", "get c/v2 namespaces status ns ns"),
            ("GET /apis/c/v2/namespaces/ns/finalize", "get c/v2 namespaces finalize ns ns"),
            ("GET /apis/c/v2/namespaces/ns/foo", "list c/v2 foo - - ns"),
            // Verbs.
            ("HEAD /apis/c/v2/pods/a", "get c/v2 pods - a -"),
            ("POST /apis/c/v2/pods", "create c/v2 pods - - -"),
            ("PUT /apis/c/v2/pods/a", "update c/v2 pods - a -"),
            ("PATCH /apis/c/v2/pods/a", "patch c/v2 pods - a -"),
            ("DELETE /apis/c/v2/pods/a", "delete c/v2 pods - a -"),
            ("DELETE /apis/c/v2/pods", "deletecollection c/v2 pods - - -"),
            ("OPTIONS /apis/c/v2/pods/a", "- c/v2 pods - a -"),
            ("GET /apis/c/v2/pods?watch=true", "watch c/v2 pods - - -"),
            ("GET /apis/c/v2/pods?watch", "watch c/v2 pods - - -"),
            ("GET /apis/c/v2/pods?watch=0", "list c/v2 pods - - -"),
            ("GET /apis/c/v2/pods?watch=FALSE", "list c/v2 pods - - -"),
            ("GET /apis/c/v2/pods/a?watch=true", "get c/v2 pods - a -"),
            ("GET /apis/c/v2/watch/pods/a", "watch c/v2 pods - a -"),
            ("GET /apis/c/v2/watch", "get /apis/c/v2/watch"),
            ("GET /apis/c/v2/proxy/pods/a/b", "proxy c/v2 pods - a -"),
            // Field selectors.
            ("GET /apis/c/v2/pods?fieldSelector=metadata.name=a", "list c/v2 pods - a -"),
            ("GET /apis/c/v2/pods?fieldSelector=x=y,metadata.name==a", "list c/v2 pods - a -"),
            ("GET /apis/c/v2/pods?fieldSelector=metadata.name!=a", "list c/v2 pods - - -"),
            ("GET /apis/c/v2/pods?fieldSelector=metadata.name=..", "list c/v2 pods - - -"),
            // The core group, and odd slashes.
            ("GET /api/v1/namespaces/ns/pods/a/log", "get /v1 pods log a ns"),
            ("GET /api/v1", "get /api/v1"),
            ("GET //apis/c/v2/pods//", "list c/v2 pods - - -"),
            ("GET /apis/c/v2/pods//m", "list c/v2 pods m - -"),
            ("GET /apis/c/v2/pods/a/b/c/d", "get c/v2 pods b a -"),
        ] {
            check(request, expected);
        }
    }
}
