//! Shutting down: nobody who asked is left without an answer.

use std::{sync::atomic::Ordering, time::Duration};

use http_body_util::BodyExt as _;
use podgauge_apiserver::Drained;
use tokio::{net::TcpStream, task::JoinSet};

use crate::fixture::{eventually, start};

const SLOW: [(&str, &str); 1] = [("authorization", "Bearer token-of-slow")];

#[tokio::test]
async fn requests_in_flight_are_answered() {
    let server = start(|_| {}).await;
    let mut waiting = Vec::new();
    for dial in [server.nobody(), server.nobody().http2()] {
        let mut connection = dial.connect().await.unwrap();
        waiting.push(tokio::spawn(async move {
            let reply = connection.get("/apis", &SLOW).await;
            let _ = connection.ended.await;
            reply
        }));
    }
    let mut idle = server.front_proxy().http2().connect().await.unwrap();
    assert_eq!(idle.get("/apis", &[("x-remote-user", "plain")]).await.code, 200);
    eventually("two in flight", || async { server.metric("apiserver_requests_in_flight") == 2.0 }).await;

    let (address, gate) = (server.nobody().address, server.cluster.clone());
    let shutdown = server.shutdown.clone();
    shutdown.cancel();
    // The idle connection is told to go at once, and nobody new is taken.
    let _ = idle.ended.await.unwrap();
    eventually("a closed door", || async { TcpStream::connect(address).await.is_err() }).await;
    assert!(!server.ended.is_finished());
    gate.gate.add_permits(2);
    for reply in waiting {
        assert_eq!(reply.await.unwrap().code, 200);
    }
    assert_eq!(server.ended.await.unwrap().unwrap(), Drained { cut: 0 });
}

/// The last answer is longer than what the network holds, and its reader has more to say while it reads.
#[tokio::test]
async fn a_long_answer_arrives_whole() {
    let server = start(|_| {}).await;
    let mut dial = server.front_proxy().http2();
    dial.window = Some(40_000);
    dial.socket_buffer = Some(4096);
    dial.ping_interval = Some(Duration::from_millis(1));
    let path = format!("/apis/gears.example.com/v1/wheels/w?long={}", "%01".repeat(10_000));
    let mut begun = Vec::new();
    for _ in 0..16 {
        let mut connection = dial.connect().await.unwrap();
        let answer = connection.begin("GET", &path, &[("x-remote-user", "worker")]).await.unwrap();
        begun.push((connection, answer));
    }
    server.shutdown.cancel();
    eventually("a closed door", || async { TcpStream::connect(dial.address).await.is_err() }).await;
    let mut reading = JoinSet::new();
    for (connection, answer) in begun {
        reading.spawn(async move {
            let answer = answer.into_body().collect().await;
            drop(connection);
            answer.unwrap().to_bytes().len()
        });
    }
    for length in reading.join_all().await {
        assert!(length > 60_000, "{length}");
    }
    assert_eq!(server.ended.await.unwrap().unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn what_takes_too_long_is_cut() {
    let server = start(|config| config.serving.drain_deadline = Duration::from_millis(50)).await;
    let mut connection = server.nobody().connect().await.unwrap();
    let waiting = tokio::spawn(async move { connection.send("GET", "/apis", &SLOW).await });
    eventually("one in flight", || async { server.metric("apiserver_requests_in_flight") == 1.0 }).await;
    assert_eq!(server.stop().await, Drained { cut: 1 });
    assert!(waiting.await.unwrap().is_err());
}

/// During the delay everything is served, on old and new connections; only `/readyz` says to go away.
#[tokio::test]
async fn readiness_goes_first() {
    let server = start(|config| config.serving.shutdown_delay = Duration::from_secs(600)).await;
    assert_eq!(server.nobody().get("/readyz", &[]).await.code, 200);
    server.is_ready.store(false, Ordering::SeqCst);
    assert_eq!(server.nobody().get("/readyz", &[]).await.code, 500);
    server.is_ready.store(true, Ordering::SeqCst);
    let known = [("x-remote-user", "plain")];
    let mut http1 = server.front_proxy().connect().await.unwrap();
    let mut http2 = server.front_proxy().http2().connect().await.unwrap();
    for connection in [&mut http1, &mut http2] {
        let reply = connection.get("/apis", &known).await;
        assert_eq!((reply.code, reply.header("connection")), (200, ""));
    }
    server.shutdown.cancel();
    eventually("unreadiness", || async { server.nobody().get("/readyz", &[]).await.code == 500 }).await;
    let body = server.nobody().get("/readyz", &[]).await.body;
    assert!(body.contains("[+]gears ok") && body.contains("[-]shutdown failed"), "{body}");
    assert_eq!(server.nobody().get("/livez", &[]).await.code, 200);
    // Over HTTP/1.1 a client is sent away with its answer; HTTP/2 can be told at the end.
    for (connection, said) in [(&mut http1, "close"), (&mut http2, "")] {
        let reply = connection.get("/apis", &known).await;
        assert_eq!((reply.code, reply.header("connection")), (200, said));
    }
    let _ = http1.ended.await.unwrap();
    assert!(!server.ended.is_finished());
    assert_eq!(server.front_proxy().get("/apis", &known).await.code, 200);
    // Nobody has anything left to say: time goes to the end of the delay.
    tokio::time::pause();
    assert_eq!(server.stop().await, Drained { cut: 0 });
}
