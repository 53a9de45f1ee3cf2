//! Autoscalers on External and Object metrics: the sandbox's controller, through the aggregator, with what `monitoring/`
//! ships.

use std::fs;

use sandbox::{
    clock::Clock,
    controllers::{
        self, Controllers,
        autoscaler::{self, Pace},
    },
    pki::Authority,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    closing::base64,
    cluster, pages,
    podgauge::{self, eventually, scratch},
};

/// A target that no controller of the sandbox makes pods for, and its autoscaler on `metric`.
fn workload(name: &str, metric: &Value) -> [Value; 2] {
    [
        json!({
            "apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name, "namespace": "default"},
            "spec": {"replicas": 1, "selector": {"app": name}}, "status": {"replicas": 1},
        }),
        json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "scaleTargetRef": {"apiVersion": "v1", "kind": "ReplicationController", "name": name},
                "minReplicas": 1, "maxReplicas": 9, "metrics": [metric],
            },
        }),
    ]
}

/// The length of one of two queues, as a number that belongs to nobody, and as one of the Service that knows it.
fn metrics() -> [Value; 2] {
    let metric =
        |queue: &str| json!({"name": "Queue_Messages", "selector": {"matchLabels": {"queue": queue}}});
    let target = |each: &str| json!({"type": "AverageValue", "averageValue": each});
    let service = json!({"apiVersion": "v1", "kind": "Service", "name": "queue"});
    [
        json!({"type": "External", "external": {"metric": metric("mail"), "target": target("10")}}),
        json!({"type": "Object",
            "object": {"describedObject": service, "metric": metric("print"), "target": target("500")}}),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn autoscalers_follow_external_and_object_metrics() {
    let cluster = cluster::start().await;
    // The pod that knows how long the queues are is none of those that are scaled.
    let page = "# TYPE Queue_Messages gauge\nQueue_Messages{queue=\"mail\"} 24\nQueue_Messages{queue=\"print\"} 1000\n";
    let page = pages::serve(page).await;
    cluster.objects().put(cluster::pod("queue-0", "queue", page)).unwrap();
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "queue", "namespace": "default"},
        "spec": {"selector": {"app": "queue"}, "ports": [{"port": 80}]},
    });
    cluster.objects().put(service).unwrap();

    let ca = Authority::new("podgauge-ca", Clock::system().now()).unwrap();
    let identity = ca.server("podgauge", &["podgauge.podgauge.svc"]).unwrap();
    let (certificate, key) = (scratch("tls.crt"), scratch("tls.key"));
    fs::write(&certificate, &identity.certificate_pem).unwrap();
    fs::write(&key, &identity.key_pem).unwrap();
    let certificate = format!("--tls-cert-file={}", certificate.display());
    let key = format!("--tls-private-key-file={}", key.display());
    let podgauge = podgauge::start(&cluster, &[&certificate, &key]).await;
    cluster.route_service("podgauge", "podgauge", podgauge.api);
    let both = ["base/apiservice.yaml", "components/external-metrics/apiservice.yaml"];
    for mut service in both.into_iter().flat_map(cluster::shipped) {
        service["spec"]["caBundle"] = json!(base64(ca.pem()));
        cluster.objects().put(service).unwrap();
    }
    for name in ["v1beta2.custom.metrics.k8s.io", "v1beta1.external.metrics.k8s.io"] {
        let available = cluster.wait_for_api_service(name, "True");
        let seen = tokio::time::timeout(podgauge::PATIENCE, available).await;
        assert!(matches!(seen, Ok(Some(_))), "{name} is not available:\n{}", podgauge.log());
    }

    let [mail, print] = metrics();
    for object in workload("mailer", &mail).into_iter().chain(workload("printer", &print)) {
        cluster.objects().put(object).unwrap();
    }
    let autoscaler = autoscaler::Config { pace: Pace::new(150), ..autoscaler::Config::default() };
    let addresses = "127.200.1.1".parse().unwrap()..="127.200.1.9".parse().unwrap();
    let config = controllers::Config { autoscaler, ..controllers::Config::new(addresses) };
    let controllers = Controllers::build(&cluster, config).unwrap();
    let stop = CancellationToken::new();
    let controllers = tokio::spawn(controllers.run(stop.clone()));
    let objects = cluster.objects();
    let scaled = |name: &'static str| {
        let get = |api_version, kind| objects.get(api_version, kind, "default", name).unwrap_or_default();
        let replicas = get("v1", "ReplicationController")["spec"]["replicas"].as_u64();
        let hpa = get("autoscaling/v2", "HorizontalPodAutoscaler");
        async move { (replicas, hpa["status"]["conditions"].to_string()) }
    };
    // 24 messages, ten for each. With those of the other queue it would be five at first: no step from one is longer.
    eventually("three mailers", || scaled("mailer"), |(replicas, _)| *replicas == Some(3)).await;
    // A thousand, five hundred for each.
    eventually("two printers", || scaled("printer"), |(replicas, _)| *replicas == Some(2)).await;
    stop.cancel();
    controllers.await.unwrap();
    cluster.shutdown().await;
}
