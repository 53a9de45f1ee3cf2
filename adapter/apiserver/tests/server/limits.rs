//! What is bounded: requests in flight, their time, connections, their age and their idleness.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    client::{Connection, Dial},
    fixture::{eventually, start},
};

/// A bound that failing tests alone meet.
const SOON: Duration = Duration::from_secs(300);

/// A connection that has answered once. One whose limit came before, as on a busy machine it may, is replaced.
async fn answered(dial: &Dial) -> Connection {
    loop {
        let Ok(mut connection) = dial.connect().await else { continue };
        let reply = connection.send("GET", "/healthz", &[("x-remote-user", "u")]).await;
        if reply.is_ok_and(|reply| reply.code == 200) {
            return connection;
        }
    }
}

async fn ends(connection: Connection) {
    timeout(SOON, connection.ended).await.expect("the connection ends").unwrap().ok();
}

/// The cluster hangs: who waits for it takes nothing from those who are known.
#[tokio::test]
async fn waiting_for_the_cluster() {
    let server = start(|config| {
        config.authentication.reviews_in_flight = 2;
        config.authorization.reviews_in_flight = 2;
        config.limits.max_requests_in_flight = 2;
    })
    .await;
    let known = |user: &'static str| [("x-remote-user", user)];
    let token = [("authorization", "Bearer token-of-plain")];
    assert_eq!(server.front_proxy().get("/apis", &known("plain")).await.code, 200);
    assert_eq!(server.nobody().get("/apis", &token).await.code, 200);

    let slow = |token: &'static str| {
        let dial = server.nobody();
        tokio::spawn(async move { dial.get("/apis", &[("authorization", token)]).await })
    };
    let strangers = [slow("Bearer token-of-slow#1"), slow("Bearer token-of-slow#2")];
    eventually("two reviews", || async { server.metric("apiserver_requests_in_flight") == 2.0 }).await;

    let shed = server.nobody().get("/apis", &[("authorization", "Bearer token-of-slow#3")]).await;
    assert_eq!((shed.code, shed.json()["reason"].as_str()), (429, Some("TooManyRequests")));
    assert!(shed.body.contains("2 are in flight (--authentication-token-webhook-inflight)"), "{shed:?}");
    assert_eq!(shed.header("retry-after"), "", "client-go would hold its worker");
    assert_eq!(server.nobody().get("/apis", &[]).await.code, 429, "anonymous, and nothing is remembered");

    // A known caller about whom the cluster has to be asked has room, until others like it have it all.
    assert_eq!(server.front_proxy().get("/apis", &known("denied")).await.code, 403);
    let callers = ["slow-1", "slow-2"].map(|user| {
        let dial = server.front_proxy();
        tokio::spawn(async move { dial.get("/apis", &known(user)).await })
    });
    eventually("two more", || async { server.metric("apiserver_requests_in_flight") == 4.0 }).await;
    let shed = server.front_proxy().get("/apis", &known("new")).await;
    assert_eq!(shed.code, 429);
    assert!(shed.body.contains("2 are in flight (--authorization-webhook-inflight)"), "{shed:?}");
    assert_eq!(server.metric("apiserver_requests_shed_total"), 3.0);

    // Who is remembered, or needs no permission, is answered all the same.
    assert_eq!(server.front_proxy().get("/apis", &known("plain")).await.code, 200);
    assert_eq!(server.front_proxy().get("/apis", &known("denied")).await.code, 403);
    assert_eq!(server.nobody().get("/apis", &token).await.code, 200);
    let master = [("x-remote-user", "m"), ("x-remote-group", "system:masters")];
    assert_eq!(server.front_proxy().get("/apis/gears.example.com/v1", &master).await.code, 200);
    assert_eq!(server.nobody().get("/healthz", &[]).await.code, 200);

    // The strangers, once known, have to wait for their permission like everybody.
    server.cluster.gate.add_permits(2);
    for reply in strangers {
        assert_eq!(reply.await.unwrap().code, 429);
    }
    server.cluster.gate.add_permits(2);
    for reply in callers {
        assert_eq!(reply.await.unwrap().code, 200);
    }
}

/// Answers that nobody reads are bounded, and those of the privileged are counted apart.
#[tokio::test]
async fn answers_that_are_not_read() {
    let server = start(|config| config.limits.max_requests_in_flight = 2).await;
    let path = "/apis/gears.example.com/v1/wheels/w";
    let worker = [("x-remote-user", "worker")];
    let master = [("x-remote-user", "m"), ("x-remote-group", "system:masters")];
    let mut lazy = server.front_proxy().http2();
    lazy.window = Some(16);
    let mut connection = lazy.connect().await.unwrap();
    for caller in [&worker[..], &master] {
        let mut unread = Vec::new();
        for _ in 0..2 {
            unread.push(connection.begin("GET", path, caller).await.unwrap());
        }
        let codes = unread.iter().map(|response| response.status().as_u16()).collect::<Vec<_>>();
        assert_eq!(codes, [200, 200]);
        let shed = server.front_proxy().get(path, caller).await;
        assert_eq!(shed.code, 429);
        assert!(shed.body.contains("2 are in flight (--max-requests-inflight)"), "{shed:?}");
        let other = if caller.len() == 1 { &master[..] } else { &worker };
        assert_eq!(server.front_proxy().get(path, other).await.code, 200);
        assert_eq!(server.nobody().get("/healthz", &[]).await.code, 200);

        // One is given up, the other is read to its end.
        drop(unread.pop());
        eventually("one more answer", || async { server.front_proxy().get(path, caller).await.code == 200 })
            .await;
        let read = http_body_util::BodyExt::collect(unread.remove(0).into_body()).await.unwrap();
        assert!(read.to_bytes().len() > 16);
    }
}

/// Answers that have to be computed hold up nobody: not their server, which has a single thread here, nor each other beyond
/// their turns.
#[tokio::test]
async fn answers_that_take_computing() {
    let server = start(|config| config.limits.max_evaluations = 2).await;
    let user = [("x-remote-user", "worker")];
    let table = [("x-remote-user", "worker"), ("accept", "application/json;as=Table;g=meta.k8s.io;v=v1")];
    let path = "/apis/gears.example.com/v1/wheels/many";
    let count = |headers: &[(&'static str, &'static str); 2]| {
        let (dial, headers) = (server.front_proxy(), *headers);
        tokio::spawn(async move { dial.get(path, &headers).await })
    };
    let json = [user[0], ("accept", "application/json")];
    let counted = [count(&json), count(&json), count(&json), count(&table)];
    eventually("all are under way", || async {
        server.metric("apiserver_requests_in_flight") == 4.0 && server.brake.waiting() == 2
    })
    .await;

    // Others are answered, and so are those who come and go.
    assert_eq!(server.nobody().get("/livez", &[]).await.code, 200);
    assert_eq!(server.front_proxy().get("/apis/gears.example.com/v1", &user).await.code, 200);
    assert_eq!(server.front_proxy().get("/apis/gears.example.com/v1/wheels/w", &user).await.code, 200);
    // Of whom the cluster need not be asked, which could take as long.
    let master = [("x-remote-user", "m"), ("x-remote-group", "system:masters")];
    let late = server.front_proxy().get(&format!("{path}?timeout=1ms"), &master).await;
    assert_eq!(late.code, 504);
    assert!(late.body.contains("(--max-evaluations-inflight)"), "{late:?}");
    assert_eq!(server.brake.waiting(), 2);

    server.brake.release();
    let [first, second, third, panicked] = counted;
    for reply in [first, second, third] {
        let reply = reply.await.unwrap();
        assert_eq!((reply.code, &reply.json()["counted"]), (200, &true.into()));
    }
    assert_eq!(panicked.await.unwrap().code, 500);
    assert_eq!(server.brake.waiting(), 0);
    assert_eq!(server.front_proxy().get(path, &user).await.code, 200);
}

/// There is room for some to wait until they are computed, and no more.
#[tokio::test]
async fn answers_that_wait_to_be_computed() {
    let server = start(|config| {
        config.limits.max_evaluations = 1;
        config.limits.max_evaluations_waiting = 1;
    })
    .await;
    let user = [("x-remote-user", "worker")];
    let path = "/apis/gears.example.com/v1/wheels/many";
    let count = || {
        let dial = server.front_proxy();
        tokio::spawn(async move { dial.get(path, &user).await })
    };
    let counted = [count(), count()];
    eventually("one is computed, one waits", || async {
        server.brake.waiting() == 1 && server.metric("apiserver_evaluations_waiting") == 1.0
    })
    .await;

    let shed = server.front_proxy().get(path, &user).await;
    assert_eq!((shed.code, shed.json()["reason"].as_str()), (429, Some("TooManyRequests")));
    assert!(
        shed.body.contains("1 wait for their turn to be computed (--max-evaluations-waiting)"),
        "{shed:?}"
    );
    assert_eq!(server.metric("apiserver_requests_shed_total"), 1.0);
    assert_eq!(server.front_proxy().get("/apis/gears.example.com/v1/wheels/w", &user).await.code, 200);

    server.brake.release();
    for reply in counted {
        assert_eq!(reply.await.unwrap().code, 200);
    }
    assert_eq!(server.metric("apiserver_evaluations_waiting"), 0.0);
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
        ends(answered(&dial).await).await;
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
        ends(answered(&dial).await).await;
    }
}

/// Whoever has not shown who it is in time leaves, whatever it is doing; whoever has stays.
#[tokio::test]
async fn strangers_leave() {
    let server = start(|config| {
        config.limits.stranger_lifetime = Duration::from_secs(5);
        config.limits.goaway_grace = Duration::from_millis(50);
    })
    .await;
    for dial in [server.nobody(), server.nobody().http2()] {
        // Every other limit on these connections is far longer.
        let (mut waiting, silent) = (dial.connect().await.unwrap(), dial.connect().await.unwrap());
        let mut known = server.front_proxy();
        known.http2 = dial.http2;
        let mut known = known.connect().await.unwrap();
        assert_eq!(known.get("/apis", &[("x-remote-user", "plain")]).await.code, 200);
        let token = format!("Bearer token-of-slow#h2-{}", dial.http2);
        let answer = tokio::spawn(async move {
            let reply = waiting.get("/healthz", &[("authorization", &token)]).await;
            ends(waiting).await;
            reply
        });
        ends(silent).await;
        assert!(!answer.is_finished(), "what is in flight is answered");
        server.cluster.gate.add_permits(1);
        assert_eq!(answer.await.unwrap().code, 200);
        assert_eq!(known.get("/apis", &[("x-remote-user", "plain")]).await.code, 200);
    }
}

/// An unknown caller keeps no connection.
#[tokio::test]
async fn unknown_callers_leave() {
    let server = start(|_| {}).await;
    let refused = [("authorization", "Bearer rubbish")];
    for (path, headers) in [("/healthz", &[][..]), ("/apis", &[]), ("/healthz", &refused)] {
        let mut connection = server.nobody().http2().connect().await.unwrap();
        connection.get(path, headers).await;
        ends(connection).await;

        let mut connection = server.nobody().connect().await.unwrap();
        assert_eq!(connection.get(path, headers).await.header("connection"), "close", "{path}");
        ends(connection).await;
    }
    for dial in [server.front_proxy(), server.front_proxy().http2()] {
        let mut known = dial.connect().await.unwrap();
        for _ in 0..3 {
            let reply = known.get("/apis", &[("x-remote-user", "plain")]).await;
            assert_eq!((reply.code, reply.header("connection")), (200, ""));
        }
    }
}
