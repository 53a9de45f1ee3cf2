//! A pod as the API server sends it, reduced on arrival to what the target rules look at.
//!
//! Of a pod's 7 kB of JSON the environment, the volumes, the managed fields and the conditions are skipped while they
//! are read, so that a decoded pod costs a few hundred bytes and a relist of ten thousand does not show.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use podgauge_store::PodLabels;
use serde::Deserialize;

use crate::{
    lenient::Lenient,
    object::{Annotations, Metadata, Reduced, Wanted, labels},
};

/// What the watch delivers.
pub(crate) type PodObject = Reduced<Facts>;

/// What the target rules look at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) labels: PodLabels,
    /// `spec.nodeName`.
    pub(crate) node: Option<Arc<str>>,
    pub(crate) annotations: Annotations,
    /// It has a deletion timestamp.
    pub(crate) is_terminating: bool,
    pub(crate) phase: Option<Box<str>>,
    pub(crate) ip: Option<Box<str>>,
    pub(crate) host_ip: Option<Box<str>>,
    pub(crate) has_host_network: bool,
    /// Its condition `Ready` is true.
    pub(crate) is_ready: bool,
    /// The declared TCP ports of its containers and sidecars, each once, in the order of declaration.
    pub(crate) tcp_ports: Vec<u16>,
}

/// A pod as the API server sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct Document {
    #[serde(default)]
    metadata: Lenient<Metadata>,
    #[serde(default)]
    spec: Lenient<Spec>,
    #[serde(default)]
    status: Lenient<Status>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: Lenient<Box<str>>,
    host_network: Lenient<bool>,
    containers: Lenient<Vec<Lenient<Container>>>,
    init_containers: Lenient<Vec<Lenient<Container>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    restart_policy: Lenient<Box<str>>,
    ports: Lenient<Vec<Lenient<Port>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Port {
    container_port: Lenient<u16>,
    protocol: Lenient<Box<str>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: Lenient<Box<str>>,
    #[serde(rename = "podIP")]
    pod_ip: Lenient<Box<str>>,
    #[serde(rename = "hostIP")]
    host_ip: Lenient<Box<str>>,
    conditions: Lenient<Vec<Lenient<Condition>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: Lenient<Box<str>>,
    status: Lenient<Box<str>>,
}

// === impl Facts ===

impl Wanted for Facts {
    type Document = Document;

    fn read(document: Document, identity: &mut ObjectMeta) -> Result<Self, Box<str>> {
        let mut metadata = document.metadata.read("metadata")?.unwrap_or_default();
        metadata.identify(identity)?;
        let spec = document.spec.read("spec")?.unwrap_or_default();
        let status = document.status.read("status")?.unwrap_or_default();
        Ok(Self {
            labels: labels(metadata.labels)?,
            node: spec.node_name.read("spec.nodeName")?.map(Arc::from),
            annotations: Annotations::read(metadata.annotations)?,
            is_terminating: metadata.deletion_timestamp.read("metadata.deletionTimestamp")?.is_some(),
            phase: status.phase.read("status.phase")?,
            ip: status.pod_ip.read("status.podIP")?,
            host_ip: status.host_ip.read("status.hostIP")?,
            has_host_network: spec.host_network.read("spec.hostNetwork")?.unwrap_or_default(),
            is_ready: is_ready(status.conditions)?,
            tcp_ports: tcp_ports(spec.containers, spec.init_containers)?,
        })
    }
}

fn is_ready(conditions: Lenient<Vec<Lenient<Condition>>>) -> Result<bool, Box<str>> {
    for condition in conditions.read("status.conditions")?.unwrap_or_default() {
        let condition = condition.read("status.conditions")?.unwrap_or_default();
        if condition.kind.read("status.conditions.type")?.as_deref() == Some("Ready") {
            return Ok(condition.status.read("status.conditions.status")?.as_deref() == Some("True"));
        }
    }
    Ok(false)
}

/// An init container that is restarted forever is a sidecar, and runs as long as the pod does.
fn tcp_ports(
    containers: Lenient<Vec<Lenient<Container>>>,
    init_containers: Lenient<Vec<Lenient<Container>>>,
) -> Result<Vec<u16>, Box<str>> {
    let mut numbers = Vec::new();
    let mut declared_by = |container: Container| -> Result<(), Box<str>> {
        for port in container.ports.read("ports")?.unwrap_or_default() {
            let port = port.read("ports")?.unwrap_or_default();
            let protocol = port.protocol.read("ports.protocol")?;
            let number = port.container_port.read("ports.containerPort")?.unwrap_or_default();
            if protocol.is_none_or(|protocol| &*protocol == "TCP") && number > 0 && !numbers.contains(&number)
            {
                numbers.push(number);
            }
        }
        Ok(())
    };
    for container in containers.read("spec.containers")?.unwrap_or_default() {
        declared_by(container.read("spec.containers")?.unwrap_or_default())?;
    }
    for container in init_containers.read("spec.initContainers")?.unwrap_or_default() {
        let mut container = container.read("spec.initContainers")?.unwrap_or_default();
        let policy =
            std::mem::take(&mut container.restart_policy).read("spec.initContainers.restartPolicy")?;
        if policy.as_deref() == Some("Always") {
            declared_by(container)?;
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests;
