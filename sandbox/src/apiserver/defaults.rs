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
            pod_spec(&mut object["spec"]);
            set(object, "/status", "phase", json!("Pending"));
        }
        ("", "secrets") => secret(object),
        ("", "services") => service(object),
        ("apps", "deployments" | "replicasets" | "statefulsets") | ("", "replicationcontrollers") => {
            set(object, "/spec", "replicas", json!(1));
            pod_spec(&mut object["spec"]["template"]["spec"]);
        }
        ("autoscaling", "horizontalpodautoscalers") => autoscaler(object),
        _ => {}
    }
}

fn namespace(object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    if !object["metadata"]["labels"].is_object() {
        object["metadata"]["labels"] = json!({});
    }
    object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
    set(object, "/spec", "finalizers", json!(["kubernetes"]));
    set(object, "/status", "phase", json!("Active"));
}

fn pod_spec(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    set(spec, "", "restartPolicy", json!("Always"));
    set(spec, "", "terminationGracePeriodSeconds", json!(30));
    set(spec, "", "dnsPolicy", json!("ClusterFirst"));
    for container in spec["containers"].as_array_mut().into_iter().flatten() {
        for port in container["ports"].as_array_mut().into_iter().flatten() {
            set(port, "", "protocol", json!("TCP"));
        }
    }
}

fn secret(object: &mut Value) {
    set(object, "", "type", json!("Opaque"));
    let Some(text) = object.as_object_mut().and_then(|fields| fields.remove("stringData")) else { return };
    if !object["data"].is_object() {
        object["data"] = json!({});
    }
    for (key, value) in text.as_object().into_iter().flatten() {
        object["data"][key] = BASE64_STANDARD.encode(value.as_str().unwrap_or_default()).into();
    }
}

fn service(object: &mut Value) {
    set(object, "/spec", "type", json!("ClusterIP"));
    set(object, "/spec", "sessionAffinity", json!("None"));
    for port in object["spec"]["ports"].as_array_mut().into_iter().flatten() {
        set(port, "", "protocol", json!("TCP"));
        let number = port["port"].clone();
        set(port, "", "targetPort", number);
    }
}

/// As `pkg/apis/autoscaling/v2/defaults.go`: policies are filled in only when `behavior` is given.
fn autoscaler(object: &mut Value) {
    set(object, "/spec", "minReplicas", json!(1));
    let behavior = &mut object["spec"]["behavior"];
    if !behavior.is_object() {
        if let Some(spec) = object["spec"].as_object_mut() {
            spec.remove("behavior");
        }
        return;
    }
    let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    set(behavior, "/scaleUp", "stabilizationWindowSeconds", json!(0));
    set(behavior, "/scaleUp", "selectPolicy", json!("Max"));
    set(behavior, "/scaleUp", "policies", json!([pods, percent]));
    set(behavior, "/scaleDown", "selectPolicy", json!("Max"));
    set(behavior, "/scaleDown", "policies", json!([percent]));
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
