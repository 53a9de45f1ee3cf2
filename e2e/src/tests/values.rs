//! The values themselves.

use crate::cluster::{Cluster, PATIENCE, VERSIONS};
use crate::wait::{ensure, until};
use crate::{Outcome, Settings};

pub(super) async fn values(cluster: &Cluster, _: &Settings) -> Outcome {
    cluster.make_gauges(2).await?;
    let pods: Vec<String> = cluster.values("messages", 2).await?.into_iter().map(|(pod, _)| pod).collect();
    // Each pod is a shop of its own: different orders, different numbers.
    for (pod, quantity) in pods.iter().zip([7, 130]) {
        cluster.order(&format!("pods/{pod}:8080"), quantity).await?;
    }
    let mut wanted = vec![(pods[0].clone(), "7".to_owned()), (pods[1].clone(), "130".to_owned())];
    wanted.sort();
    let look = async || {
        let mut values = cluster.values("messages", 2).await?;
        values.sort();
        Ok(values)
    };
    until("7 and 130 messages", PATIENCE, look, |values| *values == wanted).await?;

    for version in VERSIONS {
        let all = cluster.metric_path(version, "messages");
        let one = all.replace('*', &pods[0]);
        let list = cluster.get(&one).await?.json()?;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        ensure(items.len() == 1 && items[0]["value"] == "7", || format!("{one}: {list}"))?;
        for (selector, count) in [("app%3Dgauge", 2), ("app%21%3Dgauge,app", 0)] {
            let answer = cluster.get(&format!("{all}?labelSelector={selector}")).await?;
            let found = answer.json().map(|list| list["items"].as_array().map_or(0, Vec::len)).unwrap_or(0);
            ensure(found == count, || format!("{selector}: {answer:?}"))?;
        }
    }
    let unknown = cluster.get(&cluster.metric_path("v1beta2", "mesages")).await?;
    ensure(unknown.code == 404 && unknown.body.contains("messages"), || format!("no help in {unknown:?}"))?;
    println!("404: {}", unknown.body);
    Ok(())
}

pub(super) async fn churn(cluster: &Cluster, settings: &Settings) -> Outcome {
    cluster.make_gauges(3).await?;
    let mut rounds = 0;
    let begun = std::time::Instant::now();
    while begun.elapsed() < settings.load {
        let old: Vec<String> = cluster.values("messages", 3).await?.into_iter().map(|(pod, _)| pod).collect();
        cluster.kubectl(&["delete", "pods", "-l", "app=gauge", "--wait=false"]).await?;
        let fresh = async || cluster.values("messages", 3).await;
        let all_new = |values: &Vec<(String, String)>| values.iter().all(|(pod, _)| !old.contains(pod));
        until("the values of the new pods and of no other", PATIENCE, fresh, all_new).await?;
        rounds += 1;
    }
    println!("{rounds} rounds of three pods");
    cluster.kubectl(&["scale", "deployment", "gauge", "--replicas=0"]).await?;
    let path = cluster.metric_path("v1beta2", "messages");
    let look = async || cluster.get(&path).await;
    let is_empty = |answer: &crate::cluster::Answer| {
        answer.code == 404
            || answer.json().is_ok_and(|list| list["items"].as_array().is_some_and(Vec::is_empty))
    };
    until("no values without pods", PATIENCE, look, is_empty).await.map(drop)
}
