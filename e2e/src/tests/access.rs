//! Who may read.

use crate::cluster::{Cluster, GROUP, PATIENCE};
use crate::wait::{ensure, until};
use crate::{Outcome, Settings};
use serde_json::json;

pub(super) async fn access(cluster: &Cluster, _: &Settings) -> Outcome {
    cluster.make_gauges(1).await?;
    for name in ["viewer", "stranger"] {
        cluster
            .apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}))
            .await?;
    }
    // `view` is all that a viewer has: the role that podgauge brings is part of it.
    cluster
        .apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "viewer"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "ServiceAccount", "name": "viewer", "namespace": cluster.namespace}],
        }))
        .await?;
    let path = cluster.metric_path("v1beta2", "messages");
    let viewer = format!("--as=system:serviceaccount:{}:viewer", cluster.namespace);
    let stranger = format!("--as=system:serviceaccount:{}:stranger", cluster.namespace);
    let read = async |who: &str| cluster.kubectl(&["get", "--raw", &path, who]).await;

    // Aggregated roles and the caches of authorization take a moment.
    let seen = until("a viewer reads", PATIENCE, async || read(&viewer).await, |_| true).await?;
    ensure(seen.contains("\"messages\""), || seen.clone())?;
    for (who, name) in [(stranger.as_str(), "stranger"), ("--as=system:anonymous", "anonymous")] {
        match read(who).await {
            Ok(seen) => return Err(format!("{name} was let in: {seen}").into()),
            Err(refused) => {
                let refused = refused.to_string();
                ensure(refused.contains("Forbidden") || refused.contains("forbidden"), || refused.clone())?;
            }
        }
    }
    // A viewer of one namespace is nobody in another.
    let elsewhere = format!("/apis/{GROUP}/v1beta2/namespaces/kube-system/pods/*/messages");
    let refused = cluster.kubectl(&["get", "--raw", &elsewhere, &viewer]).await;
    ensure(refused.is_err(), || format!("read in another namespace: {refused:?}"))
}
