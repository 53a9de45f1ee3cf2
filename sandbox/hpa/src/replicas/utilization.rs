//! Resources against what pods request (`GetResourceReplicas`).

use std::collections::BTreeMap;

use super::group::group;
use super::{CpuReadiness, Proposal, ReplicasError, Tolerances, ceiling, count, settle};
use crate::metrics::PodMetric;
use crate::pod::Pod;

/// How many replicas a utilisation asks for, and what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utilization {
    /// The replicas, and the average over pods in thousandths.
    pub proposal: Proposal,
    /// Percent of the requests, truncated.
    pub percent: i32,
}

/// How many replicas bring the utilisation of `resource` to `target` percent of the requests.
///
/// # Errors
/// When there is no pod or no metric of a pod that counts, or a pod does not say what it requests.
#[expect(clippy::too_many_arguments, reason = "each is one fact of one decision")]
pub fn utilization(
    metrics: &BTreeMap<String, PodMetric>,
    pods: &[&Pod],
    current: i32,
    target: i32,
    resource: &str,
    container: Option<&str>,
    tolerances: Tolerances,
    cpu: Option<CpuReadiness>,
) -> Result<Utilization, ReplicasError> {
    if pods.is_empty() {
        return Err(ReplicasError::NoPods);
    }
    let groups = group(pods, metrics, cpu);
    let mut values: BTreeMap<&str, i64> =
        metrics.iter().map(|(name, metric)| (name.as_str(), metric.value)).collect();
    for name in groups.ignored.iter().chain(&groups.unready) {
        values.remove(name);
    }
    if values.is_empty() {
        return Err(ReplicasError::NoMetrics);
    }
    let mut requests = BTreeMap::new();
    for pod in pods {
        let request = pod.request(resource, container).map_err(ReplicasError::Request)?;
        requests.insert(pod.metadata.name.as_str(), request);
    }
    let measured = Measured::of(&values, &requests)?;
    let ratio = measured.ratio(target);
    let result = |replicas| {
        Ok(Utilization {
            proposal: Proposal { replicas, usage: measured.average },
            percent: measured.percent,
        })
    };

    let up_with_unready = !groups.unready.is_empty() && ratio > 1.0;
    if groups.missing.is_empty() && !up_with_unready {
        let within = tolerances.contain(ratio);
        return result(if within { current } else { ceiling(ratio * count(groups.ready)) });
    }
    if ratio < 1.0 {
        // All of its request, or the target if that is more.
        let percent = i64::from(target.max(100));
        let all = |name: &str| requests.get(name).map_or(0, |request| request.wrapping_mul(percent) / 100);
        values.extend(groups.missing.iter().map(|name| (*name, all(name))));
    } else if ratio > 1.0 {
        values.extend(groups.missing.iter().map(|name| (*name, 0)));
    }
    if up_with_unready {
        values.extend(groups.unready.iter().map(|name| (*name, 0)));
    }
    let filled = Measured::of(&values, &requests)?.ratio(target);
    result(settle(current, ratio, filled, values.len(), tolerances))
}

/// Usage against requests, over the pods that have both.
#[derive(Clone, Copy)]
struct Measured {
    percent: i32,
    average: i64,
}

// === impl Measured ===

impl Measured {
    fn of(values: &BTreeMap<&str, i64>, requests: &BTreeMap<&str, i64>) -> Result<Self, ReplicasError> {
        let (mut used, mut requested, mut entries) = (0i64, 0i64, 0i64);
        for (name, value) in values {
            if let Some(request) = requests.get(name) {
                used = used.wrapping_add(*value);
                requested = requested.wrapping_add(*request);
                entries += 1;
            }
        }
        let percent = used.wrapping_mul(100).checked_div(requested).ok_or(ReplicasError::NoRequests)?;
        #[expect(clippy::cast_possible_truncation, reason = "upstream keeps the low 32 bits")]
        let percent = percent as i32;
        Ok(Self { percent, average: used.checked_div(entries).ok_or(ReplicasError::NoRequests)? })
    }

    fn ratio(self, target: i32) -> f64 {
        f64::from(self.percent) / f64::from(target)
    }
}
