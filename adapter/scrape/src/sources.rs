//! What asks for pods besides the pods themselves: annotated Services.
//!
//! A Service stands for the pods that its EndpointSlices name: they say which pods and which of their ports a Service leads
//! to, whether it has a selector or not. Of a slice only references to pods of its own namespace count, and of those only the
//! names and ports: the address that is asked is the one of the pod's own status.
//!
//! Whoever follows these objects keeps the state here up to date; discovery asks which pods something changed for and what
//! asks for them now.

mod service;
mod slice;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Client, api::ApiResource};
use podgauge_objects::{Resource, Sink, follow};
use podgauge_store::{PodKey, WhyNot};
use tokio::{sync::Notify, task::JoinSet};
use tracing::warn;

use self::{service::Service, slice::Slice};
use crate::{
    ask::{Ask, Whose},
    config::Source,
    object::{Reduced, Wanted},
    pod::Facts,
    text::tame,
};

/// What asks for pods. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// Pods are asked what they ask for themselves.
    pods: bool,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The resources that are followed.
    resources: Vec<Followed>,
    state: Mutex<State>,
    changed: Notify,
}

/// The resources that can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Followed {
    Services,
    EndpointSlices,
}

/// Which pods something changed for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// For all that there are, perhaps.
    pub(crate) everything: bool,
    pub(crate) pods: HashSet<PodKey>,
}

#[derive(Debug, Default)]
struct State {
    /// Resources that were neither listed so far nor said to be unavailable.
    unsettled: BTreeSet<Followed>,
    changed: Changed,
    services: HashMap<Key, Service>,
    slices: HashMap<Key, Slice>,
    /// The slices that name a pod.
    by_pod: HashMap<PodKey, Vec<Key>>,
}

/// An object's namespace and name.
type Key = PodKey;

/// What is kept of the objects of one resource.
trait Kept: Wanted {
    const FOLLOWED: Followed;

    /// Takes in all there are.
    fn replace(state: &mut State, all: HashMap<Key, Self>);

    /// Takes in one that is new, has changed, or (`None`) is gone.
    fn change(state: &mut State, key: Key, object: Option<Self>);
}

/// Keeps the state of one resource up to date.
struct StateSink<T> {
    shared: Arc<Shared>,
    /// What the list that is under way has so far.
    listed: Option<HashMap<Key, T>>,
}

// === impl Sources ===

impl Sources {
    pub(crate) fn new(sources: &[Source]) -> Self {
        let mut resources = Vec::new();
        if sources.contains(&Source::Services) {
            resources.extend([Followed::Services, Followed::EndpointSlices]);
        }
        let state = State { unsettled: resources.iter().copied().collect(), ..State::default() };
        let shared = Shared { resources, state: Mutex::new(state), changed: Notify::new() };
        Self { pods: sources.contains(&Source::Pods), shared: Arc::new(shared) }
    }

    /// Follows for ever what asks for pods, as far as it is to be followed.
    pub(crate) fn spawn(&self, client: &Client, namespace: Option<&str>) -> JoinSet<()> {
        let mut loops = JoinSet::new();
        for resource in &self.shared.resources {
            match resource {
                Followed::Services => self.spawn_one::<Service>(&mut loops, client, namespace),
                Followed::EndpointSlices => self.spawn_one::<Slice>(&mut loops, client, namespace),
            }
        }
        loops
    }

    fn spawn_one<T: Kept>(&self, loops: &mut JoinSet<()>, client: &Client, namespace: Option<&str>) {
        let sink = StateSink::<T> { shared: Arc::clone(&self.shared), listed: None };
        let (client, namespace) = (client.clone(), namespace.map(ToOwned::to_owned));
        let resource = T::FOLLOWED.resource();
        loops.spawn(async move {
            follow(client, resource, namespace, sink).await;
        });
    }

    /// What asks for a pod, the most specific first.
    pub(crate) fn asks(&self, key: &PodKey, pod: &Facts) -> Vec<Result<Ask, WhyNot>> {
        let mut asks = Vec::new();
        if self.pods {
            asks.extend(Ask::annotated(Whose::Pod, &pod.annotations, &pod.tcp_ports));
        }
        // A pod's own "false" is more specific than its Service's "true".
        if pod.annotations.scrape.as_deref() != Some("false") {
            self.shared.state().ask_services(key, &mut asks);
        }
        asks
    }

    /// Which pods something changed for since this was asked last.
    pub(crate) fn take_changed(&self) -> Changed {
        std::mem::take(&mut self.shared.state().changed)
    }

    /// Waits until something has changed.
    pub(crate) async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Whether everything has been listed that can be.
    pub(crate) fn are_settled(&self) -> bool {
        self.shared.state().unsettled.is_empty()
    }

    /// Whether anything but the pods themselves may ask for them.
    pub(crate) fn is_any_followed(&self) -> bool {
        !self.shared.resources.is_empty()
    }
}

// === impl Shared ===

impl Shared {
    /// Who panics while holding it leaves a state that is whole or as good as one of a moment before.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, resource: Followed) {
        self.state().unsettled.remove(&resource);
        self.changed.notify_one();
    }
}

// === impl Followed ===

impl Followed {
    fn resource(self) -> Resource {
        match self {
            Self::Services => Resource::new("services", ""),
            Self::EndpointSlices => Resource::new("endpointslices", "discovery.k8s.io"),
        }
    }
}

// === impl StateSink ===

impl<T: Kept> Sink<Reduced<T>> for StateSink<T> {
    fn begin(&mut self) {
        self.listed = Some(HashMap::new());
    }

    fn put(&mut self, object: Reduced<T>) {
        let Some(key) = key(&object.metadata) else { return };
        match (object.wanted, &mut self.listed) {
            (Ok(wanted), Some(listed)) => drop(listed.insert(key, wanted)),
            (Ok(wanted), None) => {
                T::change(&mut self.shared.state(), key, Some(wanted));
                self.shared.changed.notify_one();
            }
            (Err(error), _) => {
                let resource = T::FOLLOWED.resource();
                warn!(%resource, object = %key, error = tame(&error), "passed over an object that cannot be decoded");
            }
        }
    }

    fn end(&mut self, _served: &ApiResource) {
        T::replace(&mut self.shared.state(), self.listed.take().unwrap_or_default());
        self.shared.settle(T::FOLLOWED);
    }

    fn remove(&mut self, object: &Reduced<T>) {
        if let Some(key) = key(&object.metadata) {
            T::change(&mut self.shared.state(), key, None);
            self.shared.changed.notify_one();
        }
    }

    fn unavailable(&mut self, _why: &str) {
        self.shared.settle(T::FOLLOWED);
    }

    fn absent(&mut self, _why: &str) {
        T::replace(&mut self.shared.state(), HashMap::new());
        self.shared.settle(T::FOLLOWED);
    }
}

fn key(metadata: &ObjectMeta) -> Option<Key> {
    Some(Key::new(metadata.namespace.as_deref()?, metadata.name.as_deref()?))
}

#[cfg(test)]
mod tests;
