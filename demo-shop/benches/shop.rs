//! What orders and the queue's length cost, against the embedded queue over TCP on loopback, in memory and on disk.
//!
//! `cargo bench -p demo-shop` prints the table of docs/benchmarks.md. Each figure is the median of repeated runs, the worst
//! beside it. With `SHOP_BENCH_BROKER=stomp://HOST:PORT` that broker is measured too; its queues should be empty.
#![expect(clippy::print_stdout, reason = "the report is the purpose")]
#![expect(clippy::unwrap_used, reason = "an order that fails has no speed")]

use demo_shop::broker;
use demo_shop::depth;
use demo_shop::dial::Dialer;
use demo_shop::health::Health;
use demo_shop::metrics::Metrics;
use demo_shop::orders::{self, Orders};
use demo_shop::stomp::{BrokerUrl, connection};
use demo_shop::worker::{self, Work};
use demo_shop::{clock, random::Random};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Repetitions of each measurement.
const RUNS: usize = 7;

/// Items of the large order, and messages that wait while the depth is read.
const LARGE: u32 = 10_000;
const PENDING: u32 = 100_000;

/// Small orders, and how many buyers order at the same time.
const SMALL: usize = 2_000;
const BUYERS: usize = 64;

#[tokio::main]
async fn main() {
    println!("| queue | measured | median | worst | that is |\n|---|---|---|---|---|");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("shop-bench-{:x}", Random::from_entropy().next_u64()));
    let (memory, stop) = embedded(None).await;
    measure("embedded, in memory", &memory).await;
    stop.cancel();
    let (disk, stop) = embedded(Some(directory.clone())).await;
    measure("embedded, on disk", &disk).await;
    stop.cancel();
    // What cannot be removed is in the build's directory for temporary files.
    let _ = std::fs::remove_dir_all(directory);
    if let Ok(url) = std::env::var("SHOP_BENCH_BROKER") {
        measure("the other", &url.parse().unwrap()).await;
    }
}

async fn embedded(directory: Option<PathBuf>) -> (BrokerUrl, CancellationToken) {
    let config = broker::Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        directory,
        ..broker::Config::default()
    };
    let task = config.build(clock::system).await.unwrap();
    let (address, stop) = (task.address(), CancellationToken::new());
    tokio::spawn(task.run(stop.clone()));
    (BrokerUrl { host: address.ip().to_string(), port: address.port(), credentials: None }, stop)
}

/// All figures of one broker.
async fn measure(name: &str, url: &BrokerUrl) {
    let dialer = Dialer::tcp(url);
    let stop = CancellationToken::new();
    let _ends_with_this = stop.clone().drop_guard();
    let health = Health::default();
    let (orders, store) =
        orders::Config { waiting: BUYERS, ..orders::Config::new("bench", connection::Config::default()) }
            .build(dialer.clone(), health.register("store"), Metrics::default());
    tokio::spawn(store.run(stop.clone()));
    while !health.complaints().is_empty() {
        sleep(Duration::from_millis(1)).await;
    }

    let mut times = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        orders.submit(NonZeroU32::new(LARGE).unwrap()).await.unwrap();
        times.push(began.elapsed());
        work_off(&dialer, 64).await;
    }
    row(name, "one order of 10,000 items, to its receipt", &mut times, LARGE as f64, "items/s");

    let mut times = Vec::new();
    for _ in 0..RUNS {
        times.push(many(&orders).await);
        work_off(&dialer, 64).await;
    }
    row(name, "2,000 orders of one item, 64 buyers at once", &mut times, SMALL as f64, "orders/s");

    for _ in 0..PENDING / LARGE {
        orders.submit(NonZeroU32::new(LARGE).unwrap()).await.unwrap();
    }
    for (what, statistics_timeout) in [
        ("the depth at 100,000 pending, by statistics", Duration::from_secs(5)),
        ("the depth at 100,000 pending, by browsing all", Duration::ZERO),
    ] {
        let config = depth::Config {
            fresh_for: Duration::ZERO,
            timeout: Duration::from_secs(60),
            statistics_timeout,
            browse_limit: 1_000_000,
            ..depth::Config::new("bench", connection::Config::default())
        };
        let (depth, task) = config.build(dialer.clone(), clock::system);
        tokio::spawn(task.run(stop.clone()));
        depth.read().await.unwrap();
        let mut times = Vec::new();
        for _ in 0..RUNS {
            let began = Instant::now();
            assert_eq!(depth.read().await.unwrap().messages, u64::from(PENDING));
            times.push(began.elapsed());
        }
        row(name, what, &mut times, 1.0, "readings/s");
    }

    let mut times = vec![work_off(&dialer, 1).await];
    row(
        name,
        "100,000 orders worked off by one worker, one at a time",
        &mut times,
        PENDING.into(),
        "orders/s",
    );
}

/// Small orders from many buyers; how long all took.
async fn many(orders: &Orders) -> Duration {
    let began = Instant::now();
    let mut buyers = JoinSet::new();
    for _ in 0..BUYERS {
        let orders = orders.clone();
        buyers.spawn(async move {
            for _ in 0..SMALL / BUYERS {
                orders.submit(NonZeroU32::MIN).await.unwrap();
            }
        });
    }
    buyers.join_all().await;
    began.elapsed()
}

/// Empties the queue with work that takes no time; how long it took.
async fn work_off(dialer: &Dialer, concurrency: u32) -> Duration {
    let config = depth::Config {
        fresh_for: Duration::ZERO,
        ..depth::Config::new("bench", connection::Config::default())
    };
    let (depth, reader) = config.build(dialer.clone(), clock::system);
    let stop = CancellationToken::new();
    tokio::spawn(reader.run(stop.clone()));
    let config = worker::Config {
        work: Work::Wait(Duration::ZERO),
        concurrency,
        ..worker::Config::new("bench", connection::Config::default())
    };
    let worker = config.build(dialer.clone(), Health::default().register("worker"), Metrics::default());
    let began = Instant::now();
    let worker = tokio::spawn(worker.run(stop.clone()));
    while depth.read().await.is_none_or(|reading| reading.messages > 0) {
        sleep(Duration::from_millis(5)).await;
    }
    let took = began.elapsed();
    stop.cancel();
    worker.await.unwrap();
    took
}

fn row(queue: &str, what: &str, times: &mut [Duration], count: f64, unit: &str) {
    times.sort_unstable();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    let rate = count / median.as_secs_f64();
    let ms = |time: Duration| {
        format!("{:.*} ms", if time.as_millis() < 100 { 2 } else { 0 }, time.as_secs_f64() * 1e3)
    };
    println!("| {queue} | {what} | {} | {} | {rate:.0} {unit} |", ms(median), ms(worst));
}
