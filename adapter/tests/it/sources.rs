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
    cluster.shutdown().await;
}
