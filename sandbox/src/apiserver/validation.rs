//! Refuses objects that cannot be honoured, with kube-apiserver's codes and field paths.

use super::resources::Resource;
use super::status::Status;
use serde_json::Value;

/// Checks an object that is about to be stored.
pub(crate) fn check(resource: &Resource, object: &Value) -> Result<(), Status> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let problem = name_problem(resource, name).map(|problem| ("metadata.name", problem)).or_else(|| {
        match (resource.group, resource.plural) {
            ("", "pods") => pod(&object["spec"]),
            ("apps", "deployments" | "replicasets" | "statefulsets") => workload(&object["spec"]),
            ("autoscaling", "horizontalpodautoscalers") => autoscaler(&object["spec"]),
            ("apiregistration.k8s.io", "apiservices") => api_service(name, &object["spec"]),
            _ => None,
        }
    });
    match problem {
        None => Ok(()),
        Some((field, problem)) => Err(Status::invalid(resource, name, field, &problem)),
    }
}

type Problem = (&'static str, String);

/// Names of roles and APIServices may hold anything that a path segment may; all others are DNS subdomains.
fn name_problem(resource: &Resource, name: &str) -> Option<String> {
    let legal_segment = !matches!(name, "" | "." | "..") && !name.contains(['/', '%']);
    if matches!(resource.group, "rbac.authorization.k8s.io" | "apiregistration.k8s.io") {
        return (!legal_segment)
            .then(|| format!("Invalid value: {name:?}: may not be '.', '..' or contain '/' or '%'"));
    }
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let legal = name.len() <= 253 && name.split('.').all(label);
    (!legal).then(|| {
        format!(
            "Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
             characters, '-' or '.', and must start and end with an alphanumeric character"
        )
    })
}

fn pod(spec: &Value) -> Option<Problem> {
    let any = spec["containers"].as_array().is_some_and(|containers| !containers.is_empty());
    (!any).then(|| ("spec.containers", "Required value".to_owned()))
}

fn workload(spec: &Value) -> Option<Problem> {
    let replicas = &spec["replicas"];
    if !replicas.is_u64() {
        let problem = format!("Invalid value: {replicas}: must be greater than or equal to 0");
        return Some(("spec.replicas", problem));
    }
    let selector = super::selector::LabelSelector::from_object(&spec["selector"]);
    if !spec["selector"].is_object() || selector.is_none() {
        return Some(("spec.selector", "Required value".to_owned()));
    }
    (!selector.is_some_and(|selector| selector.matches(&spec["template"]))).then(|| {
        let problem = "Invalid value: `selector` does not match template `labels`".to_owned();
        ("spec.template.metadata.labels", problem)
    })
}

/// As `pkg/apis/autoscaling/validation/validation.go`, without the metric sources' inner rules.
fn autoscaler(spec: &Value) -> Option<Problem> {
    let (min, max) = (spec["minReplicas"].as_i64().unwrap_or(1), spec["maxReplicas"].as_i64().unwrap_or(0));
    if min < 1 {
        return Some((
            "spec.minReplicas",
            format!("Invalid value: {min}: must be greater than or equal to 1"),
        ));
    }
    if max < 1 {
        return Some(("spec.maxReplicas", format!("Invalid value: {max}: must be greater than 0")));
    }
    if max < min {
        let problem = format!("Invalid value: {max}: must be greater than or equal to `minReplicas`");
        return Some(("spec.maxReplicas", problem));
    }
    let target = &spec["scaleTargetRef"];
    if target["kind"].as_str().is_none_or(str::is_empty) {
        return Some(("spec.scaleTargetRef.kind", "Required value".to_owned()));
    }
    if target["name"].as_str().is_none_or(str::is_empty) {
        return Some(("spec.scaleTargetRef.name", "Required value".to_owned()));
    }
    behavior_problem(&spec["behavior"])
}

fn behavior_problem(behavior: &Value) -> Option<Problem> {
    let within =
        |value: &Value, low: i64, high: i64| value.as_i64().is_some_and(|v| (low..=high).contains(&v));
    for (direction, field) in [("scaleUp", "spec.behavior.scaleUp"), ("scaleDown", "spec.behavior.scaleDown")]
    {
        let rules = &behavior[direction];
        if !rules.is_object() {
            continue;
        }
        let window = &rules["stabilizationWindowSeconds"];
        if !window.is_null() && !within(window, 0, 3600) {
            let problem =
                format!("Invalid value: {window}: stabilizationWindowSeconds must be between 0 and 3600");
            return Some((field, problem));
        }
        let policies = rules["policies"].as_array().map(Vec::as_slice).unwrap_or_default();
        if policies.is_empty() {
            return Some((field, "Required value: must specify at least one Policy".to_owned()));
        }
        for policy in policies {
            if !within(&policy["value"], 1, i32::MAX.into()) || !within(&policy["periodSeconds"], 1, 1800) {
                let problem = "Invalid value: value must be greater than 0, periodSeconds between 1 and 1800";
                return Some((field, problem.to_owned()));
            }
        }
    }
    None
}

/// As `kube-aggregator/pkg/apis/apiregistration/validation/validation.go`.
fn api_service(name: &str, spec: &Value) -> Option<Problem> {
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
        let workload = |replicas: i64, label: &str| {
            json!({"replicas": replicas, "selector": {"matchLabels": {"app": "a"}},
                "template": {"metadata": {"labels": {"app": label}}}})
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
        let policy = |period: i64| json!({"scaleUp": {"policies": [{"value": 1, "periodSeconds": period}]}});
        check("autoscaling", autoscalers, "a", hpa(1, 2, policy(1800)), None);
        check("autoscaling", autoscalers, "a", hpa(1, 2, policy(1801)), Some("spec.behavior.scaleUp"));
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
}
