//! Whole configuration files, in the shape of prometheus-adapter's own examples.

use std::time::Duration;

use podgauge_promql::Labels;
use podgauge_rules::{Ask, Condition, Config, GroupResource, Operator, Rule, RuleSet, Severity, load};

fn loaded(text: &str) -> RuleSet {
    let (set, problems) = load(text, &Config::default()).expect("the file can be read");
    let errors: Vec<_> = problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    set
}

fn walkthrough() -> RuleSet {
    loaded(include_str!("configs/walkthrough.yaml"))
}

/// What each rule makes of a series: the metric's name and the resources.
fn yields(rules: &[Rule], labels: &[(&str, &str)]) -> Vec<String> {
    let labels = Labels::new(labels.iter().copied());
    let selecting = rules.iter().filter(|rule| rule.selects(&labels));
    selecting
        .map(|rule| {
            let resources: Vec<_> = labels
                .iter()
                .filter_map(|(label, _)| rule.resource(label))
                .map(ToString::to_string)
                .collect();
            let name = rule.metric_name(labels.metric_name()).unwrap_or_default();
            format!("{} {name} {}", rule.place, resources.join(","))
        })
        .collect()
}

fn query(rule: &Rule, series: &str, objects: Option<(&str, &[&str])>, conditions: &[Condition]) -> String {
    let resource = objects.map(|(resource, _)| GroupResource::of_segment(resource).expect("a resource"));
    let objects = resource.as_ref().zip(objects.map(|(_, names)| names));
    let ask = Ask { series, objects, namespace: Some("shop"), conditions };
    rule.query(&ask).map_or_else(|why| why, |query| query.text().to_owned())
}

#[test]
fn series_are_named_and_mapped() {
    let set = walkthrough();
    let check =
        |labels: &[(&str, &str)], want: &[&str]| assert_eq!(yields(&set.custom, labels), want, "{labels:?}");
    let own = [("__name__", "http_requests_total"), ("namespace", "shop"), ("pod", "web-0")];
    check(&own, &["rules[0] http_requests_per_second namespaces,pods"]);
    check(&own[..2], &[]);
    let queue = [
        ("__name__", "queue_messages"),
        ("kubernetes_namespace", "shop"),
        ("kubernetes_pod_name", "q"),
        ("app", "q"),
    ];
    check(&queue, &["rules[1] queue_messages deployments.apps,namespaces,pods"]);
    assert_eq!(
        yields(&set.external, &queue),
        ["externalRules[0] queue_total_messages ", "externalRules[1] all_messages "]
    );
}

#[test]
fn generated_rules_share_the_series_among_them() {
    let set = loaded(include_str!("configs/generated.yaml"));
    let check = |name: &str, want: &[&str]| {
        let labels = [
            ("__name__", name),
            ("namespace", "shop"),
            ("pod", "web-0"),
            ("container", "web"),
            ("node", "n"),
        ];
        assert_eq!(yields(&set.custom, &labels), want, "{name}");
    };
    check("container_cpu_usage_seconds_total", &["rules[0] cpu_usage namespaces,pods"]);
    check("container_restarts_total", &["rules[1] restarts namespaces,pods"]);
    check("container_memory_bytes", &["rules[2] memory_bytes namespaces,pods"]);
    check("messages", &["rules[3] messages namespaces,nodes,pods"]);
    check("orders_total", &["rules[4] orders namespaces,nodes,pods"]);
    check("busy_seconds_total", &["rules[5] busy namespaces,nodes,pods"]);
}

#[test]
fn queries_hold_what_is_asked() {
    let set = walkthrough();
    let condition = |label: &str, operator, values: &[&str]| Condition {
        label: label.to_owned(),
        operator,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    let check = |rule: &Rule, series, objects, conditions: &[Condition], want: &str| {
        assert_eq!(query(rule, series, objects, conditions), want);
    };
    let [requests, queue] = set.custom.as_slice() else { panic!("two rules") };
    check(
        requests,
        "http_requests_total",
        Some(("pods", &["web-0", "web-1"])),
        &[],
        r#"sum(rate(http_requests_total{namespace="shop",pod=~"web-0|web-1"}[2m])) by (pod)"#,
    );
    let conditions = [
        condition("code", Operator::In, &["500", "50."]),
        condition("path", Operator::NotEqual, &["/"]),
        condition("method", Operator::NotIn, &["GET"]),
        condition("a.b", Operator::Exists, &[]),
        condition("tenant", Operator::DoesNotExist, &[]),
        condition("zone", Operator::Equal, &["a\"b"]),
    ];
    check(
        queue,
        "queue_messages",
        Some(("deployments.apps", &["q"])),
        &conditions,
        "sum(queue_messages{kubernetes_namespace=\"shop\",app=\"q\",code=~\"500|50.\",path!=\"/\",method!~\"GET\",\
         \"a.b\"!=\"\",tenant=\"\",zone=\"a\\\"b\"}) by (app)",
    );
    check(
        requests,
        "http_requests_total",
        Some(("services", &["web"])),
        &[],
        "it maps no label to services; add one to resources.overrides, or a resources.template",
    );
}

#[test]
fn what_is_put_in_as_it_is_cannot_go_on_with_a_query_of_its_own() {
    let set = loaded(
        "rules:
- seriesQuery: 'a{app!=\"\"}'
  resources: {template: <<.Resource>>}
  metricsQuery: sum(<<.Series>>{deployment=~\"<<index .LabelValuesByName \"deployment\">>\"}) by (<<.GroupBy>>)
",
    );
    let check = |series, name, want: &str| {
        assert_eq!(query(&set.custom[0], series, Some(("deployments.apps", &[name])), &[]), want);
    };
    check("a", "web-0.x", r#"sum(a{deployment=~"web-0.x"}) by (deployment)"#);
    check("a", r#"x"} or b{c=""#, r#""x\"} or b{c=\"" has characters that cannot stand in its query"#);
    check("a) or vector(1", "web", r#""a) or vector(1" has characters that cannot stand in its query"#);
}

#[test]
fn history_is_kept_for_what_a_range_looks_at() {
    let set = walkthrough();
    let check =
        |name: &str, seconds: u64| assert_eq!(set.history(name), Duration::from_secs(seconds), "{name}");
    assert!(set.has_history());
    check("http_requests_total", 120);
    check("http_requests", 0);
    check("queue_messages", 0);
    let generated = loaded(include_str!("configs/generated.yaml"));
    for (name, seconds) in
        [("orders_total", 300), ("messages", 0), ("container_memory_bytes", 0), ("container_x_total", 300)]
    {
        assert_eq!(generated.history(name), Duration::from_secs(seconds), "{name}");
    }
}
