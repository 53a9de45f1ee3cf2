//! Pods, as much of them as the controller reads: a subset of `v1.Pod` in the API's own shape.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::quantity::Quantity;
use crate::time::Time;

/// `v1.Pod`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pod {
    /// Name, labels, deletion.
    pub metadata: PodMetadata,
    /// What the pod asks for.
    pub spec: PodSpec,
    /// Where the pod is in its life.
    pub status: PodStatus,
}

/// `metadata` of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodMetadata {
    /// The pod's name, unique in its namespace.
    pub name: String,
    /// What selectors look at.
    pub labels: BTreeMap<String, String>,
    /// Set once the pod is being deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<Time>,
}

/// `spec` of a pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// The containers.
    pub containers: Vec<Container>,
    /// Those that run first; of these, the ones with `restartPolicy: Always` keep running and count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub init_containers: Vec<Container>,
    /// Resources of the whole pod, which go before those of its containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// The container's name, unique in its pod.
    pub name: String,
    /// What it asks for.
    pub resources: Resources,
    /// `Always` makes an init container a sidecar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<String>,
}

/// What a container asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// `cpu`, `memory`.
    pub requests: BTreeMap<String, Quantity>,
}

/// `status` of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// Among them `Ready`.
    pub conditions: Vec<PodCondition>,
    /// When the kubelet took the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
}

/// A condition of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodCondition {
    /// `Ready` is the one that is looked at.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// When `status` last became what it is.
    pub last_transition_time: Option<Time>,
}

// === impl Pod ===

impl Pod {
    /// The pod's `Ready` condition.
    #[must_use]
    pub fn ready_condition(&self) -> Option<&PodCondition> {
        self.status.conditions.iter().find(|condition| condition.kind == "Ready")
    }

    /// Whether the pod is `Ready`.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready_condition().is_some_and(|condition| condition.status == "True")
    }

    /// Thousandths of `resource` that the pod asks for, or that its container `container` asks for.
    ///
    /// # Errors
    /// A sentence, when a container asks for none or the container does not exist.
    pub fn request(&self, resource: &str, container: Option<&str>) -> Result<i64, String> {
        let name = &self.metadata.name;
        if container.is_none() {
            let of_pod = self.spec.resources.as_ref().filter(|resources| !resources.requests.is_empty());
            if let Some(request) = of_pod.and_then(|resources| resources.requests.get(resource)) {
                return Ok(request.milli());
            }
        }
        let is_sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
        let running = self.spec.containers.iter().chain(self.spec.init_containers.iter().filter(is_sidecar));
        let mut sum = 0i64;
        for candidate in running {
            if container.is_some_and(|container| container != candidate.name) {
                continue;
            }
            let Some(request) = candidate.resources.requests.get(resource) else {
                return Err(format!("container {} of pod {name} requests no {resource}", candidate.name));
            };
            sum = sum.wrapping_add(request.milli());
            if container.is_some() {
                return Ok(sum);
            }
        }
        match container {
            Some(container) => Err(format!("pod {name} has no container {container}")),
            None => Ok(sum),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(spec: Value, container: Option<&str>, want: Result<i64, &str>) {
        let pod = json!({"metadata": {"name": "p0"}, "spec": spec});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        assert_eq!(pod.request("cpu", container), want.map_err(str::to_owned), "{spec} {container:?}");
    }

    #[test]
    fn requests_are_summed() {
        let asks = |name: &str, cpu: &str| json!({"name": name, "resources": {"requests": {"cpu": cpu}}});
        let none = json!({"name": "none"});
        let sidecar =
            json!({"name": "sidecar", "restartPolicy": "Always", "resources": {"requests": {"cpu": "5m"}}});
        let two = json!([asks("a", "100m"), asks("b", "1")]);
        check(json!({"containers": two}), None, Ok(1100));
        check(json!({"containers": two}), Some("a"), Ok(100));
        check(json!({"containers": two}), Some("c"), Err("pod p0 has no container c"));
        check(
            json!({"containers": [asks("a", "1"), none]}),
            None,
            Err("container none of pod p0 requests no cpu"),
        );
        check(json!({"containers": [asks("a", "1"), none]}), Some("a"), Ok(1000));
        check(json!({"containers": two, "initContainers": [sidecar, asks("init", "9")]}), None, Ok(1105));
        check(json!({"containers": two, "initContainers": [sidecar]}), Some("sidecar"), Ok(5));
        let whole = json!({"requests": {"cpu": "3"}});
        check(json!({"containers": two, "resources": whole}), None, Ok(3000));
        check(json!({"containers": two, "resources": whole}), Some("a"), Ok(100));
        check(json!({"containers": two, "resources": {"requests": {"memory": "1Mi"}}}), None, Ok(1100));
    }
}
