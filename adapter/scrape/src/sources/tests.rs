//! Objects go in as the API server sends them; what comes out is what asks for the pod `shop/web-0`.

use std::time::Duration;

use kube::api::ApiResource;
use podgauge_objects::Sink as _;
use serde_json::{Value, json};

use super::*;
use crate::object::Reduced;
use crate::relabel::RegexRoom;

/// `web-0` declares port 8080, and has these annotations.
fn pod(annotations: &Value) -> Facts {
    let object = json!({
        "metadata": {"annotations": annotations, "labels": {"app": "web"}},
        "spec": {"containers": [{"ports": [{"containerPort": 8080, "name": "http"}]}]},
    });
    serde_json::from_value::<Reduced<Facts>>(object).unwrap().wanted.unwrap()
}

fn service(name: &str, annotations: &Value) -> Value {
    let labels = json!({"app": "web"});
    json!({"metadata": {"namespace": "shop", "name": name, "annotations": annotations, "labels": labels}})
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

fn sources(of: &[Source]) -> Sources {
    Sources::new(
        of,
        Settings { trusted: vec!["platform".to_owned()], ..crate::Config::default().monitor_settings() },
    )
}

fn sink<T: Kept>(sources: &Sources) -> StateSink<T> {
    StateSink::new(Arc::clone(&sources.shared))
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
        let sources = sources(&Source::ALL);
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
    let services_alone = sources(&[Source::Services]);
    assert_eq!(asked(&services_alone, &pod(&yes)), <[&str; 0]>::default());
    let pods_alone = sources(&[Source::Pods]);
    assert!(!pods_alone.is_any_followed() && pods_alone.are_settled());
    assert_eq!(asked(&pods_alone, &pod(&yes)), ["Http [8080]/metrics"]);
}

#[test]
fn changes_name_the_pods_that_they_concern() {
    let yes = json!({"prometheus.io/scrape": "true"});
    let http = json!({"port": 9102});
    let sources = sources(&Source::ALL);
    let changed = |expected: &[&str]| {
        let Changed { everything, namespaces, pods } = sources.take_changed();
        let mut pods: Vec<String> = pods.iter().map(ToString::to_string).collect();
        pods.sort();
        assert!(!everything && namespaces.is_empty());
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
    let sources = sources(&[Source::Services]);
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

fn monitor(namespace: &str, spec: &Value) -> Value {
    json!({"metadata": {"namespace": namespace, "name": "web"}, "spec": spec})
}

/// What a PodMonitor and a ServiceMonitor of one endpoint ask for, and what is wrong with them.
fn monitored(endpoint: &Value) -> [(Vec<String>, Vec<String>); 2] {
    let selector = json!({"matchLabels": {"app": "web"}});
    let of_pods = sources(&[Source::PodMonitors]);
    put::<PodMonitor>(
        &of_pods,
        monitor("shop", &json!({"selector": selector, "podMetricsEndpoints": [endpoint]})),
    );
    let of_services = sources(&[Source::ServiceMonitors]);
    put::<Service>(&of_services, service("web", &json!({})));
    put::<Slice>(&of_services, slice("web-x", "web", &json!({"name": "metrics", "port": 9102}), &web_0()));
    put::<ServiceMonitor>(
        &of_services,
        monitor("shop", &json!({"selector": selector, "endpoints": [endpoint]})),
    );
    let problems = |monitors: &Monitors| monitors.problems().map(ToOwned::to_owned).collect();
    let pod = pod(&json!({}));
    let (pods, services) = (of_pods.shared.state(), of_services.shared.state());
    let found = [problems(&pods.pod_monitors), problems(&services.service_monitors)];
    drop((pods, services));
    let [first, second] = found;
    [(asked(&of_pods, &pod), first), (asked(&of_services, &pod), second)]
}

#[test]
fn endpoints_of_monitors_are_kept_or_refused() {
    let kept = |endpoint: Value, of_pod: &str, of_service: &str| {
        let [(pods, first), (services, second)] = monitored(&endpoint);
        assert_eq!((pods, services), (vec![of_pod.to_owned()], vec![of_service.to_owned()]), "{endpoint}");
        assert!(first.is_empty() && second.is_empty(), "{endpoint}: {first:?} {second:?}");
    };
    kept(json!({}), "Http [8080]/metrics", "Http [9102]/metrics");
    let missing = |name: &str, kind: &str| {
        format!("its {kind} shop/web cannot be kept: there is no TCP port \"{name}\"")
    };
    kept(json!({"port": "http"}), "Http [8080]/metrics", &missing("http", "ServiceMonitor"));
    kept(json!({"port": "metrics"}), &missing("metrics", "PodMonitor"), "Http [9102]/metrics");
    kept(json!({"targetPort": "http"}), "Http [8080]/metrics", "Http [8080]/metrics");
    kept(json!({"targetPort": 81}), "Http [81]/metrics", "Http [81]/metrics");
    kept(json!({"portNumber": 82}), "Http [82]/metrics", "Http [82]/metrics");
    kept(json!({"path": "stats", "scheme": "HTTPS"}), "Https [8080]/stats", "Https [9102]/stats");
    let harmless = json!({"relabelings": [{"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"},
        {"action": "labeldrop", "regex": "pod"}], "followRedirects": true, "tlsConfig": {"insecureSkipVerify": true, "cert": {}}, "bearerTokenSecret": {"key": ""}});
    kept(harmless, "Http [8080]/metrics", "Http [9102]/metrics");

    let refused = |endpoint: Value, why: &str| {
        let [(pods, first), (services, second)] = monitored(&endpoint);
        assert_eq!(pods, [format!("its PodMonitor shop/web cannot be kept: {why}")], "{endpoint}");
        assert_eq!(services, [format!("its ServiceMonitor shop/web cannot be kept: {why}")]);
        assert_eq!(first, [format!("podMetricsEndpoints[0]: not scraped: {why}")]);
        assert_eq!(second, [format!("endpoints[0]: not scraped: {why}")]);
    };
    refused(
        json!({"basicAuth": {"username": {"name": "user"}}}),
        "it has basicAuth, and podgauge carries no credential",
    );
    refused(
        json!({"authorization": {"type": "Bearer"}}),
        "it has authorization, and podgauge carries no credential",
    );
    refused(
        json!({"tlsConfig": {"keySecret": {"key": "tls.key"}}}),
        "it has tlsConfig.keySecret, and podgauge carries no credential",
    );
    refused(json!({"proxyUrl": "http://proxy"}), "it has proxyUrl, and podgauge asks pods directly");
    refused(
        json!({"params": {"collect[]": ["a"]}}),
        "it has params, and podgauge does not know it; put the query into path",
    );
    refused(
        json!({"relabelings": [{"targetLabel": "__address__", "replacement": "10.0.0.1:80"}]}),
        "its relabelings set \"__address__\", which podgauge does not do",
    );
    refused(
        json!({"relabelings": [{"action": "keep", "regex": "x"}]}),
        "its relabelings have the action \"keep\", which podgauge does not do",
    );
    refused(
        json!({"path": "http://10.0.0.1/"}),
        "its path is \"http://10.0.0.1/\"; set it to a path such as \"/metrics\", not to a URL",
    );
    refused(json!({"interval": "soon"}), "its interval is \"soon\"");
    refused(json!({"scheme": "ftp"}), "its scheme is \"ftp\"");
    refused(json!({"targetPort": 70_000}), "its targetPort is no port");
    // A pod's owner is told no megabytes.
    let [(pods, _), (services, _)] = monitored(&json!({"port": "x".repeat(1 << 20)}));
    for said in pods.iter().chain(&services) {
        assert!(said.contains("there is no TCP port \"xxx") && said.len() < 300, "{} bytes", said.len());
    }

    let noted = |endpoint: Value, problem: &str| {
        let [(pods, first), _] = monitored(&endpoint);
        assert_eq!(pods, ["Http [8080]/metrics"], "{endpoint}");
        assert_eq!(first, [format!("podMetricsEndpoints[0]: {problem}")]);
    };
    noted(json!({"sampleTheLimit": 3}), "podgauge does not know its field \"sampleTheLimit\"");
    noted(
        json!({"honorTimestamps": false}),
        "honorTimestamps: false is not kept: a sample's own time counts",
    );
    noted(
        json!({"metricRelabelings": [{"action": "hashmod"}]}),
        "metricRelabelings[0] is left out: podgauge does not do its action \"hashmod\"",
    );
}

#[test]
fn monitors_are_heard_in_their_own_namespace_and_from_named_ones() {
    let check = |own: &str, spec: Value, expected: &[&str], problem: Option<&str>| {
        let sources = sources(&[Source::PodMonitors]);
        put::<PodMonitor>(&sources, monitor(own, &spec));
        assert_eq!(asked(&sources, &pod(&json!({}))), expected, "{own} {spec}");
        let state = sources.shared.state();
        assert_eq!(state.pod_monitors.problems().next(), problem, "{own} {spec}");
    };
    let spec = |namespaces: Value| json!({"selector": {}, "namespaceSelector": namespaces, "podMetricsEndpoints": [{}]});
    let here = ["Http [8080]/metrics"];
    check("shop", json!({"selector": {}, "podMetricsEndpoints": [{}]}), &here, None);
    check("shop", spec(json!({"matchNames": ["shop"]})), &here, None);
    check("platform", spec(json!({"matchNames": ["shop", "bank"]})), &here, None);
    check("platform", spec(json!({"any": true})), &here, None);
    check("platform", spec(json!({})), &[], None);
    check("platform", spec(json!({"matchNames": ["bank"]})), &[], None);
    let far = "its namespaceSelector means other namespaces than its own, which is heard from namespaces of \
               --monitor-namespaces alone";
    check("bank", spec(json!({"any": true})), &[], Some(far));
    check("shop", spec(json!({"any": true})), &here, Some(far));
    check(
        "shop",
        json!({"podMetricsEndpoints": [{}]}),
        &[],
        Some("its selector is not understood, and selects nothing"),
    );
    check(
        "shop",
        json!({"selector": {"matchLabels": {"app": "other"}}, "podMetricsEndpoints": [{}]}),
        &[],
        None,
    );
}

#[test]
fn monitors_come_before_annotations_and_have_terms() {
    let sources = sources(&Source::ALL);
    let yes = json!({"prometheus.io/scrape": "true"});
    let terms = |endpoint: Value| {
        let spec = json!({"selector": {}, "podMetricsEndpoints": [endpoint]});
        put::<PodMonitor>(&sources, monitor("shop", &spec));
        let asks = sources.asks(&PodKey::new("shop", "web-0"), &pod(&yes));
        let [Ok(by_monitor), Ok(by_annotation)] = asks.as_slice() else { panic!("{asks:?}") };
        assert!(by_annotation.terms.is_none());
        by_monitor.terms.clone().map(|terms| (terms.id(), terms.interval, terms.timeout))
    };
    let seconds = Duration::from_secs;
    assert_eq!(terms(json!({})), None);
    // An interval is as long as it can be without pages growing too old, and never shorter than podgauge's own.
    assert_eq!(terms(json!({"interval": "5s", "scrapeTimeout": "1m"})), None);
    let (_, interval, timeout) = terms(json!({"interval": "20s", "scrapeTimeout": "2s"})).unwrap();
    assert_eq!((interval, timeout), (Some(seconds(20)), Some(seconds(2))));
    assert_eq!(terms(json!({"interval": "1h"})).unwrap().1, Some(seconds(30)));
    let drop = |regex: &str| json!({"metricRelabelings": [{"action": "drop", "regex": regex}]});
    let first = terms(drop("a")).unwrap().0;
    assert_ne!(terms(drop("b")).unwrap().0, first);
    assert_eq!(terms(drop("a")).unwrap().0, first);
}

#[test]
fn as_many_as_like_may_ask_for_a_pod_and_few_are_heard() {
    let sources = sources(&Source::ALL);
    let mut slices = slice("web-1", "web", &json!({"name": "http", "port": 80}), &web_0());
    // One that names a pod time and again names it once.
    slices["endpoints"] = vec![slices["endpoints"][0].clone(); 1_000].into();
    put::<Slice>(&sources, slices);
    put::<Service>(&sources, service("web", &json!({"prometheus.io/scrape": "true"})));
    assert_eq!(asked(&sources, &pod(&json!({}))), ["Http [80]/metrics"]);
    for n in 0..300 {
        let spec = json!({"selector": {}, "endpoints": [{}, {}, {}, {}]});
        let mut monitor = monitor("shop", &spec);
        monitor["metadata"]["name"] = format!("web-{n}").into();
        put::<ServiceMonitor>(&sources, monitor);
    }
    let asked = asked(&sources, &pod(&json!({})));
    assert_eq!(asked.len(), 1_001);
    assert_eq!(
        asked.last().unwrap(),
        "more than 1000 endpoints of monitors and Services ask for it; those beyond are passed over"
    );
}

#[test]
fn monitors_are_limited_and_their_changes_stay_near() {
    let few = Settings { monitors: 1, ..crate::Config::default().monitor_settings() };
    let sources = Sources::new(&[Source::PodMonitors], few);
    let spec = json!({"selector": {}, "podMetricsEndpoints": [{}]});
    let mut other = monitor("shop", &spec);
    other["metadata"]["name"] = json!("zoo");
    put::<PodMonitor>(&sources, other.clone());
    let near = || Changed { namespaces: HashSet::from(["shop".into()]), ..Changed::default() };
    assert_eq!(sources.take_changed(), near());
    put::<PodMonitor>(&sources, other.clone());
    put::<PodMonitor>(&sources, monitor("shop", &spec));
    assert_eq!(sources.take_changed(), Changed::default());
    assert_eq!(sources.shared.state().pod_monitors.counts(), (1, 0));
    // A list finds out anew which ones have room.
    let served = ApiResource::erase::<k8s_openapi::api::core::v1::Service>(&());
    let mut sink = sink::<PodMonitor>(&sources);
    sink.begin();
    [other, monitor("shop", &spec)].into_iter().for_each(|it| sink.put(serde_json::from_value(it).unwrap()));
    sink.end(&served);
    assert_eq!(sources.take_changed(), near());
    sink.absent("the cluster serves no podmonitors.monitoring.coreos.com");
    assert_eq!(sources.take_changed(), near());
    assert_eq!(sources.shared.state().pod_monitors.counts(), (0, 0));
}

#[test]
fn no_namespace_takes_the_room_of_all() {
    let rule = json!({"action": "drop", "regex": r"\pL{2}", "sourceLabels": ["__name__"]});
    let spec = json!({"selector": {}, "podMetricsEndpoints": [{"metricRelabelings": [rule]}]});
    let named = |namespace: &str, n: usize| {
        let mut monitor = monitor(namespace, &spec);
        monitor["metadata"]["name"] = json!(format!("monitor-{n}"));
        monitor
    };
    let heard = |settings: Settings| {
        let sources = Sources::new(
            &[Source::PodMonitors],
            Settings { trusted: vec!["platform".to_owned()], ..settings },
        );
        (0..9).for_each(|n| put::<PodMonitor>(&sources, named("shop", n)));
        let of_one = sources.shared.state().pod_monitors.counts();
        put::<PodMonitor>(&sources, named("attic", 0));
        let of_two = sources.shared.state().pod_monitors.counts();
        (0..9).for_each(|n| put::<PodMonitor>(&sources, named("platform", n)));
        // One that goes leaves room to another of its namespace.
        sink::<PodMonitor>(&sources).remove(&serde_json::from_value(named("shop", 0)).unwrap());
        put::<PodMonitor>(&sources, named("shop", 9));
        (of_one, of_two, sources.shared.state().pod_monitors.counts())
    };
    let settings = || crate::Config::default().monitor_settings();
    // Counted: a quarter of 12, one of another namespace, and all that is left for a namespace that is trusted.
    assert_eq!(heard(Settings { monitors: 12, ..settings() }), ((3, 0), (4, 0), (12, 0)));
    // Weighed: four of these take the quarter, so that the rules of the other five are left out.
    let regexes_bytes = 16 * size(r"\pL{2}");
    assert_eq!(heard(Settings { regexes_bytes, ..settings() }), ((9, 5), (10, 5), (19, 5)));
}

#[test]
fn a_list_that_begins_with_many_of_one_namespace_has_room_for_the_others() {
    let settings = Settings { monitors: 8, ..crate::Config::default().monitor_settings() };
    let sources = Sources::new(&[Source::PodMonitors], settings);
    let served = ApiResource::erase::<k8s_openapi::api::core::v1::Service>(&());
    let spec = json!({"selector": {}, "podMetricsEndpoints": [{}]});
    let mut sink = sink::<PodMonitor>(&sources);
    sink.begin();
    for n in 0..100 {
        let mut greedy = monitor("attic", &spec);
        greedy["metadata"]["name"] = json!(format!("monitor-{n}"));
        sink.put(serde_json::from_value(greedy).unwrap());
    }
    sink.put(serde_json::from_value(monitor("shop", &spec)).unwrap());
    sink.end(&served);
    assert_eq!(sources.shared.state().pod_monitors.counts(), (3, 0));
    assert_eq!(asked(&sources, &pod(&json!({}))), ["Http [8080]/metrics"]);
}

/// What a regular expression counts as.
fn size(regex: &str) -> usize {
    let mut room = RegexRoom::new(1 << 20, 1 << 20);
    room.read(regex).unwrap();
    room.taken()
}
