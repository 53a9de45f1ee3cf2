//! The defaults that clients and controllers rely on being there.
//!
//! Only those: a kind that is not named here is stored as it was sent. Applying them twice changes nothing more.

use super::resources::Resource;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

/// Fills in what the object leaves out.
pub(crate) fn apply(resource: &Resource, object: &mut Value) {
    match (resource.group, resource.plural) {
        ("", "namespaces") => namespace(object),
        ("", "pods") => {
            at(object, "/spec", pod_spec);
            set(object, "/status", "phase", json!("Pending"));
        }
        ("", "secrets") => secret(object),
        ("", "services") => service(object),
        ("apps", "deployments") => {
            deployment(object);
            set(object, "/spec", "replicas", json!(1));
            at(object, "/spec/template/spec", pod_spec);
        }
        ("apps", "replicasets" | "statefulsets") | ("", "replicationcontrollers") => {
            set(object, "/spec", "replicas", json!(1));
            at(object, "/spec/template/spec", pod_spec);
        }
        ("autoscaling", "horizontalpodautoscalers") => autoscaler(object),
        ("networking.k8s.io", "networkpolicies") => network_policy(object),
        ("scheduling.k8s.io", "priorityclasses") => {
            set(object, "", "preemptionPolicy", json!("PreemptLowerPriority"));
        }
        _ => {}
    }
}

fn namespace(object: &mut Value) {
    let name = object.pointer("/metadata/name").cloned().unwrap_or_default();
    at(object, "/metadata", |metadata| set(metadata, "/labels", "kubernetes.io/metadata.name", name.clone()));
    set(object, "/spec", "finalizers", json!(["kubernetes"]));
    set(object, "/status", "phase", json!("Active"));
}

fn pod_spec(spec: &mut Value) {
    set(spec, "", "restartPolicy", json!("Always"));
    set(spec, "", "terminationGracePeriodSeconds", json!(30));
    set(spec, "", "dnsPolicy", json!("ClusterFirst"));
    each(spec, "/containers", |container| {
        each(container, "/ports", |port| set(port, "", "protocol", json!("TCP")));
    });
}

/// As `pkg/apis/apps/v1/defaults.go`.
fn deployment(object: &mut Value) {
    set(object, "/spec", "progressDeadlineSeconds", json!(600));
    set(object, "/spec", "revisionHistoryLimit", json!(10));
    at(object, "/spec", |spec| set(spec, "/strategy", "type", json!("RollingUpdate")));
    at(object, "/spec/strategy", |strategy| {
        if strategy.get("type").is_some_and(|kind| kind == "RollingUpdate") {
            set(strategy, "/rollingUpdate", "maxSurge", json!("25%"));
            set(strategy, "/rollingUpdate", "maxUnavailable", json!("25%"));
        }
    });
}

fn secret(object: &mut Value) {
    set(object, "", "type", json!("Opaque"));
    let Some(text) = object.as_object_mut().and_then(|fields| fields.remove("stringData")) else { return };
    for (key, value) in text.as_object().into_iter().flatten() {
        let value = BASE64_STANDARD.encode(value.as_str().unwrap_or_default());
        let data = object.as_object_mut().map(|fields| fields.entry("data").or_insert_with(|| json!({})));
        if let Some(data) = data.and_then(Value::as_object_mut) {
            data.insert(key.clone(), value.into());
        }
    }
}

fn service(object: &mut Value) {
    set(object, "/spec", "type", json!("ClusterIP"));
    set(object, "/spec", "sessionAffinity", json!("None"));
    each(object, "/spec/ports", |port| {
        set(port, "", "protocol", json!("TCP"));
        let number = port.get("port").cloned().unwrap_or_default();
        set(port, "", "targetPort", number);
    });
}

/// As `pkg/apis/networking/v1/defaults.go`: egress is looked at when there are rules for it.
fn network_policy(object: &mut Value) {
    for direction in ["/spec/ingress", "/spec/egress"] {
        each(object, direction, |rule| {
            each(rule, "/ports", |port| set(port, "", "protocol", json!("TCP")));
        });
    }
    let has_egress =
        object.pointer("/spec/egress").and_then(Value::as_array).is_some_and(|rules| !rules.is_empty());
    let types = if has_egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
    set(object, "/spec", "policyTypes", types);
}

/// As `pkg/apis/autoscaling/v2/defaults.go`: policies are filled in only when `behavior` is given.
fn autoscaler(object: &mut Value) {
    set(object, "/spec", "minReplicas", json!(1));
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let Some(behavior) = spec.get_mut("behavior").filter(|behavior| behavior.is_object()) else {
        spec.remove("behavior");
        return;
    };
    let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    set(behavior, "/scaleUp", "stabilizationWindowSeconds", json!(0));
    set(behavior, "/scaleUp", "selectPolicy", json!("Max"));
    set(behavior, "/scaleUp", "policies", json!([pods, percent]));
    set(behavior, "/scaleDown", "selectPolicy", json!("Max"));
    set(behavior, "/scaleDown", "policies", json!([percent]));
}

/// Changes what is at `pointer`, if there is something. Whatever its kind: what was sent is judged elsewhere.
fn at(object: &mut Value, pointer: &str, change: impl FnOnce(&mut Value)) {
    if let Some(value) = object.pointer_mut(pointer) {
        change(value);
    }
}

/// Changes each element of the list at `pointer`, if there is one.
fn each(object: &mut Value, pointer: &str, change: impl FnMut(&mut Value)) {
    at(object, pointer, |value| value.as_array_mut().into_iter().flatten().for_each(change));
}

/// Sets a field that is absent, making the object at `pointer` (of at most one step) if that is absent too.
fn set(object: &mut Value, pointer: &str, field: &str, value: Value) {
    let parent = match pointer.strip_prefix('/') {
        None => object,
        Some(step) => {
            let Some(fields) = object.as_object_mut() else { return };
            fields.entry(step).or_insert_with(|| json!({}))
        }
    };
    if let Some(fields) = parent.as_object_mut()
        && fields.get(field).is_none_or(Value::is_null)
    {
        fields.insert(field.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::resources::known;
    use super::*;

    /// What is no object where one belongs is left as it was sent, for validation to refuse.
    #[test]
    fn nonsense_is_left_alone() {
        let kinds = [
            ("", "namespaces"),
            ("", "pods"),
            ("", "secrets"),
            ("", "services"),
            ("apps", "deployments"),
            ("autoscaling", "horizontalpodautoscalers"),
            ("networking.k8s.io", "networkpolicies"),
            ("scheduling.k8s.io", "priorityclasses"),
        ];
        let wrong = [json!("text"), json!(1), json!([]), json!(["text"]), json!({"a": 1}), Value::Null];
        let fields = |value: &Value| json!({"metadata": value, "spec": value, "status": value, "data": value, "stringData": value});
        let inside = |value: &Value| {
            json!({"metadata": {"labels": value}, "stringData": {"a": value}, "spec": {
                "template": value, "containers": value, "ports": value, "behavior": value,
                "ingress": value, "egress": [value, {"ports": value}, {"ports": [value]}]}})
        };
        for (group, plural) in kinds {
            for value in &wrong {
                let template =
                    json!({"spec": {"template": {"spec": value}, "containers": [{"ports": value}]}});
                for mut object in [value.clone(), fields(value), inside(value), template] {
                    apply(known(group, plural), &mut object);
                }
            }
        }
    }

    #[test]
    fn defaults_fill_gaps_once_and_overwrite_nothing() {
        let check = |group: &str, plural: &str, mut object: Value, expected: Value| {
            apply(known(group, plural), &mut object);
            assert_eq!(object, expected, "{plural}");
            apply(known(group, plural), &mut object);
            assert_eq!(object, expected, "{plural}, twice");
        };
        check("", "configmaps", json!({"data": {}}), json!({"data": {}}));
        check(
            "",
            "secrets",
            json!({"stringData": {"a": "b"}}),
            json!({"type": "Opaque", "data": {"a": "Yg=="}}),
        );
        check(
            "",
            "services",
            json!({"spec": {"ports": [{"port": 80}, {"port": 1, "targetPort": "x"}]}}),
            json!({"spec": {"type": "ClusterIP", "sessionAffinity": "None", "ports": [
                {"port": 80, "targetPort": 80, "protocol": "TCP"},
                {"port": 1, "targetPort": "x", "protocol": "TCP"}]}}),
        );
        check(
            "networking.k8s.io",
            "networkpolicies",
            json!({"spec": {"egress": [{"ports": [{"port": 1}]}]}}),
            json!({"spec": {"egress": [{"ports": [{"port": 1, "protocol": "TCP"}]}], "policyTypes": ["Ingress", "Egress"]}}),
        );
        check(
            "autoscaling",
            "horizontalpodautoscalers",
            json!({"spec": {"minReplicas": 2}}),
            json!({"spec": {"minReplicas": 2}}),
        );
        check(
            "autoscaling",
            "horizontalpodautoscalers",
            json!({"spec": {"behavior": {"scaleDown": {"policies": [], "stabilizationWindowSeconds": 120}}}}),
            json!({"spec": {"minReplicas": 1, "behavior": {
                "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
                    {"type": "Pods", "value": 4, "periodSeconds": 15},
                    {"type": "Percent", "value": 100, "periodSeconds": 15}]},
                "scaleDown": {"policies": [], "stabilizationWindowSeconds": 120, "selectPolicy": "Max"}}}}),
        );
    }
}
