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
    /// What some of them are called.
    pub(crate) port_names: Vec<(Box<str>, u16)>,
}

#[derive(Default)]
struct TcpPorts {
    numbers: Vec<u16>,
    names: Vec<(Box<str>, u16)>,
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
    name: Lenient<Box<str>>,
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

impl Facts {
    /// The number of the TCP port of this name.
    pub(crate) fn port(&self, name: &str) -> Option<u16> {
        self.port_names.iter().find(|(known, _)| **known == *name).map(|(_, number)| *number)
    }
}

impl Wanted for Facts {
    type Document = Document;

    fn read(document: Document, identity: &mut ObjectMeta) -> Result<Self, Box<str>> {
        let mut metadata = document.metadata.read("metadata")?.unwrap_or_default();
        metadata.identify(identity)?;
        let spec = document.spec.read("spec")?.unwrap_or_default();
        let status = document.status.read("status")?.unwrap_or_default();
        let ports = TcpPorts::read(spec.containers, spec.init_containers)?;
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
            tcp_ports: ports.numbers,
            port_names: ports.names,
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

// === impl TcpPorts ===

impl TcpPorts {
    /// Those of containers, and of init containers that are restarted forever: such a one is a sidecar, and runs as long as
    /// the pod does.
    fn read(
        containers: Lenient<Vec<Lenient<Container>>>,
        init_containers: Lenient<Vec<Lenient<Container>>>,
    ) -> Result<Self, Box<str>> {
        let mut ports = Self::default();
        for container in containers.read("spec.containers")?.unwrap_or_default() {
            ports.add(container.read("spec.containers")?.unwrap_or_default())?;
        }
        for container in init_containers.read("spec.initContainers")?.unwrap_or_default() {
            let mut container = container.read("spec.initContainers")?.unwrap_or_default();
            let policy =
                std::mem::take(&mut container.restart_policy).read("spec.initContainers.restartPolicy")?;
            if policy.as_deref() == Some("Always") {
                ports.add(container)?;
            }
        }
        Ok(ports)
    }

    fn add(&mut self, container: Container) -> Result<(), Box<str>> {
        for port in container.ports.read("ports")?.unwrap_or_default() {
            let port = port.read("ports")?.unwrap_or_default();
            let protocol = port.protocol.read("ports.protocol")?;
            let number = port.container_port.read("ports.containerPort")?.unwrap_or_default();
            if number == 0 || protocol.is_some_and(|protocol| &*protocol != "TCP") {
                continue;
            }
            if !self.numbers.contains(&number) {
                self.numbers.push(number);
            }
            self.names.extend(port.name.read("ports.name")?.map(|name| (name, number)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
