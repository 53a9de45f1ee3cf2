//! Which APIs there are: the legacy documents, one a level, and the aggregated one.

use super::Core;
use super::aggregator::GroupVersions;
use super::call::Call;
use super::resources::{RESOURCES, Resource, api_version};
use super::respond::{self, Answer};
use super::reviews::REVIEWS;
use super::status::Status;
use http::header::{ACCEPT, HeaderValue, VARY};
use serde_json::{Value, json};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// `/version`: the Kubernetes version that the sandbox's semantics follow.
pub(crate) fn version() -> Value {
    json!({
        "major": "1",
        "minor": "33",
        "gitVersion": "v1.33.0+sandbox",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": "linux/amd64",
    })
}

/// `/api`.
pub(crate) fn core_versions(core: &Core, call: &Call) -> Result<Answer, Status> {
    if wants_aggregated(call) {
        return Ok(aggregated(vec![local_group("", &["v1"])]));
    }
    let address = json!([{"clientCIDR": "0.0.0.0/0", "serverAddress": core.address.to_string()}]);
    let document = json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address});
    Ok(respond::json(200, &document))
}

/// `/apis`.
pub(crate) fn groups(core: &Core, call: &Call) -> Result<Answer, Status> {
    let groups = all_groups(core);
    if wants_aggregated(call) {
        let items = groups.iter().map(|group| match group.is_local {
            true => local_group(&group.name, &group.version_names()),
            false => core.aggregator.discovered(group),
        });
        return Ok(aggregated(items.collect()));
    }
    let groups: Vec<Value> = groups.iter().map(GroupVersions::to_api_group).collect();
    Ok(respond::json(200, &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})))
}

/// `/apis/GROUP`.
pub(crate) fn group(core: &Core, name: &str) -> Result<Answer, Status> {
    let groups = all_groups(core);
    let group = groups.iter().find(|group| group.name == name).ok_or_else(Status::no_route)?;
    let mut document = group.to_api_group();
    document["kind"] = "APIGroup".into();
    document["apiVersion"] = "v1".into();
    Ok(respond::json(200, &document))
}

/// `/api/v1` and `/apis/GROUP/VERSION` of what is served here.
pub(crate) fn resource_list(group: &str, version: &str) -> Value {
    let mut list = Vec::new();
    for resource in served(group, version) {
        let mut entry = json!({
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": VERBS,
        });
        if !resource.short_names.is_empty() {
            entry["shortNames"] = json!(resource.short_names);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        list.push(entry);
        for (name, kind, group, version, verbs) in subresources(resource) {
            let mut entry = json!({
                "name": format!("{}/{name}", resource.plural),
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": kind,
                "verbs": verbs,
            });
            if group != resource.group {
                entry["group"] = group.into();
                entry["version"] = version.into();
            }
            list.push(entry);
        }
    }
    for (_, plural, kind) in reviews(group) {
        let verbs = ["create"];
        list.push(
            json!({"name": plural, "singularName": "", "namespaced": false, "kind": kind, "verbs": verbs}),
        );
    }
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version(group, version),
        "resources": list,
    })
}

/// Every group but the core group, in the order of priority.
fn all_groups(core: &Core) -> Vec<GroupVersions> {
    core.aggregator.groups(&core.registry.store)
}

fn wants_aggregated(call: &Call) -> bool {
    let values = call.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut clauses = values.flat_map(|value| value.split(',')).map(str::trim);
    // The first clause that can be satisfied decides; all others are plain JSON.
    let wanted = |clause: &str| {
        let parts: Vec<&str> = clause.split(';').map(str::trim).collect();
        let has = |part: &str| parts.contains(&part);
        has("g=apidiscovery.k8s.io") && has("v=v2") && has("as=APIGroupDiscoveryList")
    };
    let first = clauses.find(|clause| wanted(clause) || matches!(*clause, "application/json" | "*/*"));
    first.is_some_and(wanted)
}

fn aggregated(items: Vec<Value>) -> Answer {
    let document = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    });
    let mut answer = respond::typed(200, AGGREGATED, document.to_string());
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    answer
}

fn local_group(group: &str, versions: &[&str]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| {
            let mut resources: Vec<Value> = served(group, version).map(aggregated_resource).collect();
            resources.extend(reviews(group).map(|(group, plural, kind)| {
                json!({
                    "resource": plural,
                    "responseKind": {"group": group, "version": "v1", "kind": kind},
                    "scope": "Cluster",
                    "singularResource": kind.to_lowercase(),
                    "verbs": ["create"],
                })
            }));
            json!({"version": version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_resource(resource: &Resource) -> Value {
    let kind =
        |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": kind(resource.group, resource.version, resource.kind),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": VERBS,
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    let below: Vec<Value> = subresources(resource)
        .map(|(name, sub_kind, group, version, verbs)| {
            json!({
                "subresource": name,
                "responseKind": kind(group, version, sub_kind),
                "verbs": verbs,
            })
        })
        .collect();
    if !below.is_empty() {
        entry["subresources"] = below.into();
    }
    entry
}

fn served(group: &str, version: &str) -> impl Iterator<Item = &'static Resource> {
    RESOURCES.iter().filter(move |r| r.group == group && r.version == version)
}

fn reviews(group: &str) -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
    REVIEWS.iter().filter(move |(g, _, _)| *g == group)
}

type Subresource = (&'static str, &'static str, &'static str, &'static str, &'static [&'static str]);

/// The subresources of a resource as (name, kind, group, version, verbs).
fn subresources(resource: &Resource) -> impl Iterator<Item = Subresource> {
    let change: &'static [&'static str] = &["get", "patch", "update"];
    let own =
        |name, verbs: &'static [&'static str]| (name, resource.kind, resource.group, resource.version, verbs);
    let log = (resource.kind == "Pod").then(|| own("log", &["get"]));
    let status = resource.status.then(|| own("status", change));
    let scale = resource.scale.then_some(("scale", "Scale", "autoscaling", "v1", change));
    log.into_iter().chain(status).chain(scale)
}
