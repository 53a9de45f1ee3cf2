//! Which pods count.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::metrics::PodMetric;
use crate::pod::Pod;
use crate::time::Time;

/// When a pod's CPU counts: a pod that starts up burns CPU that says nothing about load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuReadiness {
    /// For so long after its start, a pod counts only while it is Ready, and with samples of after it became
    /// so.
    pub initialization_period: Duration,
    /// After that, a pod that is not Ready does not count if it last changed within so long of its start.
    pub initial_readiness_delay: Duration,
    /// The time of the decision.
    pub now: Time,
}

/// Pods by what their metrics are good for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Groups<'a> {
    /// How many count.
    pub(super) ready: usize,
    /// Pending, or not good enough for CPU.
    pub(super) unready: Vec<&'a str>,
    /// Without a metric.
    pub(super) missing: Vec<&'a str>,
    /// Failed or being deleted.
    pub(super) ignored: Vec<&'a str>,
}

/// Sorts the pods; `cpu` only for that resource.
pub(super) fn group<'a>(
    pods: &[&'a Pod],
    metrics: &BTreeMap<String, PodMetric>,
    cpu: Option<CpuReadiness>,
) -> Groups<'a> {
    let mut groups = Groups::default();
    for pod in pods {
        let name = pod.metadata.name.as_str();
        if pod.metadata.deletion_timestamp.is_some() || pod.status.phase == "Failed" {
            groups.ignored.push(name);
        } else if pod.status.phase == "Pending" {
            groups.unready.push(name);
        } else if let Some(metric) = metrics.get(name) {
            if cpu.is_some_and(|cpu| cpu.is_unready(pod, metric)) {
                groups.unready.push(name);
            } else {
                groups.ready += 1;
            }
        } else {
            groups.missing.push(name);
        }
    }
    groups
}

// === impl CpuReadiness ===

impl CpuReadiness {
    fn is_unready(self, pod: &Pod, metric: &PodMetric) -> bool {
        let (Some(ready), Some(started)) = (pod.ready_condition(), pod.status.start_time) else {
            return true;
        };
        let changed = ready.last_transition_time.unwrap_or_default();
        let is_false = ready.status == "False";
        if started.plus(self.initialization_period) > self.now {
            is_false || metric.timestamp < changed.plus(metric.window)
        } else {
            is_false && started.plus(self.initial_readiness_delay) > changed
        }
    }
}
