//! Installed, registered, and gone again.

use crate::cluster::{Cluster, GROUP, PATIENCE, PODGAUGE, VERSIONS};
use crate::wait::{ensure, until};
use crate::{Outcome, Settings};

pub(super) async fn install(cluster: &Cluster, settings: &Settings) -> Outcome {
    let kustomization = format!("KUSTOMIZATION={}", settings.kustomization);
    println!("{}", cluster.run("env", &[&kustomization, "hack/deploy"], "").await?.trim_end());
    cluster.available("True", PATIENCE).await?;
    let images = "jsonpath={range .items[*].spec.containers[*]}{.image}{\"\\n\"}{end}";
    println!("{}", cluster.on_podgauge(&["get", "pods", "-o", images]).await?.trim_end());
    Ok(())
}

pub(super) async fn availability(cluster: &Cluster, _: &Settings) -> Outcome {
    cluster.available("True", PATIENCE).await?;
    for version in VERSIONS {
        let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/{version}.{GROUP}");
        let spec = cluster.get(&path).await?.json()?["spec"].clone();
        ensure(spec["insecureSkipTLSVerify"] != true, || format!("{version} skips verification"))?;
        ensure(spec["caBundle"].as_str().is_some_and(|ca| !ca.is_empty()), || {
            format!("{version} has no caBundle")
        })?;
    }
    let groups = cluster.get("/apis").await?.json()?;
    let group = groups["groups"].as_array().into_iter().flatten().find(|group| group["name"] == GROUP);
    let versions = group.map(|group| group["versions"].clone()).unwrap_or_default();
    let names: Vec<&str> =
        versions.as_array().into_iter().flatten().filter_map(|v| v["version"].as_str()).collect();
    ensure(names == ["v1beta2", "v1beta1"], || format!("discovery lists {names:?}"))
}

pub(super) async fn uninstall(cluster: &Cluster, settings: &Settings) -> Outcome {
    let kustomization = format!("KUSTOMIZATION={}", settings.kustomization);
    println!("{}", cluster.run("env", &[&kustomization, "hack/undeploy"], "").await?.trim_end());
    let kinds = "clusterrole,clusterrolebinding,apiservice,priorityclass,namespace";
    let ours = "app.kubernetes.io/part-of=podgauge";
    let left = cluster.kubectl(&["get", kinds, "-l", ours, "-o", "name"]).await?;
    ensure(left.trim().is_empty(), || format!("still there: {left}"))?;
    let groups = async || cluster.get("/apis").await?.json();
    until("the API group is gone", PATIENCE, groups, |groups| !groups.to_string().contains(GROUP)).await?;
    let namespace = cluster.get(&format!("/api/v1/namespaces/{PODGAUGE}")).await?;
    ensure(namespace.code == 404, || format!("the namespace {PODGAUGE} is still there"))
    // That namespaces can be deleted shows the end of this test, which deletes its own.
}
