//! Resources as a configuration file names them, and the labels that stand for them.

use std::{collections::BTreeMap, fmt};

use crate::template::Label;

/// A resource: `pods`, `deployments.apps`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupResource {
    /// The API group; empty for Kubernetes' core.
    pub group: String,
    /// The plural, in lower case.
    pub resource: String,
}

/// What objects of a resource are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// `Deployment`. Of a resource that is not Kubernetes' own, its singular with a capital.
    pub kind: String,
    /// `apps/v1`. Of a resource that is not Kubernetes' own, its group alone.
    pub api_version: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

/// One of Kubernetes' own: group, version, plural, kind. The singular is the kind in lower case.
type Known = (&'static str, &'static str, &'static str, &'static str);

const KNOWN: [Known; 21] = [
    ("", "v1", "pods", "Pod"),
    ("", "v1", "namespaces", "Namespace"),
    ("", "v1", "nodes", "Node"),
    ("", "v1", "services", "Service"),
    ("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
    ("", "v1", "persistentvolumes", "PersistentVolume"),
    ("", "v1", "endpoints", "Endpoints"),
    ("", "v1", "configmaps", "ConfigMap"),
    ("", "v1", "secrets", "Secret"),
    ("", "v1", "serviceaccounts", "ServiceAccount"),
    ("", "v1", "replicationcontrollers", "ReplicationController"),
    ("", "v1", "resourcequotas", "ResourceQuota"),
    ("apps", "v1", "deployments", "Deployment"),
    ("apps", "v1", "replicasets", "ReplicaSet"),
    ("apps", "v1", "statefulsets", "StatefulSet"),
    ("apps", "v1", "daemonsets", "DaemonSet"),
    ("batch", "v1", "jobs", "Job"),
    ("batch", "v1", "cronjobs", "CronJob"),
    ("networking.k8s.io", "v1", "ingresses", "Ingress"),
    ("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    ("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
];

/// Those whose objects live in no namespace.
const ROOTED: [&str; 3] = ["namespaces", "nodes", "persistentvolumes"];

/// Which labels of a rule's series name which objects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mapping {
    by_label: BTreeMap<String, GroupResource>,
    by_resource: BTreeMap<GroupResource, String>,
    /// For resources that nobody has named so far.
    template: Option<Label>,
}

// === impl GroupResource ===

impl GroupResource {
    /// The resource of this name and group, as people write them: singular or plural, and without the group where
    /// Kubernetes' own are meant.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn named(group: &str, resource: &str) -> Result<Self, String> {
        let (group, resource) = (group.to_lowercase(), resource.to_lowercase());
        let is_label = |text: &str| {
            let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
            text.len() <= 253 && text.bytes().all(inner)
        };
        if resource.is_empty() || !is_label(&resource) || resource.contains('.') || !is_label(&group) {
            return Err(format!(
                "{resource:?} in group {group:?} is no resource; write its singular or plural, such as pod"
            ));
        }
        if group == "extensions" {
            return Err(format!(
                "the group \"extensions\" is gone from Kubernetes; write apps or networking.k8s.io for {resource}"
            ));
        }
        let is = |(_, _, plural, kind): &&Known| *plural == resource || kind.to_lowercase() == resource;
        let mut known = KNOWN.iter().filter(is);
        if let Some((own, _, plural, _)) = known.find(|(own, ..)| group.is_empty() || *own == group) {
            return Ok(Self { group: (*own).to_owned(), resource: (*plural).to_owned() });
        }
        Ok(Self { group, resource: plural(&resource) })
    }

    /// The resource of a path's segment: `pods`, `deployments.apps`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_segment(segment: &str) -> Result<Self, String> {
        let (resource, group) = segment.split_once('.').unwrap_or((segment, ""));
        Self::named(group, resource)
    }

    /// Pods.
    #[must_use]
    pub fn pods() -> Self {
        Self { group: String::new(), resource: "pods".to_owned() }
    }

    /// Namespaces.
    #[must_use]
    pub fn namespaces() -> Self {
        Self { group: String::new(), resource: "namespaces".to_owned() }
    }

    /// Whether its objects live in no namespace, as far as a rule can mean them.
    #[must_use]
    pub fn is_rooted(&self) -> bool {
        self.group.is_empty() && ROOTED.contains(&&*self.resource)
    }

    /// What its objects are called.
    #[must_use]
    pub fn kind(&self) -> Kind {
        let known =
            KNOWN.iter().find(|(group, _, plural, _)| *group == self.group && *plural == self.resource);
        let (kind, api_version) = match known {
            Some(("", version, _, kind)) => ((*kind).to_owned(), (*version).to_owned()),
            Some((group, version, _, kind)) => ((*kind).to_owned(), format!("{group}/{version}")),
            None => (capital(&self.singular()), self.group.clone()),
        };
        Kind { kind, api_version, namespaced: !self.is_rooted() }
    }

    pub(crate) fn singular(&self) -> String {
        let known =
            KNOWN.iter().find(|(group, _, plural, _)| *group == self.group && *plural == self.resource);
        known.map_or_else(|| singular(&self.resource), |(_, _, _, kind)| kind.to_lowercase())
    }

    /// Kubernetes' own that rules can mean.
    pub(crate) fn known() -> impl Iterator<Item = Self> {
        KNOWN
            .iter()
            .map(|(group, _, plural, _)| Self { group: (*group).to_owned(), resource: (*plural).to_owned() })
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.resource)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

// === impl Mapping ===

impl Mapping {
    /// The labels that overrides name, and of all other resources those that `template` makes. Of two resources with
    /// the same label the first one counts.
    pub(crate) fn new(
        overrides: impl IntoIterator<Item = (String, GroupResource)>,
        template: Option<Label>,
        more: &[GroupResource],
    ) -> Self {
        let mut mapping = Self::default();
        for (label, resource) in overrides {
            mapping.by_resource.entry(resource.clone()).or_insert_with(|| label.clone());
            mapping.by_label.entry(label).or_insert(resource);
        }
        for resource in template.iter().flat_map(|_| GroupResource::known().chain(more.iter().cloned())) {
            let Some(label) = template.as_ref().map(|template| template.of(&resource)) else { continue };
            mapping.by_resource.entry(resource.clone()).or_insert_with(|| label.clone());
            mapping.by_label.entry(label).or_insert(resource);
        }
        mapping.template = template;
        mapping
    }

    /// The resource that the label `label` names an object of.
    pub(crate) fn resource(&self, label: &str) -> Option<&GroupResource> {
        self.by_label.get(label)
    }

    /// The label that names objects of `resource`.
    pub(crate) fn label(&self, resource: &GroupResource) -> Option<String> {
        let known = self.by_resource.get(resource).cloned();
        known.or_else(|| self.template.as_ref().map(|template| template.of(resource)))
    }
}

/// The plural of an English noun in lower case, as Kubernetes forms it.
fn plural(noun: &str) -> String {
    let before_y = noun.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']));
    if let Some(stem) = before_y {
        format!("{stem}ies")
    } else if ["ss", "x", "z", "ch", "sh"].iter().any(|end| noun.ends_with(end)) {
        format!("{noun}es")
    } else if noun.ends_with('s') {
        noun.to_owned()
    } else {
        format!("{noun}s")
    }
}

fn singular(plural: &str) -> String {
    if let Some(stem) = plural.strip_suffix("ies") {
        return format!("{stem}y");
    }
    let stem = plural
        .strip_suffix("es")
        .filter(|stem| ["ss", "x", "z", "ch", "sh"].iter().any(|end| stem.ends_with(end)));
    stem.or_else(|| plural.strip_suffix('s')).unwrap_or(plural).to_owned()
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_named_as_people_write_them() {
        let check = |group: &str, resource: &str, want: &str, kind: &str| {
            let named = GroupResource::named(group, resource).unwrap();
            assert_eq!(named.to_string(), want);
            assert_eq!(format!("{} {}", named.kind().api_version, named.kind().kind), kind);
        };
        check("", "pod", "pods", "v1 Pod");
        check("", "Namespaces", "namespaces", "v1 Namespace");
        check("", "deployment", "deployments.apps", "apps/v1 Deployment");
        check("apps", "deployment", "deployments.apps", "apps/v1 Deployment");
        check("networking.k8s.io", "ingress", "ingresses.networking.k8s.io", "networking.k8s.io/v1 Ingress");
        check("argoproj.io", "rollout", "rollouts.argoproj.io", "argoproj.io Rollout");
        check("example.com", "policies", "policies.example.com", "example.com Policy");
        check("example.com", "box", "boxes.example.com", "example.com Box");
        assert_eq!(GroupResource::of_segment("jobs.batch").unwrap().to_string(), "jobs.batch");
        assert_eq!(GroupResource::of_segment("jobs").unwrap().to_string(), "jobs.batch");
        for (group, resource) in [("", ""), ("", "a/b"), ("A B", "c"), ("extensions", "ingress")] {
            assert!(GroupResource::named(group, resource).is_err(), "{group} {resource}");
        }
    }
}
