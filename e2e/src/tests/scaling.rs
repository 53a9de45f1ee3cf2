//! The stock autoscaler on `messages`.

use crate::cluster::Cluster;
use crate::shop::scaled_shop;
use crate::wait::{ensure, until};
use crate::{Outcome, Settings};
use std::time::{Duration, Instant};

/// The autoscaler looks every 15 s, at first after 15 s; this is many times that.
const PATIENCE: Duration = Duration::from_secs(240);

pub(super) async fn up_and_down(cluster: &Cluster, _: &Settings) -> Outcome {
    for object in scaled_shop("2s") {
        cluster.apply(&object).await?;
    }
    for name in ["store", "worker"] {
        cluster.kubectl(&["rollout", "status", &format!("deployment/{name}"), "--timeout=120s"]).await?;
    }
    let path =
        format!("/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers/worker", cluster.namespace);
    let active = async || {
        let hpa = cluster.get(&path).await?.json()?;
        let conditions = hpa["status"]["conditions"].as_array().cloned().unwrap_or_default();
        Ok(conditions.into_iter().find(|condition| condition["type"] == "ScalingActive").unwrap_or_default())
    };
    until("the autoscaler reads its metric", PATIENCE, active, |condition| condition["status"] == "True")
        .await?;

    let begun = Instant::now();
    cluster.order("services/store:8080", 60).await?;
    let up = cluster.replicas("worker", PATIENCE, |replicas| replicas > 1).await?;
    println!("1 -> {up} after {:.0} s", begun.elapsed().as_secs_f64());
    let down = cluster.replicas("worker", PATIENCE, |replicas| replicas == 1).await?;
    println!("back to {down} after {:.0} s", begun.elapsed().as_secs_f64());
    let events = cluster.kubectl(&["get", "events", "-o", "jsonpath={.items[*].reason}"]).await?;
    ensure(events.contains("SuccessfulRescale"), || format!("no rescale in the events: {events}"))
}
