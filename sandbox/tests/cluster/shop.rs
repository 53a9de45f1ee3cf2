//! The demo's own manifests, applied by kubectl, with the demo's own program.
//!
//! Needs kubectl on PATH and `target/debug/demo-shop`, which `cargo build -p demo-shop` makes; without them the test says
//! so and passes, unless `CI` is set. A kubectl whose kustomize does not know the manifests' fields yet is passed over too.

use crate::support::{Cluster, eventually, get, name, scratch, send, text};
use sandbox::node::{Image, Images};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest kubectl that the sandbox promises to work with, 1.N.
const OLDEST_MINOR: u32 = 27;

fn demo_shop() -> Option<PathBuf> {
    let this = std::env::current_exe().unwrap();
    let program = this.parent().and_then(Path::parent).unwrap().join("demo-shop");
    program.is_file().then_some(program)
}

/// Which kubectl this is, 1.N; `None` without one.
fn kubectl_minor() -> Option<u32> {
    let output = Command::new("kubectl").args(["version", "--client", "-o", "json"]).output().ok()?;
    let version: Value = serde_json::from_slice(&output.stdout).unwrap();
    let minor = version["clientVersion"]["minor"].as_str().unwrap();
    Some(minor.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap())
}

/// Runs kubectl and gives its standard output.
async fn kubectl(kubeconfig: &Path, args: &[&str]) -> String {
    let mut command = Command::new("kubectl");
    command.args(args).env("KUBECONFIG", kubeconfig).env("HOME", kubeconfig.parent().unwrap());
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "kubectl {args:?}: {out}{err}");
    out.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shops_manifests_run_as_they_are() {
    let (Some(minor), Some(program)) = (kubectl_minor(), demo_shop()) else {
        assert!(std::env::var_os("CI").is_none(), "kubectl or target/debug/demo-shop is missing");
        println!("SKIPPED: needs kubectl and target/debug/demo-shop (cargo build -p demo-shop)");
        return;
    };
    if minor < OLDEST_MINOR {
        println!("SKIPPED: needs kubectl 1.{OLDEST_MINOR} or later, and this is 1.{minor}");
        return;
    }
    let image = Image::new(program).listen("ADDRESS", "$(POD_IP)").listen("QUEUE_LISTEN", "$(POD_IP):61613");
    let cluster = Cluster::with_images(Images::from([("localhost/demo-shop".to_owned(), image)])).await;
    let home = scratch("kubectl");
    std::fs::create_dir_all(&home).unwrap();
    let config = home.join("config");
    std::fs::write(&config, cluster.api.kubeconfig_for("admin", &["system:masters"]).unwrap()).unwrap();

    kubectl(&config, &["apply", "-k", "demo-shop/deploy"]).await;
    for deployment in ["queue", "frontend", "backend"] {
        let found =
            kubectl(&config, &["rollout", "status", &format!("deployment/{deployment}"), "--timeout=10m"])
                .await;
        assert!(found.contains("successfully rolled out"), "{found}");
    }
    // An order goes in by the front's node port and shows in every part: all of them have found the queue.
    let front = SocketAddr::new(cluster.node_ip.into(), 32_000);
    let order = || async { get(front, "/submit?quantity=20").await.map(|(code, _)| code).unwrap_or(0) };
    eventually("an accepted order", order, |code| (200..400).contains(code)).await;
    let backend = SocketAddr::new(cluster.node_ip.into(), 31_000);
    let waiting = || async {
        let (_, page) = get(backend, "/metrics").await.unwrap_or_default();
        page.lines().find_map(|line| line.strip_prefix("messages ")?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    eventually("messages that wait", waiting, |messages| *messages > 0.0).await;

    kubectl(&config, &["scale", "deployment", "backend", "--replicas=3"]).await;
    kubectl(&config, &["rollout", "status", "deployment/backend", "--timeout=10m"]).await;
    cluster.ready_pods("backend", 3).await;
    let table = kubectl(&config, &["get", "deployments"]).await;
    let row = table.lines().find(|line| line.starts_with("backend ")).unwrap_or_default();
    assert_eq!(row.split_whitespace().take(4).collect::<Vec<_>>(), ["backend", "3/3", "3", "3"], "{table}");
    let described = kubectl(&config, &["describe", "deployment", "backend"]).await;
    for expected in [
        "3 desired | 3 updated | 3 total | 3 available | 0 unavailable",
        "NewReplicaSet:",
        "ScalingReplicaSet",
    ] {
        assert!(described.contains(expected), "{expected} is not in {described}");
    }
    let pod = name(&cluster.pods("backend")[0]);
    let described = kubectl(&config, &["describe", "pod", &pod]).await;
    for expected in ["Restart Count:  0", "Controlled By:  ReplicaSet/backend-", "Started container backend"]
    {
        assert!(described.contains(expected), "{expected} is not in {described}");
    }
    let described = kubectl(&config, &["describe", "service", "backend"]).await;
    let ip = text(&cluster.pods("backend")[0]["status"]["podIP"]);
    assert!(described.contains(&format!("{ip}:8080")), "{ip} is not in {described}");
    let nodes = kubectl(&config, &["get", "nodes"]).await;
    assert!(nodes.lines().any(|line| line.starts_with("sandbox   Ready")), "{nodes}");
    // Applying again leaves the count alone, which the manifest does not name.
    kubectl(&config, &["apply", "-k", "demo-shop/deploy"]).await;
    cluster.ready_pods("backend", 3).await;
    kubectl(&config, &["rollout", "restart", "deployment/frontend"]).await;
    kubectl(&config, &["rollout", "status", "deployment/frontend", "--timeout=10m"]).await;
    kubectl(&config, &["rollout", "undo", "deployment/frontend"]).await;
    kubectl(&config, &["rollout", "status", "deployment/frontend", "--timeout=10m"]).await;
    let history = kubectl(&config, &["rollout", "history", "deployment/frontend"]).await;
    let revisions: Vec<_> =
        history.lines().filter_map(|line| line.split_whitespace().next()?.parse::<u32>().ok()).collect();
    assert_eq!(revisions, [2, 3], "{history}");
    kubectl(&config, &["delete", "-k", "demo-shop/deploy"]).await;
    let left = || async {
        let names = cluster.api.objects().list("v1", "Pod");
        names.iter().map(|pod| text(&pod["metadata"]["name"])).collect::<Vec<_>>()
    };
    eventually("nothing", left, Vec::is_empty).await;
    let serves = || async { send(front, "GET / HTTP/1.1\r\n\r\n").await.is_ok() };
    eventually("nobody at the port", serves, |serves| !serves).await;
    cluster.end().await;
    std::fs::remove_dir_all(home).unwrap();
}
