//! podgauge as a process: its start, its probes, its end, and a cluster that does not answer.

use sandbox::{
    apiserver::{Effect, RequestPattern},
    kubeconfig::Credential,
};

use crate::{
    cluster, pages,
    podgauge::{self, eventually},
};

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_when_it_can_answer_and_says_what_is_missing() {
    let cluster = cluster::start().await;
    let page = pages::serve("messages 1\n").await;
    cluster.objects().put(cluster::pod("worker", "app", page)).unwrap();
    let configuration = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
    let (pods, authentication) =
        (RequestPattern::new("GET", "/api/v1/pods"), RequestPattern::new("GET", configuration));
    cluster.faults().inject(pods, Effect::Fail(503), 1_000_000);
    cluster.faults().inject(authentication, Effect::Fail(403), 1_000_000);
    let podgauge = podgauge::launch(&cluster, &[]);
    let ready = || podgauge.admin_get("/readyz");
    let (_, missing) =
        eventually("the role that is missing", ready, |(_, body)| body.contains("RoleBinding")).await;
    assert!(missing.contains("extension-apiserver-authentication-reader"), "{missing}");
    assert_eq!(podgauge.admin_get("/livez").await.0, 200, "nothing that a restart would heal");
    // Discovery needs neither pods nor the cluster: whoever is known by certificate alone would be answered.
    cluster.faults().clear();
    eventually("ready", ready, |(code, _)| *code == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_is_served_while_the_cluster_is_away() {
    let cluster = cluster::start().await;
    let page = pages::serve("messages 1\n").await;
    cluster.objects().put(cluster::pod("worker", "app", page)).unwrap();
    let podgauge = podgauge::start(&cluster, &[]).await;
    let admin = cluster.cluster_ca().client("admin", &["system:masters"]).unwrap();
    let master = podgauge.client(Credential::ClientCertificate(admin));
    cluster.shutdown().await;
    // Longer than any sample may be old: what is served now was scraped without the cluster.
    let scrapes = || podgauge.own_metric("podgauge_scrapes_total{result=\"success\"}");
    let before = scrapes().await;
    eventually("more scrapes", scrapes, |now| *now > before + 3.0).await;
    let path = "/apis/custom.metrics.k8s.io/v1beta1/namespaces/default/pods/worker/messages";
    let served = || async { podgauge::json(&master.get(path).await.unwrap())["items"][0]["value"].clone() };
    eventually("a value", served, |value| value == "1").await;
    assert_eq!(master.get("/apis/custom.metrics.k8s.io/v1beta1").await.unwrap().status(), 200);
    assert_eq!(podgauge.admin_get("/readyz").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_drains_and_ends_with_0() {
    let cluster = cluster::start().await;
    let mut podgauge = podgauge::start(&cluster, &["--shutdown-delay-duration=10s"]).await;
    let admin = cluster.cluster_ca().client("admin", &["system:masters"]).unwrap();
    let master = podgauge.client(Credential::ClientCertificate(admin));
    podgauge.terminate();
    let (_, body) = eventually("unready", || podgauge.admin_get("/readyz"), |(code, _)| *code == 500).await;
    assert!(body.contains("shutting down"), "{body}");
    assert_eq!(
        master.get("/apis/custom.metrics.k8s.io/v1beta1").await.unwrap().status(),
        200,
        "still serving"
    );
    assert_eq!(podgauge.ended().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_come_and_go() {
    let cluster = cluster::start().await;
    let podgauge = podgauge::start(&cluster, &[]).await;
    let admin = cluster.cluster_ca().client("admin", &["system:masters"]).unwrap();
    let master = podgauge.client(Credential::ClientCertificate(admin));
    let page = pages::serve("messages 5\n").await;
    let count = || async {
        let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/%2A/messages?labelSelector=app%3Dapp";
        podgauge::json(&master.get(path).await.unwrap())["items"].as_array().map_or(0, Vec::len)
    };
    for n in 0..20 {
        cluster.objects().put(cluster::pod(&format!("pod-{n}"), "app", page)).unwrap();
    }
    eventually("20 pods", count, |n| *n == 20).await;
    // The watch breaks off and its history is gone: a new list must end what is not on it.
    cluster.faults().reset_watches();
    for n in 0..15 {
        cluster.objects().delete("v1", "Pod", "default", &format!("pod-{n}")).unwrap();
    }
    cluster.faults().expire_watches();
    eventually("5 pods", count, |n| *n == 5).await;
    for series in ["podgauge_store_targets", "podgauge_store_series"] {
        eventually(series, || podgauge.own_metric(series), |found| *found == 5.0).await;
    }
}
