//! podgauge is disturbed, and whoever reads does not notice.

use crate::cluster::{Cluster, GROUP, PATIENCE, PODGAUGE, VERSIONS};
use crate::reader::Reader;
use crate::wait::{ensure, until};
use crate::{Outcome, Settings};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const GAUGES: u32 = 2;

/// Reads while `disturb` is done again and again, for as long as the settings say.
async fn reading(
    cluster: &Cluster,
    settings: &Settings,
    mut disturb: impl AsyncFnMut() -> Outcome,
) -> Outcome {
    require_two_replicas(cluster).await?;
    cluster.make_gauges(GAUGES).await?;
    let reader = Reader::start(cluster, cluster.metric_path("v1beta2", "messages"), GAUGES as usize);
    let begun = Instant::now();
    let mut times = 0;
    let mut disturbed = Ok(());
    while disturbed.is_ok() && begun.elapsed() < settings.load {
        disturbed = disturb().await;
        times += 1;
    }
    let report = reader.finish().await;
    disturbed?;
    println!("{times} times in {:.0} s: {}", begun.elapsed().as_secs_f64(), report?);
    Ok(())
}

async fn require_two_replicas(cluster: &Cluster) -> Outcome {
    cluster.podgauge_rolled_out().await?;
    let pods = cluster.podgauge_pods().await?;
    ensure(pods.len() >= 2, || {
        format!("needs two replicas of podgauge (monitoring/overlays/ha); there are {pods:?}")
    })
}

pub(super) async fn replica_loss(cluster: &Cluster, settings: &Settings) -> Outcome {
    reading(cluster, settings, async || {
        let victim = cluster.podgauge_pods().await?.into_iter().next().unwrap_or_default();
        cluster.on_podgauge(&["delete", "pod", &victim, "--wait=false"]).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        cluster.podgauge_rolled_out().await
    })
    .await
}

pub(super) async fn rolling_update(cluster: &Cluster, settings: &Settings) -> Outcome {
    reading(cluster, settings, async || {
        cluster.on_podgauge(&["rollout", "restart", "deployment/podgauge"]).await?;
        cluster.podgauge_rolled_out().await
    })
    .await
}

/// Certificates that live for minutes, so that every step of their lives is passed while somebody reads.
pub(super) async fn ca_rotation(cluster: &Cluster, settings: &Settings) -> Outcome {
    let path = format!("/apis/apps/v1/namespaces/{PODGAUGE}/deployments/podgauge");
    let before =
        cluster.get(&path).await?.json()?["spec"]["template"]["spec"]["containers"][0]["args"].clone();
    let mut arguments = before.as_array().cloned().unwrap_or_default();
    arguments.retain(|argument| !argument.as_str().unwrap_or_default().starts_with("--tls-"));
    for flag in ["--tls-cert-lifetime=90s", "--tls-propagation-delay=5s", "--tls-sync-interval=2s"] {
        arguments.push(flag.into());
    }
    set_arguments(cluster, &arguments.into()).await?;
    let mut authorities = BTreeSet::new();
    let read = reading(cluster, settings, async || {
        for bundle in bundles(cluster).await? {
            authorities.insert(bundle);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(())
    })
    .await;
    set_arguments(cluster, &before).await?;
    read?;
    println!("{} different caBundles were seen", authorities.len());
    ensure(authorities.len() >= 2, || "no CA changed; go on for longer with --load-seconds".to_owned())?;

    // Somebody empties the Secret: a new CA comes by itself, and nobody notices that either.
    let old = bundles(cluster).await?;
    let reader = Reader::start(cluster, cluster.metric_path("v1beta2", "messages"), GAUGES as usize);
    cluster
        .on_podgauge(&["patch", "secret", "podgauge-tls", "--type=merge", "-p", r#"{"data":null}"#])
        .await?;
    let look = async || bundles(cluster).await;
    until("another caBundle", PATIENCE * 3, look, |now| *now != old).await?;
    println!("Secret emptied: {}", reader.finish().await?);
    Ok(())
}

async fn set_arguments(cluster: &Cluster, arguments: &Value) -> Outcome {
    let patch =
        json!([{"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": arguments}]);
    cluster
        .on_podgauge(&["patch", "deployment", "podgauge", "--type=json", "-p", &patch.to_string()])
        .await?;
    cluster.podgauge_rolled_out().await
}

async fn bundles(cluster: &Cluster) -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    for version in VERSIONS {
        let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/{version}.{GROUP}");
        let service = cluster.get(&path).await?.json()?;
        found.push(service["spec"]["caBundle"].as_str().unwrap_or_default().to_owned());
    }
    Ok(found)
}
