//! The suite against the embedded queue, and what only its server does.

use crate::directory::Directory;
use crate::suite;
use crate::wait::{PATIENCE, until};
use demo_shop::broker::{Broker, Config, Task};
use demo_shop::clock;
use demo_shop::stomp::BrokerUrl;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

async fn start(change: impl FnOnce(&mut Config)) -> (SocketAddr, CancellationToken) {
    let mut config = Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Config::default() };
    change(&mut config);
    let task: Task = config.build(clock::system).await.unwrap();
    let (address, stop) = (task.address(), CancellationToken::new());
    tokio::spawn(task.run(stop.clone()));
    (address, stop)
}

fn url(address: SocketAddr) -> BrokerUrl {
    BrokerUrl { host: address.ip().to_string(), port: address.port(), credentials: None }
}

/// All that the queue says until it closes.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut said = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut said)).await.unwrap().unwrap();
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_queue_passes_the_suite() {
    let (address, _stop) = start(|_| {}).await;
    suite::run(&url(address)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_with_a_directory_passes_the_suite_and_keeps_what_waits() {
    let kept = Directory::new("suite");
    // Small files, so that the suite fills many of them.
    let persistent = |config: &mut Config| {
        config.directory = Some(kept.path.clone());
        config.segment_bytes = 64 << 10;
    };
    let (address, stop) = start(persistent).await;
    suite::run(&url(address)).await;
    let scene = suite::Scene::new(&url(address), "kept");
    scene.order(123).await;
    stop.cancel();
    // The directory is free as soon as the other queue has let go of it.
    let (address, _stop) = until("its directory", async || {
        let mut config = Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Config::default() };
        persistent(&mut config);
        let task = config.build(clock::system).await.ok()?;
        let (address, stop) = (task.address(), CancellationToken::new());
        tokio::spawn(task.run(stop.clone()));
        Some((address, stop))
    })
    .await;
    for (queue, messages) in [("kept", 123), ("ten_thousand_in_one_order", 10_000), ("ActiveMQ.DLQ", 2)] {
        let (depth, _guard) = suite::Scene::new(&url(address), queue).depth(|_| {});
        assert_eq!(depth.read().await.map(|reading| reading.messages), Some(messages), "{queue}");
    }
}

#[tokio::test]
async fn two_queues_cannot_have_one_directory() {
    let kept = Directory::new("taken");
    let (_, _stop) = start(|config| config.directory = Some(kept.path.clone())).await;
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let second = Config { listen, directory: Some(kept.path.clone()), ..Config::default() };
    let error = second.build(clock::system).await.err().expect("it is taken").to_string();
    assert!(error.ends_with("another process has this queue open"), "{error}");
}

#[tokio::test]
async fn garbage_is_answered_with_an_error_and_the_end() {
    let (address, _stop) = start(|config| config.max_frame_bytes = 1024).await;
    let connect = "CONNECT\naccept-version:1.2\n\n\0";
    let cases = [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "unknown command"),
        (format!("{connect}SEND\nx\n\n\0"), "malformed header"),
        (format!("{connect}SEND\ncontent-length:1025\n\n"), "frame body exceeds 1024 bytes"),
        (format!("{connect}SEND\na:{}", "x".repeat(9000)), "frame head exceeds 8192 bytes"),
        (format!("{connect}SEND\n{}\n\0", "a:b\n".repeat(33)), "more than 32 headers"),
        ("\0".repeat(100), "frame ends within its head"),
        (format!("{connect}SUBSCRIBE\nid:1\ndestination:/topic/x\n\n\0"), "/topic/x is not supported"),
    ];
    for (bytes, expected) in cases {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let said = read_to_end(&mut stream).await;
        assert!(said.contains("ERROR\n") && said.contains(expected), "{bytes:.60?}: {said}");
    }
}

#[tokio::test]
async fn a_connection_too_many_is_told_so() {
    let (address, _stop) = start(|config| config.max_connections = 1).await;
    let first = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    assert!(read_to_end(&mut second).await.contains("message:too many connections"));
    drop(first);
    // Room comes back: a connection is served again, once the queue has noticed.
    until("room for a connection", async || {
        let mut third = TcpStream::connect(address).await.ok()?;
        third.write_all(b"CONNECT\naccept-version:1.2\n\n\0").await.ok()?;
        let mut said = [0; 9];
        third.read_exact(&mut said).await.ok()?;
        (&said == b"CONNECTED").then_some(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_not_kept() {
    let silent = |config: Config, says: &'static [u8]| async move {
        let broker = Broker::new(config, || 0);
        let mut stream = broker.dialer(&CancellationToken::new()).dial().await.unwrap();
        stream.write_all(says).await.unwrap();
        let opened = tokio::time::Instant::now();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        opened.elapsed().as_secs()
    };
    assert_eq!(silent(Config::default(), b"").await, 10, "no CONNECT");
    assert_eq!(silent(Config::default(), b"CONNECT\naccept-").await, 10, "half a CONNECT");
    let beating = b"CONNECT\naccept-version:1.2\nheart-beat:2000,0\n\n\0";
    let config = Config { heart_beat: Duration::from_secs(1), ..Config::default() };
    assert_eq!(silent(config, beating).await, 6, "three heart-beats missed");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_not_kept_and_its_messages_go_to_others() {
    let broker = Broker::new(Config::default(), || 0);
    let mut stream = broker.dialer(&CancellationToken::new()).dial().await.unwrap();
    stream.write_all(b"CONNECT\naccept-version:1.2\n\n\0").await.unwrap();
    let body = "x".repeat(60_000);
    for _ in 0..4 {
        stream.write_all(format!("SEND\ndestination:/queue/q\n\n{body}\0").as_bytes()).await.unwrap();
    }
    let subscribe =
        b"SUBSCRIBE\nid:1\ndestination:/queue/q\nack:client-individual\nactivemq.prefetchSize:9\n\n\0";
    stream.write_all(subscribe).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(broker.depth("q"), (4, 4));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(broker.depth("q"), (4, 0));
}

#[tokio::test]
async fn stopping_ends_all_connections() {
    let (address, stop) = start(|_| {}).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"CONNECT\naccept-version:1.2\n\n\0").await.unwrap();
    let mut said = [0; 9];
    stream.read_exact(&mut said).await.unwrap();
    stop.cancel();
    read_to_end(&mut stream).await;
}

#[tokio::test]
async fn a_taken_port_says_what_to_do() {
    let (address, _stop) = start(|_| {}).await;
    let taken = Config { listen: address, ..Config::default() }.build(clock::system).await;
    let error = taken.err().expect("the port is taken").to_string();
    assert!(error.contains("point ACTIVEMQ_BROKER_URL to it"), "{error}");
}
