//! What the controller learns from discovery: which version of the custom metrics API to ask.
//!
//! As client-go and the metrics client do it: the group's versions come in the server's order, those marked `Stale` are
//! not there, and the first that the client knows is asked (`S/metrics/pkg/client/custom_metrics/discovery.go`).

use crate::apiserver::RESOURCES;
use crate::client::Client;
use bytes::Bytes;
use http::Request;
use http::header::ACCEPT;
use sandbox_hpa::metrics::well_known_resource;
use serde_json::Value;

const GROUP: &str = "custom.metrics.k8s.io";
const KNOWN_VERSIONS: [&str; 2] = ["v1beta2", "v1beta1"];
const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// The version of the custom metrics API, or why there is none.
pub(super) async fn custom_version(api: &Client) -> Result<String, String> {
    let request = Request::builder().uri("/apis").header(ACCEPT, AGGREGATED).body(Bytes::new());
    let request = request.map_err(|error| error.to_string())?;
    let answer = api.send(request).await.map_err(|error| error.to_string())?;
    let document: Value = serde_json::from_slice(answer.body()).map_err(|error| error.to_string())?;
    choose(&document)
}

fn choose(document: &Value) -> Result<String, String> {
    let mut items = document["items"].as_array().into_iter().flatten();
    let Some(group) = items.find(|item| item["metadata"]["name"] == GROUP) else {
        return Err(format!("no custom metrics API ({GROUP}) registered"));
    };
    let versions = group["versions"].as_array().into_iter().flatten();
    let mut fresh =
        versions.filter(|entry| entry["freshness"] != "Stale").filter_map(|entry| entry["version"].as_str());
    let known = fresh.find(|version| KNOWN_VERSIONS.contains(version));
    known.map(str::to_owned).ok_or_else(|| format!("no version of {GROUP} is known and answers discovery"))
}

/// The plural resource name of a kind.
pub(super) fn resource_of(group: &str, kind: &str) -> Option<String> {
    let served = RESOURCES.iter().find(|resource| resource.group == group && resource.kind == kind);
    served.map(|resource| resource.plural.to_owned()).or_else(|| well_known_resource(group, kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(versions: Value, expected: Result<&str, &str>) {
        let document = json!({"items": [{"metadata": {"name": "apps"}, "versions": [{"version": "v1"}]},
            {"metadata": {"name": GROUP}, "versions": versions}]});
        assert_eq!(choose(&document), expected.map(str::to_owned).map_err(str::to_owned), "{document}");
    }

    #[test]
    fn the_servers_order_decides_among_what_is_fresh_and_known() {
        let version = |version: &str, freshness: &str| json!({"version": version, "freshness": freshness});
        check(json!([version("v1beta2", "Current"), version("v1beta1", "Current")]), Ok("v1beta2"));
        check(json!([version("v1beta1", "Current"), version("v1beta2", "Current")]), Ok("v1beta1"));
        check(json!([version("v1beta2", "Stale"), version("v1beta1", "Current")]), Ok("v1beta1"));
        check(json!([version("v9", "Current"), version("v1beta1", "Current")]), Ok("v1beta1"));
        let none = Err("no version of custom.metrics.k8s.io is known and answers discovery");
        check(json!([version("v1beta1", "Stale")]), none);
        check(json!(null), none);
        assert_eq!(
            choose(&json!({"items": []})),
            Err("no custom metrics API (custom.metrics.k8s.io) registered".to_owned())
        );
    }

    #[test]
    fn kinds_have_resources() {
        assert_eq!(resource_of("apps", "Deployment").as_deref(), Some("deployments"));
        assert_eq!(resource_of("networking.k8s.io", "Ingress").as_deref(), Some("ingresses"));
        assert_eq!(resource_of("apps", "Pod"), None);
    }
}
