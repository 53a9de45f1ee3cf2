//! The scheduler: gives each new pod a node.
//!
//! The first node that is ready and has room for one more pod; the room is counted in pods, never in CPU or memory.
//! Pods that somebody else brings to life (they have an address or a phase already) are left alone.

use super::pods;
use crate::apiserver::{Key, Part, known};
use crate::clock::rfc3339;
use crate::local_client::{EventKind, LocalClient, note, object_at};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const COMPONENT: &str = "default-scheduler";

/// One look at every pod.
pub(super) fn sync(client: &LocalClient) -> Option<Duration> {
    let all = client.list(known("", "pods"));
    let nodes = client.list(known("", "nodes"));
    let mut taken =
        all.iter().filter(|(_, pod)| pod["spec"]["nodeName"].is_string() && !pods::has_ended(pod)).count();
    for (key, pod) in all.iter().filter(|(_, pod)| waits_for_node(pod)) {
        match nodes.iter().find(|(_, node)| has_room(node, taken)) {
            Some((node, _)) => {
                taken += 1;
                bind(client, key, pod, &node.name);
            }
            None => refuse(client, key, pod, &nodes),
        }
    }
    None
}

fn waits_for_node(pod: &Value) -> bool {
    let status = &pod["status"];
    pods::is_active(pod)
        && pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty)
        && status["podIP"].is_null()
        && matches!(status["phase"].as_str(), None | Some("Pending"))
}

/// With one node the pods that have any are the pods that it has.
fn has_room(node: &Value, taken: usize) -> bool {
    let ready = node["status"]["conditions"].as_array().is_some_and(|conditions| {
        conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    });
    let room = node["status"]["allocatable"]["pods"].as_str().and_then(|room| room.parse().ok()).unwrap_or(0);
    ready && node["spec"]["unschedulable"] != true && taken < room
}

fn bind(client: &LocalClient, key: &Key, pod: &Arc<Value>, node: &str) {
    let condition = condition("True", "", "", &rfc3339(client.now()));
    let bound = client.update(known("", "pods"), key, &pod["metadata"]["uid"], Part::Whole, |pod| {
        object_at(pod, &["spec"]).insert("nodeName".into(), node.into());
        object_at(pod, &["status"]).insert("conditions".into(), json!([condition]));
    });
    if note("bind a pod", bound).is_some() {
        let message = format!("Successfully assigned {}/{} to {node}", key.namespace, key.name);
        client.record(COMPONENT, pod, "", EventKind::Normal, "Scheduled", &message);
    }
}

fn refuse(client: &LocalClient, key: &Key, pod: &Arc<Value>, nodes: &[(Key, Arc<Value>)]) {
    let why = if nodes.is_empty() { "" } else { ": Too many pods, or not ready" };
    let message = format!("0/{} nodes are available{why}.", nodes.len());
    let present = pod["status"]["conditions"].as_array().and_then(|conditions| conditions.first());
    if present.is_some_and(|condition| condition["message"] == message.as_str()) {
        return;
    }
    let condition = condition("False", "Unschedulable", &message, &rfc3339(client.now()));
    let written = client.update(known("", "pods"), key, &pod["metadata"]["uid"], Part::Status, |pod| {
        object_at(pod, &["status"]).insert("conditions".into(), json!([condition]));
    });
    note("write that a pod cannot be scheduled", written);
    client.record(COMPONENT, pod, "", EventKind::Warning, "FailedScheduling", &message);
}

fn condition(status: &str, reason: &str, message: &str, now: &str) -> Value {
    let mut condition =
        json!({"type": "PodScheduled", "status": status, "lastProbeTime": null, "lastTransitionTime": now});
    if !reason.is_empty() {
        condition["reason"] = reason.into();
        condition["message"] = message.into();
    }
    condition
}
