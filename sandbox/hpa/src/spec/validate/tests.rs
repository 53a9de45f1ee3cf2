use serde_json::{Value, json};

use super::*;

fn hpa(change: impl FnOnce(&mut Value)) -> HorizontalPodAutoscaler {
    let mut object = json!({"metadata": {"name": "web"}, "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "maxReplicas": 5,
        "metrics": [{"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "10"}}}],
    }});
    change(&mut object["spec"]);
    let mut hpa: HorizontalPodAutoscaler = serde_json::from_value(object).unwrap();
    hpa.apply_defaults();
    hpa
}

/// The problems that setting the field at `pointer` to `value` gives, in full.
fn check(pointer: &str, value: Value, want: &[&str]) {
    let hpa = hpa(|spec| {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        match spec.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[field.parse::<usize>().unwrap()] = value,
            parent => parent[field] = value,
        }
    });
    let errors = hpa.validate().err().map_or(Vec::new(), |invalid| invalid.errors);
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors, want, "{pointer}");
}

#[test]
fn accepts_what_is_good() {
    check("/maxReplicas", json!(5), &[]);
    check("/behavior", json!({}), &[]);
    check("/behavior", json!({"scaleUp": {"stabilizationWindowSeconds": 3600, "tolerance": "0"}}), &[]);
    check("/metrics", json!([]), &[]);
}

#[test]
fn bounds_the_replicas() {
    check(
        "/minReplicas",
        json!(0),
        &["spec.minReplicas: Invalid value: 0: must be greater than or equal to 1"],
    );
    check(
        "/minReplicas",
        json!(6),
        &["spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`"],
    );
    check(
        "/maxReplicas",
        json!(0),
        &[
            "spec.maxReplicas: Required value: must be set and greater than 0",
            "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
        ],
    );
}

#[test]
fn looks_at_references() {
    check(
        "/scaleTargetRef",
        json!({}),
        &["spec.scaleTargetRef.kind: Required value", "spec.scaleTargetRef.name: Required value"],
    );
    check(
        "/scaleTargetRef/name",
        json!("a/b"),
        &["spec.scaleTargetRef.name: Invalid value: \"a/b\": may not contain '/'"],
    );
    check(
        "/scaleTargetRef/kind",
        json!(".."),
        &["spec.scaleTargetRef.kind: Invalid value: \"..\": may not be '..'"],
    );
    check(
        "/scaleTargetRef/apiVersion",
        json!("a/b/c"),
        &[
            "spec.scaleTargetRef.apiVersion: Invalid value: \"a/b/c\": must be a version or a group and a version, as in apps/v1",
        ],
    );
}

#[test]
fn looks_at_metrics() {
    let at = "/metrics/0/pods/target";
    check(
        at,
        json!({"type": "AverageValue"}),
        &[
            "spec.metrics[0].pods.target.averageValue: Required value: must specify a positive target averageValue",
        ],
    );
    check(
        at,
        json!({"type": "AverageValue", "averageValue": "0"}),
        &["spec.metrics[0].pods.target.averageValue: Invalid value: \"0\": must be positive"],
    );
    check(
        at,
        json!({"type": "Much", "averageValue": "1"}),
        &[
            "spec.metrics[0].pods.target.type: Invalid value: \"Much\": must be either Utilization, Value, or AverageValue",
        ],
    );
    check(
        "/metrics/0/pods/metric/name",
        json!("a%"),
        &["spec.metrics[0].pods.metric.name: Invalid value: \"a%\": may not contain '%'"],
    );
    check(
        "/metrics/0",
        json!({"type": "Pods"}),
        &["spec.metrics[0].pods: Required value: must populate information for the given metric source"],
    );
    check(
        "/metrics/0/type",
        json!("Moon"),
        &[
            "spec.metrics[0].type: Unsupported value: \"Moon\": supported values: \"ContainerResource\", \"External\", \"Object\", \"Pods\", \"Resource\"",
        ],
    );
    check(
        "/metrics/0/resource",
        json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}),
        &["spec.metrics[0].resource: Forbidden: must populate the given metric source only"],
    );
    check(
        "/metrics/0",
        json!({"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "Value", "value": "1", "averageValue": "1"}}}),
        &[
            "spec.metrics[0].external.target.value: Forbidden: may not set both a target value and a target per pod",
        ],
    );
    check(
        "/metrics/0",
        json!({"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "s"}, "metric": {"name": "m"}, "target": {"type": "Value"}}}),
        &[
            "spec.metrics[0].object.target.averageValue: Required value: must set either a target value or averageValue",
        ],
    );
    check(
        "/metrics/0",
        json!({"type": "ContainerResource", "containerResource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 0}}}),
        &[
            "spec.metrics[0].containerResource.container: Required value: must specify a container",
            "spec.metrics[0].containerResource.target.averageUtilization: Invalid value: 0: must be greater than 0",
        ],
    );
}

#[test]
fn bounds_the_behavior() {
    let window = |seconds: i32| json!({"scaleDown": {"stabilizationWindowSeconds": seconds}});
    check(
        "/behavior",
        window(-1),
        &[
            "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: -1: must be greater than or equal to zero",
        ],
    );
    check(
        "/behavior",
        window(3601),
        &[
            "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
        ],
    );
    check(
        "/behavior",
        json!({"scaleUp": {"policies": []}}),
        &["spec.behavior.scaleUp.policies: Required value: must specify at least one Policy"],
    );
    check(
        "/behavior",
        json!({"scaleUp": {"tolerance": "-1m"}}),
        &["spec.behavior.scaleUp.tolerance: Invalid value: \"-1m\": must be greater than or equal to 0"],
    );
    check(
        "/behavior",
        json!({"scaleUp": {"selectPolicy": "Most", "policies": [{"type": "Half", "value": 0, "periodSeconds": 1801}, {"type": "Pods", "value": 1, "periodSeconds": 0}]}}),
        &[
            "spec.behavior.scaleUp.selectPolicy: Unsupported value: \"Most\": supported values: \"Disabled\", \"Max\", \"Min\"",
            "spec.behavior.scaleUp.policies[0].type: Unsupported value: \"Half\": supported values: \"Percent\", \"Pods\"",
            "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero",
            "spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
            "spec.behavior.scaleUp.policies[1].periodSeconds: Invalid value: 0: must be greater than zero",
        ],
    );
}

#[test]
fn reads_as_a_status_does() {
    let one = hpa(|spec| spec["minReplicas"] = json!(0)).validate().unwrap_err();
    assert_eq!(
        one.to_string(),
        "HorizontalPodAutoscaler.autoscaling \"web\" is invalid: spec.minReplicas: Invalid value: 0: must be greater than or equal to 1"
    );
    let two = hpa(|spec| spec["scaleTargetRef"] = json!({})).validate().unwrap_err();
    assert_eq!(
        two.to_string(),
        "HorizontalPodAutoscaler.autoscaling \"web\" is invalid: [spec.scaleTargetRef.kind: Required value, spec.scaleTargetRef.name: Required value]"
    );
    assert_eq!(two.errors[0].reason(), "FieldValueRequired");
}
