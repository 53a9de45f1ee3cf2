//! In which order groups and versions are offered.

use super::{Aggregator, api_services};
use crate::apiserver::store::Store;
use serde_json::{Value, json};
use std::cmp::Reverse;

/// An API group and the versions that its APIServices register, best first.
#[derive(Debug, PartialEq)]
pub(crate) struct GroupVersions {
    pub(crate) name: String,
    /// Whether the sandbox serves it itself.
    pub(crate) is_local: bool,
    versions: Vec<(i64, String)>,
    priority: i64,
}

// === impl GroupVersions ===

impl GroupVersions {
    pub(crate) fn version_names(&self) -> Vec<&str> {
        self.versions.iter().map(|(_, version)| version.as_str()).collect()
    }

    /// An `APIGroup` as it stands in a list.
    pub(crate) fn to_api_group(&self) -> Value {
        let version = |v: &&str| json!({"groupVersion": format!("{}/{v}", self.name), "version": v});
        let versions: Vec<Value> = self.version_names().iter().map(version).collect();
        json!({"name": self.name, "versions": versions, "preferredVersion": versions.first()})
    }
}

impl Aggregator {
    /// Every group but the core group: highest `groupPriorityMinimum` first, then by name.
    pub(crate) fn groups(&self, store: &Store) -> Vec<GroupVersions> {
        let objects = store.list(api_services()).objects;
        group(objects.iter().map(|(_, object)| &object["spec"]))
    }
}

fn group<'a>(specs: impl Iterator<Item = &'a Value>) -> Vec<GroupVersions> {
    let mut groups: Vec<GroupVersions> = Vec::new();
    for spec in specs {
        let name = spec["group"].as_str().unwrap_or_default();
        let version = spec["version"].as_str().unwrap_or_default().to_owned();
        let group_priority = spec["groupPriorityMinimum"].as_i64().unwrap_or(0);
        let version = (spec["versionPriority"].as_i64().unwrap_or(0), version);
        if name.is_empty() {
            continue;
        }
        let is_local = !spec["service"].is_object();
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => {
                group.versions.push(version);
                group.priority = group.priority.max(group_priority);
                group.is_local &= is_local;
            }
            None => groups.push(GroupVersions {
                name: name.to_owned(),
                is_local,
                versions: vec![version],
                priority: group_priority,
            }),
        }
    }
    groups.sort_by(|a, b| (Reverse(a.priority), &a.name).cmp(&(Reverse(b.priority), &b.name)));
    for group in &mut groups {
        group.versions.sort_by_cached_key(|(priority, version)| (Reverse(*priority), rank(version)));
    }
    groups
}

/// Kubernetes' order of versions: stable before beta before alpha, newer first; anything else last, by name.
fn rank(version: &str) -> (u8, Reverse<u32>, Reverse<u32>, String) {
    let parse = || {
        let rest = version.strip_prefix('v')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (major, stage) = rest.split_at(digits);
        let major = major.parse().ok()?;
        let (class, minor) = match stage {
            "" => (0, 0),
            _ if stage.starts_with("beta") => (1, stage.strip_prefix("beta")?.parse().ok()?),
            _ => (2, stage.strip_prefix("alpha")?.parse().ok()?),
        };
        Some((class, Reverse(major), Reverse(minor), String::new()))
    };
    parse().unwrap_or_else(|| (3, Reverse(0), Reverse(0), version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_rank_as_kubernetes_ranks_them() {
        let expected =
            ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"];
        let mut shuffled = expected;
        shuffled.reverse();
        shuffled.sort_by_key(|version| rank(version));
        assert_eq!(shuffled, expected);
    }

    #[test]
    fn priority_goes_before_rank() {
        let spec = |group: &str, version: &str, group_priority: i64, priority: i64| {
            json!({"group": group, "version": version, "groupPriorityMinimum": group_priority,
                "versionPriority": priority, "service": {}})
        };
        let specs = [
            spec("b.io", "v1", 100, 100),
            spec("c.io", "v1beta1", 100, 200),
            spec("c.io", "v1", 300, 100),
            spec("a.io", "v1", 100, 100),
            spec("a.io", "v2", 100, 100),
            spec("", "v1", 9000, 1),
        ];
        let groups = group(specs.iter());
        let found: Vec<_> =
            groups.iter().map(|g| format!("{} {}", g.name, g.version_names().join(","))).collect();
        assert_eq!(found, ["c.io v1beta1,v1", "a.io v2,v1", "b.io v1"]);
        assert_eq!(groups[0].to_api_group()["preferredVersion"]["groupVersion"], "c.io/v1beta1");
    }
}
