//! podgauge is away.

use crate::cluster::{Cluster, PATIENCE};
use crate::wait::{ensure, until};
use crate::{Outcome, Settings};

pub(super) async fn absence(cluster: &Cluster, _: &Settings) -> Outcome {
    cluster.make_gauges(1).await?;
    let replicas =
        cluster.on_podgauge(&["get", "deployment", "podgauge", "-o", "jsonpath={.spec.replicas}"]).await?;
    cluster.on_podgauge(&["scale", "deployment", "podgauge", "--replicas=0"]).await?;
    cluster.available("False", PATIENCE).await?;
    let path = cluster.metric_path("v1beta2", "messages");
    let away = cluster.get(&path).await?;
    ensure(away.code == 503, || format!("without podgauge: {away:?}"))?;
    println!("without podgauge: {} {}", away.code, away.body.trim());

    let scaled = format!("--replicas={}", replicas.trim());
    cluster.on_podgauge(&["scale", "deployment", "podgauge", &scaled]).await?;
    cluster.available("True", PATIENCE).await?;
    let look = async || cluster.values("messages", 1).await;
    until("values again", PATIENCE, look, |_| true).await.map(drop)
    // That a namespace can be deleted now shows the end of this test, which deletes its own.
}
