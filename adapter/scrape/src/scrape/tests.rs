//! Whole scrapes of pods on loopback, good and bad: what the store knows afterwards, and what the pod saw.
//!
//! Pods here are functions of a raw socket, so that they can do what no HTTP library lets one do.

mod bad_pods;
mod connections;
mod large_pages;
mod memory;
mod pages;
mod tls;

use std::{
    io::Write as _,
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use podgauge_store::{FailureKind, Kind, PodKey, PodLabels, PodUpdate, Scheme, TargetStatus, Writer};
use prometheus_client::registry::Registry;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};

use super::*;
use crate::Config;

const NOW: i64 = 1_700_000_000_000;
const PAGE: &str = "# TYPE messages gauge\nmessages 7";

/// A pod that listens on loopback until it is dropped.
struct Pod {
    address: SocketAddr,
    seen: Arc<Seen>,
    _accepting: JoinSet<()>,
}

/// What a pod saw.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
    /// A whole request has been read.
    asked: Notify,
}

impl Pod {
    /// Serves each connection with `serve`, which gets it after its first request was read.
    async fn new<F>(serve: impl Fn(TcpStream, Arc<Seen>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let mut accepting = JoinSet::new();
        let told = Arc::clone(&seen);
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                told.connections.fetch_add(1, Ordering::SeqCst);
                if read_request(&mut stream, &told).await {
                    connections.spawn(serve(stream, Arc::clone(&told)));
                }
            }
        });
        Self { address, seen, _accepting: accepting }
    }

    /// Sends these bytes and closes.
    async fn sending(response: impl Into<Vec<u8>>) -> Self {
        let response: Arc<[u8]> = response.into().into();
        Self::new(move |mut stream, _| {
            let response = Arc::clone(&response);
            async move {
                // A scraper that has seen enough hangs up.
                drop(stream.write_all(&response).await);
                drop(stream.shutdown().await);
            }
        })
        .await
    }

    /// Sends this head and then this piece without end.
    async fn pouring(head: &'static str, piece: &'static [u8]) -> Self {
        Self::new(move |mut stream, _| async move {
            drop(stream.write_all(head.as_bytes()).await);
            while stream.write_all(piece).await.is_ok() {}
        })
        .await
    }
}

/// Whether a whole request came.
async fn read_request(stream: &mut TcpStream, seen: &Seen) -> bool {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return false;
        }
    }
    seen.requests.lock().unwrap().push(String::from_utf8(request).unwrap());
    seen.asked.notify_one();
    true
}

/// One target, and all it takes to scrape it.
struct Stage {
    scrape: PodScrape,
    slot: Slot,
    writer: Writer,
    registry: Registry,
    clock: Arc<Mutex<i64>>,
}

impl Stage {
    fn new(address: SocketAddr, config: &Config) -> Self {
        Self::with(address, config, Scheme::Http, podgauge_store::Config::default())
    }

    fn with(address: SocketAddr, config: &Config, scheme: Scheme, store: podgauge_store::Config) -> Self {
        let (mut writer, _reader) = podgauge_store::open(store);
        let mut registry = Registry::default();
        let now = Arc::new(Mutex::new(NOW));
        let told = Arc::clone(&now);
        let clock = Clock::new(move || Timestamp::from_millis(*told.lock().unwrap()));
        let scrape = PodScrape {
            fetcher: Fetcher::new(config, clock.clone()).unwrap(),
            limits: config.page.clone(),
            shapes: Shapes::new(config.memory_limit),
            offload: Offload::new(),
            metrics: Metrics::register(&mut registry),
            clock,
        };
        let slot = scrape.open(target(&mut writer, "backend", address, scheme), None);
        Self { scrape, slot, writer, registry, clock: now }
    }

    async fn scrape(&mut self) -> TargetStatus {
        self.scrape.scrape(&mut self.slot).await;
        self.slot.target().status()
    }

    fn value(&self, name: &str) -> Option<f64> {
        value(self.slot.target(), name)
    }

    fn counts(&self, line: &str) -> bool {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text.lines().any(|l| l == line)
    }
}

fn target(writer: &mut Writer, name: &str, address: SocketAddr, scheme: Scheme) -> Recorder {
    let endpoint = Endpoint {
        scheme,
        address: address.ip(),
        port: address.port(),
        path: "/metrics?x=1".into(),
        terms: 0,
    };
    let change = writer.apply(PodUpdate {
        key: PodKey::new("default", name),
        uid: name.into(),
        labels: PodLabels::default(),
        node: None,
        endpoints: Ok(vec![endpoint]),
    });
    change.started.into_iter().next().unwrap()
}

fn value(target: &Target, name: &str) -> Option<f64> {
    target.page(|page| {
        let id = *page.layout().name(name)?.series.first()?;
        page.newest(id).map(|sample| sample.value)
    })?
}

/// A config for tests in which nothing times out by itself.
fn patient() -> Config {
    let hour = Duration::from_secs(3600);
    Config { interval: hour, timeout: hour, backoff_limit: hour, ..Config::default() }
}

fn ok(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn with_body(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes(), body].concat()
}

/// Answers any number of requests on a connection.
async fn keep_serving(mut stream: TcpStream, seen: Arc<Seen>, response: String) {
    loop {
        if stream.write_all(response.as_bytes()).await.is_err() || !read_request(&mut stream, &seen).await {
            return;
        }
    }
}

/// What becomes of a scrape of a pod that sends this.
async fn check_failure(config: &Config, pod: &Pod, kind: FailureKind, message: &str) {
    let mut stage = Stage::new(pod.address, config);
    let failure = stage.scrape().await.failure.expect(message);
    assert_eq!((failure.kind, &*failure.message), (kind, message));
    // A page that was read to its end leaves a connection that is as good as before.
    let was_read = kind == FailureKind::Page || message.contains("series");
    assert!(was_read || stage.slot.connection.is_none(), "{message}: the connection was kept");
    assert!(stage.slot.target().page(|_| ()).is_none(), "{message}: there is a page");
    assert!(stage.counts(&format!("scrapes_total{{result=\"{}\"}} 1", kind.as_str())));
}
