//! What a read costs, from the request to the bytes of its answer, without the server around it.
//!
//! `cargo bench -p podgauge-api` asks for a gauge and for a rate of 1, 100, 1,000 and 10,000 pods of 500 series each, and
//! for 100 pods in a namespace of 10,000. Figures are medians and 99th percentiles of single reads on one thread.
#![expect(clippy::print_stdout, reason = "the report is the purpose")]
#![expect(clippy::unwrap_used, reason = "a run that fails has no figures")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use podgauge_api::{Config, CustomMetrics, Rules};
use podgauge_apiserver::{Answer, Api, Attributes, Query, Representation, Request};
use podgauge_store::{
    Endpoint, Kind, LayoutBuilder, Outcome, PodKey, PodLabels, PodUpdate, Scheme, Timestamp, Writer,
};
use prometheus_client::registry::Registry;

const NOW: Timestamp = Timestamp::from_millis(1_787_311_751_700);
const SERIES: usize = 500;
const SPAN: Duration = Duration::from_secs(1);

fn main() {
    println!(
        "| pods asked for | in a namespace of | metric | median | 99 % | reads a second, one core | answer |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (asked, all) in [(1, 1), (100, 100), (1_000, 1_000), (10_000, 10_000), (100, 10_000)] {
        let api = api(asked, all);
        for metric in ["messages", "http_requests_per_second"] {
            report(&api, asked, all, metric);
        }
    }
}

fn report(api: &CustomMetrics, asked: usize, all: usize, metric: &str) {
    let request = request(metric);
    let mut bytes = 0;
    let mut took = Vec::new();
    let start = Instant::now();
    while start.elapsed() < SPAN || took.len() < 20 {
        let before = Instant::now();
        let answer = black_box(api).get(black_box(&request)).unwrap();
        took.push(before.elapsed());
        let Answer::Json(json) = answer else { unreachable!("JSON was asked for") };
        bytes = json.len();
    }
    took.sort_unstable();
    let median = took[took.len() / 2];
    if (asked, all, metric) == (100, 100, "messages") {
        println!("figure reads-100-bare {:.0}", 1.0 / median.as_secs_f64());
    }
    println!(
        "| {asked} | {all} | `{metric}` | {:.1} us | {:.1} us | {:.0} | {:.1} kB |",
        median.as_secs_f64() * 1e6,
        took[took.len() * 99 / 100].as_secs_f64() * 1e6,
        1.0 / median.as_secs_f64(),
        bytes as f64 / 1e3
    );
}

fn request(metric: &str) -> Request {
    Request {
        attributes: Attributes::default(),
        segments: ["namespaces", "shop", "pods", "*", metric].map(str::to_owned).to_vec(),
        query: Query(vec![("labelSelector".to_owned(), "app=backend,tier in (a,b)".to_owned())]),
        representation: Representation::Object,
    }
}

/// `all` pods, of which `asked` are selected.
fn api(asked: usize, all: usize) -> CustomMetrics {
    let config = podgauge_store::Config { series: usize::MAX, bytes: usize::MAX, ..Default::default() };
    let (mut writer, reader) = podgauge_store::open(config);
    (0..all).for_each(|n| pod(&mut writer, n, if n < asked { "backend" } else { "other" }));
    let config = Config { max_age: Duration::from_secs(40), discovery_metrics: 1_000 };
    let objects = podgauge_store::Objects::new(["services"]);
    let [_, api] = CustomMetrics::both(
        config,
        reader.clone(),
        objects,
        Rules::none(reader),
        || NOW,
        (),
        &mut Registry::default(),
    );
    // The pods outlive their writer.
    std::mem::forget(writer);
    api
}

fn pod(writer: &mut Writer, n: usize, app: &str) {
    let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(n).unwrap());
    let endpoint = Endpoint {
        scheme: Scheme::Http,
        address: address.into(),
        port: 8080,
        path: "/metrics".into(),
        terms: 0,
    };
    let mut change = writer.apply(PodUpdate {
        key: PodKey::new("shop", &format!("{app}-7c9d8b6f5-{n:05}")),
        uid: n.to_string().into(),
        labels: PodLabels::from_iter([("app", app), ("pod-template-hash", "7c9d8b6f5"), ("tier", "a")]),
        endpoints: Ok(vec![endpoint]),
        node: None,
    });
    let recorder = &mut change.started[0];
    let mut layout = LayoutBuilder::default();
    layout.push("messages", Kind::Gauge, []);
    for n in 1..SERIES {
        let (name, id) = (format!("family_{}_total", n / 10), n.to_string());
        let name = if n < 5 { "http_requests_total" } else { &name };
        layout.push(name, Kind::Counter, [("code", "200"), ("id", &id)]);
    }
    let layout = recorder.intern(layout.build());
    for ago in [30, 15, 0] {
        let values: Vec<f64> = (0..SERIES).map(|id| (id * n + 60 - ago) as f64).collect();
        let taken = NOW.before(Duration::from_secs(u64::try_from(ago).unwrap()));
        recorder.record(&layout, &values, &[], taken, Outcome::default()).unwrap();
    }
}
