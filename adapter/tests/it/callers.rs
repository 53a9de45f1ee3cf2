//! URL, caller and selector against code, reason and body: `callers.golden` holds both sides.
//!
//! A case is a line `> CALLER METHOD PATH`, with ` as ACCEPT` behind it for a header `Accept`; what follows is the code, the
//! content type and the body, escaped if it is protobuf. Times, ports and ages are masked. `UPDATE_GOLDEN=1` writes the file anew; read the difference.

use std::{fmt::Write as _, fs, path::Path};

use bytes::Bytes;
use http::Request;
use sandbox::{apiserver::Handle, client::Client, kubeconfig::Credential, pki::Identity};
use serde_json::Value;

use crate::{
    cluster::{self, NO_ROLE, READER},
    pages,
    podgauge::{self, Podgauge, eventually, json},
};

/// Who asks: a client, and the headers that it adds.
struct Caller {
    client: Client,
    headers: Vec<(&'static str, &'static str)>,
}

#[tokio::test(flavor = "multi_thread")]
async fn callers() {
    let cluster = cluster::start().await;
    let busy = pages::serve("# TYPE messages gauge\nmessages 7").await;
    let idle =
        pages::serve("# TYPE messages gauge\nmessages{queue=\"a\"} 1\nmessages{queue=\"b\"} 0.5\n").await;
    cluster.objects().put(cluster::pod("worker-0", "worker", busy)).unwrap();
    cluster.objects().put(cluster::pod("worker-1", "worker", idle)).unwrap();
    let mut bare = cluster::pod("web-0", "web", busy);
    bare["metadata"]["annotations"] = Value::Null;
    cluster.objects().put(bare).unwrap();
    let podgauge = podgauge::start(&cluster, &[podgauge::ONE_SCRAPE]).await;

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/callers.golden");
    let golden = fs::read_to_string(&path).unwrap();
    let mut now = String::new();
    for line in golden.lines() {
        if line.starts_with('#') || line.is_empty() {
            writeln!(now, "{line}").unwrap();
        } else if let Some(case) = line.strip_prefix("> ") {
            let answer = ask(&cluster, &podgauge, case).await;
            writeln!(now, "> {case}\n{}", masked(&answer)).unwrap();
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &now).unwrap();
    }
    assert!(golden.lines().filter(|line| line.starts_with("> ")).count() > 50);
    assert_eq!(now, golden, "run with UPDATE_GOLDEN=1 and read the difference");
}

/// A token's review is remembered, and so is what its user may do: the cluster is asked once.
#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_is_asked_once() {
    let cluster = cluster::start().await;
    let podgauge = podgauge::start(&cluster, &[]).await;
    let reader = podgauge.client(Credential::Token(READER.to_owned()));
    for _ in 0..20 {
        let path = "/apis/custom.metrics.k8s.io/v1beta1/namespaces/default/pods/%2A/messages";
        assert_eq!(reader.get(path).await.unwrap().status(), 404);
    }
    let asked = |path: &str| {
        let pattern = sandbox::apiserver::RequestPattern::new("POST", path);
        cluster.requests().count(&pattern)
    };
    assert_eq!(asked("/apis/authentication.k8s.io/v1/tokenreviews"), 1);
    assert_eq!(asked("/apis/authorization.k8s.io/v1/subjectaccessreviews"), 1);
}

/// A value is served with the moment of its scrape, and podgauge counts how old it was.
#[tokio::test(flavor = "multi_thread")]
async fn ages_are_counted() {
    let cluster = cluster::start().await;
    let page = pages::serve("messages 3\n").await;
    cluster.objects().put(cluster::pod("worker-0", "worker", page)).unwrap();
    let podgauge = podgauge::start(&cluster, &[]).await;
    let master = caller(&cluster, &podgauge, "master");
    let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/%2A/messages";
    let ask = || async { json(&master.client.get(path).await.unwrap()) };
    eventually("a value", ask, |list| list["items"][0]["value"] == "3").await;
    assert!(podgauge.own_metric("podgauge_api_metric_age_seconds_count").await >= 1.0);
    assert!(podgauge.own_metric("podgauge_scrapes_total{result=\"success\"}").await >= 1.0);
    assert_eq!(podgauge.own_metric("podgauge_store_series").await, 1.0);
}

fn caller(cluster: &Handle, podgauge: &Podgauge, name: &str) -> Caller {
    let certificate = |identity: Identity| podgauge.client(Credential::ClientCertificate(identity));
    let token = |token: &str| podgauge.client(Credential::Token(token.to_owned()));
    let proxy = || certificate(cluster.front_proxy_identity().clone());
    let ours = |name: &str, groups: &[&str]| certificate(cluster.cluster_ca().client(name, groups).unwrap());
    let (client, headers) = match name {
        "nobody" => (podgauge.client(Credential::Anonymous), vec![]),
        "basic" => (podgauge.client(Credential::Anonymous), vec![("authorization", "Basic dXNlcjpwYXNz")]),
        "forger" => (
            podgauge.client(Credential::Anonymous),
            vec![("x-remote-user", "admin"), ("x-remote-group", "system:masters")],
        ),
        "bad-token" => (token("no-such-token"), vec![]),
        "token" => (token(NO_ROLE), vec![]),
        "reader" => (token(READER), vec![]),
        "stranger" => {
            (certificate(cluster::foreign_authority().client("admin", &["system:masters"]).unwrap()), vec![])
        }
        "cert" => (ours("nobody-special", &[]), vec![]),
        "reader-cert" => (ours("reader", &[]), vec![]),
        "master" => (ours("admin", &["system:masters"]), vec![]),
        "expired" => {
            let expired = cluster.cluster_ca().expired_client("admin", &["system:masters"]).unwrap();
            (certificate(expired), vec![])
        }
        "proxy-without-user" => (proxy(), vec![]),
        "proxy-of-another-name" => (
            certificate(cluster.front_proxy_ca().client("somebody-else", &[]).unwrap()),
            vec![("x-remote-user", "admin"), ("x-remote-group", "system:masters")],
        ),
        "proxied" => (proxy(), vec![("x-remote-user", "nobody-special"), ("x-remote-group", "some-group")]),
        "proxied-reader" => {
            (proxy(), vec![("x-remote-user", "reader"), ("x-remote-group", "system:authenticated")])
        }
        "proxied-master" => (proxy(), vec![("x-remote-user", "admin"), ("x-remote-group", "system:masters")]),
        "hpa" => (
            proxy(),
            vec![
                ("x-remote-user", "system:serviceaccount:kube-system:horizontal-pod-autoscaler"),
                ("x-remote-group", "system:serviceaccounts"),
                ("x-remote-group", "system:serviceaccounts:kube-system"),
                ("x-remote-group", "system:authenticated"),
                ("x-remote-extra-authentication.kubernetes.io%2fcredential-id", "JTI=a"),
                ("accept-encoding", "gzip"),
            ],
        ),
        other => panic!("no caller is called {other}"),
    };
    Caller { client, headers }
}

async fn ask(cluster: &Handle, podgauge: &Podgauge, case: &str) -> String {
    let (case, accept) = case.split_once(" as ").map_or((case, None), |(case, accept)| (case, Some(accept)));
    let [who, method, path] = case.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
    let caller = caller(cluster, podgauge, who);
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in caller.headers.iter().copied().chain(accept.map(|accept| ("accept", accept))) {
        request = request.header(name, value);
    }
    let answer = caller.client.send(request.body(Bytes::new()).unwrap()).await.unwrap();
    let kind = answer.headers().get("content-type").map_or("no content", |kind| kind.to_str().unwrap());
    let body = match json(&answer) {
        _ if kind == "application/vnd.kubernetes.protobuf" => answer.body().escape_ascii().to_string(),
        Value::Null => String::from_utf8_lossy(answer.body()).trim_end().to_owned(),
        status if status["kind"] == "Status" => format!("{}: {}", status["reason"], status["message"]),
        document => document.to_string(),
    };
    format!("{} {kind}\n{body}", answer.status().as_u16())
}

/// Replaces what differs from run to run.
fn masked(answer: &str) -> String {
    let answer = mask(answer, "127.0.0.1:", "/", "PORT");
    let answer = mask(&answer, r#""timestamp":""#, "\"", "TIME");
    let answer = mask(&answer, "timestamp: \"", "\"", "TIME");
    // A message of seconds, before the message of the value.
    let answer = mask(&answer, r"\x1a\x06\x08", "*", "TIME");
    mask(&answer, r#"["worker-0","messages","7",""#, "\"", "AGE")
}

/// Replaces what stands between `before` and `after`, wherever it does.
fn mask(text: &str, before: &str, after: &str, with: &str) -> String {
    let mut parts = text.split(before);
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.find(after).map_or("", |at| &part[at..]);
        masked.extend([before, with, rest]);
    }
    masked
}
