//! The pods of one namespace, by name and by label.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::{Pod, PodLabels};

/// The pods of a namespace. Names are sorted so that answers are.
#[derive(Debug, Default)]
pub(crate) struct Namespace {
    by_name: BTreeMap<Arc<str>, Arc<Pod>>,
    /// By key, so that whoever picks a few by label need not look at all of them.
    by_label: HashMap<Box<str>, ByValue>,
}

/// Labels that tell apart pods of one workload, or its revisions: nobody selects by them who wants the workload.
const OWN_LABELS: [&str; 6] = [
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/job-completion-index",
    "controller-revision-hash",
    "pod-template-generation",
    "pod-template-hash",
    "statefulset.kubernetes.io/pod-name",
];

/// Pods that are looked at for one of the same workload, at most.
const LOOKS: usize = 16;

/// Value -> the pods with that label, sorted by name. In vectors, because then a label of a pod takes a pointer and no
/// more; putting one in its place moves the rest, which costs microseconds even among ten thousand.
type ByValue = HashMap<Box<str>, Vec<Arc<Pod>>>;

// === impl Namespace ===

impl Namespace {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Pod>> {
        self.by_name.get(name)
    }

    /// Every pod, sorted by name.
    pub(crate) fn pods(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.by_name.values()
    }

    /// The pods that have a label which the fewest have, of these `labels`, sorted by name; every pod if there are no
    /// labels.
    pub(crate) fn candidates<'a>(
        &self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> impl Iterator<Item = &Arc<Pod>> {
        let with = |(key, value)| {
            self.by_label.get(key).and_then(|values| values.get(value)).map_or(&[][..], Vec::as_slice)
        };
        let fewest = labels.map(with).min_by_key(|pods| pods.len());
        let all = fewest.is_none().then(|| self.pods());
        fewest.into_iter().flatten().chain(all.into_iter().flatten())
    }

    /// A pod with targets whose labels are the same as these, but for those that are a pod's own: whoever selects it, selects
    /// the other one as well.
    pub(crate) fn sibling(&self, labels: &PodLabels) -> Option<&Arc<Pod>> {
        let wanted = || shared(labels);
        let mut candidates = self.candidates(wanted()).take(LOOKS);
        candidates.find(|pod| !pod.targets().is_empty() && shared(&pod.labels).eq(wanted()))
    }

    /// Puts a pod in the place of the one of its name.
    pub(crate) fn insert(&mut self, pod: Arc<Pod>) {
        self.remove(&pod.key.name);
        for (key, value) in pod.labels.iter() {
            let pods = self.by_label.entry(key.into()).or_default().entry(value.into()).or_default();
            let place = pods.partition_point(|other| other.key.name < pod.key.name);
            pods.insert(place, Arc::clone(&pod));
        }
        self.by_name.insert(Arc::clone(&pod.key.name), pod);
    }

    /// Takes out the pod of this name.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Arc<Pod>> {
        let pod = self.by_name.remove(name)?;
        for (key, value) in pod.labels.iter() {
            let Some(values) = self.by_label.get_mut(key) else { continue };
            let Some(pods) = values.get_mut(value) else { continue };
            if let Ok(place) = pods.binary_search_by(|other| (*other.key.name).cmp(name)) {
                pods.remove(place);
            }
            if pods.is_empty() {
                values.remove(value);
            }
            if values.is_empty() {
                self.by_label.remove(key);
            }
        }
        Some(pod)
    }
}

fn shared(labels: &PodLabels) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().filter(|(key, _)| !OWN_LABELS.contains(key))
}
