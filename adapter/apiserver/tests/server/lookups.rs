//! Asking the cluster: what is remembered, what is shared, what a failure looks like, and what happens
//! before, without and after the cluster's authentication configuration.

use std::{sync::atomic::Ordering, time::Duration};

use podgauge_apiserver::{CertificateSource, Config, Parts, Probes, RequestHeaderConfig, Server};
use prometheus_client::registry::Registry;

use crate::{
    cluster::Cluster,
    fixture::{authentication, eventually, file, start, start_with},
    pki::Ca,
};

const MASTER: [(&str, &str); 2] = [("x-remote-user", "m"), ("x-remote-group", "system:masters")];

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn reviews_are_remembered() {
    let server = start(|_| {}).await;
    for (token, code) in [("token-of-plain", 200), ("rubbish", 401)] {
        server.cluster.token_reviews.store(0, Ordering::SeqCst);
        for _ in 0..3 {
            let reply = server.nobody().get("/apis", &[("authorization", &bearer(token))]).await;
            assert_eq!(reply.code, code);
        }
        assert_eq!(server.cluster.token_reviews.load(Ordering::SeqCst), 1, "{token}");
    }
    assert_eq!(server.cluster.access_reviews.load(Ordering::SeqCst), 1);
    // Allowed and denied alike, and each path and verb for itself.
    for (path, reviews) in [("/metrics", 2), ("/metrics", 2), ("/apis", 2), ("/version", 3)] {
        server.nobody().get(path, &[("authorization", &bearer("token-of-plain"))]).await;
        assert_eq!(server.cluster.access_reviews.load(Ordering::SeqCst), reviews, "{path}");
    }
}

#[tokio::test]
async fn denied_and_contradicted() {
    let server = start(|_| {}).await;
    let reply = server.front_proxy().get("/apis", &[("x-remote-user", "denied")]).await;
    assert_eq!(reply.code, 403);
    let message = "forbidden: User \"denied\" cannot get path \"/apis\": by a rule";
    assert_eq!(reply.json()["message"], message);
    let reply = server.front_proxy().get("/apis", &[("x-remote-user", "contradicted")]).await;
    assert_eq!(reply.code, 500);
    assert!(reply.body.contains("its answer cannot be understood"), "{}", reply.body);
}

#[tokio::test]
async fn five_thousand_tokens() {
    let server = start(|config| config.authentication.token_cache_size = 100).await;
    let mut connection = server.nobody().connect().await.unwrap();
    for n in 0..5_000 {
        let token = bearer(&format!("token-of-plain#{n}"));
        assert_eq!(connection.get("/healthz", &[("authorization", &token)]).await.code, 200);
    }
    let reviews = || server.cluster.token_reviews.load(Ordering::SeqCst);
    assert_eq!(reviews(), 5_000);
    connection.get("/healthz", &[("authorization", &bearer("token-of-plain#4999"))]).await;
    assert_eq!(reviews(), 5_000, "the newest is remembered");
    connection.get("/healthz", &[("authorization", &bearer("token-of-plain#0"))]).await;
    assert_eq!(reviews(), 5_001, "the oldest is not");
}

#[tokio::test]
async fn a_burst_asks_once() {
    let server = start(|_| {}).await;
    let burst: Vec<_> = (0..5)
        .map(|_| {
            let dial = server.nobody();
            tokio::spawn(async move { dial.get("/apis", &[("authorization", "Bearer token-of-slow")]).await })
        })
        .collect();
    eventually("five in flight", || async { server.metric("apiserver_requests_in_flight") == 5.0 }).await;
    server.cluster.gate.add_permits(2);
    for reply in burst {
        assert_eq!(reply.await.unwrap().code, 200);
    }
    assert_eq!(server.cluster.token_reviews.load(Ordering::SeqCst), 1);
    assert_eq!(server.cluster.access_reviews.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_cluster_that_fails() {
    let server = start(|config| {
        config.authentication.review.backoff = Duration::from_millis(1);
        config.authorization.review.backoff = Duration::from_millis(1);
    })
    .await;
    for (code, tries, said) in [
        (403, 1, "bind this server's service account to the ClusterRole system:auth-delegator"),
        (401, 1, "it does not accept this server's own credentials"),
        (500, 5, "it answered with 500"),
    ] {
        server.cluster.fail_with.store(code, Ordering::SeqCst);
        server.cluster.token_reviews.store(0, Ordering::SeqCst);
        server.cluster.access_reviews.store(0, Ordering::SeqCst);

        let reply = server.nobody().get("/apis", &[("authorization", "Bearer token-of-plain")]).await;
        let status = reply.json();
        assert_eq!((reply.code, status["reason"].as_str()), (500, Some("InternalError")), "{status}");
        let message = status["message"].as_str().unwrap();
        assert!(
            message.starts_with("the bearer token could not be reviewed") && message.contains(said),
            "{message}"
        );
        assert_eq!(server.cluster.token_reviews.load(Ordering::SeqCst), tries);

        let reply = server.front_proxy().get("/apis", &[("x-remote-user", "plain")]).await;
        let status = reply.json();
        assert_eq!((reply.code, status["reason"].as_str()), (500, Some("InternalError")), "{status}");
        let message = status["message"].as_str().unwrap();
        assert!(
            message.contains("could not be asked whether this is allowed") && message.contains(said),
            "{message}"
        );
        assert_eq!(server.cluster.access_reviews.load(Ordering::SeqCst), tries);

        // Who is known without asking is served.
        assert_eq!(server.front_proxy().get("/apis", &MASTER).await.code, 200);
        assert_eq!(server.nobody().get("/livez", &[]).await.code, 200);
    }
    // A failure is not remembered.
    server.cluster.fail_with.store(0, Ordering::SeqCst);
    assert_eq!(server.front_proxy().get("/apis", &[("x-remote-user", "plain")]).await.code, 200);
}

#[tokio::test]
async fn a_missing_role_is_named_until_it_is_there() {
    let server = start_with(|_| {}, |cluster| *cluster.authentication.lock().unwrap() = None).await;
    let said = server.readiness.check().unwrap_err();
    assert!(
        said.contains("kubectl -n kube-system create rolebinding")
            && said.contains("--role=extension-apiserver-authentication-reader"),
        "{said}"
    );
    // Without a CA a certificate is no credential, good or bad.
    let reply = server.front_proxy().get("/readyz", &MASTER).await;
    assert_eq!(reply.code, 500);
    assert!(reply.body.contains("[-]authentication failed: reason withheld"), "{}", reply.body);
    assert_eq!(server.front_proxy().get("/apis", &MASTER).await.code, 403);
    assert_eq!(server.metric("apiserver_authentication_configuration_loaded"), 0.0);
    let reply = server.nobody().get("/livez", &[]).await;
    assert_eq!(reply.code, 200);

    *server.cluster.authentication.lock().unwrap() = Some(authentication(&server.pki));
    eventually("readiness", || async { server.readiness.check().is_ok() }).await;
    assert_eq!(server.front_proxy().get("/readyz", &MASTER).await.code, 200);
    assert_eq!(server.front_proxy().get("/apis", &MASTER).await.code, 200);
    assert_eq!(server.metric("apiserver_authentication_configuration_loaded"), 1.0);

    // Lost again, the last good one stays.
    let failures = "apiserver_reloads_total{what=\"authentication\",result=\"failure\"}";
    let before = server.metric(failures);
    *server.cluster.authentication.lock().unwrap() = None;
    eventually("a failed reload", || async { server.metric(failures) > before }).await;
    assert_eq!(server.front_proxy().get("/readyz", &MASTER).await.code, 200);
    assert_eq!(server.front_proxy().get("/apis", &MASTER).await.code, 200);
}

#[tokio::test]
async fn a_failed_lookup_may_be_tolerated_or_skipped() {
    let forbid = |cluster: &Cluster| *cluster.authentication.lock().unwrap() = None;
    let server = start_with(|config| config.authentication.tolerate_lookup_failure = true, forbid).await;
    assert_eq!(server.nobody().get("/readyz", &[]).await.code, 200);

    let server = start_with(|config| config.authentication.skip_lookup = true, forbid).await;
    assert_eq!(server.nobody().get("/readyz", &[]).await.code, 200);
    assert_eq!(server.front_proxy().get("/apis", &MASTER).await.code, 403);
    assert_eq!(server.metric("apiserver_authentication_configuration_loaded"), 1.0);
}

#[tokio::test]
async fn files_win_over_the_cluster() {
    let (proxies, clients) = (Ca::new("own proxies"), Ca::new("own clients"));
    let (proxy_file, client_file) = (file("own-proxies.pem"), file("own-clients.pem"));
    std::fs::write(&proxy_file, &proxies.pem).unwrap();
    std::fs::write(&client_file, &clients.pem).unwrap();
    let server = start(|config| {
        config.authentication.client_ca_file = Some(client_file);
        config.authentication.request_header = Some(RequestHeaderConfig {
            username_headers: vec!["X-Who".to_owned()],
            ..RequestHeaderConfig::new(proxy_file)
        });
    })
    .await;
    let proxy = server.nobody().with(&proxies.client("any name", &[]));
    assert_eq!(proxy.get("/apis", &[("x-who", "plain")]).await.code, 200);
    assert_eq!(server.front_proxy().get("/apis", &MASTER).await.code, 401);
    assert_eq!(server.nobody().with(&clients.client("plain", &[])).get("/apis", &[]).await.code, 200);
    let clusters = server.pki.clients.client("plain", &[]);
    assert_eq!(server.nobody().with(&clusters).get("/apis", &[]).await.code, 401);
}

#[tokio::test]
async fn a_self_check_before_serving() {
    let pki = Ca::new("serving");
    let cluster = Cluster::new([].into());
    *cluster.authentication.lock().unwrap() = None;
    let mut config = Config::new(CertificateSource::fixed(pki.server("localhost").pem));
    config.serving.bind_address = [127, 0, 0, 1].into();
    config.serving.secure_port = 0;
    let parts = Parts {
        apis: vec![],
        authentication: Some(cluster.client()),
        authorization: None,
        probes: Probes::default(),
        metrics_page: None,
        clock: std::sync::Arc::new(|| std::time::SystemTime::UNIX_EPOCH),
    };
    let mut server = Server::build(config, parts, &mut Registry::default()).unwrap();
    let said = server.check_authentication().await.unwrap_err().to_string();
    assert!(said.contains("extension-apiserver-authentication-reader"), "{said}");
    cluster.refuse_with.store(401, Ordering::SeqCst);
    let said = server.check_authentication().await.unwrap_err().to_string();
    assert!(said.starts_with("the API server does not accept this server's own credentials"), "{said}");
    *cluster.authentication.lock().unwrap() = Some([].into());
    server.check_authentication().await.unwrap();
    server.readiness().check().unwrap();
}
