//! The loop, closed: through the aggregator with podgauge's own certificate, as the HPA and kubectl come.

use std::fs;

use sandbox::{clock::Clock, kubeconfig::Credential, pki::Authority};
use serde_json::{Value, json};

use crate::{
    cluster, pages,
    podgauge::{self, eventually, scratch},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_aggregator_verifies_proxies_and_discovers() {
    let cluster = cluster::start().await;
    let page = pages::serve("# TYPE messages gauge\nmessages 42").await;
    cluster.objects().put(cluster::pod("backend-0", "backend", page)).unwrap();

    let ca = Authority::new("podgauge-ca", Clock::system().now()).unwrap();
    let identity = ca.server("podgauge", &["podgauge.podgauge.svc"]).unwrap();
    let (certificate, key) = (scratch("tls.crt"), scratch("tls.key"));
    fs::write(&certificate, &identity.certificate_pem).unwrap();
    fs::write(&key, &identity.key_pem).unwrap();
    let files = [
        format!("--tls-cert-file={}", certificate.display()),
        format!("--tls-private-key-file={}", key.display()),
    ];
    let podgauge = podgauge::start(&cluster, &[&files[0], &files[1]]).await;

    cluster.route_service("podgauge", "podgauge", podgauge.api);
    for mut service in cluster::shipped("base/apiservice.yaml") {
        assert_eq!(service["spec"].get("insecureSkipTLSVerify"), None, "what we ship is verified");
        service["spec"]["caBundle"] = json!(base64(ca.pem()));
        cluster.objects().put(service).unwrap();
    }
    for name in ["v1beta1.custom.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io"] {
        let available = cluster.wait_for_api_service(name, "True");
        let seen = tokio::time::timeout(podgauge::PATIENCE, available).await;
        assert!(matches!(seen, Ok(Some(_))), "{name} is not available:\n{}", podgauge.log());
    }

    // The controller's own identity and role, as every cluster has them.
    let hpa = cluster
        .client(Credential::Token(cluster.service_account_token("kube-system", "horizontal-pod-autoscaler")));
    let hpa = hpa.unwrap();
    let path =
        "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/*/messages?labelSelector=app%3Dbackend";
    let list = eventually(
        "a value through the aggregator",
        || async { podgauge::json(&hpa.get(path).await.unwrap()) },
        |list: &Value| list["items"][0]["value"] == "42",
    )
    .await;
    assert_eq!(list["items"][0]["describedObject"]["name"], "backend-0");

    let admin = cluster.cluster_ca().client("admin", &["system:masters"]).unwrap();
    let admin = cluster.client(Credential::ClientCertificate(admin)).unwrap();
    let resources = podgauge::json(&admin.get("/apis/custom.metrics.k8s.io/v1beta1").await.unwrap());
    let names: Vec<&str> =
        resources["resources"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["namespaces/messages", "pods/messages"]);

    // A stranger is refused by the API server already, and a user without a role by both.
    let nobody = cluster.client(Credential::Token(cluster::NO_ROLE.to_owned())).unwrap();
    assert_eq!(nobody.get(path).await.unwrap().status(), 403);

    // A certificate of another CA is not believed, whoever holds the key.
    let other = Authority::new("other-ca", Clock::system().now()).unwrap();
    for mut service in cluster::shipped("base/apiservice.yaml") {
        service["spec"]["caBundle"] = json!(base64(other.pem()));
        cluster.objects().put(service).unwrap();
    }
    cluster.probe_now();
    let unavailable = cluster.wait_for_api_service("v1beta2.custom.metrics.k8s.io", "False");
    assert!(tokio::time::timeout(podgauge::PATIENCE, unavailable).await.is_ok());
}

pub(crate) fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
