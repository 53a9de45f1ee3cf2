//! What is bounded: requests in flight, their time, connections, their age and their idleness.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    client::Connection,
    fixture::{eventually, start},
};

const SOON: Duration = Duration::from_secs(10);

async fn ends(connection: Connection) {
    timeout(SOON, connection.ended).await.expect("the connection ends").unwrap().ok();
}

#[tokio::test]
async fn requests_in_flight() {
    let server = start(|config| config.limits.max_requests_in_flight = 2).await;
    let slow = |token: &'static str| {
        let dial = server.nobody();
        tokio::spawn(async move { dial.get("/apis", &[("authorization", token)]).await })
    };
    let waiting = [slow("Bearer token-of-slow#1"), slow("Bearer token-of-slow#2")];
    eventually("two reviews", || async { server.metric("apiserver_requests_in_flight") == 2.0 }).await;

    let shed = server.nobody().get("/apis", &[("authorization", "Bearer token-of-slow#3")]).await;
    assert_eq!((shed.code, shed.json()["reason"].as_str()), (429, Some("TooManyRequests")));
    assert_eq!(shed.header("retry-after"), "", "client-go would hold its worker");
    assert_eq!(server.front_proxy().get("/apis", &[("x-remote-user", "plain")]).await.code, 429);
    assert_eq!(server.metric("apiserver_requests_shed_total"), 2.0);

    // Who needs no lookup is answered all the same.
    let master = [("x-remote-user", "m"), ("x-remote-group", "system:masters")];
    assert_eq!(server.front_proxy().get("/apis/gears.example.com/v1", &master).await.code, 200);
    assert_eq!(server.nobody().get("/healthz", &[]).await.code, 200);

    // Both wait for the review of their token, and then for that of their access, which they share.
    server.cluster.gate.add_permits(3);
    for reply in waiting {
        assert_eq!(reply.await.unwrap().code, 200);
    }
    assert_eq!(server.front_proxy().get("/apis", &[("x-remote-user", "plain")]).await.code, 200);
}

#[tokio::test]
async fn time_of_a_request() {
    let server = start(|_| {}).await;
    let headers = [("authorization", "Bearer token-of-slow")];
    let reply = server.nobody().get("/apis?timeout=50ms", &headers).await;
    let status = reply.json();
    assert_eq!((reply.code, status["reason"].as_str()), (504, Some("Timeout")));
    assert!(status["message"].as_str().unwrap().contains("not answered within 50ms"), "{status}");
    assert_eq!(server.metric("apiserver_requests_in_flight"), 0.0);

    let server = start(|config| config.limits.request_timeout = Duration::from_millis(50)).await;
    assert_eq!(server.nobody().get("/apis?timeout=1h", &headers).await.code, 504);
}

#[tokio::test]
async fn connections() {
    let server = start(|config| config.limits.max_connections = 1).await;
    let mut first = server.front_proxy().connect().await.unwrap();
    assert_eq!(first.get("/healthz", &[("x-remote-user", "u")]).await.code, 200);
    let dial = server.nobody();
    let second = tokio::spawn(async move { dial.get("/healthz", &[]).await });
    eventually("a full house", || async { server.metric("apiserver_connections_at_limit_total") >= 1.0 })
        .await;
    assert_eq!(first.get("/healthz", &[("x-remote-user", "u")]).await.code, 200);
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(timeout(SOON, second).await.expect("room for the next").unwrap().code, 200);
    assert_eq!(server.metric("apiserver_connections_accepted_total"), 2.0);
}

#[tokio::test]
async fn age_of_a_connection() {
    let server = start(|config| config.limits.max_connection_age = Duration::from_secs(1)).await;
    for dial in [server.front_proxy(), server.front_proxy().http2()] {
        let mut connection = dial.connect().await.unwrap();
        assert_eq!(connection.get("/healthz", &[("x-remote-user", "u")]).await.code, 200);
        ends(connection).await;
    }
}

#[tokio::test]
async fn idle_connections() {
    let server = start(|config| {
        config.limits.idle_timeout = Duration::from_millis(50);
        config.limits.goaway_grace = Duration::from_millis(50);
    })
    .await;
    for dial in [server.front_proxy(), server.front_proxy().http2()] {
        let mut connection = dial.connect().await.unwrap();
        assert_eq!(connection.get("/healthz", &[("x-remote-user", "u")]).await.code, 200);
        ends(connection).await;
    }
}

/// An unknown caller keeps no HTTP/2 connection; HTTP/1.1 has one stream and keeps its own.
#[tokio::test]
async fn unknown_callers_leave() {
    let server = start(|_| {}).await;
    let refused = [("authorization", "Bearer rubbish")];
    for (path, headers) in [("/healthz", &[][..]), ("/apis", &[]), ("/healthz", &refused)] {
        let mut connection = server.nobody().http2().connect().await.unwrap();
        connection.get(path, headers).await;
        ends(connection).await;

        let mut connection = server.nobody().connect().await.unwrap();
        let first = connection.get(path, headers).await.code;
        assert_eq!(connection.get(path, headers).await.code, first);
    }
    let mut known = server.front_proxy().http2().connect().await.unwrap();
    for _ in 0..3 {
        assert_eq!(known.get("/apis", &[("x-remote-user", "plain")]).await.code, 200);
    }
}
