//! What stands in a cluster before anybody comes: namespaces, the roles that others rely on, local APIServices, and the
//! ConfigMap by which extension API servers learn whom to trust.
//!
//! Roles follow `plugin/pkg/auth/authorizer/rbac/bootstrappolicy`, reduced to what can be asked of the sandbox.

use super::registry::{Part, Registry};
use super::resources::{RESOURCES, Resource, known};
use super::reviews::REVIEWS;
use super::status::Status;
use crate::clock::rfc3339;
use serde_json::{Value, json};

const RBAC: &str = "rbac.authorization.k8s.io";
const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];

/// The two CAs that `kube-system/extension-apiserver-authentication` publishes, PEM.
pub(crate) struct Trust<'a> {
    pub(crate) client_ca: &'a str,
    pub(crate) front_proxy_ca: &'a str,
    pub(crate) front_proxy_name: &'a str,
}

/// Creates everything that exists from the start.
pub(crate) fn populate(registry: &Registry, trust: &Trust<'_>) -> Result<(), Status> {
    let create = |resource: &'static Resource, namespace: &str, object: Value| {
        registry.create(resource, namespace, object, Part::Whole, false).map(drop)
    };
    for namespace in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        create(known("", "namespaces"), "", json!({"metadata": {"name": namespace}}))?;
    }
    create(known("", "configmaps"), "kube-system", authentication_config(trust))?;
    for (name, rules) in cluster_roles() {
        let object = json!({"metadata": bootstrap_metadata(name), "rules": rules});
        create(known(RBAC, "clusterroles"), "", object)?;
    }
    for object in aggregated_roles() {
        create(known(RBAC, "clusterroles"), "", object)?;
    }
    for (role, subjects) in cluster_bindings() {
        let object = json!({
            "metadata": bootstrap_metadata(role),
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
            "subjects": subjects,
        });
        create(known(RBAC, "clusterrolebindings"), "", object)?;
    }
    let reader = json!({
        "metadata": bootstrap_metadata("extension-apiserver-authentication-reader"),
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": READ,
            "resourceNames": ["extension-apiserver-authentication"]}],
    });
    create(known(RBAC, "roles"), "kube-system", reader)?;
    for object in local_api_services(&rfc3339(registry.clock.now())) {
        create(known("apiregistration.k8s.io", "apiservices"), "", object)?;
    }
    Ok(())
}

/// Every group and version that the sandbox itself serves, the core group first.
pub(crate) fn group_versions() -> Vec<(&'static str, &'static str)> {
    let reviews = REVIEWS.iter().map(|(group, _, _)| (*group, "v1"));
    let mut found: Vec<_> = RESOURCES.iter().map(|r| (r.group, r.version)).chain(reviews).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn bootstrap_metadata(name: &str) -> Value {
    json!({"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}})
}

fn authentication_config(trust: &Trust<'_>) -> Value {
    json!({
        "metadata": {"name": "extension-apiserver-authentication"},
        "data": {
            "client-ca-file": trust.client_ca,
            "requestheader-client-ca-file": trust.front_proxy_ca,
            "requestheader-allowed-names": json!([trust.front_proxy_name]).to_string(),
            "requestheader-username-headers": "[\"X-Remote-User\"]",
            "requestheader-group-headers": "[\"X-Remote-Group\"]",
            "requestheader-extra-headers-prefix": "[\"X-Remote-Extra-\"]",
            "requestheader-uid-headers": "[\"X-Remote-Uid\"]",
        },
    })
}

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": groups, "resources": resources, "verbs": verbs})
}

fn paths(urls: &[&str]) -> Value {
    json!({"nonResourceURLs": urls, "verbs": ["get"]})
}

fn cluster_roles() -> Vec<(&'static str, Vec<Value>)> {
    let health = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    let discovery = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"];
    let events = rule(&["", "events.k8s.io"], &["events"], &["create", "patch", "update"]);
    vec![
        (
            "cluster-admin",
            vec![rule(&["*"], &["*"], &["*"]), json!({"nonResourceURLs": ["*"], "verbs": ["*"]})],
        ),
        ("system:discovery", vec![paths(&[&health[..], &discovery[..]].concat())]),
        ("system:public-info-viewer", vec![paths(&health)]),
        (
            "system:basic-user",
            vec![
                rule(&["authorization.k8s.io"], &["selfsubjectaccessreviews"], &["create"]),
                rule(&["authentication.k8s.io"], &["selfsubjectreviews"], &["create"]),
            ],
        ),
        (
            "system:auth-delegator",
            vec![
                rule(&["authentication.k8s.io"], &["tokenreviews"], &["create"]),
                rule(&["authorization.k8s.io"], &["subjectaccessreviews"], &["create"]),
            ],
        ),
        (
            "system:controller:horizontal-pod-autoscaler",
            vec![
                rule(&["autoscaling"], &["horizontalpodautoscalers"], READ),
                rule(&["autoscaling"], &["horizontalpodautoscalers/status"], &["update"]),
                rule(&["*"], &["*/scale"], &["get", "update"]),
                rule(&[""], &["pods"], &["list", "watch"]),
                rule(&["metrics.k8s.io"], &["pods"], &["list", "watch"]),
                rule(&["custom.metrics.k8s.io", "external.metrics.k8s.io"], &["*"], READ),
                events,
            ],
        ),
    ]
}

/// `view`, `edit` and `admin`, each holding the one before it and every role labelled to be part of it.
fn aggregated_roles() -> Vec<Value> {
    let label = |target: &str| format!("rbac.authorization.k8s.io/aggregate-to-{target}");
    let own = |target: &str, rules: Vec<Value>| {
        let mut metadata = bootstrap_metadata(&format!("system:aggregate-to-{target}"));
        metadata["labels"][label(target)] = "true".into();
        json!({"metadata": metadata, "rules": rules})
    };
    let sum = |target: &str, part_of: Option<&str>| {
        let mut metadata = bootstrap_metadata(target);
        if let Some(part_of) = part_of {
            metadata["labels"][label(part_of)] = "true".into();
        }
        let selector = json!({"matchLabels": {label(target): "true"}});
        json!({"metadata": metadata, "aggregationRule": {"clusterRoleSelectors": [selector]}})
    };
    let with_verbs = |verbs: &[&str], secrets: bool| -> Vec<Value> {
        let open = |r: &&Resource| r.namespaced && r.group != RBAC && (secrets || r.plural != "secrets");
        let groups = group_versions().into_iter().filter_map(|(group, _)| {
            let own = RESOURCES.iter().filter(open).filter(|r| r.group == group);
            let mut names: Vec<String> = own.clone().map(|r| r.plural.to_owned()).collect();
            names.extend(own.clone().filter(|r| r.status).map(|r| format!("{}/status", r.plural)));
            names.extend(own.filter(|r| r.scale).map(|r| format!("{}/scale", r.plural)));
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            (!names.is_empty()).then(|| rule(&[group], &names, verbs))
        });
        groups.collect()
    };
    let mut view = with_verbs(READ, false);
    view.push(rule(&[""], &["namespaces", "pods/log"], READ));
    let mut edit = with_verbs(WRITE, true);
    edit.push(rule(&[""], &["secrets"], READ));
    let admin = vec![rule(&[RBAC], &["roles", "rolebindings"], &[READ, WRITE].concat())];
    vec![
        own("view", view),
        own("edit", edit),
        own("admin", admin),
        sum("view", Some("edit")),
        sum("edit", Some("admin")),
        sum("admin", None),
    ]
}

fn cluster_bindings() -> Vec<(&'static str, Value)> {
    let group = |name: &str| json!({"apiGroup": RBAC, "kind": "Group", "name": name});
    let everybody = [group("system:authenticated"), group("system:unauthenticated")];
    let hpa =
        json!({"kind": "ServiceAccount", "name": "horizontal-pod-autoscaler", "namespace": "kube-system"});
    vec![
        ("cluster-admin", json!([group("system:masters")])),
        ("system:discovery", json!([group("system:authenticated")])),
        ("system:basic-user", json!([group("system:authenticated")])),
        ("system:public-info-viewer", json!(everybody)),
        ("system:controller:horizontal-pod-autoscaler", json!([hpa])),
    ]
}

/// The APIServices of the groups served here, which need no Service and are always available.
fn local_api_services(now: &str) -> Vec<Value> {
    let services = group_versions().into_iter().map(|(group, version)| {
        let (group_priority, version_priority) = if group.is_empty() { (18_000, 1) } else { (17_000, 15) };
        json!({
            "metadata": {
                "name": format!("{version}.{group}"),
                "labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"},
            },
            "spec": {
                "group": group,
                "version": version,
                "groupPriorityMinimum": group_priority,
                "versionPriority": version_priority,
            },
            "status": {"conditions": [{
                "type": "Available", "status": "True", "reason": "Local",
                "message": "Local APIServices are always available", "lastTransitionTime": now,
            }]},
        })
    });
    services.collect()
}
