//! Objects go in as the API server sends them; what comes out is what asks for the pod `shop/web-0`.

use serde_json::{Value, json};

use super::*;

/// `web-0` declares port 8080, and has these annotations.
fn pod(annotations: &Value) -> Facts {
    let object = json!({
        "metadata": {"annotations": annotations},
        "spec": {"containers": [{"ports": [{"containerPort": 8080}]}]},
    });
    serde_json::from_value::<Reduced<Facts>>(object).unwrap().wanted.unwrap()
}

fn service(name: &str, annotations: &Value) -> Value {
    json!({"metadata": {"namespace": "shop", "name": name, "annotations": annotations}})
}

fn slice(name: &str, service: &str, port: &Value, target: &Value) -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": name, "labels": {"kubernetes.io/service-name": service}},
        "ports": [port],
        "endpoints": [{"addresses": ["10.9.9.9"], "conditions": {"ready": false}, "targetRef": target}],
    })
}

fn web_0() -> Value {
    json!({"kind": "Pod", "namespace": "shop", "name": "web-0"})
}

fn sink<T: Kept>(sources: &Sources) -> StateSink<T> {
    StateSink { shared: Arc::clone(&sources.shared), listed: None }
}

fn put<T: Kept>(sources: &Sources, object: Value) {
    sink::<T>(sources).put(serde_json::from_value(object).unwrap());
}

/// The ports and paths that are asked for, or what is wrong.
fn asked(sources: &Sources, pod: &Facts) -> Vec<String> {
    let asks = sources.asks(&PodKey::new("shop", "web-0"), pod);
    let show = |ask: Result<Ask, WhyNot>| match ask {
        Ok(ask) => format!("{:?} {:?}{}", ask.scheme, ask.ports, ask.path),
        Err(why) => why.to_string(),
    };
    asks.into_iter().map(show).collect()
}

#[test]
fn services_ask_for_the_pods_that_their_slices_name() {
    let yes = json!({"prometheus.io/scrape": "true"});
    let http = json!({"port": 9102, "protocol": "TCP"});
    let check = |of_pod: Value, of_service: &Value, slice: Value, expected: &[&str]| {
        let sources = Sources::new(&Source::ALL);
        put::<Slice>(&sources, slice.clone());
        put::<Service>(&sources, service("web", of_service));
        assert_eq!(asked(&sources, &pod(&of_pod)), expected, "{of_pod} {of_service} {slice}");
    };
    let plain = || slice("web-x", "web", &http, &web_0());
    check(json!({}), &yes, plain(), &["Http [9102]/metrics"]);
    check(json!({}), &json!({}), plain(), &[]);
    check(json!({}), &json!({"prometheus.io/scrape": "false"}), plain(), &[]);
    let all = json!({"prometheus.io/scrape": "true", "prometheus.io/port": "81", "prometheus.io/path": "stats",
                     "prometheus.io/scheme": "https"});
    check(json!({}), &all, plain(), &["Https [81]/stats"]);
    // What the pod says itself comes first, and its "false" holds for its Services too.
    check(yes.clone(), &yes, plain(), &["Http [8080]/metrics", "Http [9102]/metrics"]);
    check(json!({"prometheus.io/scrape": "false"}), &yes, plain(), &[]);
    let bad = json!({"prometheus.io/scrape": "true", "prometheus.io/port": "http"});
    let advice = "is \"http\"; set it to a number from 1 to 65535";
    check(
        json!({}),
        &bad,
        plain(),
        &[&format!("the annotation prometheus.io/port of its Service web {advice}")],
    );
    check(
        bad,
        &yes,
        plain(),
        &[&format!("its annotation prometheus.io/port {advice}"), "Http [9102]/metrics"],
    );

    // What a slice may not mean: another Service, another protocol, no pod, and a pod of another namespace.
    check(json!({}), &yes, slice("web-x", "other", &http, &web_0()), &[]);
    check(
        json!({}),
        &yes,
        slice("web-x", "web", &json!({"port": 53, "protocol": "UDP"}), &web_0()),
        &["Http []/metrics"],
    );
    check(json!({}), &yes, slice("web-x", "web", &http, &Value::Null), &[]);
    check(json!({}), &yes, slice("web-x", "web", &http, &json!({"kind": "Node", "name": "web-0"})), &[]);
    let mut elsewhere = plain();
    elsewhere["metadata"]["namespace"] = json!("attic");
    check(json!({}), &yes, elsewhere, &[]);
}

#[test]
fn sources_that_are_off_ask_for_nothing() {
    let yes = json!({"prometheus.io/scrape": "true"});
    let sources = Sources::new(&[Source::Services]);
    assert_eq!(asked(&sources, &pod(&yes)), <[&str; 0]>::default());
    let sources = Sources::new(&[Source::Pods]);
    assert!(!sources.is_any_followed() && sources.are_settled());
    assert_eq!(asked(&sources, &pod(&yes)), ["Http [8080]/metrics"]);
}

#[test]
fn changes_name_the_pods_that_they_concern() {
    let yes = json!({"prometheus.io/scrape": "true"});
    let http = json!({"port": 9102});
    let sources = Sources::new(&Source::ALL);
    let changed = |expected: &[&str]| {
        let Changed { everything, pods } = sources.take_changed();
        let mut pods: Vec<String> = pods.iter().map(ToString::to_string).collect();
        pods.sort();
        assert!(!everything);
        assert_eq!(pods, expected);
    };
    put::<Service>(&sources, service("web", &yes));
    changed(&[]);
    put::<Slice>(&sources, slice("web-x", "web", &http, &web_0()));
    changed(&["shop/web-0"]);
    // Readiness alone is nothing.
    put::<Slice>(&sources, slice("web-x", "web", &http, &web_0()));
    changed(&[]);
    put::<Slice>(&sources, slice("web-x", "web", &http, &json!({"kind": "Pod", "name": "web-1"})));
    changed(&["shop/web-0", "shop/web-1"]);
    put::<Service>(&sources, service("other", &yes));
    changed(&[]);
    sink::<Service>(&sources).remove(&serde_json::from_value(service("web", &yes)).unwrap());
    changed(&["shop/web-1"]);
    sink::<Slice>(&sources).remove(&serde_json::from_value(slice("web-x", "web", &http, &web_0())).unwrap());
    changed(&["shop/web-1"]);
    assert!(sources.shared.state().by_pod.is_empty());
}

#[test]
fn a_list_is_all_there_is_and_what_cannot_be_had_stays_known() {
    let served = ApiResource::erase::<k8s_openapi::api::core::v1::Service>(&());
    let yes = json!({"prometheus.io/scrape": "true"});
    let sources = Sources::new(&Source::ALL);
    let list = |objects: &[Value]| {
        let mut sink = sink::<Service>(&sources);
        sink.begin();
        objects.iter().for_each(|object| sink.put(serde_json::from_value(object.clone()).unwrap()));
        sink.end(&served);
        assert!(sources.take_changed().everything);
    };
    put::<Slice>(&sources, slice("web-x", "web", &json!({"port": 9102}), &web_0()));
    assert!(!sources.are_settled());
    list(&[
        service("web", &yes),
        json!({"metadata": {"name": "broken", "namespace": "shop", "annotations": 7}}),
    ]);
    assert!(!sources.are_settled());
    sink::<Slice>(&sources).unavailable("no permission");
    assert!(sources.are_settled());
    assert_eq!(asked(&sources, &pod(&json!({}))), ["Http [9102]/metrics"]);
    sink::<Service>(&sources).unavailable("the API server is away");
    assert_eq!(asked(&sources, &pod(&json!({}))), ["Http [9102]/metrics"]);
    list(&[]);
    assert_eq!(asked(&sources, &pod(&json!({}))), <[&str; 0]>::default());
    list(&[service("web", &yes)]);
    sink::<Service>(&sources).absent("the cluster serves no services");
    assert_eq!(asked(&sources, &pod(&json!({}))), <[&str; 0]>::default());
}
