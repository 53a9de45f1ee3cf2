//! What makes the cluster ask this program: a Service without a selector, whose endpoint is this process, and
//! the APIServices that name it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Cluster, RequestError};

/// The group of the targets that the HPAs scale.
pub(crate) const TARGET_GROUP: &str = "targets.hpa-conformance.podgauge.dev";
/// The label that everything made here carries.
pub(crate) const LABEL: &str = "hpa-conformance.podgauge.dev/run";
/// The namespace of the Service; those of scenarios begin with this and a dash.
pub(crate) const NAMESPACE: &str = "hpa-conformance";

const SERVICE: &str = "driver";
const APISERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
/// Group, version, and which version of a group goes first.
const APIS: [(&str, &str, u16); 5] = [
    (TARGET_GROUP, "v1", 100),
    ("custom.metrics.k8s.io", "v1beta2", 200),
    ("custom.metrics.k8s.io", "v1beta1", 100),
    ("external.metrics.k8s.io", "v1beta1", 100),
    ("metrics.k8s.io", "v1beta1", 100),
];
/// How long APIServices may take to become available, and namespaces to go.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(500);

/// The cluster cannot be made to ask this program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistrationError {
    /// A request failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The cluster has an adapter, which is not ours to replace.
    #[error("the cluster has an APIService {0} already: use a cluster without a metrics adapter")]
    Taken(String),
    /// The APIServices did not become available.
    #[error(
        "kube-apiserver does not reach this program at {address}; say with --address where it does ({message})"
    )]
    Unreachable {
        /// Where it was sent to.
        address: SocketAddr,
        /// What the APIService says.
        message: String,
    },
    /// Namespaces did not go.
    #[error("namespaces are still being deleted: {0}")]
    Remains(String),
}

/// The DNS name that the serving certificate must carry.
pub(crate) fn server_name() -> String {
    format!("{SERVICE}.{NAMESPACE}.svc")
}

/// Registers this process at `address`, and waits until the cluster reaches it.
pub(crate) async fn register(
    cluster: &Cluster,
    address: SocketAddr,
    ca_pem: &str,
) -> Result<(), RegistrationError> {
    let known = cluster.get(APISERVICES).await?;
    for (group, version, _) in APIS {
        let name = format!("{version}.{group}");
        if items(&known).any(|apiservice| apiservice["metadata"]["name"] == name.as_str()) {
            return Err(RegistrationError::Taken(name));
        }
    }
    cluster.create("/api/v1/namespaces", &namespace(NAMESPACE)).await?;
    let port = address.port();
    let service =
        json!({"metadata": {"name": SERVICE}, "spec": {"ports": [{"port": 443, "targetPort": port}]}});
    cluster.create(&format!("/api/v1/namespaces/{NAMESPACE}/services"), &service).await?;
    let slice = json!({
        "metadata": {"name": SERVICE, "labels": {"kubernetes.io/service-name": SERVICE}},
        "addressType": if address.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [address.ip().to_string()], "conditions": {"ready": true}}],
        "ports": [{"port": port, "protocol": "TCP", "name": ""}],
    });
    let slices = format!("/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices");
    cluster.create(&slices, &slice).await?;
    for (group, version, priority) in APIS {
        let apiservice = json!({
            "metadata": {"name": format!("{version}.{group}"), "labels": {LABEL: "true"}},
            "spec": {
                "group": group, "version": version, "groupPriorityMinimum": 100, "versionPriority": priority,
                "caBundle": base64(ca_pem.as_bytes()),
                "service": {"name": SERVICE, "namespace": NAMESPACE, "port": 443},
            },
        });
        cluster.create(APISERVICES, &apiservice).await?;
    }
    available(cluster, address).await
}

/// Removes whatever this program ever made, and waits until it is gone.
pub(crate) async fn remove(cluster: &Cluster) -> Result<(), RegistrationError> {
    // The APIServices go first: a namespace cannot be deleted while an API of the cluster does not answer.
    for apiservice in items(&cluster.get(&format!("{APISERVICES}?labelSelector={LABEL}")).await?) {
        cluster.delete(&format!("{APISERVICES}/{}", name(apiservice))).await?;
    }
    let namespaces = format!("/api/v1/namespaces?labelSelector={LABEL}");
    for namespace in items(&cluster.get(&namespaces).await?) {
        cluster.delete(&format!("/api/v1/namespaces/{}", name(namespace))).await?;
        release_pods(cluster, name(namespace)).await?;
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let left = cluster.get(&namespaces).await?;
        let left: Vec<_> = items(&left).map(name).collect();
        if left.is_empty() {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            return Err(RegistrationError::Remains(left.join(", ")));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// A namespace of this program.
pub(crate) fn namespace(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {LABEL: "true"}}})
}

/// Lets the pods go that were only being deleted.
async fn release_pods(cluster: &Cluster, namespace: &str) -> Result<(), RequestError> {
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    for pod in items(&cluster.get(&pods).await?) {
        if !pod["metadata"]["finalizers"].is_null() {
            let patch = json!({"metadata": {"finalizers": null}});
            match cluster.merge(&format!("{pods}/{}", name(pod)), &patch).await {
                Err(error) if !error.is(404) => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

async fn available(cluster: &Cluster, address: SocketAddr) -> Result<(), RegistrationError> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let known = cluster.get(&format!("{APISERVICES}?labelSelector={LABEL}")).await?;
        let unavailable: Vec<_> = items(&known).filter_map(unavailable).collect();
        match unavailable.first() {
            None => return Ok(()),
            Some(message) if tokio::time::Instant::now() > deadline => {
                return Err(RegistrationError::Unreachable { address, message: message.clone() });
            }
            Some(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// Why an APIService is not available, if it is not.
fn unavailable(apiservice: &Value) -> Option<String> {
    let conditions = apiservice["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    match conditions.iter().find(|condition| condition["type"] == "Available") {
        Some(condition) if condition["status"] == "True" => None,
        Some(condition) => Some(condition["message"].as_str().unwrap_or_default().to_owned()),
        None => Some("it has not been tried".to_owned()),
    }
}

/// The items of a list.
pub(crate) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

/// The name of an object.
pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn base64(bytes: &[u8]) -> String {
    use k8s_openapi::ByteString;
    // ByteString is what the API's byte fields are: its JSON form is base64.
    match serde_json::to_value(ByteString(bytes.to_vec())) {
        Ok(Value::String(text)) => text,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apiservice_says_why_it_is_not_available() {
        let check = |conditions: Value, want: Option<&str>| {
            let apiservice = json!({"status": {"conditions": conditions}});
            assert_eq!(unavailable(&apiservice).as_deref(), want);
        };
        check(json!([{"type": "Available", "status": "True", "message": "all checks passed"}]), None);
        check(json!([{"type": "Available", "status": "False", "message": "no route"}]), Some("no route"));
        check(json!([]), Some("it has not been tried"));
        check(json!(null), Some("it has not been tried"));
    }

    #[test]
    fn bytes_become_base64() {
        assert_eq!(base64(b"CA"), "Q0E=");
    }
}
