//! A Service, reduced to what it says about scraping.

use std::collections::HashMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use podgauge_store::{PodKey, PodLabels, WhyNot};
use serde::Deserialize;

use super::{Followed, Key, State, sink::Kept, slice::Slice};
use crate::{
    ask::{Ask, Whose},
    lenient::Lenient,
    object::{Annotations, Metadata, Wanted, labels},
};

/// What is wanted of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    annotations: Annotations,
    pub(super) labels: PodLabels,
}

/// A Service as the API server sends it.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    #[serde(default)]
    metadata: Lenient<Metadata>,
}

// === impl Service ===

impl Wanted for Service {
    type Document = Document;

    fn read(document: Document, identity: &mut ObjectMeta) -> Result<Self, Box<str>> {
        let mut metadata = document.metadata.read("metadata")?.unwrap_or_default();
        metadata.identify(identity)?;
        Ok(Self { annotations: Annotations::read(metadata.annotations)?, labels: labels(metadata.labels)? })
    }
}

impl Kept for Service {
    const FOLLOWED: Followed = Followed::Services;

    fn replace(state: &mut State, all: HashMap<Key, Self>) {
        state.services = all;
        state.changed.everything = true;
    }

    fn change(state: &mut State, key: Key, service: Option<Self>) {
        if state.services.get(&key) == service.as_ref() {
            return;
        }
        let slices = state.slices.iter().filter(|(slice, found)| found.is_of(slice, &key));
        state.changed.pods.extend(slices.flat_map(|(slice, found)| found.pods(slice)));
        match service {
            Some(service) => drop(state.services.insert(key, service)),
            None => drop(state.services.remove(&key)),
        }
    }
}

// === impl State ===

impl State {
    /// What the annotations of Services ask for.
    pub(super) fn asks_of_services(&self, pod: &PodKey) -> impl Iterator<Item = Result<Ask, WhyNot>> {
        self.in_front_of(pod).filter_map(|(key, service, slice)| {
            Ask::annotated(Whose::Service(&key.name), &service.annotations, &slice.tcp_ports())
        })
    }

    /// The Services in front of a pod, in the order of their names, each with the slice that names the pod.
    pub(super) fn in_front_of(&self, pod: &PodKey) -> impl Iterator<Item = (&Key, &Service, &Slice)> {
        let slices = self.by_pod.get(pod).into_iter().flatten().filter_map(|key| self.slices.get(key));
        let mut in_front: Vec<(&Key, &Service, &Slice)> = slices
            .filter_map(|slice| {
                let (key, service) = self.services.get_key_value(&slice.service_key(pod))?;
                Some((key, service, slice))
            })
            .collect();
        in_front.sort_by_key(|(key, ..)| *key);
        in_front.into_iter()
    }
}
