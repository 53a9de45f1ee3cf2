//! podgauge's own certificates: through the aggregator, which verifies them, while they are made, renewed and lost.

use std::fs;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sandbox::{
    apiserver::{Effect, Handle, RequestPattern},
    client::{Client, ClientConfig},
    clock::Clock,
    kubeconfig::Credential,
    pki::Authority,
};
use serde_json::{Value, json};

use crate::{
    cluster, pages,
    podgauge::{self, PATIENCE, Podgauge, eventually, scratch},
};

const REGISTRATIONS: [&str; 2] = ["v1beta1.custom.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io"];
/// Quick enough to be waited for; the delay is what a busy machine may take to look at a Secret.
const QUICK: [&str; 4] =
    ["--namespace=podgauge", "--tls-propagation-delay=5s", "--tls-sync-interval=1s", podgauge::ONE_SCRAPE];

/// A cluster with a pod to read, and podgauge registered as it is shipped: without a caBundle.
async fn start() -> Handle {
    let cluster = cluster::start().await;
    let page = pages::serve("messages 42\n").await;
    cluster.objects().put(cluster::pod("worker", "app", page)).unwrap();
    cluster::shipped("base/apiservice.yaml")
        .into_iter()
        .for_each(|service| drop(cluster.objects().put(service).unwrap()));
    cluster
}

async fn ready(podgauge: &Podgauge) {
    eventually("ready", || podgauge.admin_get("/readyz"), |(code, _)| *code == 200).await;
}

async fn available(cluster: &Handle, through: &Podgauge) {
    cluster.route_service("podgauge", "podgauge", through.api);
    for name in REGISTRATIONS {
        let seen = tokio::time::timeout(PATIENCE, cluster.wait_for_api_service(name, "True")).await;
        assert!(matches!(seen, Ok(Some(_))), "{name} is not available:\n{}", through.log());
    }
}

fn admin(cluster: &Handle) -> Client {
    let identity = cluster.cluster_ca().client("admin", &["system:masters"]).unwrap();
    cluster.client(Credential::ClientCertificate(identity)).unwrap()
}

/// What the first APIService trusts now, PEM.
fn trusted(cluster: &Handle) -> String {
    let object =
        cluster.objects().get("apiregistration.k8s.io/v1", "APIService", "", REGISTRATIONS[0]).unwrap();
    String::from_utf8(BASE64_STANDARD.decode(object["spec"]["caBundle"].as_str().unwrap()).unwrap()).unwrap()
}

/// One read through the aggregator, which must not fail, and one new connection to each replica, which must be verified.
async fn read(cluster: &Handle, admin: &Client, replicas: &[&Podgauge]) {
    let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/worker/messages";
    let answer = admin.get(path).await.unwrap();
    let list: Value = podgauge::json(&answer);
    assert_eq!(list["items"][0]["value"], "42", "{} {answer:?}", replicas[0].log());
    for replica in replicas {
        let client = Client::new(&ClientConfig {
            address: replica.api,
            server_name: "podgauge.podgauge.svc".to_owned(),
            ca_pem: Some(trusted(cluster)),
            credential: Credential::Anonymous,
            max_response_bytes: 1 << 20,
        });
        let answer = client.unwrap().get("/livez").await;
        assert!(answer.is_ok(), "{answer:?} {}", replica.log());
    }
}

async fn served(replica: &Podgauge) -> f64 {
    replica.own_metric("podgauge_certificates_served_total").await
}

async fn changes(replicas: &[&Podgauge], change: &str) -> f64 {
    let mut sum = 0.0;
    for replica in replicas {
        sum +=
            replica.own_metric(&format!("podgauge_certificates_changes_total{{change=\"{change}\"}}")).await;
    }
    sum
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_start_from_nothing_and_renew_while_they_are_read() {
    let cluster = start().await;
    let flags = [&QUICK[..], &["--tls-cert-lifetime=45s"]].concat();
    let (one, two) = (podgauge::launch(&cluster, &flags), podgauge::launch(&cluster, &flags));
    ready(&one).await;
    ready(&two).await;
    available(&cluster, &one).await;
    assert_eq!(changes(&[&one, &two], "start").await, 1.0, "one made it, the other took it");

    let admin = admin(&cluster);
    let mut through = [&one, &two];
    // The first certificate and one that replaced it, in both.
    while served(&one).await < 2.0 || served(&two).await < 2.0 {
        read(&cluster, &admin, &[&one, &two]).await;
        through.swap(0, 1);
        cluster.route_service("podgauge", "podgauge", through[0].api);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(changes(&[&one, &two], "promote").await >= 1.0);
    for replica in [&one, &two] {
        assert!(!replica.log().contains("PRIVATE"), "keys stay out of the log");
        let until =
            replica.own_metric("podgauge_certificates_expiry_timestamp_seconds{role=\"serving\"}").await;
        let served =
            replica.own_metric("podgauge_apiserver_serving_certificate_expiry_timestamp_seconds").await;
        assert!(until > 1.7e9 && served > 1.7e9, "{until} {served}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_wiped_is_filled_anew_while_it_is_read() {
    let cluster = start().await;
    let (one, two) = (podgauge::launch(&cluster, &QUICK), podgauge::launch(&cluster, &QUICK));
    ready(&one).await;
    ready(&two).await;
    available(&cluster, &two).await;
    let (admin, before) = (admin(&cluster), trusted(&cluster));
    let secret = |data: Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "data": data,
        "metadata": {"name": "podgauge-tls", "namespace": "podgauge"}})
    };
    cluster.objects().put(secret(json!({}))).unwrap();
    while served(&one).await < 2.0 || served(&two).await < 2.0 {
        read(&cluster, &admin, &[&one, &two]).await;
    }
    assert_eq!(changes(&[&one, &two], "restore").await, 1.0);
    assert!(trusted(&cluster).contains(&before), "what was trusted stays for a while");

    // An APIService that somebody makes anew gets its bundle back.
    for service in cluster::shipped("base/apiservice.yaml") {
        cluster
            .objects()
            .delete(
                "apiregistration.k8s.io/v1",
                "APIService",
                "",
                service["metadata"]["name"].as_str().unwrap(),
            )
            .unwrap();
        cluster.objects().put(service).unwrap();
    }
    available(&cluster, &one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_cannot_have_a_certificate_is_not_ready_and_says_why() {
    let cluster = start().await;
    let secret = RequestPattern::new("GET", "/api/v1/namespaces/podgauge/secrets/podgauge-tls");
    cluster.faults().inject(secret, Effect::Fail(403), 1_000_000);
    let podgauge = podgauge::launch(&cluster, &QUICK);
    let said = |(_, body): &(u16, String)| {
        body.contains("no serving certificate yet: reading Secret podgauge/podgauge-tls")
    };
    let (code, body) = eventually("the reason", || podgauge.admin_get("/readyz"), said).await;
    assert_eq!(code, 500);
    assert!(body.contains("a Role that allows get and patch"), "{body}");
    assert_eq!(podgauge.admin_get("/livez").await.0, 200, "a restart heals nothing");
    cluster.faults().clear();
    ready(&podgauge).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_fails_no_read() {
    let cluster = start().await;
    let flags = [&QUICK[..], &["--shutdown-delay-duration=15s"]].concat();
    let mut old = podgauge::launch(&cluster, &flags);
    ready(&old).await;
    available(&cluster, &old).await;
    let admin = admin(&cluster);
    for _ in 0..2 {
        let new = podgauge::launch(&cluster, &flags);
        while new.admin_get("/readyz").await.0 != 200 {
            read(&cluster, &admin, &[&old]).await;
        }
        // The endpoints change while the old one is still there, and some time after it was told to go.
        old.terminate();
        for _ in 0..5 {
            read(&cluster, &admin, &[&old]).await;
        }
        cluster.route_service("podgauge", "podgauge", new.api);
        for _ in 0..20 {
            read(&cluster, &admin, &[&new]).await;
        }
        assert_eq!(old.ended().await, Some(0));
        read(&cluster, &admin, &[&new]).await;
        old = new;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_certificate_is_published_only_when_told_so() {
    let cluster = start().await;
    let authority = Authority::new("somebody's-ca", Clock::system().now()).unwrap();
    let identity = authority.server("podgauge", &["podgauge.podgauge.svc"]).unwrap();
    let files = [("tls.crt", &identity.certificate_pem), ("tls.key", &identity.key_pem)];
    let [certificate, key] = files.map(|(name, pem)| {
        let path = scratch(name);
        fs::write(&path, pem).unwrap();
        path
    });
    let ca = scratch("ca.crt");
    fs::write(&ca, authority.pem()).unwrap();
    let flags = [
        format!("--tls-cert-file={}", certificate.display()),
        format!("--tls-private-key-file={}", key.display()),
        format!("--tls-ca-file={}", ca.display()),
    ];
    let flags: Vec<&str> = QUICK.into_iter().chain(flags.iter().map(String::as_str)).collect();
    let silent = podgauge::launch(&cluster, &flags[..flags.len() - 1]);
    ready(&silent).await;
    let patches = RequestPattern::new("PATCH", "*");
    assert_eq!(cluster.requests().count(&patches), 0);
    let telling = podgauge::launch(&cluster, &flags);
    ready(&telling).await;
    available(&cluster, &telling).await;
    assert_eq!(trusted(&cluster).trim(), authority.pem().trim());
    assert_eq!(cluster.requests().count(&patches), 2);
}
