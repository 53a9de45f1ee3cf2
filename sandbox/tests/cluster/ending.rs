//! However a sandbox ends, its processes end with it.

use crate::support::{Cluster, PATIENCE, deployment, eventually, pod, processes_of};
use serde_json::json;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const MARK: &str = "the node is at ";

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_end_asks_pods_to_end_first() {
    let cluster = Cluster::start().await;
    cluster.create("/api/v1/namespaces/default/pods", &pod("polite")).await;
    cluster.ready_pods("polite", 1).await;
    let logs = cluster.end_but_for_logs().await;
    assert_eq!(
        std::fs::read_to_string(logs.join("default_polite/web/0.log")).unwrap(),
        "listening\nSIGTERM\n"
    );
    std::fs::remove_dir_all(logs).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_dropped_leaves_nothing() {
    let cluster = Cluster::start().await;
    let mut stubborn = deployment("web", 2);
    stubborn["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "IGNORE_SIGTERM", "value": "1"}]);
    cluster.create(DEPLOYMENTS, &stubborn).await;
    cluster.ready_pods("web", 2).await;
    assert_eq!(processes_of(cluster.node_ip).len(), 2);
    cluster.drop_node().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_is_killed_leaves_nothing() {
    // This test's own program, started again for the one test below.
    let mut sandbox = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ending::a_sandbox_that_waits_to_be_killed", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(sandbox.stdout.take().unwrap()).lines();
    let node: Ipv4Addr = tokio::task::spawn_blocking(move || {
        let mut lines = lines.map_while(Result::ok);
        lines.find_map(|line| line.split_once(MARK)?.1.parse().ok()).expect("a cluster that says where it is")
    })
    .await
    .unwrap();
    assert_eq!(processes_of(node).len(), 2);
    sandbox.kill().unwrap();
    sandbox.wait().unwrap();
    eventually("no processes", || async { processes_of(node) }, Vec::is_empty).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "part of the test above, which kills it"]
async fn a_sandbox_that_waits_to_be_killed() {
    let cluster = Cluster::start().await;
    cluster.create(DEPLOYMENTS, &deployment("web", 2)).await;
    cluster.ready_pods("web", 2).await;
    writeln!(std::io::stdout(), "{MARK}{}", cluster.node_ip).unwrap();
    // If nobody kills it, it ends by itself.
    tokio::time::sleep(PATIENCE).await;
    cluster.end().await;
}
