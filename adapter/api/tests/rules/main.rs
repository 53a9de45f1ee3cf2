//! Names that rules make, and external metrics with rules and without.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod upstream;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use podgauge_api::{Config, CustomMetrics, ExternalMetrics, Rules, Upstream};
use podgauge_apiserver::{Answer, Api, Query, Representation, Request, Status};
use podgauge_store::{
    Endpoint, Kind, LayoutBuilder, Objects, Outcome, PodKey, PodLabels, PodUpdate, Reader, Recorder, Scheme,
    Timestamp, Writer,
};
use prometheus_client::registry::Registry;

const RULES: &str = r#"
rules:
- seriesQuery: 'http_requests_total{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}, node: {resource: node}}}
  name: {matches: "^(.*)_total", as: "${1}_per_second"}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)
- seriesQuery: 'queue_messages{app!=""}'
  resources:
    overrides: {namespace: {resource: namespace}, pod: {resource: pod}, app: {group: apps, resource: deployment}}
  name: {as: backlog}
  metricsQuery: max(max_over_time(<<.Series>>{<<.LabelMatchers>>}[1m])) by (<<.GroupBy>>)
- seriesQuery: 'queue_messages{app="other"}'
  resources: {template: <<.Resource>>}
  name: {as: never}
  metricsQuery: sum(<<.Series>>) by (<<.GroupBy>>)
externalRules:
- seriesQuery: queue_messages
  resources: {overrides: {namespace: {resource: namespace}}}
  name: {as: Queue_Depth}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (queue)
- seriesQuery: queue_messages
  resources: {namespaced: false}
  name: {as: everywhere}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>})
- seriesQuery: queue_messages
  resources: {namespaced: false}
  name: {as: broken}
  metricsQuery: <<.Series>> * on (namespace) <<.Series>>
"#;

/// A store, and APIs over it that share a clock.
struct World {
    writer: Writer,
    reader: Reader,
    rules: Rules,
    seconds: Arc<AtomicI64>,
    custom: CustomMetrics,
    external: ExternalMetrics,
}

// === impl World ===

impl World {
    fn new() -> Self {
        Self::asking(None)
    }

    fn asking(upstream: Option<Arc<dyn Upstream>>) -> Self {
        let (writer, reader) = podgauge_store::open(podgauge_store::Config::default());
        let rules = Rules::new(reader.clone(), upstream);
        let seconds = Arc::new(AtomicI64::new(0));
        let config = Config { max_age: Duration::from_secs(40), discovery_metrics: 100 };
        let clock = || {
            let seconds = Arc::clone(&seconds);
            move || Timestamp::from_millis(seconds.load(Ordering::Relaxed) * 1000)
        };
        let objects = Objects::new([""; 0]);
        let mut registry = Registry::default();
        let both = CustomMetrics::both(
            config.clone(),
            reader.clone(),
            objects,
            rules.clone(),
            clock(),
            (),
            &mut registry,
        );
        let [_, custom] = both;
        let age = custom.age_metrics();
        let external = ExternalMetrics::new(config, reader.clone(), rules.clone(), clock(), age);
        Self { writer, reader, rules, seconds, custom, external }
    }

    fn pod(&mut self, namespace: &str, name: &str, app: &str) -> Recorder {
        let endpoint = Endpoint {
            scheme: Scheme::Http,
            address: IpAddr::from([10, 0, 0, 1]),
            port: 80,
            path: "/".into(),
            terms: 0,
        };
        let update = PodUpdate {
            key: PodKey::new(namespace, name),
            uid: name.into(),
            labels: PodLabels::from_iter([("app", app)]),
            node: Some("node-a".into()),
            endpoints: Ok(vec![endpoint]),
        };
        self.writer.apply(update).started.pop().unwrap()
    }

    fn load(&self, text: &str) {
        let (set, problems) = podgauge_rules::load(text, &podgauge_rules::Config::default()).unwrap();
        assert_eq!(problems, []);
        self.rules.replace(set, self.now());
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.seconds.load(Ordering::Relaxed) * 1000)
    }

    /// Lets the rules look at the pages.
    fn refresh(&self) {
        self.rules.refresh(self.now());
    }

    /// Each value of the answer with what it is about, or what the Status says.
    fn ask(&self, api: &dyn Api, path: &str) -> String {
        said(api.get(&request(path)).and_then(Answer::finished))
    }

    fn custom(&self, path: &str) -> String {
        self.ask(&self.custom, path)
    }

    fn external(&self, path: &str) -> String {
        self.ask(&self.external, path)
    }
}

/// Each value of the answer with what it is about, or what the Status says.
fn said(answer: Result<Answer, Status>) -> String {
    let answer = match answer {
        Ok(Answer::Json(json)) => json,
        Ok(other) => panic!("nobody asked for {other:?}"),
        Err(status) => return status.message.to_string(),
    };
    let list: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    let item = |item: &serde_json::Value| {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let object = &item["describedObject"];
        let about = if object.is_null() {
            format!("{} {}", text(&item["metricName"]), item["metricLabels"])
        } else {
            format!("{}/{}", text(&object["kind"]), text(&object["name"]))
        };
        let window = &item[if object.is_null() { "window" } else { "windowSeconds" }];
        let window = window.as_u64().map_or_else(String::new, |seconds| format!(" {seconds}s"));
        format!("{about} = {}{window} at {}", text(&item["value"]), &text(&item["timestamp"])[11..19])
    };
    list["items"].as_array().unwrap().iter().map(item).collect::<Vec<_>>().join("; ")
}

fn request(path: &str) -> Request {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Request {
        attributes: podgauge_apiserver::Attributes::default(),
        segments: path.split('/').map(str::to_owned).collect(),
        query: Query(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()),
        representation: Representation::Object,
    }
}

fn requests(recorder: &mut Recorder, value: f64, seconds: i64) {
    let mut layout = LayoutBuilder::default();
    layout.push("http_requests_total", Kind::Counter, [("code", "200")]);
    layout.push("http_requests_total", Kind::Counter, [("code", "500")]);
    record(recorder, layout, &[value, value / 10.0], seconds);
}

fn queue(recorder: &mut Recorder, value: f64, seconds: i64) {
    let mut layout = LayoutBuilder::default();
    layout.push("queue_messages", Kind::Gauge, [("queue", "mail")]);
    layout.push("queue_messages", Kind::Gauge, [("queue", "print")]);
    record(recorder, layout, &[value, 1.0], seconds);
}

fn record(recorder: &mut Recorder, layout: LayoutBuilder, values: &[f64], seconds: i64) {
    let layout = recorder.intern(layout.build());
    let taken = Timestamp::from_millis(seconds * 1000);
    recorder.record(&layout, values, &[], taken, Outcome::default()).unwrap();
}

/// Three minutes of scrapes: two pods that serve ten and twenty requests a second, and a queue in each of two namespaces.
fn world() -> World {
    let mut world = World::new();
    world.load(RULES);
    let mut web = [world.pod("shop", "web-0", "web"), world.pod("shop", "web-1", "web")];
    let mut queues = [world.pod("shop", "queue-0", "queue"), world.pod("other", "queue-0", "queue")];
    for scrape in 0..12i64 {
        let seconds = scrape * 15;
        let mut rate = 0.0;
        for web in &mut web {
            rate += 10.0;
            #[expect(clippy::cast_precision_loss, reason = "seconds are few")]
            requests(web, rate * seconds as f64, seconds);
        }
        // A short burst, and quiet since.
        queue(&mut queues[0], if scrape == 9 { 50.0 } else { 4.0 }, seconds);
        queue(&mut queues[1], 100.0, seconds);
    }
    world.seconds.store(165 + 2, Ordering::Relaxed);
    world.refresh();
    world
}

#[test]
fn rules_answer_for_pods_and_objects() {
    let world = world();
    let check = |path: &str, want: &str| assert_eq!(world.custom(path), want, "{path}");
    check(
        "namespaces/shop/pods/*/http_requests_per_second",
        "Pod/web-0 = 11 120s at 00:02:45; Pod/web-1 = 22 120s at 00:02:45",
    );
    check("namespaces/shop/pods/web-1/http_requests_per_second", "Pod/web-1 = 22 120s at 00:02:45");
    check(
        "namespaces/shop/pods/*/http_requests_per_second?labelSelector=app=web&metricLabelSelector=code=500",
        "Pod/web-0 = 1 120s at 00:02:45; Pod/web-1 = 2 120s at 00:02:45",
    );
    check("namespaces/shop/metrics/http_requests_per_second", "Namespace/shop = 33 120s at 00:02:45");
    check("nodes/node-a/http_requests_per_second", "Node/node-a = 33 120s at 00:02:45");
    check("namespaces/shop/nodes/node-a/http_requests_per_second", "Node/node-a = 33 120s at 00:02:45");
    // The burst of half a minute ago: gauges have a history where a rule asks for one.
    check("namespaces/shop/deployments.apps/queue/backlog", "Deployment/queue = 50 60s at 00:02:45");
    check("namespaces/other/deployments.apps/queue/backlog", "Deployment/queue = 100 60s at 00:02:45");
    // What no rule names is answered as without rules.
    check("namespaces/shop/pods/queue-0/queue_messages", "Pod/queue-0 = 5 at 00:02:45");
}

#[test]
fn what_has_no_value_says_by_which_rule() {
    let world = world();
    let check = |path: &str, want: &[&str]| {
        let said = world.custom(path);
        assert!(want.iter().all(|words| said.contains(words)), "{path}: {said}");
    };
    check(
        "namespaces/shop/pods/queue-0/http_requests_per_second",
        &["rules[0] (line 3) asks", "finds nothing", "120 s"],
    );
    check("namespaces/shop/pods/*/http_requests_per_second?metricLabelSelector=code>5", &["with < or >"]);
    check("namespaces/shop/services/web/http_requests_per_second", &["no metrics for \"services\""]);
    check("namespaces/shop/pods/*/never", &["no value of metric \"never\" for pods"]);
    check("namespaces/shop/deployments.apps/*/backlog", &["name one object"]);
    check("namespaces/shop/pods/*/backlog?labelSelector=app=none", &["no pod matches"]);
    world.seconds.store(165 + 41, Ordering::Relaxed);
    check("namespaces/shop/deployments.apps/queue/backlog", &["finds nothing that is a number", "40 s"]);
}

#[test]
fn a_query_of_too_many_series_costs_itself_alone() {
    let world = world();
    let mut config = podgauge_rules::Config::default();
    config.promql.bounds.series = 3;
    let (set, _) = podgauge_rules::load(RULES, &config).unwrap();
    world.rules.replace(set, world.now());
    let said = world.external("namespaces/shop/everywhere");
    assert!(said.contains("externalRules[1]") && said.contains("3 series"), "{said}");
    assert!(world.external("namespaces/shop/queue_depth").contains("= 4 at"));
}

/// What a rule answers takes computing, and is handed on; what needs none is not.
#[test]
fn only_what_takes_computing_is_computed_later() {
    let world = world();
    let check = |api: &dyn Api, path: &str, is_later: bool| {
        let answer = api.get(&request(path)).unwrap();
        assert_eq!(matches!(answer, Answer::Later(_)), is_later, "{path}: {answer:?}");
    };
    check(&world.custom, "namespaces/shop/pods/*/http_requests_per_second", true);
    check(&world.custom, "namespaces/shop/deployments.apps/queue/backlog", true);
    check(&world.external, "namespaces/shop/queue_depth", true);
    check(&world.external, "namespaces/shop/queue_messages", true);
    check(&world.custom, "namespaces/shop/pods/*/queue_messages", false);
    check(&world.custom, "namespaces/shop/metrics/queue_messages", false);
}

#[test]
fn names_come_with_the_pages_that_have_them() {
    let mut world = world();
    let names = |world: &World| {
        world.external.resources().into_iter().map(|resource| resource.name).collect::<Vec<_>>()
    };
    world.load(r#"externalRules: [{seriesQuery: '{__name__=~"new_.*"}', metricsQuery: 'sum(<<.Series>>) by (app)', resources: {namespaced: false}, name: {matches: 'new_(.*)', as: 'ruled_${1}'}}]"#);
    let mut pod = world.pod("shop", "new-0", "web");
    for letter in ["a", "b"] {
        let (name, ruled) = (format!("new_{letter}"), format!("ruled_{letter}"));
        let mut layout = LayoutBuilder::default();
        layout.push(&name, Kind::Gauge, [("q", "a")]);
        let layout = pod.intern(layout.build());
        // The page comes after its layout, and the rules may look in between.
        world.refresh();
        assert!(!names(&world).contains(&ruled));
        pod.record(&layout, &[7.0], &[], Timestamp::from_millis(165_000), Outcome::default()).unwrap();
        world.refresh();
        assert!(names(&world).contains(&ruled), "{ruled}: {:?}", names(&world));
        let value = world.external(&format!("namespaces/none/{ruled}"));
        assert_eq!(value, format!(r#"{ruled} {{"app":"web"}} = 7 at 00:02:45"#));
    }
}

#[test]
fn discovery_lists_what_rules_name() {
    let world = world();
    let names: Vec<_> =
        world.custom.resources().into_iter().map(|resource| (resource.name, resource.namespaced)).collect();
    for (name, namespaced) in [
        ("pods/http_requests_per_second", true),
        ("namespaces/http_requests_per_second", false),
        ("nodes/http_requests_per_second", false),
        ("deployments.apps/backlog", true),
        ("pods/queue_messages", true),
    ] {
        assert!(names.contains(&(name.to_owned(), namespaced)), "{name}: {names:?}");
    }
    assert!(names.is_sorted() && !names.iter().any(|(name, _)| name.ends_with("/never")), "{names:?}");
    let external: Vec<_> = world.external.resources().into_iter().map(|resource| resource.name).collect();
    assert_eq!(external, ["broken", "everywhere", "queue_depth"]);
    // Other rules, other names; and history is let go of.
    world.load("rules: []");
    assert_eq!(world.custom("namespaces/shop/pods/queue-0/queue_messages"), "Pod/queue-0 = 5 at 00:02:45");
    assert!(world.custom("namespaces/shop/deployments.apps/queue/backlog").contains("no metrics for"));
    let external: Vec<_> = world.external.resources().into_iter().map(|resource| resource.name).collect();
    assert_eq!(external, ["http_requests_total", "queue_messages"]);
}

#[test]
fn external_metrics_are_rules_or_scraped_series() {
    let mut world = world();
    let check = |world: &World, path: &str, want: &str| assert_eq!(world.external(path), want, "{path}");
    check(
        &world,
        "namespaces/shop/queue_depth",
        r#"queue_depth {"queue":"mail"} = 4 at 00:02:45; queue_depth {"queue":"print"} = 1 at 00:02:45"#,
    );
    check(
        &world,
        "namespaces/shop/queue_depth?labelSelector=queue=mail",
        r#"queue_depth {"queue":"mail"} = 4 at 00:02:45"#,
    );
    // From all namespaces, since the rule says so.
    check(&world, "namespaces/none/everywhere", "everywhere {} = 106 at 00:02:45");
    let own = |queue: &str, value: &str| {
        format!(
            r#"queue_messages {{"app":"queue","instance":"10.0.0.1:80","job":"kubernetes-pods","kubernetes_namespace":"shop","kubernetes_pod_name":"queue-0","namespace":"shop","node":"node-a","pod":"queue-0","queue":"{queue}"}} = {value} at 00:02:45"#
        )
    };
    let both = format!("{}; {}", own("mail", "4"), own("print", "1"));
    check(&world, "namespaces/shop/queue_messages", &both);
    check(&world, "namespaces/shop/queue_messages?labelSelector=queue=print,app=queue", &own("print", "1"));
    let says = |world: &World, path: &str, want: &str| {
        let said = world.external(path);
        assert!(said.contains(want), "{path}: {said}");
    };
    says(&world, "namespaces/shop/queue_messages?labelSelector=queue=fax", "selector leaves no series");
    says(&world, "namespaces/shop/unknown", "none of the 3 pods there has series called so");
    says(&world, "namespaces/shop/broken", "externalRules[2] (line 25) asks");
    says(&world, "namespaces/none/queue_depth", "finds nothing");
    says(&world, "queue_depth", "namespaces/NAMESPACE/METRIC");
    // Names arrive in lower case, whatever they are on the page.
    let mut odd = world.pod("shop", "odd-0", "odd");
    let mut layout = LayoutBuilder::default();
    layout.push("Odd_Name", Kind::Gauge, [("q", "a")]);
    record(&mut odd, layout, &[7.0], 160);
    assert!(world.external("namespaces/shop/odd_name").contains("\"q\":\"a\"} = 7 at"));
    // One series that is no number, and one pod that cannot be believed, spoil the sum; that of a rule, too.
    let mut nan = world.pod("third", "queue-0", "queue");
    queue(&mut nan, f64::NAN, 160);
    says(&world, "namespaces/none/everywhere", "finds nothing that is a number");
    let mut layout = LayoutBuilder::default();
    layout.push("odd_name", Kind::Gauge, [("q", "b")]);
    layout.push("odd_name", Kind::Gauge, [("q", "c")]);
    let mut more = world.pod("shop", "odd-1", "odd");
    record(&mut more, layout, &[f64::NAN, 1.0], 160);
    says(&world, "namespaces/shop/odd_name", "pod odd-1 has a series of it that is NaN");
    says(&world, "namespaces/shop/odd_name?labelSelector=q in (a,c)", "= 1 at");
    let mut late = world.pod("shop", "queue-1", "queue");
    queue(&mut late, 1.0, 100);
    says(&world, "namespaces/shop/queue_messages", "pod queue-1 has it, but its page is 67 s old");
    assert_eq!(world.reader.totals().pods, 8);
}
