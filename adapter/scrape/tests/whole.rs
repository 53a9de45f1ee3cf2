//! The whole room from outside: an API server that is a function, pods on loopback, and the store between them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::StreamBody;
use hyper::body::Frame;
use kube::{Client, client::Body};
use podgauge_scrape::{Clock, Config, Scraper};
use podgauge_store::{Reader, Timestamp};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

/// An API server whose watch of pods delivers what is sent here, and that has nothing else.
fn api_server() -> (Client, mpsc::UnboundedSender<Value>) {
    let (events, receiver) = mpsc::unbounded_channel::<Value>();
    let receiver = Arc::new(std::sync::Mutex::new(Some(receiver)));
    let service = tower::service_fn(move |request: Request<Body>| {
        let is_of_pods = request.uri().path() == "/api/v1/pods";
        let receiver = if is_of_pods { receiver.lock().unwrap().take() } else { None };
        async move {
            let Some(receiver) = receiver else { return Err(io::ErrorKind::ConnectionRefused.into()) };
            let lines = stream::unfold(receiver, |mut receiver| async move {
                let event = receiver.recv().await?;
                Some((Ok::<_, io::Error>(Frame::data(Bytes::from(format!("{event}\n")))), receiver))
            });
            Ok::<_, io::Error>(Response::new(StreamBody::new(lines.boxed())))
        }
    });
    (Client::new(service, "default"), events)
}

/// Serves `messages`, counting up with each scrape; gives its address and the number of connections that are open.
async fn pod() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let open = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&open);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let open = Arc::clone(&counted);
            tokio::spawn(async move {
                open.fetch_add(1, Ordering::SeqCst);
                let mut request = Vec::new();
                let mut count = 0;
                while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
                    if request.ends_with(b"\r\n\r\n") {
                        request.clear();
                        count += 1;
                        let page = format!("# TYPE messages gauge\nmessages {count}");
                        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", page.len());
                        stream.write_all(format!("{head}{page}").as_bytes()).await.unwrap();
                    }
                }
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (address, open)
}

fn event(kind: &str, name: &str, address: SocketAddr, version: u32) -> Value {
    json!({"type": kind, "object": {
        "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": version.to_string(),
                     "annotations": {"prometheus.io/scrape": "true"}},
        "spec": {"containers": [{"ports": [{"containerPort": address.port()}]}]},
        "status": {"phase": "Running", "podIP": address.ip().to_string()}
    }})
}

fn list_end() -> Value {
    json!({"type": "BOOKMARK", "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {
        "resourceVersion": "5", "annotations": {"k8s.io/initial-events-end": "true"}}}})
}

fn messages(reader: &Reader, name: &str) -> Option<f64> {
    let pod = reader.pod("shop", name)?;
    let target = pod.targets().first()?;
    target.page(|page| {
        let id = *page.layout().name("messages")?.series.first()?;
        page.newest(id).map(|sample| sample.value)
    })?
}

/// Lets the others run until it is so. They get there by themselves; only a bug makes this take forever.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(300), waiting).await.expect(what);
}

#[tokio::test]
async fn pods_come_are_scraped_and_go() {
    let (client, events) = api_server();
    let (writer, reader) = podgauge_store::open(podgauge_store::Config::default());
    let clock = Clock::new(|| Timestamp::from_millis(1_700_000_000_000));
    let config = Config {
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        allow_loopback: true,
        ..Config::default()
    };
    let mut registry = Registry::default();
    let scraper = Scraper::build(config, client, writer, clock, &mut registry).unwrap();
    let health = scraper.health();
    let stop = CancellationToken::new();
    let running = tokio::spawn(scraper.run(stop.clone()));
    assert!(!health.is_synced() && !health.is_warm());

    let (first, first_open) = pod().await;
    let (second, second_open) = pod().await;
    events.send(event("ADDED", "first", first, 1)).unwrap();
    events.send(list_end()).unwrap();
    tokio::time::timeout(Duration::from_secs(300), health.warm()).await.expect("all was tried once");
    assert!(health.is_synced());
    until("the first pod has a value", || messages(&reader, "first").is_some()).await;

    events.send(event("ADDED", "second", second, 6)).unwrap();
    until("the second pod's value changes", || messages(&reader, "second").is_some_and(|value| value >= 3.0))
        .await;
    assert_eq!(health.stalled(Duration::from_secs(30)), None);

    events.send(event("DELETED", "first", first, 7)).unwrap();
    until("the first pod is gone", || reader.pod("shop", "first").is_none()).await;
    until("it is let go of", || first_open.load(Ordering::SeqCst) == 0).await;
    assert_eq!(reader.totals().series, 1);
    assert_eq!(second_open.load(Ordering::SeqCst), 1);

    stop.cancel();
    running.await.unwrap();
    until("all connections are closed", || second_open.load(Ordering::SeqCst) == 0).await;
}

#[test]
fn a_config_that_cannot_work_is_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, _events) = api_server();
        let (writer, _reader) = podgauge_store::open(podgauge_store::Config::default());
        let clock = Clock::new(|| Timestamp::from_millis(0));
        let config = Config { timeout: Duration::from_secs(60), ..Config::default() };
        let error = Scraper::build(config, client, writer, clock, &mut Registry::default()).unwrap_err();
        assert_eq!(error.to_string(), "--scrape-timeout must not be longer than --metric-resolution");
    });
}
