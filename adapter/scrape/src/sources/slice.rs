//! An EndpointSlice, reduced to the pods that it names and the ports that a Service leads to there.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use podgauge_store::PodKey;
use serde::Deserialize;

use super::{Followed, Key, State, sink::Kept};
use crate::{
    lenient::Lenient,
    object::{Metadata, Wanted, labels},
};

/// What is wanted of an EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// The Service that it belongs to, of the same namespace.
    service: Arc<str>,
    /// The TCP ports of the pods that the Service leads to.
    tcp_ports: Vec<ServicePort>,
    /// The pods, of the same namespace, each once: ready or not, as pods with annotations of their own.
    pods: Vec<Arc<str>>,
}

/// A port of the pods, and what their Service calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ServicePort {
    name: Box<str>,
    number: u16,
}

/// An EndpointSlice as the API server sends it.
#[derive(Debug, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct Document {
    metadata: Lenient<Metadata>,
    ports: Lenient<Vec<Lenient<Port>>>,
    endpoints: Lenient<Vec<Lenient<Endpoint>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Port {
    name: Lenient<Box<str>>,
    port: Lenient<u16>,
    protocol: Lenient<Box<str>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Endpoint {
    target_ref: Lenient<Reference>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reference {
    kind: Lenient<Box<str>>,
    namespace: Lenient<Box<str>>,
    name: Lenient<Box<str>>,
}

/// Which Service a slice belongs to.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

// === impl Slice ===

impl Slice {
    /// Whether it belongs to a Service; `key` is its own.
    pub(super) fn is_of(&self, key: &Key, service: &Key) -> bool {
        key.namespace == service.namespace && self.service == service.name
    }

    /// The Service that it belongs to; `pod` is one that it names.
    pub(super) fn service_key(&self, pod: &PodKey) -> Key {
        Key { namespace: Arc::clone(&pod.namespace), name: Arc::clone(&self.service) }
    }

    /// The TCP ports that the Service leads to, each once.
    pub(super) fn tcp_ports(&self) -> Vec<u16> {
        let mut seen = HashSet::new();
        self.tcp_ports.iter().map(|port| port.number).filter(|number| seen.insert(*number)).collect()
    }

    /// The one that the Service calls so.
    pub(super) fn port(&self, name: &str) -> Option<u16> {
        self.tcp_ports.iter().find(|port| *port.name == *name).map(|port| port.number)
    }

    /// The pods that it names; `key` is its own.
    pub(super) fn pods(&self, key: &Key) -> impl Iterator<Item = PodKey> {
        self.pods.iter().map(|name| PodKey { namespace: Arc::clone(&key.namespace), name: Arc::clone(name) })
    }
}

impl Wanted for Slice {
    type Document = Document;

    fn read(document: Document, identity: &mut ObjectMeta) -> Result<Self, Box<str>> {
        let mut metadata = document.metadata.read("metadata")?.unwrap_or_default();
        metadata.identify(identity)?;
        let mut tcp_ports = Vec::new();
        for port in document.ports.read("ports")?.unwrap_or_default() {
            let port = port.read("ports")?.unwrap_or_default();
            let is_tcp = port.protocol.read("ports.protocol")?.is_none_or(|protocol| &*protocol == "TCP");
            let number = port.port.read("ports.port")?.unwrap_or_default();
            if is_tcp && number > 0 {
                let name = port.name.read("ports.name")?.unwrap_or_default();
                tcp_ports.push(ServicePort { name, number });
            }
        }
        let mut pods = Vec::new();
        for endpoint in document.endpoints.read("endpoints")?.unwrap_or_default() {
            let endpoint = endpoint.read("endpoints")?.unwrap_or_default();
            let Some(reference) = endpoint.target_ref.read("endpoints.targetRef")? else { continue };
            let kind = reference.kind.read("endpoints.targetRef.kind")?;
            let namespace = reference.namespace.read("endpoints.targetRef.namespace")?;
            // Who may write slices in one namespace shall not choose pods of another.
            let is_near = namespace.is_none() || namespace.as_deref() == identity.namespace.as_deref();
            if kind.as_deref() == Some("Pod") && is_near {
                pods.extend(reference.name.read("endpoints.targetRef.name")?.map(Arc::from));
            }
        }
        pods.sort_unstable();
        pods.dedup();
        let service = labels(metadata.labels)?.get(SERVICE_NAME).unwrap_or_default().into();
        Ok(Self { service, tcp_ports, pods })
    }
}

impl Kept for Slice {
    const FOLLOWED: Followed = Followed::EndpointSlices;

    fn replace(state: &mut State, all: HashMap<Key, Self>) {
        state.by_pod.clear();
        for (key, slice) in &all {
            for pod in slice.pods(key) {
                state.by_pod.entry(pod).or_default().push(key.clone());
            }
        }
        state.slices = all;
        state.changed.everything = true;
    }

    fn change(state: &mut State, key: Key, slice: Option<Self>) {
        let State { slices, by_pod, changed, .. } = state;
        // Most changes are of readiness, which is nothing here.
        if slices.get(&key) == slice.as_ref() {
            return;
        }
        if let Some(old) = slices.remove(&key) {
            for pod in old.pods(&key) {
                if let Some(keys) = by_pod.get_mut(&pod) {
                    keys.retain(|other| *other != key);
                    if keys.is_empty() {
                        by_pod.remove(&pod);
                    }
                }
                changed.pods.insert(pod);
            }
        }
        if let Some(slice) = slice {
            for pod in slice.pods(&key) {
                by_pod.entry(pod.clone()).or_default().push(key.clone());
                changed.pods.insert(pod);
            }
            slices.insert(key, slice);
        }
    }
}
