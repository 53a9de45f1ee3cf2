//! Decides what a caller may do, from the stored roles and bindings.
//!
//! Follows `pkg/apis/rbac/v1/evaluation_helpers.go`: rules only ever allow. Aggregated cluster roles are summed up when
//! they are asked for, so that a new role counts at once.

use super::resources::known;
use super::selector::LabelSelector;
use super::store::{Key, Store};
use super::user::{MASTERS, User};
use serde_json::Value;

/// What somebody wants to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Attributes {
    pub(crate) verb: String,
    pub(crate) target: Target,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    Resource { group: String, namespace: String, resource: String, subresource: String, name: String },
    NonResource { path: String },
}

/// Whether `user` may do what `attributes` say; if so, because of which binding.
pub(crate) fn authorize(store: &Store, user: &User, attributes: &Attributes) -> Option<String> {
    if user.has_group(MASTERS) {
        return Some(format!("group {MASTERS}"));
    }
    let cluster = store.list(binding_resource("clusterrolebindings"));
    let namespaced = match &attributes.target {
        Target::Resource { namespace, .. } if !namespace.is_empty() => {
            let bindings = store.list(binding_resource("rolebindings")).objects;
            bindings.into_iter().filter(|(key, _)| key.namespace == *namespace).collect()
        }
        _ => Vec::new(),
    };
    cluster.objects.into_iter().chain(namespaced).find_map(|(key, binding)| {
        let bound = list(&binding["subjects"]).any(|subject| is_subject(subject, user, &key.namespace));
        let allowed = bound
            && rules(store, &binding["roleRef"], &key.namespace).iter().any(|rule| allows(rule, attributes));
        allowed.then(|| format!("binding {:?} to {:?}", key.name, binding["roleRef"]["name"]))
    })
}

// === impl Target ===

impl Default for Target {
    fn default() -> Self {
        Self::NonResource { path: String::new() }
    }
}

fn binding_resource(plural: &str) -> &'static super::resources::Resource {
    known("rbac.authorization.k8s.io", plural)
}

fn is_subject(subject: &Value, user: &User, binding_namespace: &str) -> bool {
    let name = subject["name"].as_str().unwrap_or_default();
    match subject["kind"].as_str() {
        Some("User") => user.name == name,
        Some("Group") => user.has_group(name),
        Some("ServiceAccount") => {
            let namespace = subject["namespace"].as_str().unwrap_or(binding_namespace);
            user.name == format!("system:serviceaccount:{namespace}:{name}")
        }
        _ => false,
    }
}

/// The rules of the role that a binding in `namespace` refers to.
fn rules(store: &Store, role_ref: &Value, namespace: &str) -> Vec<Value> {
    let name = role_ref["name"].as_str().unwrap_or_default();
    match role_ref["kind"].as_str() {
        Some("Role") => store
            .get(binding_resource("roles"), &Key::new(namespace, name))
            .map(|role| list(&role["rules"]).cloned().collect())
            .unwrap_or_default(),
        Some("ClusterRole") => store
            .get(binding_resource("clusterroles"), &Key::new("", name))
            .map(|role| cluster_rules(store, &role, 0))
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn cluster_rules(store: &Store, role: &Value, depth: usize) -> Vec<Value> {
    let mut rules: Vec<Value> = list(&role["rules"]).cloned().collect();
    // Aggregation of aggregated roles is legal (admin holds edit holds view); cycles end here.
    if depth < 4 {
        for selector in list(&role["aggregationRule"]["clusterRoleSelectors"]) {
            let Some(selector) = LabelSelector::from_object(selector) else { continue };
            for (_, other) in store.list(binding_resource("clusterroles")).objects {
                if selector.matches(&other) {
                    rules.extend(cluster_rules(store, &other, depth + 1));
                }
            }
        }
    }
    rules
}

fn allows(rule: &Value, attributes: &Attributes) -> bool {
    let holds = |field: &str, wanted: &str| list(&rule[field]).any(|item| item == "*" || item == wanted);
    if !holds("verbs", &attributes.verb) {
        return false;
    }
    match &attributes.target {
        Target::NonResource { path } => {
            list(&rule["nonResourceURLs"]).filter_map(Value::as_str).any(|pattern| {
                pattern == path || pattern.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix))
            })
        }
        Target::Resource { group, resource, subresource, name, .. } => {
            let full = match subresource.as_str() {
                "" => resource.clone(),
                subresource => format!("{resource}/{subresource}"),
            };
            let any_parent = format!("*/{subresource}");
            let resource_matches = holds("resources", &full)
                || (!subresource.is_empty()
                    && list(&rule["resources"]).any(|item| item == any_parent.as_str()));
            let names = &rule["resourceNames"];
            let name_matches = list(names).next().is_none()
                || list(names).any(|item| !name.is_empty() && item == name.as_str());
            holds("apiGroups", group) && resource_matches && name_matches
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::super::store::Change;
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_match_as_upstreams() {
        let check = |rule: Value, asked: &str, expected: bool| {
            // "verb group resource[/sub] [name]" or "verb /path"
            let words: Vec<&str> = asked.split(' ').collect();
            let target = match words[1] {
                path if path.starts_with('/') => Target::NonResource { path: path.to_owned() },
                group => {
                    let (resource, subresource) = words[2].split_once('/').unwrap_or((words[2], ""));
                    Target::Resource {
                        group: if group == "core" { String::new() } else { group.to_owned() },
                        namespace: String::new(),
                        resource: resource.to_owned(),
                        subresource: subresource.to_owned(),
                        name: words.get(3).copied().unwrap_or_default().to_owned(),
                    }
                }
            };
            let attributes = Attributes { verb: words[0].to_owned(), target };
            assert_eq!(allows(&rule, &attributes), expected, "{rule} {asked}");
        };
        let rule = |group: &str, resource: &str| json!({"verbs": ["get"], "apiGroups": [group], "resources": [resource]});
        check(rule("", "pods"), "get core pods", true);
        check(rule("", "pods"), "list core pods", false);
        check(rule("", "pods"), "get apps pods", false);
        check(rule("*", "*"), "get x.io pods/messages *", true);
        check(rule("x.io", "pods/messages"), "get x.io pods/messages *", true);
        check(rule("x.io", "pods"), "get x.io pods/messages *", false);
        check(rule("x.io", "*/messages"), "get x.io pods/messages *", true);
        check(rule("x.io", "pods/*"), "get x.io pods/messages *", false);
        let named =
            json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["*"]});
        check(named.clone(), "get core pods *", true);
        check(named.clone(), "get core pods a", false);
        check(named, "get core pods", false);
        let path = |pattern: &str| json!({"verbs": ["get"], "nonResourceURLs": [pattern]});
        check(path("/apis/*"), "get /apis/x.io/v1", true);
        check(path("/apis"), "get /apis/x.io/v1", false);
        check(path("*"), "get /metrics", true);
        check(path("/metrics"), "post /metrics", false);
        check(rule("*", "*"), "get /metrics", false);
    }

    #[test]
    fn bindings_reach_their_namespace_and_aggregation_sums_up() {
        let store = Store::new(10);
        let put = |plural: &str, namespace: &str, object: Value| {
            let key = Key::new(namespace, object["metadata"]["name"].as_str().unwrap());
            let _ = store.transact(binding_resource(plural), &key, |_| Ok::<_, ()>(Change::Put(object)));
        };
        let rules = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]);
        put(
            "clusterroles",
            "",
            json!({"metadata": {"name": "part", "labels": {"to": "view"}}, "rules": rules}),
        );
        put(
            "clusterroles",
            "",
            json!({"metadata": {"name": "view"},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": "view"}}]}}),
        );
        put(
            "rolebindings",
            "a",
            json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "ServiceAccount", "name": "sa", "namespace": "x"}, {"kind": "Group", "name": "g"}]}),
        );
        let check = |user: User, namespace: &str, expected: bool| {
            let target = Target::Resource {
                group: String::new(),
                namespace: namespace.to_owned(),
                resource: "pods".to_owned(),
                subresource: String::new(),
                name: "p".to_owned(),
            };
            let attributes = Attributes { verb: "get".to_owned(), target };
            assert_eq!(authorize(&store, &user, &attributes).is_some(), expected, "{user:?} {namespace}");
        };
        check(User::service_account("x", "sa"), "a", true);
        check(User::service_account("x", "sa"), "b", false);
        check(User::service_account("x", "sa"), "", false);
        check(User::service_account("y", "sa"), "a", false);
        check(User::new("u", &["g"]), "a", true);
        check(User::new("g", &[]), "a", false);
        check(User::new("root", &[MASTERS]), "b", true);
    }
}
