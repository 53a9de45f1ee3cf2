//! Peers that are slow, garbled, greedy or gone: they cost themselves, and the next caller is served.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::fixture::{Running, eventually, start};

/// A bound that failing tests alone meet.
const SOON: Duration = Duration::from_secs(300);

async fn still_serves(server: &Running) {
    assert_eq!(server.nobody().get("/healthz", &[]).await.body, "ok");
}

/// Reads until the server closes, and returns what it said.
async fn until_closed(mut stream: impl tokio::io::AsyncRead + Unpin) -> Vec<u8> {
    let mut said = Vec::new();
    // A reset is an end as well.
    let _ = timeout(SOON, stream.read_to_end(&mut said)).await.expect("the server closes the connection");
    said
}

#[tokio::test]
async fn what_is_not_tls() {
    let server = start(|_| {}).await;
    let address = server.nobody().address;
    for junk in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0; 4096], &[22, 3, 1, 255, 255, 1, 2, 3], b"\n"]
    {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(junk).await.unwrap();
        stream.shutdown().await.unwrap();
        until_closed(stream).await;
    }
    drop(TcpStream::connect(address).await.unwrap());
    eventually("five failures", || async { server.metric("apiserver_tls_handshake_failures_total") == 5.0 })
        .await;
    still_serves(&server).await;
}

/// Whoever looks into why a client cannot connect finds the reason at the client.
#[tokio::test]
async fn a_peer_that_cannot_agree_is_told_why() {
    let server = start(|_| {}).await;
    let mut stream = TcpStream::connect(server.nobody().address).await.unwrap();
    // A record that is longer than records may be.
    stream.write_all(&[22, 3, 1, 255, 255, 1, 2, 3]).await.unwrap();
    let said = until_closed(stream).await;
    assert!(matches!(said[..], [21, 3, _, 0, 2, 2, _]), "no fatal alert: {said:?}");
}

#[tokio::test]
async fn a_handshake_that_never_comes() {
    let server = start(|config| config.limits.handshake_timeout = Duration::from_secs(3)).await;
    until_closed(TcpStream::connect(server.nobody().address).await.unwrap()).await;
    assert_eq!(server.metric("apiserver_tls_handshake_failures_total"), 1.0);
    still_serves(&server).await;
}

#[tokio::test]
async fn a_head_that_never_ends() {
    let server = start(|config| {
        config.limits.header_read_timeout = Duration::from_secs(3);
        config.limits.goaway_grace = Duration::from_millis(50);
    })
    .await;
    let peers = [
        (server.nobody(), &b""[..]),
        (server.nobody(), b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "),
        (server.nobody().http2(), b""),
        (server.nobody().http2(), b"PRI * HTTP/2.0\r\n"),
        (server.nobody().http2(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
    ];
    futures::future::join_all(peers.map(async |(dial, sent)| {
        let mut stream = dial.tls().await.unwrap();
        // On a busy machine the server may have closed before.
        let _ = stream.write_all(sent).await;
        until_closed(stream).await;
    }))
    .await;
    eventually("no connection", || async { server.metric("apiserver_connections") == 0.0 }).await;
    still_serves(&server).await;
}

#[tokio::test]
async fn heads_beyond_the_limits() {
    let server = start(|config| {
        config.limits.max_header_bytes = 48 * 1024;
        config.limits.max_header_fields = 200;
        config.limits.max_path_bytes = 100;
        config.limits.max_query_bytes = 100;
    })
    .await;
    let (fits, exceeds) = ("x".repeat(40 * 1024), "x".repeat(56 * 1024));
    for dial in [server.nobody(), server.nobody().http2()] {
        let mut connection = dial.connect().await.unwrap();
        assert_eq!(connection.get("/healthz", &[("x-long", &fits)]).await.code, 200);
        let mut connection = dial.connect().await.unwrap();
        let outcome = connection.send("GET", "/healthz", &[("x-long", &exceeds)]).await;
        assert!(outcome.as_ref().map_or(true, |reply| reply.code == 431), "{outcome:?}");
        let long = "x".repeat(101);
        for path in [format!("/{long}"), format!("/healthz?{long}")] {
            let reply = dial.get(&path, &[]).await;
            assert_eq!((reply.code, reply.json()["kind"].as_str()), (414, Some("Status")), "{path}");
        }
    }
    let many = vec![("x-many", "1"); 300];
    let mut connection = server.nobody().connect().await.unwrap();
    assert_eq!(connection.send("GET", "/healthz", &many).await.unwrap().code, 431);
    // A user in very many groups is a head of ordinary size.
    let mut groups = vec![("x-remote-group", "a-group-like-any-other"); 180];
    groups.push(("x-remote-user", "worker"));
    assert_eq!(server.front_proxy().get("/apis", &groups).await.code, 200);
    still_serves(&server).await;
}

#[tokio::test]
async fn bodies_are_not_read() {
    let server = start(|_| {}).await;
    let mut stream = server.nobody().tls().await.unwrap();
    let head = b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut answer = [0; 12];
    timeout(SOON, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop(stream);
    still_serves(&server).await;
}

/// HTTP that is no HTTP: whatever comes back, the server stands.
#[tokio::test]
async fn garbled_requests() {
    let server = start(|_| {}).await;
    for junk in [
        &b"\x00\x01\x02\x03\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET //// HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /healthz HTTP/1.0\r\n\r\n",
    ] {
        let mut stream = server.nobody().tls().await.unwrap();
        stream.write_all(junk).await.unwrap();
        stream.shutdown().await.unwrap();
        let said = until_closed(stream).await;
        assert!(said.is_empty() || said.starts_with(b"HTTP/1."), "{junk:?}: {said:?}");
    }
    still_serves(&server).await;
}
