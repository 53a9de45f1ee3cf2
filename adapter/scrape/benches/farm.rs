//! What scraping costs: CPU a scrape and memory a target, with a farm of pods in a process of its own.
//!
//! `cargo bench -p podgauge-scrape` scrapes 1,000 pods of 500 series and 1,000 pods of one series. The pods have one
//! address each on loopback and one port in common, so a thousand need no more than this process' file descriptors.
#![expect(clippy::print_stdout, reason = "the report is the purpose")]
#![expect(clippy::unwrap_used, reason = "a run that fails has no figures")]

use std::{
    fmt::Write as _,
    fs, io,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::StreamBody;
use hyper::body::Frame;
use kube::{Client, client::Body};
use podgauge_scrape::{Clock, Config, Scraper};
use podgauge_store::Timestamp;
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

const PODS: usize = 1_000;
const INTERVAL: Duration = Duration::from_secs(3);
const ROUNDS: u32 = 8;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--farm") {
        return farm(arguments[at + 1].parse().unwrap());
    }
    println!("{PODS} pods, each every {INTERVAL:?}, {ROUNDS} rounds\n");
    println!("series  page      CPU a scrape  resident memory a target, pages and connections included");
    for series in [500, 1] {
        measure(series);
    }
}

/// A page of `series` counters that looks like a service's.
fn page(series: usize) -> String {
    let mut page = String::from("# TYPE http_requests_total counter\n");
    for n in 0..series {
        let (method, code) = [("GET", 200), ("POST", 201), ("PUT", 409), ("GET", 404)][n % 4];
        writeln!(
            page,
            "http_requests_total{{method=\"{method}\",path=\"/api/v1/resource{:03}\",code=\"{code}\"}} {}",
            n / 4,
            n * 7919
        )
        .unwrap();
    }
    page
}

/// Serves the page to whoever asks, on any address, until the process is ended; prints its port.
#[tokio::main(flavor = "current_thread")]
async fn farm(series: usize) {
    let page = page(series);
    let response: Arc<[u8]> = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{page}",
        page.len()
    )
    .into_bytes()
    .into();
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let response = Arc::clone(&response);
        tokio::spawn(async move {
            let mut request = Vec::new();
            while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
                if request.ends_with(b"\r\n\r\n") {
                    request.clear();
                    stream.write_all(&response).await.unwrap();
                }
            }
        });
    }
}

struct Farm(Child, u16);

impl Farm {
    fn start(series: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--farm", &series.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self(child, port.trim().parse().unwrap())
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::main(worker_threads = 2)]
async fn measure(series: usize) {
    let farm = Farm::start(series);
    let (writer, reader) = podgauge_store::open(podgauge_store::Config::default());
    let start = Instant::now();
    let clock = Clock::new(move || Timestamp::from_millis(1_700_000_000_000).after(start.elapsed()));
    let config = Config { interval: INTERVAL, timeout: INTERVAL, allow_loopback: true, ..Config::default() };
    let mut registry = Registry::default();
    let scraper = Scraper::build(config, api_server(farm.1), writer, clock, &mut registry).unwrap();
    let health = scraper.health();
    let stop = CancellationToken::new();
    let memory = resident_bytes();
    let running = tokio::spawn(scraper.run(stop.clone()));
    health.warm().await;
    sleep(2 * INTERVAL).await;

    let (cpu, scrapes) = (cpu_time(), scrapes(&registry));
    sleep(ROUNDS * INTERVAL).await;
    let (cpu, scrapes) = (cpu_time() - cpu, self::scrapes(&registry) - scrapes);
    let memory = resident_bytes().saturating_sub(memory);
    let totals = reader.totals();
    assert_eq!((totals.targets, totals.series), (PODS, PODS * series));
    println!(
        "{series:>6}  {:>5} kB  {:>9.1} us  {:>6.1} kB, of which the store {:.1} kB",
        page(series).len() / 1000,
        cpu.as_secs_f64() * 1e6 / f64::from(scrapes),
        memory as f64 / 1e3 / PODS as f64,
        totals.heap_bytes as f64 / 1e3 / PODS as f64,
    );
    stop.cancel();
    running.await.unwrap();
}

/// An API server that lists the pods once and has no news afterwards.
fn api_server(port: u16) -> Client {
    let pods = (0..PODS).map(move |n| {
        json!({"type": "ADDED", "object": {
            "metadata": {"name": format!("backend-{n:05}"), "namespace": "default", "uid": n.to_string(),
                         "resourceVersion": "1", "labels": {"app": "backend"},
                         "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": port.to_string()}},
            "status": {"phase": "Running", "podIP": format!("127.1.{}.{}", n / 250, n % 250 + 1)}
        }})
    });
    let end = json!({"type": "BOOKMARK", "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {
        "resourceVersion": "5", "annotations": {"k8s.io/initial-events-end": "true"}}}});
    let events = Mutex::new(Some(pods.chain([end])));
    let events = Arc::new(events);
    let service = tower::service_fn(move |_: Request<Body>| {
        let events = events.lock().unwrap().take();
        async move {
            let Some(events) = events else { return Err(io::Error::from(io::ErrorKind::ConnectionRefused)) };
            let lines = stream::iter(events).map(|event| Ok(Frame::data(Bytes::from(format!("{event}\n")))));
            Ok(Response::new(StreamBody::new(lines.chain(stream::pending::<io::Result<_>>()).boxed())))
        }
    });
    Client::new(service, "default")
}

fn scrapes(registry: &Registry) -> u32 {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    let count = text.lines().find_map(|line| line.strip_prefix("scrapes_total{result=\"success\"} "));
    count.unwrap().parse().unwrap()
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // Linux counts in hundredths of a second on every machine that this runs on.
    Duration::from_millis(ticks * 10)
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
