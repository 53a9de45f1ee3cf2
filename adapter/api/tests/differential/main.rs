//! Sample configurations, answered by podgauge from its store and by a real Prometheus over the same samples.
//!
//! The store is fed scrape by scrape, as it is when pods are scraped, and asked in between, so that what it has forgotten
//! is really gone; Prometheus gets all samples, with the labels of `podgauge_rules::TargetLabels`, and is asked afterwards
//! for the same instants. Runs where `prometheus` and `promtool` are on PATH, which is required when
//! `PODGAUGE_REQUIRE_PROMETHEUS` is set.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../../promql/tests/differential/prometheus.rs"]
#[expect(dead_code, reason = "range queries are asked elsewhere, and others let it scrape")]
mod prometheus;
mod world;

use std::collections::BTreeMap;

use podgauge_promql::{Dialect, Labels};
use podgauge_rules::{Ask, GroupResource, Rule, RuleSet};

use self::{prometheus::Prometheus, world::World};

/// A value for each object or set of labels.
type Values = BTreeMap<String, f64>;

/// What is asked: the API's path below its version, and the same for a rule.
struct Question {
    path: String,
    /// The resource and the names of its objects; none for an external metric.
    objects: Option<(GroupResource, Vec<String>)>,
    namespace: &'static str,
    metric: &'static str,
}

/// An answer that is to be compared.
struct Answered {
    what: String,
    at_ms: i64,
    query: String,
    /// The label that tells objects apart; of external metrics all do.
    label: Option<String>,
    ours: Values,
}

const WALKTHROUGH: &str = include_str!("../../../rules/tests/configs/walkthrough.yaml");
const GENERATED: &str = include_str!("../../../rules/tests/configs/generated.yaml");

/// The scrapes after which everything is asked: the store is full of history, a counter was just reset, and the end.
const ASKED: [i64; 4] = [26, 31, 32, 39];

#[test]
fn sample_configurations_have_prometheus_answers() {
    let (_, page) = World::new(WALKTHROUGH, Dialect::default()).fed(&[], |_, _| Vec::<()>::new());
    let Some(real) = Prometheus::start(&page) else {
        assert!(
            std::env::var_os("PODGAUGE_REQUIRE_PROMETHEUS").is_none(),
            "PODGAUGE_REQUIRE_PROMETHEUS is set, and prometheus or promtool is not on PATH; install Debian's prometheus"
        );
        eprintln!("skipped: prometheus and promtool are not on PATH");
        return;
    };
    let mut same = 0;
    let mut different = Vec::new();
    for (config, questions) in [(WALKTHROUGH, walkthrough()), (GENERATED, generated())] {
        let rules = world::rules(config, real.dialect());
        let world = World::new(config, real.dialect());
        let (answers, _) = world.fed(&ASKED, |world, at_ms| {
            questions.iter().map(|question| question.ask(world, &rules, at_ms)).collect()
        });
        for Answered { what, at_ms, query, label, ours } in answers {
            let theirs = values(&real.instant(&query, at_ms), label.as_deref());
            let is_near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * a.abs().max(b.abs()) + 2e-9;
            let agrees = !ours.is_empty()
                && ours.len() == theirs.len()
                && ours.iter().zip(&theirs).all(|((a, x), (b, y))| a == b && is_near(*x, *y));
            same += usize::from(agrees);
            if !agrees {
                different.push(format!("{what} at {at_ms}: {query}\n  ours   {ours:?}\n  theirs {theirs:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{} answers differ:\n{}", different.len(), different.join("\n"));
    assert_eq!(same, ASKED.len() * (walkthrough().len() + generated().len()));
    eprintln!("{same} answers are Prometheus' own");
}

fn pods(metric: &'static str, names: &[&str]) -> Question {
    let path =
        format!("namespaces/shop/pods/*/{metric}?labelSelector=app={}", names[0].split_once('-').unwrap().0);
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Question { path, objects: Some((GroupResource::pods(), names)), namespace: "shop", metric }
}

fn object(resource: &str, name: &str, metric: &'static str) -> Question {
    let path = match resource {
        "namespaces" => format!("namespaces/{name}/metrics/{metric}"),
        "nodes" => format!("nodes/{name}/{metric}"),
        _ => format!("namespaces/shop/{resource}/{name}/{metric}"),
    };
    let resource = GroupResource::of_segment(resource).unwrap();
    Question { path, objects: Some((resource, vec![name.to_owned()])), namespace: "shop", metric }
}

fn external(namespace: &'static str, metric: &'static str) -> Question {
    Question { path: format!("namespaces/{namespace}/{metric}"), objects: None, namespace, metric }
}

fn walkthrough() -> Vec<Question> {
    vec![
        pods("http_requests_per_second", &["web-0", "web-1", "web-2"]),
        object("pods", "web-1", "http_requests_per_second"),
        object("namespaces", "shop", "http_requests_per_second"),
        pods("queue_messages", &["queue-0", "queue-1"]),
        object("deployments.apps", "queue", "queue_messages"),
        external("shop", "queue_total_messages"),
        external("other", "queue_total_messages"),
        external("other", "all_messages"),
    ]
}

fn generated() -> Vec<Question> {
    vec![
        pods("cpu_usage", &["web-0", "web-1", "web-2"]),
        object("namespaces", "shop", "cpu_usage"),
        pods("memory_bytes", &["web-0", "web-1", "web-2"]),
        pods("http_requests", &["web-0", "web-1", "web-2"]),
        object("namespaces", "shop", "http_requests"),
        object("nodes", "node-a", "http_requests"),
        pods("busy", &["web-0", "web-1", "web-2"]),
        object("nodes", "node-b", "queue_messages"),
        pods("queue_messages", &["queue-0", "queue-1"]),
    ]
}

// === impl Question ===

impl Question {
    fn ask(&self, world: &World, rules: &RuleSet, at_ms: i64) -> Answered {
        let (all, namespace) = match &self.objects {
            Some((resource, _)) => (&rules.custom, Some(self.namespace).filter(|_| !resource.is_rooted())),
            None => (&rules.external, None),
        };
        let (rule, series) = self.rule(all, &world.series());
        let namespace =
            namespace.or_else(|| (self.objects.is_none() && rule.is_namespaced()).then_some(self.namespace));
        let names: Vec<&str> =
            self.objects.iter().flat_map(|(_, names)| names.iter().map(String::as_str)).collect();
        let objects = self.objects.as_ref().map(|(resource, _)| (resource, names.as_slice()));
        let query = rule.query(&Ask { series: &series, objects, namespace, conditions: &[] }).unwrap();
        let label = self.objects.as_ref().map(|(resource, _)| rule.label(resource).unwrap());
        let ours = world.ask(self.objects.is_none(), &self.path);
        Answered { what: self.path.clone(), at_ms, query: query.text().to_owned(), label, ours }
    }

    /// The last rule that makes this name of any series, and that series' name.
    fn rule<'r>(&self, rules: &'r [Rule], series: &[Labels]) -> (&'r Rule, String) {
        let found = rules.iter().rev().find_map(|rule| {
            let labels = series.iter().find(|labels| {
                let resource = self.objects.as_ref().map(|(resource, _)| resource);
                let maps = resource.is_none_or(|resource| {
                    labels.iter().any(|(name, _)| rule.resource(name) == Some(resource))
                });
                maps && rule.selects(labels)
                    && rule.metric_name(labels.metric_name()).as_deref() == Some(self.metric)
            })?;
            Some((rule, labels.metric_name().to_owned()))
        });
        found.unwrap_or_else(|| panic!("no rule makes {}", self.metric))
    }
}

/// Prometheus' answer to an instant query.
fn values(answer: &serde_json::Value, label: Option<&str>) -> Values {
    let result = answer["data"]["result"].as_array();
    let value = |element: &serde_json::Value| {
        let labels = &element["metric"];
        let key = match label {
            Some(label) => labels[label].as_str().unwrap_or_default().to_owned(),
            None => labels.to_string(),
        };
        (key, element["value"][1].as_str().unwrap().parse().unwrap())
    };
    result.unwrap_or_else(|| panic!("no answer: {answer}")).iter().map(value).collect()
}
