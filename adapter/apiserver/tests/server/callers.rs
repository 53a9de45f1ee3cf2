//! Credentials against paths, as a live aggregated server answered them.

use serde_json::json;

use crate::{
    client::{Dial, certified},
    fixture::{Running, start},
    pki::Identity,
};

const PATHS: [&str; 7] = [
    "/healthz",
    "/livez/ping",
    "/metrics",
    "/apis",
    "/apis/gears.example.com/v1",
    "/openapi/v2",
    "/apis/gears.example.com/v1/namespaces/ns/wheels/*/teeth",
];

// What the paths answer, in that order.
const NOBODY: [u16; 7] = [200, 403, 403, 403, 403, 403, 403];
const REFUSED: [u16; 7] = [401; 7];
const PLAIN: [u16; 7] = [200, 403, 403, 200, 200, 200, 403];
const WORKER: [u16; 7] = [200, 403, 403, 200, 200, 200, 200];
const MASTER: [u16; 7] = [200; 7];

async fn check(who: &str, dial: Dial, headers: &[(&str, &str)], expected: [u16; 7]) {
    for dial in [dial.clone(), dial.http2()] {
        for (path, code) in PATHS.iter().zip(expected) {
            let reply = dial.get(path, headers).await;
            assert_eq!(reply.code, code, "{who}, {path}, h2 {}: {reply:?}", dial.http2);
            if code == 401 || code == 403 {
                let status = reply.json();
                assert_eq!(status["kind"], "Status", "{who}, {path}");
                assert_eq!(status["code"], code, "{who}, {path}");
            }
        }
    }
}

#[tokio::test]
async fn without_a_certificate() {
    let server = start(|_| {}).await;
    let nobody = || server.nobody();
    check("nobody", nobody(), &[], NOBODY).await;
    check("basic", nobody(), &[("authorization", "Basic dTpw")], NOBODY).await;
    let forged = [("x-remote-user", "worker"), ("x-remote-group", "system:masters")];
    check("forged headers", nobody(), &forged, NOBODY).await;
    check("bad token", nobody(), &[("authorization", "Bearer rubbish")], REFUSED).await;
    check("revoked token", nobody(), &[("authorization", "Bearer token-of-worker#revoked")], REFUSED).await;
    check("plain token", nobody(), &[("authorization", "Bearer token-of-plain")], PLAIN).await;
    check("worker's token", nobody(), &[("authorization", "bearer token-of-worker")], WORKER).await;
    let forged = [("authorization", "Bearer token-of-plain"), ("x-remote-group", "system:masters")];
    check("token with forged headers", nobody(), &forged, PLAIN).await;
}

#[tokio::test]
async fn with_a_client_certificate() {
    let server = start(|_| {}).await;
    let ca = &server.pki.clients;
    let with = |identity: &Identity| server.nobody().with(identity);
    check("plain", with(&ca.client("plain", &[])), &[], PLAIN).await;
    check("worker", with(&ca.client("worker", &["a", "b"])), &[], WORKER).await;
    check("masters", with(&ca.client("admin", &["system:masters"])), &[], MASTER).await;
    let second = ca.client("admin", &["a", "system:masters"]);
    check("masters second", with(&second), &[], MASTER).await;
    check("foreign", with(&server.pki.foreign.client("worker", &["system:masters"])), &[], REFUSED).await;
    check("expired", with(&ca.expired("worker")), &[], REFUSED).await;
    check("server's", with(&ca.server("worker")), &[], REFUSED).await;
    check("nameless", with(&ca.client("", &["system:masters"])), &[], REFUSED).await;
    let forged = [("x-remote-user", "admin"), ("x-remote-group", "system:masters")];
    check("with forged headers", with(&ca.client("plain", &[])), &forged, PLAIN).await;
    // What one method refuses another may know.
    let token = [("authorization", "Bearer token-of-worker")];
    check("foreign with token", with(&server.pki.foreign.client("x", &[])), &token, WORKER).await;
    let token = [("authorization", "Bearer rubbish")];
    check("foreign with bad token", with(&server.pki.foreign.client("x", &[])), &token, REFUSED).await;
    check("certificate before token", with(&ca.client("plain", &[])), &token, PLAIN).await;
}

#[tokio::test]
async fn through_the_front_proxy() {
    let server = start(|_| {}).await;
    let ca = &server.pki.front_proxy;
    let worker = [("x-remote-user", "worker")];
    check("worker", server.front_proxy(), &worker, WORKER).await;
    check("plain", server.front_proxy(), &[("x-remote-user", "plain")], PLAIN).await;
    let masters = [
        ("x-remote-user", "system:kube-aggregator"),
        ("x-remote-group", "a"),
        ("x-remote-group", "system:masters"),
    ];
    check("masters", server.front_proxy(), &masters, MASTER).await;
    let anonymous = [("x-remote-user", "system:anonymous"), ("x-remote-group", "system:unauthenticated")];
    check("anonymous", server.front_proxy(), &anonymous, NOBODY).await;
    check("no user", server.front_proxy(), &[("x-remote-group", "system:masters")], REFUSED).await;
    check("empty user", server.front_proxy(), &[("x-remote-user", "")], REFUSED).await;
    let stranger = server.nobody().with(&ca.client("someone-else", &[]));
    check("name not allowed", stranger, &worker, REFUSED).await;
    let foreign = server.nobody().with(&server.pki.foreign.client("front-proxy-client", &[]));
    check("foreign", foreign, &worker, REFUSED).await;
    // Issued below the CA, with the certificate in between sent along, and without it.
    let (below, certificate) = ca.intermediate("below");
    let mut proxy = below.client("front-proxy-client", &[]);
    check("incomplete chain", server.nobody().with(&proxy), &worker, REFUSED).await;
    proxy.chain.push(certificate);
    check("complete chain", server.nobody().with(&proxy), &worker, WORKER).await;
}

/// What the cluster is asked about each kind of caller.
#[tokio::test]
async fn attributes_reach_the_review() {
    let server = start(|_| {}).await;
    let path = "/apis/gears.example.com/v1/namespaces/ns/wheels/%2A/teeth?labelSelector=a";
    let ask = async |server: &Running, dial: Dial, headers: &[(&str, &str)]| {
        dial.get(path, headers).await;
        server.cluster.last_access.lock().unwrap().clone()
    };
    let resource = json!({"namespace": "ns", "verb": "get", "group": "gears.example.com", "version": "v1",
        "resource": "wheels", "subresource": "teeth", "name": "*"});

    let headers = [
        ("x-remote-user", "hpa"),
        ("x-remote-uid", "u-1"),
        ("x-remote-group", "system:serviceaccounts"),
        ("x-remote-group", "system:authenticated"),
        ("X-Remote-Extra-Authentication.kubernetes.io%2fcredential-Id", "JTI=1"),
        ("X-Remote-Extra-Scopes", "a"),
        ("X-Remote-Extra-scopes", "b"),
    ];
    assert_eq!(
        ask(&server, server.front_proxy(), &headers).await,
        json!({"user": "hpa", "uid": "u-1", "groups": ["system:serviceaccounts", "system:authenticated"],
            "extra": {"authentication.kubernetes.io/credential-id": ["JTI=1"], "scopes": ["a", "b"]},
            "resourceAttributes": resource})
    );

    assert_eq!(
        ask(&server, server.nobody(), &[("authorization", "Bearer token-of-t")]).await,
        json!({"user": "t", "uid": "uid-1", "groups": ["tokens", "system:authenticated"], "extra": {"k": ["v"]},
            "resourceAttributes": resource})
    );

    let identity = server.pki.clients.client("c", &["o1", "o2"]);
    let spec = ask(&server, server.nobody().with(&identity), &[]).await;
    assert_eq!(spec["groups"], json!(["o1", "o2", "system:authenticated"]));
    let id = spec["extra"]["authentication.kubernetes.io/credential-id"][0].as_str().unwrap();
    assert_eq!(id.strip_prefix("X509SHA256=").map(str::len), Some(64), "{id}");

    assert_eq!(
        ask(&server, server.nobody(), &[]).await,
        json!({"user": "system:anonymous", "groups": ["system:unauthenticated"], "resourceAttributes": resource})
    );
}

/// Somebody else's certificate is public; the key is what counts.
#[tokio::test]
async fn a_certificate_without_its_key() {
    let server = start(|_| {}).await;
    let admin = server.pki.clients.client("admin", &["system:masters"]);
    let thief = server.pki.foreign.client("thief", &[]);
    for mut dial in [server.nobody(), server.nobody().http2(), server.nobody().tls12()] {
        let honest = dial.clone().with(&admin);
        assert_eq!(honest.get("/metrics", &[]).await.code, 200);
        dial.identity = Some(certified(admin.chain.clone(), &thief));
        // TLS 1.3 tells the client only with the first read.
        let outcome = match dial.connect().await {
            Err(_) => None,
            Ok(mut connection) => connection.send("GET", "/metrics", &[]).await.ok(),
        };
        assert!(outcome.is_none(), "{outcome:?}");
    }
    assert!(server.metric("apiserver_tls_handshake_failures_total") == 3.0);
}
