//! A pod as the API server sends it, reduced on arrival to what the target rules look at.
//!
//! Of a pod's 7 kB of JSON the environment, the volumes, the managed fields and the conditions are skipped while they
//! are read, so that a decoded pod costs a few hundred bytes and a relist of ten thousand does not show.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, core::NamespaceResourceScope};
use podgauge_store::PodLabels;
use serde::{Deserialize, de::IgnoredAny};

use crate::lenient::Lenient;

/// What the watch delivers.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Document")]
pub(crate) struct PodObject {
    /// Name, namespace, uid and resource version; the rest is empty.
    pub(crate) metadata: ObjectMeta,
    /// What the rules look at, or which part of the object has no shape that a pod's can have.
    pub(crate) facts: Result<Facts, Box<str>>,
}

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

/// The annotations `prometheus.io/*`, as far as they are set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Annotations {
    pub(crate) scrape: Option<Box<str>>,
    pub(crate) scheme: Option<Box<str>>,
    pub(crate) port: Option<Box<str>>,
    pub(crate) path: Option<Box<str>>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    metadata: Lenient<Metadata>,
    #[serde(default)]
    spec: Lenient<Spec>,
    #[serde(default)]
    status: Lenient<Status>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: Lenient<String>,
    namespace: Lenient<String>,
    uid: Lenient<String>,
    resource_version: Lenient<String>,
    deletion_timestamp: Lenient<IgnoredAny>,
    labels: Lenient<BTreeMap<Box<str>, Lenient<Box<str>>>>,
    annotations: Lenient<RawAnnotations>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawAnnotations {
    #[serde(rename = "prometheus.io/scrape")]
    scrape: Lenient<Box<str>>,
    #[serde(rename = "prometheus.io/scheme")]
    scheme: Lenient<Box<str>>,
    #[serde(rename = "prometheus.io/port")]
    port: Lenient<Box<str>>,
    #[serde(rename = "prometheus.io/path")]
    path: Lenient<Box<str>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: Lenient<Box<str>>,
    host_network: Lenient<bool>,
    containers: Lenient<Vec<Lenient<Container>>>,
    init_containers: Lenient<Vec<Lenient<Container>>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    restart_policy: Lenient<Box<str>>,
    ports: Lenient<Vec<Lenient<Port>>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Port {
    container_port: Lenient<u16>,
    protocol: Lenient<Box<str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: Lenient<Box<str>>,
    #[serde(rename = "podIP")]
    pod_ip: Lenient<Box<str>>,
    #[serde(rename = "hostIP")]
    host_ip: Lenient<Box<str>>,
    conditions: Lenient<Vec<Lenient<Condition>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: Lenient<Box<str>>,
    status: Lenient<Box<str>>,
}

// === impl PodObject ===

impl From<Document> for PodObject {
    fn from(document: Document) -> Self {
        let mut object = Self { metadata: ObjectMeta::default(), facts: Ok(Facts::default()) };
        object.facts = object.read(document);
        object
    }
}

impl PodObject {
    /// Keeps who the pod is before anything else, so that a broken one can be named.
    fn read(&mut self, document: Document) -> Result<Facts, Box<str>> {
        let metadata = document.metadata.read("metadata")?.unwrap_or_default();
        self.metadata.resource_version = metadata.resource_version.read("metadata.resourceVersion")?;
        self.metadata.name = metadata.name.read("metadata.name")?;
        self.metadata.namespace = metadata.namespace.read("metadata.namespace")?;
        self.metadata.uid = metadata.uid.read("metadata.uid")?;
        let annotations = metadata.annotations.read("metadata.annotations")?.unwrap_or_default();
        let spec = document.spec.read("spec")?.unwrap_or_default();
        let status = document.status.read("status")?.unwrap_or_default();
        Ok(Facts {
            labels: labels(metadata.labels)?,
            node: spec.node_name.read("spec.nodeName")?.map(Arc::from),
            annotations: Annotations {
                scrape: annotations.scrape.read("annotation prometheus.io/scrape")?,
                scheme: annotations.scheme.read("annotation prometheus.io/scheme")?,
                port: annotations.port.read("annotation prometheus.io/port")?,
                path: annotations.path.read("annotation prometheus.io/path")?,
            },
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

impl Resource for PodObject {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Pod".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "pods".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

fn labels(labels: Lenient<BTreeMap<Box<str>, Lenient<Box<str>>>>) -> Result<PodLabels, Box<str>> {
    let labels = labels.read("metadata.labels")?.unwrap_or_default();
    labels
        .into_iter()
        .map(|(key, value)| Ok((key, value.read("metadata.labels")?.unwrap_or_default())))
        .collect::<Result<Vec<_>, Box<str>>>()
        .map(PodLabels::from_iter)
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
