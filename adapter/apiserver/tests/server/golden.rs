//! `golden.txt`: caller, request and Accept against code, content type, reason and body; and the headers
//! that a table does not hold.

use crate::fixture::start;

const MASTER: [(&str, &str); 2] = [("x-remote-user", "m"), ("x-remote-group", "system:masters")];
const WORKER: [(&str, &str); 1] = [("x-remote-user", "worker")];
const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

#[tokio::test]
async fn table() {
    let server = start(|_| {}).await;
    let mut wrong = Vec::new();
    let rows = include_str!("golden.txt").lines().filter(|row| !row.is_empty() && !row.starts_with('#'));
    let mut seen = 0;
    for row in rows {
        seen += 1;
        let columns: Vec<&str> = row.splitn(7, '|').map(str::trim).collect();
        let [caller, request, accept, code, content_type, reason, part] = columns[..] else {
            panic!("not seven columns: {row}");
        };
        let (dial, mut headers) = match caller {
            "nobody" => (server.nobody(), vec![]),
            "plain" => (server.front_proxy(), vec![("x-remote-user", "plain")]),
            "worker" => (server.front_proxy(), WORKER.to_vec()),
            "master" => (server.front_proxy(), MASTER.to_vec()),
            other => panic!("no caller {other}"),
        };
        if !accept.is_empty() {
            headers.push(("accept", accept));
        }
        let (method, path) = request.split_once(' ').unwrap();
        for dial in [dial.clone(), dial.http2()] {
            let mut connection = dial.connect().await.unwrap();
            let reply = connection.send(method, path, &headers).await.unwrap();
            let found_reason = serde_json::from_str::<serde_json::Value>(&reply.body)
                .ok()
                .and_then(|status| Some(status["reason"].as_str()?.to_owned()))
                .unwrap_or_default();
            let found = (reply.code.to_string(), reply.header("content-type"), found_reason.as_str());
            // The same quotes as in the table, which has them with and without JSON's escapes.
            let has_part = reply.body.contains(part) || reply.body.replace('\\', "").contains(part);
            if found != (code.to_owned(), content_type, reason) || !has_part {
                wrong.push(format!("{row}\n    h2 {}: {} {reply:?}", dial.http2, found.2));
            }
        }
    }
    assert!(seen > 50);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn headers_of_every_answer() {
    let server = start(|_| {}).await;
    let mut proxy = server.front_proxy().connect().await.unwrap();
    let path = "/apis/gears.example.com/v1/wheels/w";

    let reply = proxy.get(path, &[WORKER[0], ("audit-id", "a-1")]).await;
    assert_eq!(reply.header("audit-id"), "a-1");
    assert_eq!(reply.header("cache-control"), "no-cache, private");
    assert_eq!(reply.header("content-encoding"), "");
    assert!(reply.body.ends_with("}\n") && !reply.body.contains("  "), "compact: {}", reply.body);

    let long = "a".repeat(65);
    assert_eq!(proxy.get(path, &[WORKER[0], ("audit-id", &long)]).await.header("audit-id"), "");

    let reply = proxy.get(path, &[("x-remote-user", "plain"), ("audit-id", "a-2")]).await;
    assert_eq!((reply.code, reply.header("audit-id")), (403, "a-2"));
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(
        reply.json()["details"],
        serde_json::json!({"group": "gears.example.com", "kind": "wheels", "name": "w"})
    );

    let reply = proxy.send("POST", path, &WORKER).await.unwrap();
    assert_eq!((reply.code, reply.header("allow")), (405, "GET"));

    let pretty = proxy.get(path, &[WORKER[0], ("user-agent", "curl/8")]).await;
    assert!(pretty.body.starts_with("{\n  \""), "{}", pretty.body);
    let plain = proxy.get(&format!("{path}?pretty=false"), &[WORKER[0], ("user-agent", "curl/8")]).await;
    assert!(!plain.body.contains("  "), "{}", plain.body);

    let head = proxy.send("HEAD", "/healthz", &WORKER).await.unwrap();
    assert_eq!((head.code, head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn documents_that_clients_keep() {
    let server = start(|_| {}).await;
    let mut proxy = server.front_proxy().http2().connect().await.unwrap();
    let index = proxy.get("/openapi/v3", &WORKER).await.json();
    let current =
        index["paths"]["apis/gears.example.com/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    for (path, accept) in [
        ("/apis", DISCOVERY),
        ("/openapi/v2", "application/json"),
        ("/openapi/v3", "*/*"),
        (current.as_str(), "*/*"),
    ] {
        let first = proxy.get(path, &[WORKER[0], ("accept", accept)]).await;
        let etag = first.header("etag");
        assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() == 66, "{path}: {etag}");
        assert!(!etag.contains(char::is_lowercase), "as kube-openapi writes hashes: {etag}");
        assert_eq!(first.header("vary"), "Accept", "{path}");
        let again = proxy.get(path, &[WORKER[0], ("accept", accept), ("if-none-match", etag)]).await;
        assert_eq!((again.code, again.body.as_str(), again.header("etag")), (304, "", etag), "{path}");
        let stale = proxy.get(path, &[WORKER[0], ("accept", accept), ("if-none-match", "\"x\"")]).await;
        assert_eq!((stale.code, stale.body), (200, first.body.clone()), "{path}");
    }
    let moved = proxy.get("/openapi/v3/apis/gears.example.com/v1?hash=OLD", &WORKER).await;
    assert_eq!((moved.code, moved.header("location")), (301, current.as_str()));
    let kept = proxy.get(&current, &WORKER).await;
    assert_eq!(kept.header("cache-control"), "public, immutable, max-age=31536000");

    let aggregated = proxy.get("/apis", &[WORKER[0], ("accept", DISCOVERY)]).await.json();
    let kind = |version: &str| serde_json::json!({"group": "gears.example.com", "version": version, "kind": "Teeth"});
    let version = |version: &str| {
        serde_json::json!({"version": version, "freshness": "Current", "resources": [{
            "resource": "wheels", "scope": "Namespaced", "singularResource": "", "verbs": [],
            "responseKind": {"group": "", "version": "", "kind": ""},
            "subresources": [{"subresource": "teeth", "verbs": ["get"], "responseKind": kind(version)}],
        }]})
    };
    assert_eq!(
        aggregated["items"],
        serde_json::json!([{
            "metadata": {"name": "gears.example.com", "creationTimestamp": null},
            "versions": [version("v1"), version("v1beta1")],
        }])
    );
}
