//! The pods of a scenario's namespace, made to be what the scenario says.

use sandbox_hpa::pod::Pod;
use serde_json::json;

use crate::cluster::{Cluster, RequestError};
use crate::manifests;
use crate::registration::{items, name};

/// Makes the pods of `namespace`, which are as `before` says, be as `after` says. A pod that changes is made
/// anew: most of a pod cannot be changed. Returns whether anything was done.
pub(crate) async fn change(
    cluster: &Cluster,
    namespace: &str,
    before: &[Pod],
    after: &[Pod],
) -> Result<bool, RequestError> {
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let mut done = false;
    for old in before.iter().filter(|old| !after.contains(old)) {
        let path = format!("{pods}/{}", old.metadata.name);
        if old.metadata.deletion_timestamp.is_some() {
            cluster.merge(&path, &json!({"metadata": {"finalizers": null}})).await?;
        }
        cluster.delete(&format!("{path}?gracePeriodSeconds=0")).await?;
        done = true;
    }
    for new in after.iter().filter(|new| !before.contains(new)) {
        let path = format!("{pods}/{}", new.metadata.name);
        let (manifest, status) = manifests::pod(new);
        cluster.create(&pods, &manifest).await?;
        cluster.merge(&format!("{path}/status"), &status).await?;
        if new.metadata.deletion_timestamp.is_some() {
            cluster.delete(&path).await?;
        }
        done = true;
    }
    Ok(done)
}

/// The pods of `namespace` as the cluster has them: these are what our algorithm looks at.
pub(crate) async fn list(cluster: &Cluster, namespace: &str) -> Result<Vec<Pod>, String> {
    let list = cluster.get(&format!("/api/v1/namespaces/{namespace}/pods")).await;
    let list = list.map_err(|error| error.to_string())?;
    let read = |pod| serde_json::from_value(pod).map_err(|error| format!("a pod cannot be read: {error}"));
    items(&list)
        .map(|pod| {
            let mut pod = pod.clone();
            // What a pod lacks is null in some places, as `status.conditions` is.
            if pod["status"]["conditions"].is_null() {
                pod["status"]["conditions"] = json!([]);
            }
            let pod_name = name(&pod).to_owned();
            read(pod).map_err(|error| format!("{pod_name}: {error}"))
        })
        .collect()
}
