//! The Node object: what the cluster knows of the node.

use super::Config;
use crate::apiserver::{Key, Part, Status, known};
use crate::clock::rfc3339;
use crate::local_client::LocalClient;
use serde_json::json;
use std::net::Ipv4Addr;

/// Writes the Node object: ready, and with room for as many pods as the configuration says.
///
/// It has no lease and no heartbeats: the node and the API server are one process and end together.
pub(super) fn register(client: &LocalClient, config: &Config, ip: Ipv4Addr) -> Result<(), Status> {
    let resource = known("", "nodes");
    let now = rfc3339(client.now());
    let capacity = json!({"pods": config.max_pods.to_string()});
    let healthy = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": now})
    };
    let node = json!({
        "metadata": {
            "name": config.name,
            "labels": {"kubernetes.io/hostname": config.name, "kubernetes.io/os": "linux"},
        },
        "spec": {},
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [healthy("Ready", "True", "KubeletReady", "pods run as processes of this machine")],
            "addresses": [
                {"type": "InternalIP", "address": ip.to_string()},
                {"type": "Hostname", "address": config.name},
            ],
            "nodeInfo": {
                "kubeletVersion": concat!("v1.33.0+sandbox-", env!("CARGO_PKG_VERSION")),
                "operatingSystem": "linux",
                "architecture": std::env::consts::ARCH,
                "containerRuntimeVersion": "process://1",
                "osImage": "", "kernelVersion": "", "machineID": "", "systemUUID": "", "bootID": "",
                "kubeProxyVersion": "",
            },
        },
    });
    let key = Key::new("", &config.name);
    match client.get(resource, &key) {
        None => client.create(resource, "", node).map(drop),
        Some(present) => {
            let uid = &present["metadata"]["uid"];
            client
                .update(resource, &key, uid, Part::Whole, |object| object["status"] = node["status"].clone())
                .map(drop)
        }
    }
}
