//! Requests against answers, as text: `custom.golden` holds both.
//!
//! Each case is a line `> VERSION PATH?QUERY` (with ` as Table` behind it for the table), followed by the code
//! and the body. After a deliberate change, `UPDATE_GOLDEN=1 cargo test -p podgauge-api` writes the file anew;
//! read the difference before you commit it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use podgauge_api::{Audience, Config, CustomMetrics, Rules};
use podgauge_apiserver::{Answer, Api, Query, Representation, Request, protobuf};
use podgauge_store::{
    Endpoint, Failure, FailureKind, Kind, LayoutBuilder, ObjectKind, Objects, Outcome, Pod, PodKey,
    PodLabels, PodUpdate, Reader, Scheme, Timestamp, WhyNot, Writer,
};
use prometheus_client::registry::Registry;

/// 2026-08-21T11:29:11.700Z, the instant of every request.
const NOW: Timestamp = Timestamp::from_millis(1_787_311_751_700);

type Line<'a> = (&'a str, Kind, &'a [(&'a str, &'a str)], f64);

/// A pod with pages; each page is how many seconds ago it was read, and its lines.
fn pod(writer: &mut Writer, name: &str, app: &str, pages: &[(u64, &[Line<'_>])]) {
    let mut change = writer.apply(update(name, app, Ok(8080)));
    let recorder = &mut change.started[0];
    for (ago, lines) in pages {
        let mut layout = LayoutBuilder::default();
        for (name, kind, labels, _) in *lines {
            layout.push(name, *kind, labels.iter().copied());
        }
        let layout = recorder.intern(layout.build());
        let values: Vec<f64> = lines.iter().map(|line| line.3).collect();
        let taken = NOW.before(Duration::from_secs(*ago));
        recorder.record(&layout, &values, &[], taken, Outcome::default()).unwrap();
    }
}

fn update(name: &str, app: &str, port: Result<u16, WhyNot>) -> PodUpdate {
    let address = IpAddr::from([10, 1, 2, 3]);
    let endpoint =
        |port| vec![Endpoint { scheme: Scheme::Http, address, port, path: "/metrics".into(), terms: 0 }];
    PodUpdate {
        key: PodKey::new(if app == "lonely" { "empty" } else { "shop" }, name),
        uid: name.into(),
        labels: PodLabels::from_iter([("app", app), ("pod", name)]),
        node: Some(if name.ends_with('0') { "node-a" } else { "node-b" }.into()),
        endpoints: port.map(endpoint),
    }
}

fn store() -> (Writer, Reader) {
    let (mut writer, reader) = podgauge_store::open(podgauge_store::Config::default());
    let messages = |value| [("messages", Kind::Gauge, [].as_slice(), value)];
    pod(&mut writer, "worker-0", "worker", &[(2, &messages(7.0))]);
    pod(&mut writer, "worker-1", "worker", &[(1, &messages(1.5))]);
    pod(&mut writer, "worker-2", "worker", &[(41, &messages(99.0))]);
    pod(&mut writer, "worker-3", "worker", &[(1, &messages(f64::NAN))]);
    writer.apply(update("worker-4", "worker", Err(WhyNot::NotAnnotated)));
    writer.apply(update("worker-5", "worker", Err(WhyNot::Phase("Pending".into()))));
    let mut dead = writer.apply(update("worker-6", "worker", Ok(9090)));
    dead.started[0].fail(Failure {
        at: NOW.before(Duration::from_secs(3)),
        kind: FailureKind::Connect,
        message: "connection refused".into(),
    });
    writer.apply(update("fresh-0", "fresh", Ok(8080)));
    writer.apply(update("lonely-0", "lonely", Err(WhyNot::NoPort)));

    let web = |scale: f64| -> Vec<Line<'_>> {
        vec![
            ("http_requests_total", Kind::Counter, &[("code", "200"), ("method", "get")], 100.0 * scale),
            ("http_requests_total", Kind::Counter, &[("code", "500"), ("method", "get")], 3.0 * scale),
            ("wait_seconds_bucket", Kind::Bucket, &[("le", "0.1")], 5.0 * scale),
            ("wait_seconds_bucket", Kind::Bucket, &[("le", "1")], 9.0 * scale),
            ("wait_seconds_bucket", Kind::Bucket, &[("le", "+Inf")], 10.0 * scale),
            ("wait_seconds_sum", Kind::Sum, &[], 4.0 * scale),
            ("wait_seconds_count", Kind::Count, &[], 10.0 * scale),
            ("huge", Kind::Gauge, &[], 1e300),
            ("depth", Kind::Gauge, &[("queue", "10")], 4.0),
            ("depth", Kind::Gauge, &[("queue", "20")], -6.25),
            ("idle_seconds_sum", Kind::Sum, &[], 4.0),
            ("idle_seconds_count", Kind::Count, &[], 10.0),
        ]
    };
    pod(&mut writer, "web-0", "web", &[(31, &web(1.0)), (16, &web(2.0)), (1, &web(3.0))]);
    pod(&mut writer, "web-1", "web", &[(20, &web(5.0)), (5, &web(1.0))]);
    pod(&mut writer, "web-2", "web", &[(1, &web(1.0))]);
    // Negative observations, series that stand in another order, a NaN beside a number, a clock that was set back.
    let mixed = |scale: f64| -> Vec<Line<'_>> {
        vec![
            ("mixed", Kind::Gauge, &[("q", "a")], f64::NAN),
            ("mixed", Kind::Gauge, &[("q", "b")], 7.0),
            ("cold_seconds_sum", Kind::Sum, &[("q", "a")], -10.0 * scale),
            ("cold_seconds_sum", Kind::Sum, &[("q", "b")], -100.0 * scale),
            ("cold_seconds_count", Kind::Count, &[("q", "b")], 10.0 * scale),
            ("cold_seconds_count", Kind::Count, &[("q", "a")], scale),
        ]
    };
    pod(&mut writer, "mixed-0", "mixed", &[(16, &mixed(1.0)), (1, &mixed(2.0))]);
    let mut ahead = writer.apply(update("ahead-0", "ahead", Ok(8080)));
    let mut layout = LayoutBuilder::default();
    layout.push("messages_ahead", Kind::Gauge, std::iter::empty());
    let layout = ahead.started[0].intern(layout.build());
    let later = NOW.after(Duration::from_secs(600));
    ahead.started[0].record(&layout, &[1.0], &[], later, Outcome::default()).unwrap();
    (writer, reader)
}

/// Deployments and Services are known, of Services none has been listed, and Jobs cannot be.
fn objects() -> Objects {
    let objects = Objects::new(["services", "deployments.apps", "jobs.batch"]);
    let kind = ObjectKind { kind: "Deployment".into(), api_version: "apps/v1".into() };
    let known = [
        ("web", Some("app=web")),
        ("worker", Some("app in (worker),pod notin (worker-2,worker-3)")),
        ("nobody", Some("app=nobody")),
        ("unselective", None),
        ("broken", Some("app in (")),
    ];
    let selectors = known.map(|(name, selector)| (("shop".into(), name.into()), selector.map(Into::into)));
    objects.replace("deployments.apps", kind, selectors.into_iter().collect());
    objects.unavailable("jobs.batch", "podgauge's account may not list and watch jobs.batch; grant both");
    objects
}

fn answer(apis: &[CustomMetrics; 2], case: &str) -> String {
    let (case, table) = case.strip_suffix(" as Table").map_or((case, false), |case| (case, true));
    let (version, target) = case.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap());
    let request = Request {
        attributes: Default::default(),
        segments: path.split('/').map(str::to_owned).collect(),
        query: Query(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()),
        representation: if table { Representation::Table } else { Representation::Object },
    };
    let api = apis.iter().find(|api| api.group_version().version == version).unwrap();
    match api.get(&request) {
        Ok(Answer::Json(json)) => {
            let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(json["apiVersion"], format!("custom.metrics.k8s.io/{version}"));
            let items = json["items"].as_array().unwrap().iter().map(|item| format!("\n    {item}"));
            format!("200 {} items{}", json["kind"], items.collect::<String>())
        }
        Ok(Answer::Table(table)) => {
            let rows = table.rows.iter().map(|row| format!("\n    {}", serde_json::to_string(row).unwrap()));
            format!("200 Table{}", rows.collect::<String>())
        }
        Ok(Answer::Later(work)) => panic!("no rule is in force that would need {work:?}"),
        Err(status) => status.to_string(),
    }
}

/// Both versions over a store, as podgauge serves them; discovery lists `names` at most.
fn apis(reader: Reader, names: usize, audience: impl Audience) -> [CustomMetrics; 2] {
    let config = Config { max_age: Duration::from_secs(40), discovery_metrics: names };
    let rules = Rules::none(reader.clone());
    CustomMetrics::both(config, reader, objects(), rules, || NOW, audience, &mut Registry::default())
}

#[test]
fn answers() {
    let (_writer, reader) = store();
    let apis = apis(reader, 1000, ());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/custom.golden");
    let golden = fs::read_to_string(&path).unwrap();
    let mut now = String::new();
    for line in golden.lines() {
        if line.starts_with('#') || line.is_empty() {
            now.push_str(line);
            now.push('\n');
        } else if let Some(case) = line.strip_prefix("> ") {
            now.push_str(&format!("> {case}\n{}\n", answer(&apis, case)));
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &now).unwrap();
    }
    assert!(golden.lines().filter(|line| line.starts_with("> ")).count() > 40);
    assert_eq!(now, golden, "run with UPDATE_GOLDEN=1 and read the difference");
}

#[test]
fn documents_are_kubernetes_own_to_the_byte() {
    let (mut writer, reader) = podgauge_store::open(podgauge_store::Config::default());
    pod(&mut writer, "web-0", "web", &[(0, &[("messages", Kind::Gauge, &[], 1.5)])]);
    let apis = apis(reader, 1000, ());
    let get = |api: &CustomMetrics| {
        let segments = ["namespaces", "shop", "pods", "*", "messages"].map(str::to_owned).to_vec();
        let request = Request {
            attributes: Default::default(),
            segments,
            query: Query::default(),
            representation: Representation::Object,
        };
        match api.get(&request).unwrap() {
            Answer::Json(json) => String::from_utf8(json).unwrap(),
            other => panic!("nobody asked for {other:?}"),
        }
    };
    let protobuf = |api: &CustomMetrics| {
        let bytes = protobuf::from_json(get(api).as_bytes(), api.message().unwrap()).unwrap();
        bytes.escape_ascii().to_string()
    };
    assert_eq!(
        get(&apis[0]),
        r#"{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta1","metadata":{},"items":[{"describedObject":{"kind":"Pod","namespace":"shop","name":"web-0","apiVersion":"v1"},"metricName":"messages","timestamp":"2026-08-21T11:29:11Z","value":"1500m","selector":null}]}"#
    );
    assert_eq!(
        get(&apis[1]),
        r#"{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta2","metadata":{},"items":[{"describedObject":{"kind":"Pod","namespace":"shop","name":"web-0","apiVersion":"v1"},"metric":{"name":"messages","selector":null},"timestamp":"2026-08-21T11:29:11Z","value":"1500m"}]}"#
    );
    assert_eq!(
        protobuf(&apis[0]),
        r"k8s\x00\n0\x12\x0fMetricValueList\n\x1dcustom.metrics.k8s.io/v1beta1\x127\n\x00\x123\n\x16\n\x03Pod\x12\x04shop\x1a\x05web-0*\x02v1\x12\x08messages\x1a\x06\x08\x87\xed\xa0\xd4\x06*\x07\n\x051500m"
    );
    assert_eq!(
        protobuf(&apis[1]),
        r"k8s\x00\n0\x12\x0fMetricValueList\n\x1dcustom.metrics.k8s.io/v1beta2\x129\n\x00\x125\n\x16\n\x03Pod\x12\x04shop\x1a\x05web-0*\x02v1\x12\n\n\x08messages\x1a\x06\x08\x87\xed\xa0\xd4\x06*\x07\n\x051500m"
    );
}

#[test]
fn discovery_is_bounded_consistent_and_never_empty() {
    let names = |reader: Reader, limit| -> Vec<(String, bool)> {
        let [api, _] = apis(reader, limit, ());
        api.resources().into_iter().map(|resource| (resource.name, resource.namespaced)).collect()
    };
    let (_, empty) = podgauge_store::open(podgauge_store::Config::default());
    assert_eq!(
        names(empty, 10),
        [("namespaces/custommetrics".to_owned(), false), ("pods/custommetrics".to_owned(), true)]
    );
    let (_writer, reader) = store();
    let all = names(reader.clone(), 1000);
    assert!(all.contains(&("pods/messages".to_owned(), true)));
    assert!(all.contains(&("pods/wait_seconds_p95".to_owned(), true)));
    assert!(all.contains(&("namespaces/http_requests_per_second".to_owned(), false)));
    assert!(all.iter().all(|(name, namespaced)| *namespaced == name.starts_with("pods/")));
    assert!(all.is_sorted());
    // Each layout has its turn before any has a second one.
    let few = names(reader, 4);
    assert_eq!(
        few.iter().filter_map(|(name, _)| name.strip_prefix("pods/")).collect::<Vec<_>>(),
        ["cold_seconds_count", "depth", "messages", "messages_ahead"]
    );
}

#[test]
fn a_page_of_many_names_crowds_nobody_out() {
    let (mut writer, reader) = podgauge_store::open(podgauge_store::Config::default());
    let names: Vec<String> = (0..5000).map(|n| format!("!{n:04}")).collect();
    let lines: Vec<Line<'_>> =
        names.iter().map(|name| (name.as_str(), Kind::Gauge, [].as_slice(), 1.0)).collect();
    pod(&mut writer, "hostile", "web", &[(1, &lines)]);
    pod(&mut writer, "worker", "web", &[(1, &[("messages", Kind::Gauge, &[], 1.0)])]);
    let [api, _] = apis(reader, 10, ());
    let names: Vec<String> = api.resources().into_iter().map(|resource| resource.name).collect();
    assert_eq!(names.len(), 20);
    assert!(names.contains(&"pods/messages".to_owned()), "{names:?}");
}

#[test]
fn discovery_follows_the_pages() {
    let (mut writer, reader) = podgauge_store::open(podgauge_store::Config::default());
    let [api, _] = apis(reader, 1000, ());
    let pods = || -> Vec<String> {
        let all = api.resources().into_iter().map(|resource| resource.name);
        all.filter_map(|name| name.strip_prefix("pods/").map(str::to_owned)).collect()
    };
    assert_eq!(pods(), ["custommetrics"]);
    pod(&mut writer, "a", "web", &[(1, &[("messages", Kind::Gauge, &[], 1.0)])]);
    assert_eq!(pods(), ["messages"]);
    pod(&mut writer, "b", "web", &[(1, &[("orders", Kind::Gauge, &[], 1.0)])]);
    assert_eq!(pods(), ["messages", "orders"]);
    writer.remove(&PodKey::new("shop", "a"), "a");
    assert_eq!(pods(), ["orders"]);
}

/// Remembers what it was told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Audience for Told {
    fn answered(&self, question: &podgauge_api::Question<'_>, pods: &[Arc<Pod>]) {
        let pods: Vec<&str> = pods.iter().map(|pod| &*pod.key.name).collect();
        self.0.lock().unwrap().push(format!("{question:?} about {pods:?}"));
    }
}

#[test]
fn the_audience_is_told_what_was_answered_and_nothing_else() {
    let (_writer, reader) = store();
    let told = Told::default();
    let apis = apis(reader, 10, told.clone());
    let check = |case: &str, want: &[&str]| {
        answer(&apis, case);
        assert_eq!(std::mem::take(&mut *told.0.lock().unwrap()), want, "{case}");
    };
    let labelled = "Question { namespace: \"shop\", resource: \"pods\", name: \"*\", labels: \"app=web\", fields: \"\", \
                    metric: \"depth\", series: \"\" } about [\"web-0\", \"web-1\", \"web-2\"]";
    // Both versions ask the same.
    check("v1beta1 namespaces/shop/pods/*/depth?labelSelector=app=web", &[labelled]);
    check("v1beta2 namespaces/shop/pods/*/depth?labelSelector=app=web", &[labelled]);
    check(
        "v1beta2 namespaces/shop/pods/web-0/depth?labelSelector=app=ignored",
        &[
            "Question { namespace: \"shop\", resource: \"pods\", name: \"web-0\", labels: \"\", fields: \"\", \
           metric: \"depth\", series: \"\" } about [\"web-0\"]",
        ],
    );
    check(
        "v1beta2 namespaces/shop/deployments.apps/web/depth",
        &[
            "Question { namespace: \"shop\", resource: \"deployments.apps\", name: \"web\", labels: \"\", fields: \"\", \
           metric: \"depth\", series: \"\" } about [\"web-0\", \"web-1\", \"web-2\"]",
        ],
    );
    check("v1beta1 namespaces/shop/pods/*/nonsense?labelSelector=app=web", &[]);
    check("v1beta1 namespaces/shop/pods/*/depth?labelSelector=app=nobody", &[]);
    check("v1beta1 namespaces/shop/pods/*/depth?labelSelector=!", &[]);
}
