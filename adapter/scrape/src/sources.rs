//! What asks for pods besides the pods themselves: annotated Services, PodMonitors and ServiceMonitors.
//!
//! A Service stands for the pods that its EndpointSlices name: they say which pods and which of their ports a Service leads
//! to, whether it has a selector or not. Of a slice only references to pods of its own namespace count, and of those only the
//! names and ports: the address that is asked is the one of the pod's own status.
//!
//! Monitors are heard in their own namespace, and elsewhere only from namespaces that the operator names: who may write
//! monitors in one namespace shall not decide what is read of pods in another.
//!
//! Whoever follows these objects keeps the state here up to date; discovery asks which pods something changed for and what
//! asks for them now.

mod endpoint;
mod label_selector;
mod monitor;
mod monitors;
mod service;
mod sink;
mod slice;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::Client;
use podgauge_objects::{Resource, follow};
use podgauge_store::{PodKey, WhyNot};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};
use tokio::{sync::Notify, task::JoinSet};

pub(crate) use self::monitor::Settings;
use self::{
    monitor::{PodMonitor, ServiceMonitor},
    monitors::Monitors,
    service::Service,
    sink::{Kept, StateSink},
    slice::Slice,
};
use crate::{
    ask::{Ask, Whose},
    config::Source,
    pace::paced,
    pod::Facts,
};

/// What asks for pods. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// Pods are asked what they ask for themselves.
    pods: bool,
    /// So are Services.
    services: bool,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The resources that are followed.
    resources: BTreeSet<Followed>,
    state: Mutex<State>,
    changed: Notify,
}

/// The resources that can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Followed {
    Services,
    EndpointSlices,
    PodMonitors,
    ServiceMonitors,
}

/// Which pods something changed for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// For all that there are, perhaps.
    pub(crate) everything: bool,
    /// For all of these namespaces, perhaps.
    pub(crate) namespaces: HashSet<Arc<str>>,
    pub(crate) pods: HashSet<PodKey>,
}

#[derive(Debug)]
struct State {
    settings: Settings,
    /// Resources that were neither listed so far nor said to be unavailable.
    unsettled: BTreeSet<Followed>,
    changed: Changed,
    services: HashMap<Key, Service>,
    slices: HashMap<Key, Slice>,
    /// The slices that name a pod.
    by_pod: HashMap<PodKey, Vec<Key>>,
    pod_monitors: Monitors,
    service_monitors: Monitors,
}

/// The most that is heard of what asks for one pod: each Service in front of it may be asked for by each monitor.
const ASKS: usize = 1_000;

/// An object's namespace and name.
type Key = PodKey;

// === impl Sources ===

impl Sources {
    pub(crate) fn new(sources: &[Source], settings: Settings) -> Self {
        let resources: BTreeSet<Followed> =
            sources.iter().flat_map(|source| Followed::for_source(*source)).copied().collect();
        let state = State {
            settings,
            unsettled: resources.clone(),
            changed: Changed::default(),
            services: HashMap::new(),
            slices: HashMap::new(),
            by_pod: HashMap::new(),
            pod_monitors: Monitors::default(),
            service_monitors: Monitors::default(),
        };
        let shared = Shared { resources, state: Mutex::new(state), changed: Notify::new() };
        Self {
            pods: sources.contains(&Source::Pods),
            services: sources.contains(&Source::Services),
            shared: Arc::new(shared),
        }
    }

    /// Follows for ever what asks for pods, as far as it is to be followed.
    pub(crate) fn spawn(&self, client: &Client, namespace: Option<&str>) -> JoinSet<()> {
        let mut loops = JoinSet::new();
        for resource in &self.shared.resources {
            match resource {
                Followed::Services => self.spawn_one::<Service>(&mut loops, client, namespace),
                Followed::EndpointSlices => self.spawn_one::<Slice>(&mut loops, client, namespace),
                Followed::PodMonitors => self.spawn_one::<PodMonitor>(&mut loops, client, namespace),
                Followed::ServiceMonitors => self.spawn_one::<ServiceMonitor>(&mut loops, client, namespace),
            }
        }
        loops
    }

    fn spawn_one<T: Kept>(&self, loops: &mut JoinSet<()>, client: &Client, namespace: Option<&str>) {
        let sink = StateSink::<T>::new(Arc::clone(&self.shared));
        let (client, namespace) = (paced(client.clone()), namespace.map(ToOwned::to_owned));
        let resource = T::FOLLOWED.resource();
        loops.spawn(async move {
            follow(client, resource, namespace, sink).await;
        });
    }

    /// What asks for a pod, the most specific first.
    pub(crate) fn asks(&self, key: &PodKey, pod: &Facts) -> Vec<Result<Ask, WhyNot>> {
        let state = self.shared.state();
        let monitors = state.asks_of_pod_monitors(key, pod).chain(state.asks_of_service_monitors(key, pod));
        let annotated = || Ask::annotated(Whose::Pod, &pod.annotations, &pod.tcp_ports);
        let own = self.pods.then(annotated).flatten();
        // A pod's own "false" is more specific than its Service's "true".
        let are_heard = self.services && pod.annotations.scrape.as_deref() != Some("false");
        let services = are_heard.then(|| state.asks_of_services(key)).into_iter().flatten();
        let mut all = monitors.chain(own).chain(services);
        let mut asks: Vec<_> = all.by_ref().take(ASKS).collect();
        if all.next().is_some() {
            let what = format!(
                "more than {ASKS} endpoints of monitors and Services ask for it; those beyond are passed over"
            );
            asks.push(Err(WhyNot::BadMonitor(what.into())));
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
            Self::PodMonitors => Resource::new("podmonitors", "monitoring.coreos.com"),
            Self::ServiceMonitors => Resource::new("servicemonitors", "monitoring.coreos.com"),
        }
    }

    /// What has to be followed to know what a source asks for.
    fn for_source(source: Source) -> &'static [Self] {
        match source {
            Source::Pods => &[],
            Source::Services => &[Self::Services, Self::EndpointSlices],
            Source::PodMonitors => &[Self::PodMonitors],
            Source::ServiceMonitors => &[Self::ServiceMonitors, Self::Services, Self::EndpointSlices],
        }
    }

    /// The field of a monitor that has its endpoints.
    fn endpoints(self) -> &'static str {
        match self {
            Self::PodMonitors => "podMetricsEndpoints",
            Self::Services | Self::EndpointSlices | Self::ServiceMonitors => "endpoints",
        }
    }
}

// === impl Changed ===

impl Changed {
    /// Something changed for whatever a monitor may select.
    fn in_reach_of(&mut self, monitor: &Key, settings: &Settings) {
        if settings.trusts(&monitor.namespace) {
            self.everything = true;
        } else {
            self.namespaces.insert(Arc::clone(&monitor.namespace));
        }
    }
}

/// Tells how many monitors there are whenever somebody asks.
impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (pods, services) = {
            let state = self.shared.state();
            (state.pod_monitors.counts(), state.service_monitors.counts())
        };
        let gauges = [
            ("monitors", "PodMonitors and ServiceMonitors that are heard", pods.0 + services.0),
            (
                "monitors_with_problems",
                "Those that are not kept in full; the log says why",
                pods.1 + services.1,
            ),
        ];
        for (name, help, value) in gauges {
            let encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(encoder)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
