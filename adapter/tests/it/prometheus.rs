//! Rules that ask a Prometheus: the same answers as from scraping, and what an outage of it costs.

use std::{fmt::Write as _, fs, net::SocketAddr};

use sandbox::kubeconfig::Credential;
use serde_json::Value;

use crate::{
    cluster, pages,
    podgauge::{self, eventually, scratch},
    real_prometheus::Prometheus,
};

/// The same rules for both sources, by other names.
fn rules() -> String {
    let (mut custom, mut external) = (String::new(), String::new());
    for source in ["scrape", "prometheus"] {
        write!(
            custom,
            "
- seriesQuery: '{{__name__=~\"^messages.*\",namespace!=\"\",pod!=\"\"}}'
  seriesFilters: [{{isNot: _created$}}]
  resources: {{template: <<.Resource>>}}
  name: {{matches: '^(messages.*)$', as: '${{1}}_by_{source}'}}
  metricsQuery: sum(max_over_time(<<.Series>>{{<<.LabelMatchers>>}}[30s])) by (<<.GroupBy>>)
  source: {source}"
        )
        .unwrap();
        write!(
            external,
            "
- seriesQuery: messages
  resources: {{overrides: {{namespace: {{resource: namespace}}}}}}
  name: {{as: all_by_{source}}}
  metricsQuery: sum(<<.Series>>{{<<.LabelMatchers>>}}) by (queue)
  source: {source}"
        )
        .unwrap();
    }
    format!("rules:{custom}\nexternalRules:{external}\n")
}

/// Prometheus as it scrapes the pods of these names and pages.
fn scraping(pods: &[(&str, SocketAddr)]) -> Option<Prometheus> {
    let mut config =
        "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: kubernetes-pods\n  static_configs:\n"
            .to_owned();
    for (name, page) in pods {
        writeln!(config, "  - targets: ['{page}']\n    labels: {{namespace: default, pod: {name}}}").unwrap();
    }
    let prometheus = Prometheus::configured(&config);
    assert!(
        prometheus.is_some() || std::env::var_os("PODGAUGE_REQUIRE_PROMETHEUS").is_none(),
        "PODGAUGE_REQUIRE_PROMETHEUS is set, and prometheus is not on PATH; install Debian's prometheus"
    );
    prometheus
}

const PODS: &str = "custom.metrics.k8s.io/v1beta2/namespaces/default/pods/%2A/messages_by_";
const POD: &str = "custom.metrics.k8s.io/v1beta2/namespaces/default/pods/backend-1/messages_by_";
const CHOSEN: &str = "custom.metrics.k8s.io/v1beta1/namespaces/default/pods/%2A/messages_by_SOURCE?metricLabelSelector=queue%3Dmail";
const NAMESPACE: &str = "custom.metrics.k8s.io/v1beta1/namespaces/default/metrics/messages_by_";
const EXTERNAL: &str = "external.metrics.k8s.io/v1beta1/namespaces/default/all_by_";

/// An answer's values, in order, or its code and message.
fn said(answer: &Value) -> String {
    let items = answer["items"].as_array().cloned().unwrap_or_default();
    let mut values: Vec<&str> = items.iter().map(|item| item["value"].as_str().unwrap()).collect();
    values.sort_unstable();
    if values.is_empty() { format!("{} {}", answer["code"], answer["message"]) } else { values.join(" ") }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_answers_as_scraping_does_and_its_outage_costs_only_its_own() {
    let cluster = cluster::start().await;
    let mut pods = Vec::new();
    for (name, messages) in [("backend-0", 30), ("backend-1", 12)] {
        let page = format!(
            "# TYPE messages gauge\nmessages{{queue=\"mail\"}} {messages}\nmessages{{queue=\"print\"}} 1\n"
        );
        let page = pages::serve(page).await;
        cluster.objects().put(cluster::pod(name, "backend", page)).unwrap();
        pods.push((name, page));
    }
    let Some(mut prometheus) = scraping(&pods) else {
        eprintln!("skipped: prometheus is not on PATH");
        return;
    };
    let file = scratch("rules.yaml");
    fs::write(&file, rules()).unwrap();
    let flags = [
        format!("--config={}", file.display()),
        format!("--prometheus-url=http://127.0.0.1:{}/", prometheus.port()),
        "--prometheus-cache-ttl=0s".to_owned(),
        "--prometheus-pause=100ms".to_owned(),
        "--prometheus-failures=2".to_owned(),
        "--metrics-relist-interval=1s".to_owned(),
    ];
    let podgauge = podgauge::start(&cluster, &flags.each_ref().map(String::as_str)).await;
    let autoscaler = cluster.service_account_token("kube-system", "horizontal-pod-autoscaler");
    let client = podgauge.client(Credential::Token(autoscaler));
    let get = |path: String| {
        let client = client.clone();
        async move { podgauge::json(&client.get(&format!("/apis/{path}")).await.unwrap()) }
    };
    let ask = |path: &str, source: &str| {
        let path =
            if path.contains("SOURCE") { path.replace("SOURCE", source) } else { format!("{path}{source}") };
        let answer = get(path);
        async { said(&answer.await) }
    };
    let check = async |path: &str, source: &str, want: &str| {
        eventually(path, || ask(path, source), |seen: &String| seen.contains(want)).await;
    };
    let same = [(PODS, "13 31"), (POD, "13"), (CHOSEN, "12 30"), (NAMESPACE, "44"), (EXTERNAL, "2 42")];
    for (path, want) in same {
        check(path, "scrape", want).await;
        check(path, "prometheus", want).await;
    }

    prometheus.stop();
    for path in [PODS, NAMESPACE, EXTERNAL] {
        check(path, "prometheus", "503").await;
        check(path, "prometheus", "Connection refused").await;
        check(path, "scrape", same.iter().find(|(other, _)| *other == path).unwrap().1).await;
    }
    let open = || podgauge.own_metric("podgauge_prometheus_breaker_open");
    eventually("the breaker opens", open, |open: &f64| *open == 1.0).await;
    let names = get("custom.metrics.k8s.io/v1beta2".to_owned()).await.to_string();
    assert!(names.contains("pods/messages_by_prometheus"), "{names}");
    assert_eq!(podgauge.admin_get("/readyz").await.0, 200);

    prometheus.start_again();
    for (path, want) in same {
        check(path, "prometheus", want).await;
    }
    let open = || podgauge.own_metric("podgauge_prometheus_breaker_open");
    eventually("the breaker closes", open, |open: &f64| *open == 0.0).await;
    fs::remove_file(&file).unwrap();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_prometheus_from_the_start_the_others_are_served() {
    let cluster = cluster::start().await;
    let page = pages::serve("# TYPE messages gauge\nmessages{queue=\"mail\"} 7\n").await;
    cluster.objects().put(cluster::pod("backend-0", "backend", page)).unwrap();
    let file = scratch("rules.yaml");
    fs::write(&file, rules()).unwrap();
    // Takes questions, and gives no answer.
    let silent = pages::hang().await;
    let flags = [
        format!("--config={}", file.display()),
        format!("--prometheus-url=http://{silent}/prefix"),
        "--prometheus-timeout=1s".to_owned(),
    ];
    let podgauge = podgauge::start(&cluster, &flags.each_ref().map(String::as_str)).await;
    let autoscaler = cluster.service_account_token("kube-system", "horizontal-pod-autoscaler");
    let client = podgauge.client(Credential::Token(autoscaler));
    let ask = |path: String| {
        let client = client.clone();
        async move { said(&podgauge::json(&client.get(&format!("/apis/{path}")).await.unwrap())) }
    };
    for (path, want) in [(PODS, "7"), (EXTERNAL, "7")] {
        let scraped = || ask(format!("{path}scrape"));
        eventually(path, scraped, |seen: &String| seen == want).await;
        let asked = ask(format!("{path}prometheus")).await;
        let says = ["503", "never asked with success", "Prometheus"];
        assert!(says.iter().all(|words| asked.contains(words)), "{asked}");
    }
    assert!(podgauge.log().contains("Prometheus does not list series"), "{}", podgauge.log());
    fs::remove_file(&file).unwrap();
    cluster.shutdown().await;
}
