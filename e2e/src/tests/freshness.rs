//! From a change of a metric to the autoscaler's answer. What is measured is printed; that it comes is what is tested.

use crate::cluster::{Cluster, PATIENCE};
use crate::shop::{autoscaler, gauges};
use crate::{Outcome, Settings};
use serde_json::json;
use std::time::{Duration, Instant};

/// Changes that are made, each when the autoscaler has answered to the one before. From 10 replicas on, one more is within the
/// autoscaler's tolerance.
const CHANGES: u32 = 9;
/// The autoscaler's period. It has just looked when a change has been answered; so that each part of the period is met, the
/// next change comes so many strides later, modulo the period.
const PERIOD: Duration = Duration::from_secs(15);
const STRIDE: Duration = Duration::from_millis(6_250);
/// What one more replica is wanted for.
const EACH: u32 = 10;
/// After so long the autoscaler's rhythm is known, and scrapes come right before its reads.
const LEARNING: Duration = Duration::from_secs(75);
/// Reads of one kind.
const READS: u32 = 200;

pub(super) async fn figures(cluster: &Cluster, _: &Settings) -> Outcome {
    cluster.make_gauges(1).await?;
    let (gauge, _) = cluster.values("messages", 1).await?.remove(0);
    reads(cluster, &gauge).await?;
    changes(cluster, &gauge).await
}

/// Orders so that one more follower is wanted, and waits for it, again and again.
async fn changes(cluster: &Cluster, gauge: &str) -> Outcome {
    cluster.apply(&gauges("follower", 1)).await?;
    cluster.kubectl(&["rollout", "status", "deployment/follower", "--timeout=120s"]).await?;
    let described = json!({"apiVersion": "v1", "kind": "Pod", "name": gauge});
    let target = json!({"type": "AverageValue", "averageValue": EACH.to_string()});
    let object = json!({"describedObject": described, "metric": {"name": "messages"}, "target": target});
    cluster.apply(&autoscaler("follower", CHANGES + 1, &json!({"type": "Object", "object": object}))).await?;
    let shop = format!("pods/{gauge}:8080");
    cluster.order(&shop, EACH).await?;
    cluster.autoscaler_is_active("follower", PATIENCE).await?;

    tokio::time::sleep(LEARNING).await;
    let mut took = Vec::new();
    for change in 1..=CHANGES {
        let into_the_period = (STRIDE * change).as_millis() % PERIOD.as_millis();
        tokio::time::sleep(Duration::from_millis(u64::try_from(into_the_period)?)).await;
        let changed = Instant::now();
        cluster.order(&shop, EACH).await?;
        cluster.replicas("follower", PATIENCE, |now| now == u64::from(change) + 1).await?;
        let delay = changed.elapsed();
        println!("change {change}: {delay:.2?}");
        took.push(delay);
    }
    report("a change until the autoscaler scales", took);
    Ok(())
}

async fn reads(cluster: &Cluster, gauge: &str) -> Outcome {
    let all = cluster.metric_path("v1beta2", "messages");
    for (what, path) in [
        ("one pod by name", all.replace('*', gauge)),
        ("all pods by label", all + "?labelSelector=app%3Dgauge"),
    ] {
        let mut took = Vec::new();
        for _ in 0..READS {
            let begun = Instant::now();
            cluster.get(&path).await?.json()?;
            took.push(begun.elapsed());
        }
        report(&format!("reads of {what} through the API server"), took);
    }
    Ok(())
}

fn report(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let (middle, last) = (took[took.len() / 2], took[took.len() - 1]);
    println!("{what}: median {middle:.2?}, worst {last:.2?} of {}", took.len());
}
