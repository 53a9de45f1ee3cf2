use http::Method;
use serde_json::json;

use super::*;
use crate::api::Query;

fn info(path: &str) -> RequestInfo {
    RequestInfo::parse(&Method::GET, path, &Query::default())
}

fn user() -> User {
    User { name: "u".to_owned(), groups: vec!["g".to_owned()], ..User::default() }
}

#[test]
fn questions() {
    for (path, expected) in [
        (
            "/apis/c/v2/namespaces/ns/pods/*/messages",
            json!({"resourceAttributes": {"namespace": "ns", "verb": "get", "group": "c", "version": "v2",
                    "resource": "pods", "subresource": "messages", "name": "*"},
                   "user": "u", "groups": ["g"]}),
        ),
        (
            "/apis",
            json!({"nonResourceAttributes": {"path": "/apis", "verb": "get"}, "user": "u", "groups": ["g"]}),
        ),
    ] {
        assert_eq!(serde_json::to_value(spec(&user(), &info(path))).unwrap(), expected, "{path}");
    }
    let full =
        User { uid: "id".to_owned(), extra: [("k".to_owned(), vec!["v".to_owned()])].into(), ..user() };
    let spec = serde_json::to_value(spec(&full, &info("/apis"))).unwrap();
    assert_eq!((&spec["uid"], &spec["extra"]), (&json!("id"), &json!({"k": ["v"]})));
}

#[test]
fn refusals() {
    for (path, reason, expected) in [
        (
            "/apis/c.io/v2/namespaces/ns/pods/*/messages",
            "",
            r#"pods.c.io "*" is forbidden: User "u" cannot get resource "pods/messages" in API group "c.io" in the namespace "ns""#,
        ),
        (
            "/apis/c.io/v2/nodes",
            "no role",
            r#"nodes.c.io "" is forbidden: User "u" cannot list resource "nodes" in API group "c.io" at the cluster scope: no role"#,
        ),
        ("/metrics", "", r#"forbidden: User "u" cannot get path "/metrics""#),
        ("/<a>&", "", r#"forbidden: User "u" cannot get path "/&lt;a&gt;&amp;""#),
    ] {
        assert_eq!(forbidden(&user(), &info(path), reason).message, expected, "{path}");
    }
}

#[test]
fn without_a_cluster() {
    let config = AuthorizationConfig {
        always_allow_paths: vec!["/healthz".to_owned(), "/open/*".to_owned()],
        ..AuthorizationConfig::default()
    };
    let authorizer = Authorizer::new(None, config, Metrics::default()).unwrap();
    let master = User { groups: vec!["system:masters".to_owned()], ..user() };
    for (user, path, expected) in [
        (&master, "/metrics", true),
        (&master, "/apis/c/v2/pods", true),
        (&user(), "/healthz", true),
        (&user(), "/healthz/", false),
        (&user(), "/healthz/ping", false),
        (&user(), "/open/sesame", true),
        (&user(), "/open", false),
        (&user(), "/apis/c/v2/pods", false),
    ] {
        let decided = authorizer.without_asking(user, &info(path));
        assert_eq!(matches!(decided, Ok(None)), expected, "{path}");
    }
}
