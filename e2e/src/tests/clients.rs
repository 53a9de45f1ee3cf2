//! The kubectl programs that people have.

use crate::cluster::{Cluster, GROUP};
use crate::wait::ensure;
use crate::{Outcome, Settings};
use serde_json::Value;

pub(super) async fn kubectl(cluster: &Cluster, settings: &Settings) -> Outcome {
    cluster.make_gauges(1).await?;
    let path = cluster.metric_path("v1beta1", "messages");
    for program in &settings.kubectls {
        let version = cluster.run(program, &["version", "--client", "--output=json"], "").await?;
        let version: Value = serde_json::from_str(&version)?;
        let version = version["clientVersion"]["gitVersion"].as_str().unwrap_or(program);
        let list = cluster.run(program, &["get", "--raw", &path], "").await?;
        ensure(list.contains("MetricValueList"), || format!("{version}: {list}"))?;
        // Not api-resources, which leaves out what has a slash in its name, as all metrics of pods have.
        let versions = cluster.run(program, &["api-versions"], "").await?;
        ensure(versions.contains(&format!("{GROUP}/v1beta2")), || format!("{version}: {versions}"))?;
        let missing = cluster.run(program, &["get", "--raw", &path.replace("messages", "mesages")], "").await;
        let told = missing.err().map(|error| error.to_string()).unwrap_or_default();
        ensure(told.contains("NotFound") && told.contains("messages"), || format!("{version}: {told}"))?;
        println!("kubectl {version}: reads, discovers, and is told why not");
    }
    Ok(())
}
