//! prometheus-adapter's rules from a file: served, read again when it changes, and kept when it cannot be read.

use std::fs;

use sandbox::kubeconfig::Credential;

use crate::{
    cluster, pages,
    podgauge::{self, eventually, scratch},
};

/// A rule that calls `messages` by another name, and an external one for all pods of the namespace.
fn rules(name: &str) -> String {
    format!(
        "rules:
- seriesQuery: 'messages{{namespace!=\"\",pod!=\"\"}}'
  resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}}}
  name: {{as: {name}}}
  metricsQuery: sum(max_over_time(<<.Series>>{{<<.LabelMatchers>>}}[30s])) by (<<.GroupBy>>)
- seriesQuery: nonsense(
externalRules:
- seriesQuery: messages
  resources: {{overrides: {{namespace: {{resource: namespace}}}}}}
  name: {{as: all_{name}}}
  metricsQuery: sum(<<.Series>>{{<<.LabelMatchers>>}})
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_served_and_follow_their_file() {
    let cluster = cluster::start().await;
    for (name, messages) in [("backend-0", 30), ("backend-1", 12)] {
        let page = pages::serve(format!("# TYPE messages gauge\nmessages {messages}\n")).await;
        cluster.objects().put(cluster::pod(name, "backend", page)).unwrap();
    }
    let file = scratch("rules.yaml");
    fs::write(&file, rules("waiting")).unwrap();
    let flag = format!("--config={}", file.display());
    let podgauge = podgauge::start(&cluster, &[&flag]).await;
    let autoscaler = cluster.service_account_token("kube-system", "horizontal-pod-autoscaler");
    let client = podgauge.client(Credential::Token(autoscaler));
    let ask = |path: &'static str| {
        let client = client.clone();
        async move {
            let answer = podgauge::json(&client.get(&format!("/apis/{path}")).await.unwrap());
            let items = answer["items"].as_array().cloned().unwrap_or_default();
            let values: Vec<String> =
                items.iter().map(|item| item["value"].as_str().unwrap().to_owned()).collect();
            if values.is_empty() { answer["message"].to_string() } else { values.join(" ") }
        }
    };
    let check = async |path: &'static str, expected: &str| {
        eventually(path, || ask(path), |seen: &String| seen.contains(expected)).await;
    };
    check("custom.metrics.k8s.io/v1beta2/namespaces/default/pods/%2A/waiting", "30 12").await;
    check("external.metrics.k8s.io/v1beta1/namespaces/default/all_waiting", "42").await;
    check("external.metrics.k8s.io/v1beta1/namespaces/default/messages", "30 12").await;
    assert!(podgauge.log().contains("rules[1].seriesQuery"), "{}", podgauge.log());
    assert!(podgauge.own_metric("podgauge_rules").await > 1.0);

    fs::write(&file, rules("queued")).unwrap();
    check("custom.metrics.k8s.io/v1beta2/namespaces/default/pods/%2A/queued", "30 12").await;
    check("custom.metrics.k8s.io/v1beta2/namespaces/default/pods/%2A/waiting", "no value of metric").await;

    fs::write(&file, "rules: [").unwrap();
    let failures = || podgauge.own_metric("podgauge_rules_reload_failures_total");
    eventually("the failure is counted", failures, |count: &f64| *count > 0.0).await;
    check("custom.metrics.k8s.io/v1beta2/namespaces/default/pods/%2A/queued", "30 12").await;
    fs::remove_file(&file).unwrap();
    cluster.shutdown().await;
}
