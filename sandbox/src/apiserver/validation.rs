//! Refuses objects that cannot be honoured, with kube-apiserver's codes and field paths.

mod names;

use super::resources::Resource;
use super::status::Status;
use sandbox_hpa::spec::HorizontalPodAutoscaler;
use serde_json::Value;

/// Checks an object that is about to be stored; all that is wrong with it is said at once.
pub(crate) fn check(resource: &Resource, object: &Value) -> Result<(), Status> {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    let mut problems: Vec<Problem> = Vec::new();
    problems.extend(names::problem(resource, name).map(|problem| ("metadata.name".into(), problem)));
    names::label_problems("metadata.labels", &metadata["labels"], &mut problems);
    let spec = &object["spec"];
    let one = match (resource.group, resource.plural) {
        ("", "pods") => {
            containers("spec", spec, &mut problems);
            None
        }
        ("apps", "deployments" | "replicasets" | "statefulsets") => {
            workload(spec, &mut problems);
            None
        }
        ("autoscaling", "horizontalpodautoscalers") => {
            autoscaler(object, &mut problems);
            None
        }
        ("apiregistration.k8s.io", "apiservices") => api_service(name, spec),
        _ => None,
    };
    problems.extend(one.map(|(field, problem)| (field.to_owned(), problem)));
    if problems.is_empty() { Ok(()) } else { Err(Status::invalid_fields(resource, name, &problems)) }
}

/// Checks what a change may not touch.
pub(crate) fn check_update(resource: &Resource, current: &Value, object: &Value) -> Result<(), Status> {
    let fields: &[&str] = match (resource.group, resource.plural) {
        ("apps", "deployments" | "replicasets" | "statefulsets") => &["/spec/selector"],
        ("rbac.authorization.k8s.io", "clusterrolebindings" | "rolebindings") => &["/roleRef"],
        ("", "secrets") => &["/type"],
        _ => &[],
    };
    let value = |object: &Value, pointer: &str| object.pointer(pointer).cloned().unwrap_or_default();
    let changed = fields.iter().filter(|pointer| value(current, pointer) != value(object, pointer));
    let problems: Vec<Problem> = changed
        .map(|pointer| {
            let field = pointer.trim_start_matches('/').replace('/', ".");
            // Upstream names the whole of what may not change, under the problem that each kind words its own way.
            let problem = match field.as_str() {
                "roleRef" => "cannot change roleRef",
                _ => "field is immutable",
            };
            (field, format!("Invalid value: {}: {problem}", value(object, pointer)))
        })
        .collect();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if problems.is_empty() { Ok(()) } else { Err(Status::invalid_fields(resource, name, &problems)) }
}

/// A field and what is wrong with it.
pub(crate) type Problem = (String, String);
/// The same, of rules that look at fixed fields.
type FixedProblem = (&'static str, String);

/// The containers of the pod spec at `path`. An image may be missing: the node says so when it is to run it.
fn containers(path: &str, spec: &Value, problems: &mut Vec<Problem>) {
    let list = spec["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() {
        problems.push((format!("{path}.containers"), "Required value".to_owned()));
    }
    let mut seen = Vec::new();
    for (index, container) in list.iter().enumerate() {
        let name = container["name"].as_str().unwrap_or_default();
        let problem = match name {
            "" => Some("Required value".to_owned()),
            name if seen.contains(&name) => Some(format!("Duplicate value: {name:?}")),
            name => names::label(name),
        };
        problems.extend(problem.map(|problem| (format!("{path}.containers[{index}].name"), problem)));
        seen.push(name);
    }
}

fn workload(spec: &Value, problems: &mut Vec<Problem>) {
    let replicas = &spec["replicas"];
    if !replicas.is_u64() {
        let problem = format!("Invalid value: {replicas}: must be greater than or equal to 0");
        problems.push(("spec.replicas".into(), problem));
    }
    let selector = super::selector::LabelSelector::from_object(&spec["selector"]);
    if !spec["selector"].is_object() || selector.is_none() {
        problems.push(("spec.selector".into(), "Required value".to_owned()));
    } else if !selector.is_some_and(|selector| selector.matches(&spec["template"])) {
        let labels = match &spec["template"]["metadata"]["labels"] {
            Value::Null => "{}".to_owned(),
            labels => labels.to_string(),
        };
        let problem = format!("Invalid value: {labels}: `selector` does not match template `labels`");
        problems.push(("spec.template.metadata.labels".into(), problem));
    }
    let labels = &spec["template"]["metadata"]["labels"];
    names::label_problems("spec.template.metadata.labels", labels, problems);
    containers("spec.template.spec", &spec["template"]["spec"], problems);
}

/// What [`sandbox_hpa`] refuses, which knows upstream's rules.
fn autoscaler(object: &Value, problems: &mut Vec<Problem>) {
    match serde_json::from_value::<HorizontalPodAutoscaler>(object.clone()) {
        Ok(autoscaler) => {
            let errors = autoscaler.validate().err().into_iter().flat_map(|invalid| invalid.errors);
            problems.extend(errors.map(|error| (error.field.clone(), error.message())));
        }
        Err(error) => problems.push(("spec".into(), format!("Invalid value: {error}"))),
    }
}

/// As `kube-aggregator/pkg/apis/apiregistration/validation/validation.go`.
fn api_service(name: &str, spec: &Value) -> Option<FixedProblem> {
    let text = |field: &str| spec[field].as_str().unwrap_or_default();
    let expected = format!("{}.{}", text("version"), text("group"));
    if name != expected {
        let problem =
            format!("Invalid value: {name:?}: must be `spec.version+\".\"+spec.group`: {expected:?}");
        return Some(("metadata.name", problem));
    }
    let within = |field: &str, high: i64| spec[field].as_i64().is_some_and(|v| (1..=high).contains(&v));
    if !within("groupPriorityMinimum", 20_000) {
        return Some((
            "spec.groupPriorityMinimum",
            "Invalid value: must be positive and less than 20000".into(),
        ));
    }
    if !within("versionPriority", 1000) {
        return Some(("spec.versionPriority", "Invalid value: must be positive and less than 1000".into()));
    }
    let bundle = !text("caBundle").is_empty();
    (bundle && spec["insecureSkipTLSVerify"] == true).then(|| {
        let problem = "Invalid value: true: may not be true if caBundle is present".to_owned();
        ("spec.insecureSkipTLSVerify", problem)
    })
}

#[cfg(test)]
mod tests {
    use super::super::resources::known;
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_problem_is_named_by_its_field() {
        let check = |group: &str, plural: &str, name: &str, spec: Value, expected: Option<&str>| {
            let object = json!({"metadata": {"name": name}, "spec": spec});
            let found = super::check(known(group, plural), &object).err();
            let field = found.map(|status| {
                assert_eq!((status.code, status.reason), (422, "Invalid"));
                status.details["causes"][0]["field"].as_str().unwrap().to_owned()
            });
            assert_eq!(field.as_deref(), expected, "{name} {object}");
        };
        let rbac = "rbac.authorization.k8s.io";
        check("", "configmaps", "a.b-1", json!(null), None);
        check("", "configmaps", "A", json!(null), Some("metadata.name"));
        check("", "configmaps", "-a", json!(null), Some("metadata.name"));
        check(rbac, "clusterroles", "system:X", json!(null), None);
        check(rbac, "clusterroles", "a/b", json!(null), Some("metadata.name"));
        check("", "pods", "a", json!({"containers": []}), Some("spec.containers"));
        check("", "pods", "a", json!({"containers": [{"name": "c"}]}), None);
        check("", "pods", "a", json!({"containers": [{}]}), Some("spec.containers[0].name"));
        let twice = json!({"containers": [{"name": "c"}, {"name": "c"}]});
        check("", "pods", "a", twice, Some("spec.containers[1].name"));
        let workload = |replicas: i64, label: &str| {
            json!({"replicas": replicas, "selector": {"matchLabels": {"app": "a"}},
                "template": {"metadata": {"labels": {"app": label}}, "spec": {"containers": [{"name": "c"}]}}})
        };
        check("apps", "deployments", "a", workload(0, "a"), None);
        check("apps", "deployments", "a", workload(-1, "a"), Some("spec.replicas"));
        check("apps", "deployments", "a", workload(1, "b"), Some("spec.template.metadata.labels"));
        let hpa = |min: i64, max: i64, behavior: Value| {
            json!({"minReplicas": min, "maxReplicas": max, "behavior": behavior,
                "scaleTargetRef": {"kind": "Deployment", "name": "a"}})
        };
        let autoscalers = "horizontalpodautoscalers";
        check("autoscaling", autoscalers, "a", hpa(1, 1, json!(null)), None);
        check("autoscaling", autoscalers, "a", hpa(0, 1, json!(null)), Some("spec.minReplicas"));
        check("autoscaling", autoscalers, "a", hpa(3, 2, json!(null)), Some("spec.maxReplicas"));
        let policy = |period: i64| json!({"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": period}]}});
        let period = "spec.behavior.scaleUp.policies[0].periodSeconds";
        check("autoscaling", autoscalers, "a", hpa(1, 2, policy(1800)), None);
        check("autoscaling", autoscalers, "a", hpa(1, 2, policy(1801)), Some(period));
        let metric = |target: Value| {
            json!({"maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "a"},
                "metrics": [{"type": "Pods", "pods": {"metric": {"name": "m"}, "target": target}}]})
        };
        check(
            "autoscaling",
            autoscalers,
            "a",
            metric(json!({"type": "AverageValue", "averageValue": "1"})),
            None,
        );
        let target = "spec.metrics[0].pods.target.averageValue";
        check("autoscaling", autoscalers, "a", metric(json!({"type": "AverageValue"})), Some(target));
        check(
            "autoscaling",
            autoscalers,
            "a",
            metric(json!({"type": "AverageValue", "averageValue": "0"})),
            Some(target),
        );
        check("autoscaling", autoscalers, "a", metric(json!({"type": 1})), Some("spec"));
        let service = |group_priority: i64, skip: bool| {
            json!({"group": "g.io", "version": "v1", "groupPriorityMinimum": group_priority,
                "versionPriority": 1000, "caBundle": "x", "insecureSkipTLSVerify": skip})
        };
        let registration = "apiregistration.k8s.io";
        check(registration, "apiservices", "v1.g.io", service(20_000, false), None);
        check(registration, "apiservices", "v1.g", service(20_000, false), Some("metadata.name"));
        check(registration, "apiservices", "v1.g.io", service(0, false), Some("spec.groupPriorityMinimum"));
        check(registration, "apiservices", "v1.g.io", service(1, true), Some("spec.insecureSkipTLSVerify"));
    }

    #[test]
    fn all_problems_are_said_at_once() {
        let object = json!({"metadata": {"name": "A", "labels": {"a": "b c"}}, "spec": {"replicas": 1}});
        let status = check(known("apps", "deployments"), &object).unwrap_err();
        let fields: Vec<&Value> =
            status.details["causes"].as_array().unwrap().iter().map(|cause| &cause["field"]).collect();
        assert_eq!(
            fields,
            ["metadata.name", "metadata.labels", "spec.selector", "spec.template.spec.containers"]
        );
        assert!(
            status.message.starts_with("Deployment.apps \"A\" is invalid: [metadata.name: Invalid"),
            "{status}"
        );
        assert!(status.message.ends_with(", spec.template.spec.containers: Required value]"), "{status}");
    }

    #[test]
    fn some_fields_cannot_change() {
        let check = |group: &str, plural: &str, old: Value, new: Value, expected: Option<&str>| {
            let found = check_update(known(group, plural), &old, &new).err();
            assert_eq!(found.map(|status| status.message).as_deref(), expected);
        };
        let with = |app: &str, replicas: u64| json!({"metadata": {"name": "a"}, "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": app}}}});
        check("apps", "deployments", with("a", 1), with("a", 2), None);
        let message = "Deployment.apps \"a\" is invalid: spec.selector: Invalid value: \
            {\"matchLabels\":{\"app\":\"b\"}}: field is immutable";
        check("apps", "deployments", with("a", 1), with("b", 1), Some(message));
        check("", "pods", with("a", 1), with("b", 1), None);
    }
}
