//! The one who knows which pods exist.

use std::{collections::HashSet, sync::Arc};

use crate::{
    Endpoint, Pod, PodKey, PodLabels, Recorder, Scrapeable, Target, TargetId, WhyNot, namespace::Namespace,
    registry::Registry,
};

/// Follows the cluster's pods. There is one for each store.
#[derive(Debug)]
pub struct Writer {
    registry: Arc<Registry>,
    next_id: u64,
}

/// A pod as the cluster describes it now.
#[derive(Clone, Debug)]
pub struct PodUpdate {
    /// Namespace and name.
    pub key: PodKey,
    /// The object's uid.
    pub uid: Box<str>,
    /// Its labels.
    pub labels: PodLabels,
    /// The node that it runs on, if it has one.
    pub node: Option<Arc<str>>,
    /// Where it serves pages, or why it is not scraped.
    pub endpoints: Result<Vec<Endpoint>, WhyNot>,
}

/// What an update did to the set of targets.
#[derive(Debug, Default)]
pub struct Change {
    /// New targets, each with the one who records it.
    pub started: Vec<Recorder>,
    /// Targets that are gone. Whoever scrapes them stops and lets go of them.
    pub stopped: Vec<TargetId>,
}

// === impl Writer ===

impl Writer {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry, next_id: 0 }
    }

    /// Takes in a pod that is new or has changed. Endpoints that the same pod (by uid) already had keep
    /// their pages.
    pub fn apply(&mut self, update: PodUpdate) -> Change {
        let mut change = Change::default();
        let registry = Arc::clone(&self.registry);
        let mut pods = registry.pods_mut();
        let namespace = pods.entry(Arc::clone(&update.key.namespace)).or_default();
        let old = namespace.get(&update.key.name).cloned();
        let kept: &[Arc<Target>] =
            old.as_ref().filter(|old| old.uid == update.uid).map_or(&[], |old| old.targets());
        // Whoever reads the other pods of its workload will read this one, too.
        let sibling = || namespace.sibling(&update.labels).and_then(|pod| pod.targets().first());
        let scrapeable = match update.endpoints {
            Ok(endpoints) if endpoints.is_empty() => Scrapeable::No(WhyNot::NoPort),
            Ok(endpoints) => Scrapeable::Targets(
                endpoints
                    .into_iter()
                    .map(|endpoint| match kept.iter().find(|target| *target.endpoint() == endpoint) {
                        Some(target) => Arc::clone(target),
                        None => self.start(&update.key, endpoint, sibling(), &mut change),
                    })
                    .collect(),
            ),
            Err(why) => Scrapeable::No(why),
        };
        let pod = Arc::new(Pod {
            key: update.key,
            uid: update.uid,
            labels: update.labels,
            node: update.node,
            scrapeable,
        });
        let current: HashSet<TargetId> = pod.targets().iter().map(|target| target.id()).collect();
        if let Some(old) = &old {
            change.stopped.extend(old.targets().iter().map(|t| t.id()).filter(|id| !current.contains(id)));
        }
        namespace.insert(pod);
        change
    }

    /// Forgets a pod and everything read from it. A pod of that name with another uid stays.
    pub fn remove(&mut self, key: &PodKey, uid: &str) -> Change {
        let mut pods = self.registry.pods_mut();
        let Some(namespace) = pods.get_mut(&key.namespace) else { return Change::default() };
        if namespace.get(&key.name).is_none_or(|pod| &*pod.uid != uid) {
            return Change::default();
        }
        let removed = namespace.remove(&key.name);
        if namespace.is_empty() {
            pods.remove(&key.namespace);
        }
        Change::stopped(removed.iter())
    }

    /// Forgets every pod whose key is not in `listed`: what a complete list of pods means.
    pub fn retain(&mut self, listed: &HashSet<PodKey>) -> Change {
        let mut pods = self.registry.pods_mut();
        let gone: Vec<Arc<Pod>> = pods
            .values()
            .flat_map(Namespace::pods)
            .filter(|pod| !listed.contains(&pod.key))
            .cloned()
            .collect();
        for pod in &gone {
            if let Some(namespace) = pods.get_mut(&pod.key.namespace) {
                namespace.remove(&pod.key.name);
            }
        }
        pods.retain(|_, namespace| !namespace.is_empty());
        Change::stopped(gone.iter())
    }

    fn start(
        &mut self,
        pod: &PodKey,
        endpoint: Endpoint,
        sibling: Option<&Arc<Target>>,
        change: &mut Change,
    ) -> Arc<Target> {
        self.next_id += 1;
        let target = Target::new(TargetId(self.next_id), pod.clone(), endpoint, Arc::clone(&self.registry));
        if let Some(sibling) = sibling {
            target.read_like(sibling);
        }
        change.started.push(Recorder::new(Arc::clone(&target)));
        target
    }
}

// === impl Change ===

impl Change {
    fn stopped<'a>(pods: impl Iterator<Item = &'a Arc<Pod>>) -> Self {
        let stopped = pods.flat_map(|pod| pod.targets()).map(|target| target.id()).collect();
        Self { started: Vec::new(), stopped }
    }
}
