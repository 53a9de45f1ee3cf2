//! What the cluster's autoscalers ask, as paths.

use kube::{
    Client,
    core::GroupVersionKind,
    discovery::{Scope, oneshot::pinned_kind},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use podgauge_apiserver::causes;
use serde_json::Value;

use super::side::get;

/// A metric of an autoscaler.
pub(super) struct Asked {
    /// Namespace and name.
    pub(super) autoscaler: String,
    /// Its type and name.
    pub(super) metric: String,
    /// What is asked for it, or why that cannot be told.
    pub(super) question: Result<Question, String>,
}

/// What is asked of a server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) api: Api,
    /// Below the version, with the query.
    pub(super) path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Custom,
    External,
}

/// Everything that autoscalers ask of the two metrics APIs, in one namespace or in all.
pub(super) async fn questions(client: &Client, namespace: Option<&str>) -> Result<Vec<Asked>, String> {
    let below = namespace.map(|namespace| format!("namespaces/{}/", encode(namespace))).unwrap_or_default();
    let path = format!("/apis/autoscaling/v2/{below}horizontalpodautoscalers");
    let list = get(client, &path).await.map_err(|why| format!("listing autoscalers: {why}"))?;
    let list = list.ok_or("the cluster does not know autoscaling/v2")?;
    let mut all = Vec::new();
    for autoscaler in list["items"].as_array().into_iter().flatten() {
        let meta = |field: &str| autoscaler["metadata"][field].as_str().unwrap_or_default();
        let (namespace, name) = (meta("namespace"), meta("name"));
        for metric in autoscaler["spec"]["metrics"].as_array().into_iter().flatten() {
            let kind = metric["type"].as_str().unwrap_or_default();
            let spec = match kind {
                "Pods" => &metric["pods"],
                "Object" => &metric["object"],
                "External" => &metric["external"],
                // Of the resource metrics API.
                _ => continue,
            };
            let question = match kind {
                "Pods" => pods(client, namespace, &autoscaler["spec"]["scaleTargetRef"], spec).await,
                "Object" => object(client, namespace, spec).await,
                _ => Ok(external(namespace, spec)),
            };
            let metric = format!("{kind} {}", spec["metric"]["name"].as_str().unwrap_or_default());
            all.push(Asked { autoscaler: format!("{namespace}/{name}"), metric, question });
        }
    }
    Ok(all)
}

/// The pods that the target's scale selects.
async fn pods(client: &Client, namespace: &str, target: &Value, spec: &Value) -> Result<Question, String> {
    let (resource, _) = resource(client, target).await?;
    let text = |field: &str| target[field].as_str().unwrap_or_default();
    let (version, name) = (text("apiVersion"), text("name"));
    let root = if version.contains('/') { "apis" } else { "api" };
    let plural = resource.split('.').next().unwrap_or_default();
    let path = format!("/{root}/{version}/namespaces/{}/{plural}/{}/scale", encode(namespace), encode(name));
    let scale =
        get(client, &path).await?.ok_or_else(|| format!("{resource} {namespace}/{name} has no scale"))?;
    let labels = scale["status"]["selector"].as_str().unwrap_or_default();
    let metric = encode(spec["metric"]["name"].as_str().unwrap_or_default());
    let query =
        query(&[("labelSelector", labels), ("metricLabelSelector", &selector(&spec["metric"]["selector"]))]);
    Ok(Question {
        api: Api::Custom,
        path: format!("namespaces/{}/pods/*/{metric}{query}", encode(namespace)),
    })
}

async fn object(client: &Client, namespace: &str, spec: &Value) -> Result<Question, String> {
    let described = &spec["describedObject"];
    let (resource, scope) = resource(client, described).await?;
    let name = encode(described["name"].as_str().unwrap_or_default());
    let metric = encode(spec["metric"]["name"].as_str().unwrap_or_default());
    let path = match (&*resource, scope) {
        ("namespaces", _) => format!("namespaces/{name}/metrics/{metric}"),
        (_, Scope::Cluster) => format!("{resource}/{name}/{metric}"),
        (_, Scope::Namespaced) => format!("namespaces/{}/{resource}/{name}/{metric}", encode(namespace)),
    };
    let query = query(&[("metricLabelSelector", &selector(&spec["metric"]["selector"]))]);
    Ok(Question { api: Api::Custom, path: path + &query })
}

fn external(namespace: &str, spec: &Value) -> Question {
    // As client-go does.
    let metric = encode(&spec["metric"]["name"].as_str().unwrap_or_default().to_lowercase());
    let query = query(&[("labelSelector", &selector(&spec["metric"]["selector"]))]);
    Question { api: Api::External, path: format!("namespaces/{}/{metric}{query}", encode(namespace)) }
}

/// The resource of an object's kind, with its group, and where its objects live.
async fn resource(client: &Client, object: &Value) -> Result<(String, Scope), String> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
    let kind = GroupVersionKind::gvk(group, version, text("kind"));
    let (resource, can) = pinned_kind(client, &kind).await.map_err(|error| causes(&error))?;
    let named = if group.is_empty() { resource.plural } else { format!("{}.{group}", resource.plural) };
    Ok((named, can.scope))
}

/// A `LabelSelector` as text.
fn selector(selector: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let equal = labels.map(|(key, value)| format!("{key}={}", text(value)));
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten().map(|expression| {
        let key = text(&expression["key"]);
        let values: Vec<String> = expression["values"].as_array().into_iter().flatten().map(text).collect();
        match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key,
        }
    });
    equal.chain(expressions).collect::<Vec<_>>().join(",")
}

fn query(pairs: &[(&str, &str)]) -> String {
    let given = pairs.iter().filter(|(_, value)| !value.is_empty());
    let given: Vec<String> = given.map(|(key, value)| format!("{key}={}", encode(value))).collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn external_metrics_are_asked_for_as_autoscalers_do() {
        let check = |metric: Value, want: &str| {
            let question = external("shop", &json!({"metric": metric}));
            assert_eq!(question, Question { api: Api::External, path: want.to_owned() });
        };
        check(json!({"name": "Queue_Depth"}), "namespaces/shop/queue%5Fdepth");
        check(
            json!({"name": "q", "selector": {"matchLabels": {"a": "b"}, "matchExpressions": [
                {"key": "c", "operator": "In", "values": ["d", "e"]}, {"key": "f", "operator": "NotIn", "values": ["g"]},
                {"key": "h", "operator": "Exists"}, {"key": "i", "operator": "DoesNotExist"}]}}),
            "namespaces/shop/q?labelSelector=a%3Db%2Cc%20in%20%28d%2Ce%29%2Cf%20notin%20%28g%29%2Ch%2C%21i",
        );
    }
}
