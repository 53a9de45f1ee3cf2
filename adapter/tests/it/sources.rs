//! What makes a pod a target besides its own annotations, as the cluster has it and with the rights that `monitoring/` ships.

use sandbox::{apiserver::Handle, kubeconfig::Credential};
use serde_json::{Value, json};

use crate::{
    cluster, pages,
    podgauge::{self, Podgauge, eventually},
};

/// A pod without annotations that serves `messages 42`; gives its port.
async fn silent_pod(cluster: &Handle) -> u16 {
    let page = pages::serve("# TYPE messages gauge\nmessages 42".to_owned()).await;
    let mut pod = cluster::pod("web-0", "web", page);
    pod["metadata"]["annotations"] = json!({});
    pod["spec"]["containers"][0]["ports"] = json!([{"name": "metrics", "containerPort": page.port()}]);
    cluster.objects().put(pod).unwrap();
    page.port()
}

/// Waits until what is answered for the pod contains this.
async fn check(cluster: &Handle, podgauge: &Podgauge, path: &'static str, expected: &str) {
    let autoscaler = cluster.service_account_token("kube-system", "horizontal-pod-autoscaler");
    let client = podgauge.client(Credential::Token(autoscaler));
    let ask = || async {
        let path = format!("/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/web-0/{path}");
        podgauge::json(&client.get(&path).await.unwrap()).to_string()
    };
    eventually(expected, ask, |seen: &String| seen.contains(expected)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annotated_service_makes_its_pods_targets() {
    let cluster = cluster::start().await;
    let port = silent_pod(&cluster).await;
    let annotate = |scrape: &str| json!({"metadata": {"annotations": {"prometheus.io/scrape": scrape}}});
    let mut service: Value = annotate("true");
    service["apiVersion"] = json!("v1");
    service["kind"] = json!("Service");
    service["metadata"]["name"] = json!("web");
    service["metadata"]["namespace"] = json!("default");
    service["spec"] = json!({"ports": [{"name": "metrics", "port": 80}]});
    cluster.objects().put(service).unwrap();
    // The Service has no selector: who its pods are is known by its slice alone.
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "web-x", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
        "ports": [{"name": "metrics", "protocol": "TCP", "port": port}],
        // Only the pod's own address is asked, whatever stands here.
        "endpoints": [{"addresses": ["192.0.2.1"], "targetRef": {"kind": "Pod", "namespace": "default", "name": "web-0"}}],
    });
    cluster.objects().put(slice).unwrap();

    let podgauge = podgauge::start(&cluster, &[]).await;
    check(&cluster, &podgauge, "messages", "\"value\":\"42\"").await;
    cluster.objects().merge("v1", "Service", "default", "web", &annotate("false")).unwrap();
    check(&cluster, &podgauge, "messages", "is not scraped: it has no annotation prometheus.io/scrape").await;
    cluster.objects().merge("v1", "Service", "default", "web", &annotate("true")).unwrap();
    check(&cluster, &podgauge, "messages", "\"value\":\"42\"").await;
    // It may read all that it wants to, and a cluster without monitors is as good as any.
    assert!(!podgauge.log().contains("cannot be followed"), "{}", podgauge.log());
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_is_missing_is_named_and_holds_nothing_up() {
    let cluster = cluster::start().await;
    let rules =
        json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]});
    let role = ("rbac.authorization.k8s.io/v1", "ClusterRole");
    cluster.objects().merge(role.0, role.1, "", "podgauge", &rules).unwrap();
    let podgauge = podgauge::start(&cluster, &["--object-resources=none"]).await;
    let rule =
        r#"{apiGroups: [\"discovery.k8s.io\"], resources: [endpointslices], verbs: [get, list, watch]}"#;
    eventually("the rule", || async { podgauge.log() }, |log: &String| log.contains(rule)).await;
    cluster.shutdown().await;
}
