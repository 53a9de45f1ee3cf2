//! The monitors of one kind that are known, and what they ask for.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use podgauge_store::{PodKey, PodLabels, WhyNot};
use serde_json::Value;
use tracing::warn;

use super::{
    Changed, Followed, Key, State,
    endpoint::{MonitorEndpoint, Port},
    monitor::{Monitor, PodMonitor, ServiceMonitor, Settings},
    sink::Kept,
    slice::Slice,
};
use crate::{ask::Ask, pod::Facts, relabel::RegexRoom, text::quoted};

/// Monitors of one kind.
#[derive(Debug, Default)]
pub(super) struct Monitors {
    by_key: BTreeMap<Key, Monitor>,
    /// There were more than may be.
    is_full: bool,
}

// === impl Monitors ===

impl Monitors {
    /// How many there are, and how many of them are not kept in full.
    pub(super) fn counts(&self) -> (usize, usize) {
        let with_problems = self.by_key.values().filter(|monitor| !monitor.problems.is_empty());
        (self.by_key.len(), with_problems.count())
    }

    /// What is not kept, of all of them.
    #[cfg(test)]
    pub(super) fn problems(&self) -> impl Iterator<Item = &str> {
        self.by_key.values().flat_map(|monitor| &monitor.problems).map(String::as_str)
    }

    /// Those that may select something in `namespace`: its own first.
    fn heard_in<'a>(
        &'a self,
        namespace: &'a Arc<str>,
        settings: &'a Settings,
    ) -> impl Iterator<Item = (&'a Key, &'a Monitor)> {
        let near = self.of(Arc::clone(namespace));
        let is_far =
            move |(key, _): &(&Key, _)| key.namespace != *namespace && settings.trusts(&key.namespace);
        let far = (!settings.trusted.is_empty()).then(|| self.by_key.iter().filter(is_far));
        near.chain(far.into_iter().flatten())
    }

    fn of(&self, namespace: Arc<str>) -> impl Iterator<Item = (&Key, &Monitor)> {
        let first = Key { namespace: Arc::clone(&namespace), name: "".into() };
        self.by_key.range(first..).take_while(move |(key, _)| key.namespace == namespace)
    }

    fn replace(
        &mut self,
        kind: Followed,
        all: impl IntoIterator<Item = (Key, Value)>,
        settings: &Settings,
        changed: &mut Changed,
    ) {
        self.is_full = false;
        let mut gone = std::mem::take(&mut self.by_key);
        let mut all: Vec<(Key, Value)> = all.into_iter().collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (key, spec) in all {
            // What stays as it was is not read again, and nobody hears of its problems again.
            if let Some(known) = gone.remove(&key) {
                self.by_key.insert(key.clone(), known);
            }
            self.put(kind, key, &spec, settings, changed);
        }
        gone.into_keys().for_each(|key| changed.in_reach_of(&key, settings));
    }

    fn put(&mut self, kind: Followed, key: Key, spec: &Value, settings: &Settings, changed: &mut Changed) {
        match self.by_key.get(&key) {
            Some(known) if known.is_of(spec) => return,
            None if !self.has_room(&key, settings) => {
                if !std::mem::replace(&mut self.is_full, true) {
                    let resource = kind.resource();
                    warn!(%resource, monitor = %key, limit = settings.monitors, "there are more monitors than --monitor-limit, or than its quarter in one namespace; those beyond are passed over");
                }
                return;
            }
            _ => {}
        }
        changed.in_reach_of(&key, settings);
        let room = self.regex_room(&key, settings);
        let monitor = Monitor::read(spec, kind.endpoints(), &key.namespace, settings, room);
        for problem in &monitor.problems {
            let resource = kind.resource();
            warn!(%resource, monitor = %key, problem, "a monitor is not kept in full");
        }
        self.by_key.insert(key, monitor);
    }

    /// Whether one more may be heard.
    fn has_room(&self, key: &Key, settings: &Settings) -> bool {
        let near = self.of(Arc::clone(&key.namespace)).count();
        self.by_key.len() < settings.monitors && near < settings.share(&key.namespace, settings.monitors)
    }

    /// What the others leave for a monitor's regular expressions.
    fn regex_room(&self, key: &Key, settings: &Settings) -> RegexRoom {
        let taken = |others: &mut dyn Iterator<Item = (&Key, &Monitor)>| {
            others.filter(|(other, _)| *other != key).map(|(_, monitor)| monitor.regex_bytes).sum()
        };
        let (all, near): (usize, usize) =
            (taken(&mut self.by_key.iter()), taken(&mut self.of(Arc::clone(&key.namespace))));
        let most = settings.regexes_bytes;
        let left = most.saturating_sub(all).min(settings.share(&key.namespace, most).saturating_sub(near));
        RegexRoom::new(settings.regex_bytes, left)
    }

    fn remove(&mut self, key: &Key, settings: &Settings, changed: &mut Changed) {
        if self.by_key.remove(key).is_some() {
            changed.in_reach_of(key, settings);
        }
    }
}

/// As many as may be and one more, so that it is noticed. No namespace may take all, or those listed after it had none.
fn room(settings: &Settings, namespace: &str) -> (usize, usize) {
    let most = settings.monitors;
    (most.saturating_add(1), settings.share(namespace, most).saturating_add(1))
}

// === impl PodMonitor, ServiceMonitor ===

impl Kept for PodMonitor {
    const FOLLOWED: Followed = Followed::PodMonitors;

    fn room(settings: &Settings, namespace: &str) -> (usize, usize) {
        room(settings, namespace)
    }

    fn replace(state: &mut State, all: HashMap<Key, Self>) {
        let all = all.into_iter().map(|(key, monitor)| (key, monitor.0));
        state.pod_monitors.replace(Self::FOLLOWED, all, &state.settings, &mut state.changed);
    }

    fn change(state: &mut State, key: Key, monitor: Option<Self>) {
        let State { pod_monitors, settings, changed, .. } = state;
        match monitor {
            Some(Self(spec)) => pod_monitors.put(Self::FOLLOWED, key, &spec, settings, changed),
            None => pod_monitors.remove(&key, settings, changed),
        }
    }
}

impl Kept for ServiceMonitor {
    const FOLLOWED: Followed = Followed::ServiceMonitors;

    fn room(settings: &Settings, namespace: &str) -> (usize, usize) {
        room(settings, namespace)
    }

    fn replace(state: &mut State, all: HashMap<Key, Self>) {
        let all = all.into_iter().map(|(key, monitor)| (key, monitor.0));
        state.service_monitors.replace(Self::FOLLOWED, all, &state.settings, &mut state.changed);
    }

    fn change(state: &mut State, key: Key, monitor: Option<Self>) {
        let State { service_monitors, settings, changed, .. } = state;
        match monitor {
            Some(Self(spec)) => service_monitors.put(Self::FOLLOWED, key, &spec, settings, changed),
            None => service_monitors.remove(&key, settings, changed),
        }
    }
}

// === impl State ===

impl State {
    /// What PodMonitors ask for.
    pub(super) fn asks_of_pod_monitors<'a>(
        &'a self,
        key: &'a PodKey,
        pod: &'a Facts,
    ) -> impl Iterator<Item = Result<Ask, WhyNot>> + 'a {
        let monitors = self.pod_monitors.heard_in(&key.namespace, &self.settings);
        let monitors = selecting(monitors, key, &pod.labels, &self.settings);
        monitors.flat_map(move |(monitor, found)| {
            found.endpoints.iter().map(move |endpoint| ask("PodMonitor", monitor, endpoint, pod, None))
        })
    }

    /// What ServiceMonitors ask for of the pods behind Services.
    pub(super) fn asks_of_service_monitors<'a>(
        &'a self,
        key: &'a PodKey,
        pod: &'a Facts,
    ) -> impl Iterator<Item = Result<Ask, WhyNot>> + 'a {
        self.in_front_of(key).flat_map(move |(service, found, slice)| {
            let monitors = self.service_monitors.heard_in(&service.namespace, &self.settings);
            let monitors = selecting(monitors, service, &found.labels, &self.settings);
            monitors.flat_map(move |(monitor, found)| {
                let endpoints = found.endpoints.iter();
                endpoints.map(move |endpoint| ask("ServiceMonitor", monitor, endpoint, pod, Some(slice)))
            })
        })
    }
}

fn selecting<'a>(
    monitors: impl Iterator<Item = (&'a Key, &'a Monitor)>,
    selected: &'a Key,
    labels: &'a PodLabels,
    settings: &'a Settings,
) -> impl Iterator<Item = (&'a Key, &'a Monitor)> {
    monitors
        .filter(move |(key, monitor)| monitor.selects(&key.namespace, &selected.namespace, labels, settings))
}

/// What an endpoint of a monitor asks of a pod, behind a Service if there is a slice.
fn ask(
    kind: &str,
    monitor: &Key,
    endpoint: &Result<MonitorEndpoint, Box<str>>,
    pod: &Facts,
    slice: Option<&Slice>,
) -> Result<Ask, WhyNot> {
    let refuse = |why: &str| WhyNot::BadMonitor(format!("its {kind} {monitor} cannot be kept: {why}").into());
    let endpoint = endpoint.as_ref().map_err(|why| refuse(why))?;
    let ports = match (&endpoint.port, slice) {
        (Port::All, None) => pod.tcp_ports.clone(),
        (Port::All, Some(slice)) => slice.tcp_ports(),
        (Port::Named(name), Some(slice)) => slice.port(name).into_iter().collect(),
        (Port::Named(name), None) | (Port::OfPod(name), _) => pod.port(name).into_iter().collect(),
        (Port::Number(number), _) => vec![*number],
    };
    if let (true, Port::Named(name) | Port::OfPod(name)) = (ports.is_empty(), &endpoint.port) {
        return Err(refuse(&format!("there is no TCP port {}", quoted(name))));
    }
    Ok(Ask { scheme: endpoint.scheme, path: endpoint.path.clone(), ports, terms: endpoint.terms.clone() })
}
