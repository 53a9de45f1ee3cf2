//! The discovery documents: what there is, for clients that do not know.
//!
//! They are drawn from [`Api::resources`] at each request, which answers from memory; nothing here
//! waits. The groups and their versions are fixed when the server is built.

use std::{
    cmp::{Ordering, Reverse},
    collections::BTreeMap,
    sync::Arc,
};

use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{Api, ApiResource, GroupVersion};

/// A group and its versions, the preferred one first.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) versions: Vec<Arc<dyn Api>>,
}

/// Sorts the APIs into groups, by name, and versions as kube-apiserver orders them.
pub(crate) fn groups(apis: &[Arc<dyn Api>]) -> Vec<Group> {
    let mut by_name = BTreeMap::<_, Vec<_>>::new();
    for api in apis {
        by_name.entry(api.group_version().group).or_default().push(api.clone());
    }
    let in_order = |(name, mut versions): (_, Vec<Arc<dyn Api>>)| {
        versions.sort_by(|a, b| newer_first(a.group_version().version, b.group_version().version));
        Group { name, versions }
    };
    by_name.into_iter().map(in_order).collect()
}

/// `GET /apis`: an `APIGroupList`.
pub(crate) fn group_list(groups: &[Group]) -> Vec<u8> {
    let groups: Vec<Value> = groups.iter().map(describe).collect();
    bytes(&json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
}

/// `GET /apis/<group>`: an `APIGroup`.
pub(crate) fn group(group: &Group) -> Vec<u8> {
    let mut document = describe(group);
    document["kind"] = "APIGroup".into();
    document["apiVersion"] = "v1".into();
    bytes(&document)
}

/// `GET /apis/<group>/<version>`: an `APIResourceList`.
pub(crate) fn resource_list(api: &dyn Api) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        kind: &'static str,
        api_version: &'static str,
        group_version: String,
        resources: Vec<ApiResource>,
    }
    bytes(&Document {
        kind: "APIResourceList",
        api_version: "v1",
        group_version: api.group_version().to_string(),
        resources: api.resources(),
    })
}

/// `GET /apis` for who takes it: an `APIGroupDiscoveryList` of a version of `apidiscovery.k8s.io`: `v2`, or
/// `v2beta1` with the same members, for which kube-apiserver 1.26 to 1.29 asks.
///
/// It holds every group-version that is served: kube-apiserver takes one that is missing for one that
/// is current and empty.
pub(crate) fn aggregated(groups: &[Group], version: &str) -> Vec<u8> {
    let item = |group: &Group| {
        let version = |api: &Arc<dyn Api>| {
            json!({
                "version": api.group_version().version,
                "resources": fold(api.group_version(), api.resources()),
                "freshness": "Current",
            })
        };
        json!({
            "metadata": {"name": group.name, "creationTimestamp": null},
            "versions": group.versions.iter().map(version).collect::<Vec<_>>(),
        })
    };
    bytes(&json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {},
        "items": groups.iter().map(item).collect::<Vec<_>>(),
    }))
}

fn describe(group: &Group) -> Value {
    let version = |api: &Arc<dyn Api>| {
        let group_version = api.group_version();
        json!({"groupVersion": group_version.to_string(), "version": group_version.version})
    };
    let versions: Vec<Value> = group.versions.iter().map(version).collect();
    json!({"name": group.name, "preferredVersion": versions.first(), "versions": versions})
}

/// Subresources under their resource, in the order in which the resources are first named.
fn fold(of: GroupVersion, resources: Vec<ApiResource>) -> Vec<Value> {
    let response_kind = |kind: &str| json!({"group": of.group, "version": of.version, "kind": kind});
    let mut folded: Vec<Value> = Vec::new();
    let mut places = BTreeMap::<String, usize>::new();
    for resource in resources {
        let (parent, subresource) = match resource.name.split_once('/') {
            Some((parent, subresource)) => (parent, Some(subresource)),
            None => (resource.name.as_str(), None),
        };
        let place = *places.entry(parent.to_owned()).or_insert_with(|| {
            let scope = if resource.namespaced { "Namespaced" } else { "Cluster" };
            // The empty kind of a parent that only has subresources: older clients do not survive its
            // absence (kubernetes#118361).
            folded.push(json!({
                "resource": parent,
                "responseKind": {"group": "", "version": "", "kind": ""},
                "scope": scope,
                "singularResource": "",
                "verbs": [],
                "subresources": [],
            }));
            folded.len() - 1
        });
        let Some(entry) = folded.get_mut(place) else { continue };
        match subresource {
            None => {
                entry["responseKind"] = response_kind(resource.kind);
                entry["singularResource"] = resource.singular_name.into();
                entry["verbs"] = resource.verbs.into();
            }
            Some(subresource) => {
                let below = json!({
                    "subresource": subresource,
                    "responseKind": response_kind(resource.kind),
                    "verbs": resource.verbs,
                });
                if let Some(list) = entry["subresources"].as_array_mut() {
                    list.push(below);
                }
            }
        }
    }
    folded
}

/// `v2` before `v1` before `v1beta2` before `v1alpha1` before anything else, as apimachinery's
/// `version.CompareKubeAwareVersionStrings`.
fn newer_first(a: &str, b: &str) -> Ordering {
    match (parse_version(a), parse_version(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// Maturity, major, minor; greater is better.
fn parse_version(text: &str) -> Option<(Reverse<u8>, u32, u32)> {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let rest = text.strip_prefix('v')?;
    let (major, rest) = rest.split_at(digits(rest));
    let (maturity, minor) = if rest.is_empty() {
        (0, "0")
    } else if let Some(minor) = rest.strip_prefix("beta") {
        (1, minor)
    } else {
        (2, rest.strip_prefix("alpha")?)
    };
    Some((Reverse(maturity), major.parse().ok()?, minor.parse().ok()?))
}

fn bytes(document: &impl Serialize) -> Vec<u8> {
    // Strings, numbers and string-keyed maps cannot fail to serialize.
    serde_json::to_vec(document).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_order() {
        let mut versions = [
            "v1alpha1",
            "foo1",
            "v1beta1",
            "v11alpha2",
            "v3beta1",
            "v2",
            "v12alpha1",
            "v1",
            "foo10",
            "v10",
            "v1beta2",
        ];
        versions.sort_by(|a, b| newer_first(a, b));
        assert_eq!(
            versions,
            [
                "v10",
                "v2",
                "v1",
                "v3beta1",
                "v1beta2",
                "v1beta1",
                "v12alpha1",
                "v11alpha2",
                "v1alpha1",
                "foo1",
                "foo10"
            ]
        );
    }

    #[test]
    fn subresources_fold_under_their_resource() {
        let resource = |name: &str, namespaced| ApiResource {
            name: name.to_owned(),
            singular_name: String::new(),
            namespaced,
            kind: "MetricValueList",
            verbs: &["get"],
        };
        let of = GroupVersion { group: "g", version: "v1" };
        let resources = vec![
            resource("namespaces/a", false),
            resource("pods", true),
            resource("pods/a", true),
            resource("pods/b", true),
        ];
        let kind = json!({"group": "g", "version": "v1", "kind": "MetricValueList"});
        let sub = |name| json!({"subresource": name, "responseKind": kind, "verbs": ["get"]});
        assert_eq!(
            Value::from(fold(of, resources)),
            json!([
                {"resource": "namespaces", "responseKind": {"group": "", "version": "", "kind": ""},
                 "scope": "Cluster", "singularResource": "", "verbs": [], "subresources": [sub("a")]},
                {"resource": "pods", "responseKind": kind, "scope": "Namespaced",
                 "singularResource": "", "verbs": ["get"], "subresources": [sub("a"), sub("b")]},
            ])
        );
    }
}
