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

/// Where something is listed and watched.
const PODS: &str = "/api/v1/pods";
const MONITORS: &str = "/apis/monitoring.coreos.com/v1/podmonitors";

/// What is sent here, a watch delivers.
type Events = mpsc::UnboundedSender<Value>;

/// An API server with a watch of pods, and nothing else.
fn api_server() -> (Client, Events) {
    let (client, events, _) = api_server_with(Vec::new());
    (client, events)
}

/// One that also answers these paths, and has a watch of monitors.
fn api_server_with(documents: Vec<(&'static str, Value)>) -> (Client, Events, Events) {
    let (pods, of_pods) = mpsc::unbounded_channel::<Value>();
    let (monitors, of_monitors) = mpsc::unbounded_channel::<Value>();
    let watches = Arc::new(std::sync::Mutex::new(vec![(PODS, of_pods), (MONITORS, of_monitors)]));
    let service = tower::service_fn(move |request: Request<Body>| {
        let path = request.uri().path();
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch="));
        let watch = is_watch.then(|| {
            let mut watches = watches.lock().unwrap();
            let index = watches.iter().position(|(of, _)| *of == path)?;
            Some(watches.swap_remove(index).1)
        });
        let document = documents.iter().find(|(of, _)| *of == path).map(|(_, document)| document.to_string());
        async move {
            let body = match (watch.flatten(), document) {
                (Some(events), _) => stream::unfold(events, |mut events| async move {
                    let event = events.recv().await?;
                    Some((Ok::<_, io::Error>(Frame::data(Bytes::from(format!("{event}\n")))), events))
                })
                .boxed(),
                (None, Some(document)) if !is_watch => {
                    stream::iter([Ok(Frame::data(Bytes::from(document)))]).boxed()
                }
                _ => return Err(io::ErrorKind::ConnectionRefused.into()),
            };
            Ok::<_, io::Error>(Response::new(StreamBody::new(body)))
        }
    });
    (Client::new(service, "default"), pods, monitors)
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
    value(reader, name, "messages")
}

fn value(reader: &Reader, name: &str, metric: &str) -> Option<f64> {
    let pod = reader.pod("shop", name)?;
    let target = pod.targets().first()?;
    target.page(|page| {
        let id = *page.layout().name(metric)?.series.first()?;
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
    running.await.unwrap().unwrap();
    until("all connections are closed", || second_open.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn a_monitor_decides_how_its_pods_are_scraped() {
    let group = "monitoring.coreos.com";
    let version = json!({"groupVersion": format!("{group}/v1"), "version": "v1"});
    let rename = json!([{"sourceLabels": ["__name__"], "regex": "(mess).*", "targetLabel": "__name__", "replacement": "${1}"}]);
    let documents = vec![
        (
            "/apis",
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [
            {"name": group, "versions": [version], "preferredVersion": version}]}),
        ),
        (
            "/apis/monitoring.coreos.com/v1",
            json!({"kind": "APIResourceList", "groupVersion": version["groupVersion"],
            "resources": [{"name": "podmonitors", "singularName": "podmonitor", "namespaced": true, "kind": "PodMonitor",
                           "verbs": ["list", "watch"]}]}),
        ),
        (
            MONITORS,
            json!({
            "kind": "PodMonitorList", "apiVersion": version["groupVersion"], "metadata": {"resourceVersion": "1"},
            "items": [{"metadata": {"name": "web", "namespace": "shop", "uid": "1"},
                       "spec": {"selector": {}, "podMetricsEndpoints": [{"metricRelabelings": rename}]}}]}),
        ),
    ];
    let (client, events, monitors) = api_server_with(documents);
    let (writer, reader) = podgauge_store::open(podgauge_store::Config::default());
    let config = Config {
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        allow_loopback: true,
        ..Config::default()
    };
    let clock = Clock::new(|| Timestamp::from_millis(1_700_000_000_000));
    let mut registry = Registry::default();
    let scraper = Scraper::build(config, client, writer, clock, &mut registry).unwrap();
    let health = scraper.health();
    let stop = CancellationToken::new();
    let running = tokio::spawn(scraper.run(stop.clone()));
    let (address, _open) = pod().await;
    events.send(event("ADDED", "first", address, 1)).unwrap();
    events.send(list_end()).unwrap();
    // Nobody is told that all is there before it is known what asks for pods.
    tokio::time::timeout(Duration::from_secs(300), health.warm()).await.expect("all was tried once");
    until("the pod's name is the rule's", || value(&reader, "first", "mess").is_some()).await;
    assert_eq!(messages(&reader, "first"), None);
    until("numbers come by the shape that is known", || value(&reader, "first", "mess") >= Some(4.0)).await;
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains("\nmonitors 1\n") && text.contains("\nmonitors_with_problems 0\n"), "{text}");

    // Without it, the pod's own annotations are all there is.
    let monitor = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "1", "resourceVersion": "2"}, "spec": {}});
    monitors.send(json!({"type": "DELETED", "object": monitor})).unwrap();
    until("the pod's name is its own", || messages(&reader, "first").is_some()).await;
    assert_eq!(value(&reader, "first", "mess"), None);
    stop.cancel();
    running.await.unwrap().unwrap();
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
