//! What a backend serves: its aggregated discovery document, or else the legacy one, and its OpenAPI root.

use super::identity;
use crate::apiserver::Core;
use crate::apiserver::user::{MASTERS, User};
use crate::client::Client;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use serde_json::{Map, Value, json};
use std::time::Duration;

const ACCEPT_AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
     application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// What is known of one group and version of a backend.
#[derive(Clone, Debug, Default)]
pub(super) struct Discovered {
    /// `APIResourceDiscovery` entries.
    pub(super) resources: Vec<Value>,
    /// Whether the last attempt to read them succeeded.
    pub(super) fresh: bool,
    /// Its entry in the OpenAPI v3 root, if it has one.
    pub(super) openapi_v3: Option<(String, Value)>,
}

/// Reads everything again. What cannot be read stays as it was, marked stale.
pub(super) async fn refresh(core: &Core, client: &Client, spec: &Value) {
    let text = |field: &str| spec[field].as_str().unwrap_or_default();
    let (group, version) = (text("group"), text("version"));
    let timeout = core.config.probe_timeout;
    let resources = resources(client, group, version, timeout).await;
    let openapi_v3 = openapi_v3(client, group, version, timeout).await;
    // Fetched as the real one does; the document is of no use here, where v2 holds the sandbox's own kinds only.
    let _ =
        fetch(client, "/openapi/v2", "application/json", &User::new("system:aggregator", &[]), timeout).await;
    let mut state = core.aggregator.lock();
    let known = state.discovered.entry((group.to_owned(), version.to_owned())).or_default();
    known.openapi_v3 = openapi_v3;
    match resources {
        Ok(resources) => *known = Discovered { resources, fresh: true, openapi_v3: known.openapi_v3.take() },
        Err(problem) => {
            tracing::debug!(group, version, problem, "discovery failed");
            known.fresh = false;
        }
    }
}

async fn resources(
    client: &Client,
    group: &str,
    version: &str,
    timeout: Duration,
) -> Result<Vec<Value>, String> {
    let user = User::new("system:kube-aggregator", &[MASTERS]);
    let answer = fetch(client, "/apis", ACCEPT_AGGREGATED, &user, timeout).await?;
    if answer.status() == 503 {
        return Err("/apis answered 503".to_owned());
    }
    let content_type =
        answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if answer.status() == 200 && content_type.contains("g=apidiscovery.k8s.io") {
        let document: Value = serde_json::from_slice(answer.body()).map_err(|error| error.to_string())?;
        return Ok(from_aggregated(&document, group, version));
    }
    let path = format!("/apis/{group}/{version}");
    let answer =
        fetch(client, &path, "application/json", &User::new("system:kube-aggregator", &[]), timeout).await?;
    if answer.status() != 200 {
        return Err(format!("{path} answered {}", answer.status().as_u16()));
    }
    let document: Value = serde_json::from_slice(answer.body()).map_err(|error| error.to_string())?;
    if document["kind"] != "APIResourceList" {
        return Err(format!("{path} is no APIResourceList"));
    }
    from_legacy(&document["resources"], group, version)
}

async fn openapi_v3(
    client: &Client,
    group: &str,
    version: &str,
    timeout: Duration,
) -> Option<(String, Value)> {
    let user = User::new("system:aggregator", &[]);
    let answer = fetch(client, "/openapi/v3", "", &user, timeout).await.ok()?;
    let document: Value = serde_json::from_slice(answer.body()).ok()?;
    let path = format!("apis/{group}/{version}");
    let entry = document["paths"].get(&path)?.clone();
    Some((path, entry))
}

async fn fetch(
    client: &Client,
    path: &str,
    accept: &'static str,
    user: &User,
    timeout: Duration,
) -> Result<Response<Bytes>, String> {
    let mut request = Request::builder().uri(path).body(Bytes::new()).map_err(|error| error.to_string())?;
    if !accept.is_empty() {
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
    }
    identity::set(request.headers_mut(), user);
    let answer = tokio::time::timeout(timeout, client.send(request)).await;
    answer.map_err(|_| format!("{path}: no answer in time"))?.map_err(|error| format!("{path}: {error}"))
}

/// A version that the document leaves out is there, and empty.
fn from_aggregated(document: &Value, group: &str, version: &str) -> Vec<Value> {
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let groups = items(&document["items"]).into_iter().filter(|item| item["metadata"]["name"] == group);
    let versions = groups.flat_map(|item| items(&item["versions"]));
    versions
        .filter(|entry| entry["version"] == version)
        .flat_map(|entry| items(&entry["resources"]))
        .collect()
}

/// Folds `parent/sub` names under their parents, as `ConvertGroupVersionIntoToDiscovery` does: entries of one parent
/// that disagree on `namespaced` spoil the whole version.
fn from_legacy(list: &Value, group: &str, version: &str) -> Result<Vec<Value>, String> {
    let mut folded: Vec<Map<String, Value>> = Vec::new();
    for entry in list.as_array().into_iter().flatten() {
        let text = |field: &str| entry[field].as_str().unwrap_or_default();
        let or =
            |own: &str, inherited: &str| if own.is_empty() { inherited.to_owned() } else { own.to_owned() };
        let kind = json!({
            "group": or(text("group"), group),
            "version": or(text("version"), version),
            "kind": text("kind"),
        });
        let scope = if entry["namespaced"] == true { "Namespaced" } else { "Cluster" };
        let (parent, sub) = text("name").split_once('/').map_or((text("name"), None), |(p, s)| (p, Some(s)));
        let found = folded.iter().position(|resource| resource["resource"] == parent);
        let index = match found {
            Some(index) if folded[index]["scope"] != scope => {
                return Err(format!(
                    "{} disagrees with other entries of {parent} on namespaced",
                    text("name")
                ));
            }
            Some(index) => index,
            None => {
                let empty = json!({"resource": parent, "scope": scope, "responseKind": {}, "verbs": []});
                folded.push(empty.as_object().cloned().unwrap_or_default());
                folded.len() - 1
            }
        };
        let Some(resource) = folded.get_mut(index) else { continue };
        match sub {
            Some(sub) => {
                let below = resource.entry("subresources").or_insert_with(|| json!([]));
                if let Some(below) = below.as_array_mut() {
                    below.push(json!({"subresource": sub, "responseKind": kind, "verbs": entry["verbs"]}));
                }
            }
            None => {
                resource.insert("responseKind".into(), kind);
                resource.insert("singularResource".into(), text("singularName").into());
                for field in ["verbs", "shortNames", "categories"] {
                    if !entry[field].is_null() {
                        resource.insert(field.into(), entry[field].clone());
                    }
                }
            }
        }
    }
    Ok(folded.into_iter().map(Value::Object).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_lists_fold() {
        let list = json!([
            {"name": "pods/messages", "namespaced": true, "kind": "MetricValueList", "verbs": ["get"]},
            {"name": "pods/orders", "namespaced": true, "kind": "MetricValueList", "verbs": ["get"]},
            {"name": "nodes", "singularName": "node", "namespaced": false, "kind": "NodeMetrics", "verbs": ["get", "list"]},
        ]);
        let kind = |kind: &str| json!({"group": "g.io", "version": "v1", "kind": kind});
        let below = |name: &str| json!({"subresource": name, "responseKind": kind("MetricValueList"), "verbs": ["get"]});
        let expected = json!([
            {"resource": "pods", "scope": "Namespaced", "responseKind": {}, "verbs": [],
                "subresources": [below("messages"), below("orders")]},
            {"resource": "nodes", "scope": "Cluster", "responseKind": kind("NodeMetrics"), "singularResource": "node",
                "verbs": ["get", "list"]},
        ]);
        assert_eq!(Value::from(from_legacy(&list, "g.io", "v1").unwrap()), expected);
    }

    #[test]
    fn parents_that_disagree_on_scope_spoil_the_version() {
        let list = json!([{"name": "pods/a", "namespaced": true}, {"name": "pods/b", "namespaced": false}]);
        assert!(from_legacy(&list, "g.io", "v1").is_err());
    }

    #[test]
    fn a_version_left_out_is_empty() {
        let document = json!({"items": [{"metadata": {"name": "g.io"}, "versions": [
            {"version": "v1", "resources": [{"resource": "a"}]}]}]});
        assert_eq!(from_aggregated(&document, "g.io", "v1"), [json!({"resource": "a"})]);
        assert!(from_aggregated(&document, "g.io", "v2").is_empty());
    }
}
