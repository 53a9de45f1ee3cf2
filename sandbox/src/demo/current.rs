//! The demo's cluster elsewhere: the one that KUBECONFIG names. `hack/deploy` installs podgauge and the shop there.

use super::api::Api;
use super::screen::Screen;
use super::shop::Shop;
use super::watch::NAMESPACE;
use super::{Config, DemoError};
use crate::kubeconfig::{self, Access};
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Stdio;
use tokio::process::Command;

/// How to get one's hands on a cluster, for whoever has none.
const ADVICE: &str = "set KUBECONFIG to a cluster's, or leave CLUSTER out to run without one";

/// The cluster of the current context.
pub(super) async fn access() -> Result<Access, DemoError> {
    let mut kubectl = Command::new("kubectl");
    // kubectl finds and merges the files; flattened, they are one text that needs no other.
    kubectl
        .args(["config", "view", "--minify", "--flatten", "--raw"])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = kubectl.output().await;
    let output =
        output.map_err(|error| DemoError::Usage(format!("cannot run kubectl: {error}; {ADVICE}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
        return Err(DemoError::Usage(format!("there is no cluster (kubectl says: {said}); {ADVICE}")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    kubeconfig::read(&text).map_err(|error| DemoError::Usage(format!("{error}; {ADVICE}")))
}

/// Runs `hack/deploy` with the demo, whose lines are shown as they come.
pub(super) async fn deploy(config: &Config, screen: &mut Screen) -> Result<(), DemoError> {
    screen.clear();
    let mut deploy = Command::new(config.repository.join("hack/deploy"));
    deploy.env("DEMO", "yes").stdin(Stdio::null()).kill_on_drop(true);
    match deploy.status().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(DemoError::Failed(format!("hack/deploy failed ({status}); what it said is above"))),
        Err(error) => Err(DemoError::Failed(format!("cannot run hack/deploy: {error}"))),
    }
}

/// The shop: at the node port of its Service, or, where nodes cannot be reached from here, through the API server.
pub(super) async fn shop(api: &Api) -> Result<(Shop, String), DemoError> {
    let failed = |error: &dyn std::fmt::Display| DemoError::Failed(error.to_string());
    let path = format!("/api/v1/namespaces/{NAMESPACE}/services/frontend");
    let service = api.get(&path).await.map_err(|error| failed(&error))?;
    let port = service["spec"]["ports"][0]["nodePort"].as_u64().and_then(|port| u16::try_from(port).ok());
    let nodes = api.get("/api/v1/nodes").await.unwrap_or_default();
    if let Some(address) = node_address(&nodes).zip(port).map(|(ip, port)| SocketAddr::new(ip, port)) {
        let shop = Shop::At(address);
        let answers = tokio::time::timeout(std::time::Duration::from_secs(3), shop.page()).await;
        if matches!(answers, Ok(Some(_))) {
            return Ok((shop, format!("http://{address}")));
        }
    }
    let through = Shop::Through(api.clone(), format!("{path}:http/proxy"));
    match through.page().await {
        Some(_) => Ok((through, "through the API server".to_owned())),
        None => Err(DemoError::Failed(
            "the shop's Service frontend answers neither at its node port nor through the API server; \
             look with: kubectl get pods"
                .to_owned(),
        )),
    }
}

fn node_address(nodes: &Value) -> Option<std::net::IpAddr> {
    let addresses = nodes["items"][0]["status"]["addresses"].as_array()?;
    let internal = addresses.iter().find(|address| address["type"] == "InternalIP")?;
    internal["address"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_nodes_address_is_its_internal_one() {
        let check = |addresses: Value, expected: Option<&str>| {
            let nodes = json!({"items": [{"status": {"addresses": addresses}}]});
            assert_eq!(node_address(&nodes).map(|ip| ip.to_string()).as_deref(), expected);
        };
        check(
            json!([{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "10.0.0.1"}]),
            Some("10.0.0.1"),
        );
        check(json!([{"type": "InternalIP", "address": "no address"}]), None);
        check(json!(null), None);
    }
}
