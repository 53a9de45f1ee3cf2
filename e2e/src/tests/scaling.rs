//! The stock autoscaler on `messages`: of each worker, of the Service that stands for the queue, and of the namespace.

use crate::cluster::Cluster;
use crate::shop::scaled_shop;
use crate::wait::ensure;
use crate::{Outcome, Settings};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The autoscaler looks every 15 s, at first after 15 s; this is many times that.
const PATIENCE: Duration = Duration::from_secs(240);

pub(super) async fn on_pods(cluster: &Cluster, _: &Settings) -> Outcome {
    let pods = json!({"metric": {"name": "messages"}, "target": average("5")});
    up_and_down(cluster, &json!({"type": "Pods", "pods": pods})).await
}

pub(super) async fn on_object(cluster: &Cluster, _: &Settings) -> Outcome {
    let store = json!({"apiVersion": "v1", "kind": "Service", "name": "store"});
    let object = json!({"describedObject": store, "metric": {"name": "messages"}, "target": average("15")});
    up_and_down(cluster, &json!({"type": "Object", "object": object})).await
}

pub(super) async fn on_external(cluster: &Cluster, _: &Settings) -> Outcome {
    // The sum over the namespace: the store and each worker tell the whole queue.
    let external = json!({"metric": {"name": "messages"}, "target": average("30")});
    up_and_down(cluster, &json!({"type": "External", "external": external})).await
}

fn average(each: &str) -> Value {
    json!({"type": "AverageValue", "averageValue": each})
}

/// Orders, and sees the autoscaler add workers, and take them away once the queue is empty.
async fn up_and_down(cluster: &Cluster, metric: &Value) -> Outcome {
    for object in scaled_shop("2s", metric) {
        cluster.apply(&object).await?;
    }
    for name in ["store", "worker"] {
        cluster.kubectl(&["rollout", "status", &format!("deployment/{name}"), "--timeout=120s"]).await?;
    }
    cluster.autoscaler_is_active("worker", PATIENCE).await?;

    let begun = Instant::now();
    cluster.order("services/store:8080", 60).await?;
    let up = cluster.replicas("worker", PATIENCE, |replicas| replicas > 1).await?;
    println!("1 -> {up} after {:.0} s", begun.elapsed().as_secs_f64());
    let down = cluster.replicas("worker", PATIENCE, |replicas| replicas == 1).await?;
    println!("back to {down} after {:.0} s", begun.elapsed().as_secs_f64());
    let events = cluster.kubectl(&["get", "events", "-o", "jsonpath={.items[*].reason}"]).await?;
    ensure(events.contains("SuccessfulRescale"), || format!("no rescale in the events: {events}"))
}
