//! The ReplicaSets of a Deployment, sorted by what they are to it.

use super::rollout::Size;
use crate::apiserver::Key;
use serde_json::Value;
use std::sync::Arc;

/// The label by which the ReplicaSets of a Deployment tell their pods apart.
pub(super) const HASH_LABEL: &str = "pod-template-hash";
/// The annotation that counts templates, and by which `kubectl rollout undo` finds them.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";

/// A ReplicaSet of a Deployment.
pub(super) struct Set {
    pub(super) key: Key,
    pub(super) object: Arc<Value>,
}

/// The ReplicaSets of a Deployment: the one with its template, and all others from old to new.
pub(super) struct Sets {
    pub(super) new: Option<Set>,
    pub(super) old: Vec<Set>,
}

// === impl Sets ===

impl Sets {
    pub(super) fn sort(own: impl Iterator<Item = Set>, template: &Value) -> Self {
        let mut old: Vec<Set> = own.collect();
        old.sort_by(|a, b| {
            let created = |set: &Set| set.object["metadata"]["creationTimestamp"].as_str().map(str::to_owned);
            created(a).cmp(&created(b)).then_with(|| a.revision().cmp(&b.revision()))
        });
        let position = old.iter().position(|set| set.has_template(template));
        Self { new: position.map(|position| old.remove(position)), old }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Set> {
        self.new.iter().chain(&self.old)
    }

    /// The one to resize while nothing rolls.
    pub(super) fn largest(&self) -> Option<&Set> {
        self.all().max_by_key(|set| (set.size().spec, set.revision()))
    }

    pub(super) fn next_revision(&self) -> u64 {
        self.all().map(Set::revision).max().unwrap_or(0).saturating_add(1)
    }
}

// === impl Set ===

impl Set {
    pub(super) fn size(&self) -> Size {
        Size {
            spec: self.object["spec"]["replicas"].as_u64().unwrap_or(0),
            available: self.object["status"]["availableReplicas"].as_u64().unwrap_or(0),
        }
    }

    pub(super) fn revision(&self) -> u64 {
        let revision = self.object["metadata"]["annotations"][REVISION].as_str();
        revision.and_then(|revision| revision.parse().ok()).unwrap_or(0)
    }

    /// Whether its template is this one, but for the label that it adds.
    fn has_template(&self, template: &Value) -> bool {
        let own = &self.object["spec"]["template"];
        own["spec"] == template["spec"] && described(own) == described(template)
    }
}

/// The metadata of a template without the label that tells ReplicaSets apart. No labels and an empty map are the same.
fn described(template: &Value) -> Value {
    let mut metadata = template["metadata"].clone();
    if let Some(labels) = metadata["labels"].as_object_mut() {
        labels.remove(HASH_LABEL);
    }
    if let Some(fields) = metadata.as_object_mut() {
        fields.retain(|_, value| !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty()));
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(name: &str, created: &str, template: Value) -> Set {
        let object = json!({"metadata": {"creationTimestamp": created}, "spec": {"template": template}});
        Set { key: Key::new("default", name), object: Arc::new(object) }
    }

    #[test]
    fn the_set_of_the_template_is_found_whatever_it_adds() {
        let template = |labels: Value, image: &str| json!({"metadata": labels, "spec": {"image": image}});
        let labels = |hash: &str| json!({"labels": {"app": "a", HASH_LABEL: hash}});
        let late = "2026-08-21T12:00:00Z";
        let sets = || {
            [
                set("new", late, template(labels("1"), "b")),
                set("later", late, template(labels("2"), "c")),
                set("early", "2026-08-21T11:00:00Z", template(labels("3"), "a")),
            ]
        };
        let check = |wanted: Value, expected: Option<&str>| {
            let sorted = Sets::sort(sets().into_iter(), &wanted);
            assert_eq!(sorted.new.as_ref().map(|set| &*set.key.name), expected, "{wanted}");
            assert_eq!(sorted.old[0].key.name, "early", "the oldest comes first");
        };
        let plain = json!({"labels": {"app": "a"}});
        check(template(plain.clone(), "b"), Some("new"));
        check(template(json!({"labels": {"app": "a"}, "annotations": {}}), "b"), Some("new"));
        check(template(json!({"labels": {"app": "a"}, "annotations": {"x": "y"}}), "b"), None);
        check(template(json!({"labels": {"app": "b"}}), "b"), None);
        check(template(plain, "d"), None);
    }
}
