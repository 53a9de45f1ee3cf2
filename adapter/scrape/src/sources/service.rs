//! A Service, reduced to what it says about scraping.

use std::collections::HashMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use podgauge_store::{PodKey, WhyNot};
use serde::Deserialize;

use super::{Followed, Kept, Key, State};
use crate::{
    ask::{Ask, Whose},
    lenient::Lenient,
    object::{Annotations, Metadata, Wanted},
};

/// What is wanted of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    annotations: Annotations,
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
        Ok(Self { annotations: Annotations::read(metadata.annotations)? })
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
    /// What the Services in front of a pod ask for, in the order of their names.
    pub(super) fn ask_services(&self, pod: &PodKey, asks: &mut Vec<Result<Ask, WhyNot>>) {
        let slices = self.by_pod.get(pod).into_iter().flatten().filter_map(|key| self.slices.get(key));
        let mut in_front: Vec<_> = slices
            .filter_map(|slice| Some((self.services.get_key_value(&slice.service_key(pod))?, slice)))
            .collect();
        in_front.sort_by(|(a, _), (b, _)| a.0.cmp(b.0));
        asks.extend(in_front.into_iter().filter_map(|((key, service), slice)| {
            Ask::annotated(Whose::Service(&key.name), &service.annotations, &slice.tcp_ports)
        }));
    }
}
