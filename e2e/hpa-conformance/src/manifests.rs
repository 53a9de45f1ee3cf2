//! The objects that a scenario needs: HPAs, and pods that no kubelet runs.

use sandbox_hpa::pod::Pod;
use sandbox_hpa::spec::{ObjectReference, Spec};
use serde_json::{Value, json};

use crate::registration::TARGET_GROUP;

/// The name of a scenario's HPA and of its target.
pub(crate) const NAME: &str = "web";
/// The metric of an HPA that is only there to have a selector.
pub(crate) const RIVAL_METRIC: &str = "rival";
/// What keeps a pod that is being deleted.
const FINALIZER: &str = "hpa-conformance.podgauge.dev/deleting";

/// The HPA `name`, which scales the target of that name.
pub(crate) fn hpa(name: &str, spec: &Spec) -> Value {
    let target = ObjectReference {
        api_version: format!("{TARGET_GROUP}/v1"),
        kind: "Target".into(),
        name: name.into(),
    };
    let spec = Spec { scale_target_ref: target, ..spec.clone() };
    json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name}, "spec": spec})
}

/// The spec of an HPA that shares pods with another.
pub(crate) fn rival() -> Spec {
    let spec = json!({
        "maxReplicas": 1,
        "metrics": [{"type": "External", "external": {"metric": {"name": RIVAL_METRIC}, "target": {"type": "Value", "value": "1"}}}],
    });
    serde_json::from_value(spec).unwrap_or_default()
}

/// The manifest of a pod that stays unscheduled, and the status that it then gets.
pub(crate) fn pod(pod: &Pod) -> (Value, Value) {
    let container = |name: &str, requests: Value| json!({"name": name, "image": "none", "resources": {"requests": requests}});
    let mut containers: Vec<_> = pod
        .spec
        .containers
        .iter()
        .map(|known| container(&known.name, json!(known.resources.requests)))
        .collect();
    if containers.is_empty() {
        containers.push(container("main", json!({})));
    }
    let finalizers = if pod.metadata.deletion_timestamp.is_some() { vec![FINALIZER] } else { Vec::new() };
    let manifest = json!({
        "metadata": {"name": pod.metadata.name, "labels": pod.metadata.labels, "finalizers": finalizers},
        "spec": {
            "schedulerName": "nobody",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "containers": containers,
        },
    });
    (manifest, json!({"status": pod.status}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_keep_what_the_scenario_says() {
        let check = |given: Value, containers: Value, finalizers: usize| {
            let given: Pod = serde_json::from_value(given).unwrap();
            let (manifest, status) = pod(&given);
            assert_eq!(manifest["spec"]["containers"], containers);
            assert_eq!(manifest["metadata"]["finalizers"].as_array().unwrap().len(), finalizers);
            assert_eq!(status["status"]["phase"], "Running");
        };
        check(
            json!({"metadata": {"name": "p0"}, "status": {"phase": "Running"}}),
            json!([{"name": "main", "image": "none", "resources": {"requests": {}}}]),
            0,
        );
        check(
            json!({
                "metadata": {"name": "p0", "deletionTimestamp": "2027-01-15T08:00:00Z"},
                "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "5m"}}}]},
                "status": {"phase": "Running"},
            }),
            json!([{"name": "a", "image": "none", "resources": {"requests": {"cpu": "5m"}}}]),
            1,
        );
    }

    #[test]
    fn an_hpa_scales_the_target_of_its_name() {
        let object = hpa("other", &rival());
        assert_eq!(object["spec"]["scaleTargetRef"]["name"], "other");
        assert_eq!(object["spec"]["metrics"][0]["external"]["metric"]["name"], RIVAL_METRIC);
    }
}
