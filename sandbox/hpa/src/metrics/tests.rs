use serde_json::{Value, json};

use super::*;

fn hpa(metric: Value) -> HorizontalPodAutoscaler {
    serde_json::from_value(
        json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"metrics": [metric]}}),
    )
    .unwrap()
}

/// The request of a metric, which is given a target if it has none.
fn request_of(mut metric: Value, selector: &str) -> Result<MetricRequest, String> {
    for source in ["object", "external", "resource", "containerResource"] {
        if let Some(source) = metric.get_mut(source).and_then(Value::as_object_mut) {
            source.entry("target").or_insert(json!({"type": "AverageValue", "averageValue": "1"}));
        }
    }
    requests(&hpa(metric), &selector.parse().unwrap(), &Discovery::default()).remove(0)
}

fn pods(metric: Value) -> Value {
    json!({"type": "Pods", "pods": {"metric": metric, "target": {"type": "AverageValue", "averageValue": "1"}}})
}

fn object(api_version: &str, kind: &str, metric: Value) -> Value {
    json!({"type": "Object", "object": {"metric": metric, "describedObject": {"apiVersion": api_version, "kind": kind, "name": "main"}}})
}

/// The request of a metric for pods with the selector `app=gauge`.
fn asks(metric: Value, want: &str) {
    let request = request_of(metric, "app=gauge").unwrap_or_else(|error| panic!("{want}: {error}"));
    assert_eq!(request.url(), want);
}

const CUSTOM: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop";

#[test]
fn asks_for_pods() {
    asks(pods(json!({"name": "messages"})), &format!("{CUSTOM}/pods/%2A/messages?labelSelector=app%3Dgauge"));
    asks(
        pods(json!({"name": "Messages", "selector": {"matchLabels": {"queue": "a", "kind": "b"}}})),
        &format!(
            "{CUSTOM}/pods/%2A/Messages?labelSelector=app%3Dgauge&metricLabelSelector=kind%3Db%2Cqueue%3Da"
        ),
    );
    asks(
        pods(json!({"name": "messages", "selector": {}})),
        &format!("{CUSTOM}/pods/%2A/messages?labelSelector=app%3Dgauge"),
    );
    let request = request_of(pods(json!({"name": "m"})), "tier in (b, a), app").unwrap();
    assert_eq!(request.query, "labelSelector=app%2Ctier+in+%28a%2Cb%29");
}

#[test]
fn asks_the_version_that_discovery_names() {
    let discovery = Discovery { custom_version: "v1beta1", ..Discovery::default() };
    let requests = requests(&hpa(pods(json!({"name": "m"}))), &Selector::default(), &discovery);
    assert_eq!(
        requests[0].as_ref().unwrap().url(),
        "/apis/custom.metrics.k8s.io/v1beta1/namespaces/shop/pods/%2A/m"
    );
}

#[test]
fn asks_for_objects() {
    let metric = || json!({"name": "m"});
    asks(object("v1", "Service", metric()), &format!("{CUSTOM}/services/main/m"));
    asks(object("apps/v1", "Deployment", metric()), &format!("{CUSTOM}/deployments.apps/main/m"));
    asks(
        object("networking.k8s.io/v1", "Ingress", metric()),
        &format!("{CUSTOM}/ingresses.networking.k8s.io/main/m"),
    );
    asks(object("v1", "Node", metric()), &format!("{CUSTOM}/nodes/main/m"));
    asks(object("v1", "Namespace", metric()), &format!("{CUSTOM}/metrics/m"));
    asks(
        object(
            "v1",
            "Service",
            json!({"name": "m", "selector": {"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}}),
        ),
        &format!("{CUSTOM}/services/main/m?metricLabelSelector=%21a"),
    );
}

#[test]
fn asks_for_external_metrics_and_resources() {
    let external = |metric: Value| json!({"type": "External", "external": {"metric": metric}});
    asks(
        external(json!({"name": "Queue_Depth"})),
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/queue_depth",
    );
    asks(
        external(json!({"name": "q", "selector": {"matchLabels": {"queue": "a"}}})),
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/q?labelSelector=queue%3Da",
    );
    let url = "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods?labelSelector=app%3Dgauge";
    asks(json!({"type": "Resource", "resource": {"name": "cpu"}}), url);
    asks(
        json!({"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "main"}}),
        url,
    );
}

#[test]
fn refuses_what_cannot_be_asked() {
    for (metric, want) in [
        (
            object("v1", "Deployment", json!({"name": "m"})),
            "unable to fetch metrics from custom metrics API: unable to map kind Deployment",
        ),
        (
            pods(json!({"name": "a/b"})),
            "unable to fetch metrics from custom metrics API: \"a/b\" cannot be a segment",
        ),
        (
            pods(json!({"name": "m", "selector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}})),
            "\"Is\" is no label selector operator",
        ),
        (
            json!({"type": "Object", "object": {"describedObject": {"kind": "Pod", "name": "a"}, "metric": {"name": "m"}, "target": {"type": "Value", "averageValue": "1"}}}),
            "the metric of type Object has no target of its kind",
        ),
        (
            json!({"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "Value"}}}),
            "the metric of type External has no target of its kind",
        ),
        (
            json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}),
            "the metric of type Resource has no target of its kind",
        ),
        (json!({"type": "Moon"}), "the metric of type \"Moon\" is of no known type"),
        (json!({"type": "Pods"}), "the metric of type \"Pods\""),
    ] {
        let error = request_of(metric, "app=gauge").expect_err(want);
        assert!(error.starts_with(want), "{error}");
    }
}

fn answer(metric: Value, code: u16, body: Value) -> Result<Samples, String> {
    request_of(metric, "app=gauge").unwrap().decode(code, body.to_string().as_bytes())
}

#[test]
fn reads_values_of_pods_in_both_versions() {
    let at: Time = "2026-08-21T11:29:11Z".parse().unwrap();
    let seconds = Duration::from_secs;
    let item = |name: &str, value: &str, more: Value| {
        let mut item = json!({"describedObject": {"kind": "Pod", "namespace": "shop", "name": name, "apiVersion": "v1"},
            "timestamp": "2026-08-21T11:29:11Z", "value": value});
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        item
    };
    let items = json!([
        item("a", "1500m", json!({"windowSeconds": 30, "metric": {"name": "m"}})),
        item("b", "2", json!({"window": 15, "metricName": "m"})),
        item("c", "1n", json!({})),
        item("c", "3", json!({})),
    ]);
    for version in ["v1beta1", "v1beta2"] {
        let body = json!({"kind": "MetricValueList", "apiVersion": format!("custom.metrics.k8s.io/{version}"), "metadata": {}, "items": items});
        let samples = answer(pods(json!({"name": "m"})), 200, body);
        let want = [("a", 1500, 30), ("b", 2000, 15), ("c", 3000, 60)].map(|(name, value, window)| {
            (name.to_owned(), PodMetric { value, timestamp: at, window: seconds(window) })
        });
        assert_eq!(samples, Ok(Samples::Pods(want.into())));
    }
}

#[test]
fn reads_one_value_of_an_object() {
    let body = |values: &[&str]| {
        let items: Vec<_> = values.iter().map(|value| json!({"value": value})).collect();
        json!({"kind": "MetricValueList", "apiVersion": "custom.metrics.k8s.io/v1beta2", "items": items})
    };
    let read = |values: &[&str]| answer(object("v1", "Service", json!({"name": "m"})), 200, body(values));
    assert_eq!(read(&["2500m"]), Ok(Samples::Object(2500)));
    for count in [0, 2] {
        let error = read(&vec!["1"; count]).unwrap_err();
        assert_eq!(
            error,
            format!(
                "unable to fetch metrics from custom metrics API: {count} values came where one was asked for"
            )
        );
    }
}

#[test]
fn reads_external_values() {
    let external = || json!({"type": "External", "external": {"metric": {"name": "q"}}});
    assert_eq!(
        answer(external(), 200, json!({"items": [{"value": "1"}, {"value": 2}]})),
        Ok(Samples::External(vec![1000, 2000]))
    );
    assert_eq!(
        answer(external(), 200, json!({"items": []})),
        Err("no metrics returned from external metrics API".into())
    );
}

#[test]
fn reads_resources_of_whole_pods_and_of_containers() {
    let usage = |name: &str, usage: Value| json!({"name": name, "usage": usage});
    let body = json!({"items": [
        {"metadata": {"name": "a"}, "timestamp": "1970-01-01T00:00:10Z", "window": "1m0.5s",
         "containers": [usage("main", json!({"cpu": "100m"})), usage("side", json!({"cpu": "50000000n"}))]},
        {"metadata": {"name": "b"}, "containers": [usage("main", json!({"cpu": "1"})), usage("side", json!({"memory": "1Mi"}))]},
        {"metadata": {"name": "c"}, "containers": []},
    ]});
    let values = |metric: Value| match answer(metric, 200, body.clone()).unwrap() {
        Samples::Pods(pods) => {
            pods.into_iter().map(|(name, metric)| (name, metric.value)).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(values(json!({"type": "Resource", "resource": {"name": "cpu"}})), [("a".to_owned(), 150)]);
    assert_eq!(
        values(
            json!({"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "main"}})
        ),
        [("a".to_owned(), 100), ("b".to_owned(), 1000)]
    );
    let Ok(Samples::Pods(pods)) =
        answer(json!({"type": "Resource", "resource": {"name": "cpu"}}), 200, body.clone())
    else {
        panic!("no samples")
    };
    assert_eq!(
        (pods["a"].window, pods["a"].timestamp),
        (Duration::from_millis(60_500), Time::from_seconds(10))
    );
}

#[test]
fn failures_carry_the_message_of_the_status() {
    let read = |code, body| answer(pods(json!({"name": "messages"})), code, body).unwrap_err();
    let prefix = "unable to fetch metrics from custom metrics API: ";
    assert_eq!(
        read(404, json!({"kind": "Status", "message": "no pod answered"})),
        format!("{prefix}no pod answered")
    );
    assert_eq!(
        read(503, json!("gone")),
        format!("{prefix}the server answered 503 without a Status that says why")
    );
    assert_eq!(
        read(
            200,
            json!({"kind": "MetricValueList", "apiVersion": "custom.metrics.k8s.io/v1beta2", "items": null})
        ),
        "no metrics returned from custom metrics API"
    );
    for body in [
        json!({"items": [{"value": "1"}]}),
        json!([1]),
        json!({"kind": "MetricValueList", "apiVersion": "v1"}),
    ] {
        assert!(read(200, body.clone()).starts_with(prefix), "{body}");
    }
    let not_json = request_of(pods(json!({"name": "m"})), "").unwrap().decode(200, b"\xff\xfe").unwrap_err();
    assert!(not_json.starts_with(prefix), "{not_json}");
}
