//! Pods that send anything but a page: each costs itself alone, and says why in the 404.

use std::fmt::Write as _;

use sandbox::{client::Client, kubeconfig::Credential};
use serde_json::{Value, json};

use crate::{
    cluster, pages,
    podgauge::{self, eventually},
};

const GIB: u64 = 1 << 30;

async fn message(master: &Client, pod: &str) -> String {
    let path = format!("/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/{pod}/messages");
    let answer = podgauge::json(&master.get(&path).await.unwrap());
    match answer["items"][0]["value"].as_str() {
        Some(value) => format!("value {value}"),
        None => answer["message"].as_str().unwrap_or_default().to_owned(),
    }
}

/// Every kind of bad input beside a good pod, with what its owner is told.
#[tokio::test(flavor = "multi_thread")]
async fn each_costs_itself_alone() {
    let cluster = cluster::start().await;
    let good = pages::serve("messages 7").await;
    let redirected = pages::serve("messages 1\n").await;
    let mut long_line = "messages{a=\"".to_owned();
    long_line.push_str(&"x".repeat(10 << 20));
    long_line.push_str("\"} 1\nother 1\n");
    let mut many = String::new();
    for n in 0..60_000 {
        writeln!(many, "messages{{id=\"{n}\"}} 1").unwrap();
    }
    let response = |head: &str, body: &[u8]| [format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), body].concat();
    let location = format!("302 Found\r\nlocation: http://{redirected}/metrics\r\ncontent-length: 0");
    let bomb = gzip_bomb();
    let bomb_head = format!("200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}", bomb.len());
    let garbage: Vec<u8> = (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let garbage_head = format!("200 OK\r\ncontent-length: {}", garbage.len());
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let cases = [
        ("good", good, "value 7"),
        ("garbage", pages::answer_with(response(&garbage_head, &garbage)).await, "not a metrics page"),
        (
            "announces-1-gib",
            pages::answer_with(response(&format!("200 OK\r\ncontent-length: {GIB}"), b"messages 1\n")).await,
            "--scrape-body-limit",
        ),
        ("endless", pages::endless("HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 65_536]).await, "--scrape-body-limit"),
        ("endless-chunks", pages::endless(chunked, &chunk).await, "--scrape-body-limit"),
        (
            "endless-head",
            pages::endless("HTTP/1.1 200 OK\r\n", &b"x-more: and more\r\n".repeat(100)).await,
            "--scrape-header-limit",
        ),
        ("long-line", pages::serve(long_line).await, "no page has this name"),
        ("bomb", pages::answer_with(response(&bomb_head, &bomb)).await, "--scrape-body-limit"),
        ("redirects", pages::answer_with(response(&location, b"")).await, "redirect"),
        ("hangs", pages::hang().await, "timed out"),
        ("resets", pages::reset().await, "last error"),
        ("not-http", pages::answer_with(b"220 smtp ready\r\n".to_vec()).await, "last error"),
        (
            "not-found",
            pages::answer_with(response("404 Not Found\r\ncontent-length: 0", b"")).await,
            "prometheus.io/path",
        ),
        ("nan", pages::serve("messages NaN\n").await, "NaN"),
        (
            "truncated",
            {
                let head = "200 OK\r\ncontent-type: application/openmetrics-text\r\ncontent-length: 11";
                pages::answer_with(response(head, b"messages 1\n")).await
            },
            "EOF",
        ),
        ("million-labels", pages::serve(many).await, "--scrape-series-limit"),
    ];
    for (name, address, _) in &cases {
        cluster.objects().put(cluster::pod(name, "hostile", *address)).unwrap();
    }
    // Time for the large ones, whatever else the machine does.
    let podgauge = podgauge::start(&cluster, &["--metric-resolution=10s"]).await;
    let master = podgauge.client(Credential::ClientCertificate(
        cluster.cluster_ca().client("a", &["system:masters"]).unwrap(),
    ));
    for (name, _, want) in &cases {
        let said = eventually(name, || message(&master, name), |said| said.contains(want)).await;
        assert!(said.len() < 1000, "{name}: {said}");
    }
    // The good one is served among them, and nothing of the others stayed in memory.
    let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/%2A/messages";
    let names = || async {
        let list = podgauge::json(&master.get(path).await.unwrap());
        let items = list["items"].as_array().into_iter().flatten();
        items.map(|item| item["describedObject"]["name"].clone()).collect::<Vec<Value>>()
    };
    eventually("the good one", names, |names| names[..] == [json!("good")]).await;
    let resident = podgauge.own_metric("process_resident_memory_bytes").await;
    assert!(resident < 600e6, "{resident} bytes resident");
    assert_eq!(podgauge.admin_get("/livez").await.0, 200);
    assert!(!podgauge.log().contains("panicked"), "{}", podgauge.log());
}

/// Addresses that a tenant must not be able to point podgauge at.
#[tokio::test(flavor = "multi_thread")]
async fn forbidden_addresses_are_not_asked() {
    let cluster = cluster::start().await;
    let page = pages::serve("messages 1\n").await;
    let mut on_host = cluster::pod("on-host", "app", page);
    on_host["spec"]["hostNetwork"] = json!(true);
    let mut metadata = cluster::pod("link-local", "app", page);
    metadata["status"]["podIP"] = json!("169.254.169.254");
    let mut redirected = cluster::pod("bad-port", "app", page);
    redirected["metadata"]["annotations"]["prometheus.io/port"] = json!("80; rm -rf /");
    for pod in [on_host, metadata, redirected, cluster::pod("ok", "app", page)] {
        cluster.objects().put(pod).unwrap();
    }
    let podgauge = podgauge::start(&cluster, &[]).await;
    let master = podgauge.client(Credential::ClientCertificate(
        cluster.cluster_ca().client("a", &["system:masters"]).unwrap(),
    ));
    eventually("ok", || message(&master, "ok"), |said| said == "value 1").await;
    for (pod, want) in [
        ("on-host", "--scrape-host-network"),
        ("link-local", "link-local"),
        ("bad-port", "prometheus.io/port"),
    ] {
        let said = message(&master, pod).await;
        assert!(said.contains("0 scraped") && said.contains(want), "{pod}: {said}");
    }
    assert_eq!(podgauge.own_metric("podgauge_store_targets").await, 1.0);
}

/// A value that cannot be read again grows old and goes; it is not repeated.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_value_goes() {
    let cluster = cluster::start().await;
    let page = pages::serve("messages 1\n").await;
    cluster.objects().put(cluster::pod("worker", "app", page)).unwrap();
    let podgauge = podgauge::start(&cluster, &["--metrics-max-age=2s", "--scrape-timeout=500ms"]).await;
    let master = podgauge.client(Credential::ClientCertificate(
        cluster.cluster_ca().client("a", &["system:masters"]).unwrap(),
    ));
    eventually("a value", || message(&master, "worker"), |said| said == "value 1").await;
    // The same pod, now behind a port where nobody listens: its old page is gone with its target.
    let gone = tokio::net::TcpSocket::new_v4().unwrap();
    gone.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    cluster.objects().put(cluster::pod("worker", "app", gone.local_addr().unwrap())).unwrap();
    let said = eventually("no value", || message(&master, "worker"), |said| said.contains("refused")).await;
    assert!(said.contains("1 scraped, 0 answering"), "{said}");
    cluster.objects().delete("v1", "Pod", "default", "worker").unwrap();
    eventually("gone", || message(&master, "worker"), |said| said.contains("there is no such pod")).await;
}

/// A GiB of newlines in about a MiB.
fn gzip_bomb() -> Vec<u8> {
    use std::io::Write as _;
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let block = vec![b'\n'; 1 << 20];
    for _ in 0..64 {
        bomb.write_all(&block).unwrap();
    }
    bomb.finish().unwrap()
}
