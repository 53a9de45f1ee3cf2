//! Pods whose pages are read every fifteen seconds for ten minutes, in a store, and as samples for Prometheus.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use podgauge_api::{Config, CustomMetrics, ExternalMetrics, Rules};
use podgauge_apiserver::{Answer, Api, Query, Representation, Request};
use podgauge_promql::{Dialect, Labels};
use podgauge_rules::{RuleSet, TargetLabels};
use podgauge_store::{
    Endpoint, Kind, LayoutBuilder, Objects, Outcome, PodKey, PodLabels, PodUpdate, Recorder, Scheme,
    Timestamp, Writer,
};
use prometheus_client::registry::Registry;

use crate::Values;

pub(crate) struct World {
    /// The pods live as long as it.
    _writer: Writer,
    pods: Vec<Pod>,
    now: Arc<AtomicI64>,
    rules: Rules,
    custom: CustomMetrics,
    external: ExternalMetrics,
}

struct Pod {
    recorder: Recorder,
    labels: TargetLabels,
    /// How it differs from the others.
    number: i64,
    is_queue: bool,
}

/// Times in milliseconds, and values.
type Samples = Vec<(i64, f64)>;

type Line = (&'static str, Kind, Vec<(&'static str, &'static str)>, f64);

/// When the first scrape is.
const START_MS: i64 = 1_700_000_000_000;
const INTERVAL_MS: i64 = 15_000;
const SCRAPES: i64 = 40;

/// The rules of a configuration, with the semantics of the Prometheus that they are compared with.
pub(crate) fn rules(config: &str, dialect: Dialect) -> RuleSet {
    let mut reading = podgauge_rules::Config::default();
    reading.promql.dialect = dialect;
    podgauge_rules::load(config, &reading).unwrap().0
}

// === impl World ===

impl World {
    pub(crate) fn new(config: &str, dialect: Dialect) -> Self {
        let (mut writer, reader) = podgauge_store::open(podgauge_store::Config::default());
        let live = Rules::none(reader.clone());
        live.replace(rules(config, dialect), Timestamp::from_millis(0));
        let now = Arc::new(AtomicI64::new(0));
        let clock = || {
            let now = Arc::clone(&now);
            move || Timestamp::from_millis(now.load(Ordering::Relaxed))
        };
        let api = Config { max_age: Duration::from_secs(40), discovery_metrics: 100 };
        let objects = Objects::new([""; 0]);
        let mut registry = Registry::default();
        let [_, custom] = CustomMetrics::both(
            api.clone(),
            reader.clone(),
            objects,
            live.clone(),
            clock(),
            (),
            &mut registry,
        );
        let external = ExternalMetrics::new(api, reader, live.clone(), clock(), custom.age_metrics());
        let pods = [
            ("shop", "web-0", "node-a"),
            ("shop", "web-1", "node-a"),
            ("shop", "web-2", "node-b"),
            ("shop", "queue-0", "node-b"),
            ("shop", "queue-1", "node-a"),
            ("other", "queue-0", "node-b"),
        ];
        let pods = (0..).zip(pods).map(|(number, pod)| Pod::new(&mut writer, number, pod)).collect();
        Self { _writer: writer, pods, now, rules: live, custom, external }
    }

    /// Feeds all scrapes, calls `ask` two seconds after those that `asked` names, and answers what it gave, and all
    /// samples as a page for Prometheus.
    pub(crate) fn fed<T>(mut self, asked: &[i64], ask: impl Fn(&Self, i64) -> Vec<T>) -> (Vec<T>, String) {
        let mut gave = Vec::new();
        let mut samples: BTreeMap<&str, BTreeMap<Labels, Samples>> = BTreeMap::new();
        for scrape in 0..SCRAPES {
            for pod in &mut self.pods {
                // Pods are scraped one after the other.
                let at_ms = START_MS + scrape * INTERVAL_MS + pod.number * 137;
                for (name, labels, value) in pod.scrape(scrape, at_ms) {
                    samples.entry(name).or_default().entry(labels).or_default().push((at_ms, value));
                }
            }
            if asked.contains(&scrape) {
                let at_ms = START_MS + scrape * INTERVAL_MS + 2_000;
                self.now.store(at_ms, Ordering::Relaxed);
                self.rules.refresh(Timestamp::from_millis(at_ms));
                gave.extend(ask(&self, at_ms));
            }
        }
        let mut page = String::new();
        for (name, series) in samples {
            writeln!(page, "# TYPE {name} unknown").unwrap();
            for (labels, samples) in series {
                // OpenMetrics knows no blanks between labels.
                let labels = labels.to_string().replace("\", ", "\",");
                for (at_ms, value) in samples {
                    writeln!(page, "{labels} {value} {}.{:03}", at_ms / 1_000, at_ms % 1_000).unwrap();
                }
            }
        }
        page.push_str("# EOF\n");
        (gave, page)
    }

    /// The labels of all series.
    pub(crate) fn series(&self) -> Vec<Labels> {
        let of_pod = |pod: &Pod| -> Vec<Labels> {
            let lines = pod.lines(0).into_iter();
            lines.map(|(name, _, labels, _)| pod.labels.series(name, labels)).collect()
        };
        self.pods.iter().flat_map(of_pod).collect()
    }

    /// What the API answers for a path.
    pub(crate) fn ask(&self, is_external: bool, path: &str) -> Values {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let pairs = query.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        let request = Request {
            attributes: podgauge_apiserver::Attributes::default(),
            segments: path.split('/').map(str::to_owned).collect(),
            query: Query(pairs.into_iter().collect()),
            representation: Representation::Object,
        };
        let api: &dyn Api = if is_external { &self.external } else { &self.custom };
        let answer = match api.get(&request).and_then(Answer::finished) {
            Ok(Answer::Json(json)) => json,
            Ok(other) => panic!("nobody asked for {other:?}"),
            Err(status) => panic!("{path}: {}", status.message),
        };
        let list: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        let item = |item: &serde_json::Value| {
            let object = item["describedObject"]["name"].as_str();
            let key = object.map_or_else(|| item["metricLabels"].to_string(), str::to_owned);
            (key, number(item["value"].as_str().unwrap()))
        };
        list["items"].as_array().unwrap().iter().map(item).collect()
    }
}

// === impl Pod ===

impl Pod {
    fn new(writer: &mut Writer, number: i64, (namespace, name, node): (&str, &str, &str)) -> Self {
        let (app, _) = name.split_once('-').unwrap();
        let address = IpAddr::from([10, 0, 0, u8::try_from(number).unwrap() + 1]);
        let endpoint =
            Endpoint { scheme: Scheme::Http, address, port: 8080, path: "/metrics".into(), terms: 0 };
        let update = PodUpdate {
            key: PodKey::new(namespace, name),
            uid: format!("{namespace}-{name}").into(),
            labels: PodLabels::from_iter([("app", app)]),
            node: Some(node.into()),
            endpoints: Ok(vec![endpoint]),
        };
        let recorder = writer.apply(update).started.pop().unwrap();
        let labels =
            TargetLabels::new(namespace, name, Some(node), &format!("{address}:8080"), [("app", app)]);
        Self { recorder, labels, number, is_queue: app == "queue" }
    }

    /// What its page shows at a scrape. Values are multiples of a quarter, so that sums are exact.
    #[expect(clippy::cast_precision_loss, reason = "numbers are small")]
    fn lines(&self, scrape: i64) -> Vec<Line> {
        let pace = self.number + 2;
        let wave = (scrape * pace * 7) % 13;
        if self.is_queue {
            return vec![
                ("queue_messages", Kind::Gauge, vec![("queue", "mail")], (wave * 4 + pace) as f64),
                ("queue_messages", Kind::Gauge, vec![("queue", "print")], wave as f64 * 0.25),
            ];
        }
        // One of them starts anew, and counts from zero.
        let since = if self.number == 1 && scrape >= 30 { scrape - 30 } else { scrape };
        let count = (since * pace * 11 + since * since) as f64;
        vec![
            ("http_requests_total", Kind::Counter, vec![("code", "200")], count),
            ("http_requests_total", Kind::Counter, vec![("code", "500")], (since / 3) as f64),
            ("busy_seconds_total", Kind::Counter, vec![], count * 0.25),
            ("container_cpu_usage_seconds_total", Kind::Counter, vec![("container", "app")], count * 0.5),
            ("container_cpu_usage_seconds_total", Kind::Counter, vec![("container", "POD")], count),
            ("container_memory_bytes", Kind::Gauge, vec![("container", "app")], (wave * 1024) as f64),
        ]
    }

    /// Keeps its page, and answers the samples on it.
    fn scrape(&mut self, scrape: i64, at_ms: i64) -> Vec<(&'static str, Labels, f64)> {
        let lines = self.lines(scrape);
        let mut layout = LayoutBuilder::default();
        for (name, kind, labels, _) in &lines {
            layout.push(name, *kind, labels.iter().copied());
        }
        let layout = self.recorder.intern(layout.build());
        let values: Vec<f64> = lines.iter().map(|line| line.3).collect();
        let taken = Timestamp::from_millis(at_ms);
        self.recorder.record(&layout, &values, &[], taken, Outcome::default()).unwrap();
        let samples = lines.into_iter();
        samples.map(|(name, _, labels, value)| (name, self.labels.series(name, labels), value)).collect()
    }
}

/// A quantity as a number.
fn number(quantity: &str) -> f64 {
    let digits = quantity.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match quantity.get(digits.len()..).unwrap() {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        other => panic!("{quantity}: {other}"),
    };
    digits.parse::<f64>().unwrap() * scale
}
