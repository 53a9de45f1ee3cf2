//! Rules that ask somebody else.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use podgauge_api::{Evaluation, SeriesNames, Upstream, UpstreamError};
use podgauge_apiserver::Answer;
use podgauge_promql::{Labels, Point};
use podgauge_store::Timestamp;

use crate::{World, request, said};

const RULES: &str = r#"
rules:
- seriesQuery: '{__name__=~"^http_.*",pod!=""}'
  resources: {template: <<.Resource>>}
  name: {matches: "^(.*)_total$", as: "${1}_per_second"}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[1h])) by (<<.GroupBy>>)
  source: prometheus
externalRules:
- seriesQuery: queue_depth
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (queue)
  source: prometheus
"#;

/// What is answered next, and what was asked.
#[derive(Default)]
struct Other {
    next: Mutex<Option<Result<Vec<Point>, UpstreamError>>>,
    asked: Mutex<Vec<String>>,
}

// === impl Other ===

impl Upstream for Other {
    fn instant(&self, query: String, left: Duration) -> Evaluation {
        assert_eq!(left, LEFT);
        self.asked.lock().unwrap().push(query);
        let next = self.next.lock().unwrap().take().unwrap();
        Box::pin(async { next.map(Arc::from) })
    }
}

const LEFT: Duration = Duration::from_secs(7);

/// A future that is ready at once.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("nothing here waits"),
    }
}

fn point(label: (&str, &str), value: f64) -> Point {
    Point { labels: Labels::new([label]), value, sampled_ms: 100_000 }
}

fn world() -> (World, Arc<Other>) {
    let other = Arc::new(Other::default());
    let upstream: Arc<dyn Upstream> = Arc::clone(&other) as _;
    let mut world = World::asking(Some(upstream));
    world.seconds.store(165, std::sync::atomic::Ordering::Relaxed);
    for name in ["web-0", "web-1"] {
        world.pod("shop", name, "web");
    }
    world.load(RULES);
    (world, other)
}

/// Lists series, as names of metrics with names of labels.
fn list(world: &World) {
    let names = |name: &str, labels: &[&str]| {
        SeriesNames::from([(name.to_owned(), labels.iter().map(|&label| label.to_owned()).collect())])
    };
    world.rules.listed(world.rules.wanted().into_iter().map(|query| {
        let found = if query == "queue_depth" {
            names("queue_depth", &["namespace", "queue"])
        } else {
            names("http_requests_total", &["namespace", "pod", "service", "code"])
        };
        (query, Ok(found))
    }));
    world.refresh();
}

/// What is said to `path` when the other answers so, and the code of a failure.
fn ask(world: &World, other: &Other, path: &str, next: Result<Vec<Point>, UpstreamError>) -> (u16, String) {
    *other.next.lock().unwrap() = Some(next);
    let is_external = path.starts_with("external/");
    let path = path.trim_start_matches("external/");
    let api: &dyn podgauge_apiserver::Api = if is_external { &world.external } else { &world.custom };
    let answer =
        api.get(&request(path)).and_then(|answer| ready(answer.settled(LEFT))).and_then(Answer::finished);
    let code = answer.as_ref().err().map_or(200, |status| status.code.as_u16());
    (code, said(answer))
}

#[test]
fn what_others_evaluate_is_answered() {
    let (world, other) = world();
    list(&world);
    let check = |path: &str, points: Vec<Point>, query: &str, want: &str| {
        assert_eq!(ask(&world, &other, path, Ok(points)), (200, want.to_owned()), "{path}");
        assert_eq!(other.asked.lock().unwrap().pop().as_deref(), Some(query));
    };
    check(
        "namespaces/shop/pods/*/http_requests_per_second?labelSelector=app=web",
        vec![point(("pod", "web-0"), 1.5), point(("pod", "web-1"), f64::NAN), point(("pod", "else"), 9.0)],
        r#"sum(rate(http_requests_total{namespace="shop",pod=~"web-0|web-1"}[1h])) by (pod)"#,
        "Pod/web-0 = 1500m 3600s at 00:01:40",
    );
    check(
        "namespaces/shop/services/web/http_requests_per_second?metricLabelSelector=code=200",
        vec![point(("service", "web"), 3.0)],
        r#"sum(rate(http_requests_total{namespace="shop",service="web",code="200"}[1h])) by (service)"#,
        "Service/web = 3 3600s at 00:01:40",
    );
    check(
        "external/namespaces/shop/queue_depth?labelSelector=queue=mail",
        vec![point(("queue", "mail"), 4.0)],
        r#"sum(queue_depth{namespace="shop",queue="mail"}) by (queue)"#,
        r#"queue_depth {"queue":"mail"} = 4 at 00:01:40"#,
    );
}

#[test]
fn what_others_do_not_answer_says_why() {
    let (world, other) = world();
    list(&world);
    let check = |path: &str, next: Result<Vec<Point>, UpstreamError>, code: u16, want: &str| {
        let (found, said) = ask(&world, &other, path, next);
        assert!(found == code && said.contains(want), "{path}: {found} {said}");
    };
    for path in ["namespaces/shop/pods/*/http_requests_per_second", "external/namespaces/shop/queue_depth"] {
        let down = UpstreamError::Unavailable("it is down".to_owned());
        check(path, Err(down), 503, "ules[0] (line ");
        check(path, Err(UpstreamError::Unavailable("it is down".to_owned())), 503, "): it is down");
        check(path, Err(UpstreamError::Refused("no such function".to_owned())), 404, "no such function");
        check(path, Ok(Vec::new()), 404, "and finds nothing");
        check(path, Ok(vec![point(("pod", "web-0"), f64::NAN)]), 404, "finds nothing that is a number");
    }
    let others = vec![point(("pod", "else"), 1.0)];
    check("namespaces/shop/pods/*/http_requests_per_second", Ok(others), 404, "for other objects alone");
}

#[test]
fn names_come_with_the_series_and_stay() {
    let (world, other) = world();
    let path = "namespaces/shop/pods/*/http_requests_per_second";
    let names = || -> Vec<String> {
        let (custom, external) = (&world.custom as &dyn podgauge_apiserver::Api, &world.external);
        let resources = custom.resources().into_iter().chain(podgauge_apiserver::Api::resources(external));
        resources.map(|resource| resource.name).filter(|name| !name.ends_with("metrics")).collect()
    };
    assert_eq!(names(), [""; 0]);
    let (code, said) = ask(&world, &other, path, Ok(Vec::new()));
    assert!(code == 503 && said.ends_with("which series it has: it is being asked"), "{code} {said}");
    let failed = || world.rules.wanted().into_iter().map(|query| (query, Err("it is down".to_owned())));
    world.rules.listed(failed());
    world.refresh();
    let (code, said) = ask(&world, &other, path, Ok(Vec::new()));
    assert!(code == 503 && said.ends_with("which series it has: it is down"), "{code} {said}");
    assert_eq!(ask(&world, &other, "external/namespaces/shop/queue_depth", Ok(Vec::new())).0, 503);

    list(&world);
    let all = [
        "namespaces/http_requests_per_second",
        "pods/http_requests_per_second",
        "services/http_requests_per_second",
        "queue_depth",
    ];
    assert_eq!(names(), all);
    world.rules.listed(failed());
    world.rules.refresh(Timestamp::from_millis(300_000));
    assert_eq!(names(), all);
    assert_eq!(ask(&world, &other, "namespaces/shop/pods/*/unknown", Ok(Vec::new())).0, 404);

    world.load("rules: []");
    assert_eq!(ask(&world, &other, path, Ok(Vec::new())).0, 404);
    assert_eq!((names(), world.rules.wanted().len()), (Vec::new(), 0));
}

#[test]
fn an_answer_that_must_be_asked_for_is_not_computed() {
    let (world, _) = world();
    list(&world);
    let answer = podgauge_apiserver::Api::get(&world.external, &request("namespaces/shop/queue_depth"));
    let status = answer.and_then(Answer::finished).unwrap_err();
    assert_eq!((status.code.as_u16(), &*status.message), (500, "the answer is still to be asked for"));
}
