//! Averages over pods: Pods metrics, and resources with a target `averageValue` (`calcPlainMetricReplicas`).

use std::collections::BTreeMap;

use super::group::group;
use super::{CpuReadiness, Proposal, ReplicasError, Tolerances, ceiling, count, double, settle};
use crate::metrics::PodMetric;
use crate::pod::Pod;

/// How many replicas bring the average over pods to `target`, in thousandths.
///
/// `pods` are those that the scale's selector matches. Metrics of other pods are not told apart: they count.
///
/// # Errors
/// When there is no pod, or no metric of a pod that counts.
pub fn plain(
    metrics: &BTreeMap<String, PodMetric>,
    pods: &[&Pod],
    current: i32,
    target: i64,
    tolerances: Tolerances,
    cpu: Option<CpuReadiness>,
) -> Result<Proposal, ReplicasError> {
    if pods.is_empty() {
        return Err(ReplicasError::NoPods);
    }
    let groups = group(pods, metrics, cpu);
    let mut values: BTreeMap<&str, i64> =
        metrics.iter().map(|(name, metric)| (name.as_str(), metric.value)).collect();
    for name in groups.ignored.iter().chain(&groups.unready) {
        values.remove(name);
    }
    let usage = average(&values).ok_or(ReplicasError::NoMetrics)?;
    let ratio = double(usage) / double(target);
    let proposal = |replicas| Ok(Proposal { replicas, usage });

    let up_with_unready = !groups.unready.is_empty() && ratio > 1.0;
    if groups.missing.is_empty() && !up_with_unready {
        let within = tolerances.contain(ratio);
        return proposal(if within { current } else { ceiling(ratio * count(groups.ready)) });
    }
    // What is not known is taken to be what changes least.
    if ratio < 1.0 {
        values.extend(groups.missing.iter().map(|name| (*name, target)));
    } else if ratio > 1.0 {
        values.extend(groups.missing.iter().map(|name| (*name, 0)));
    }
    if up_with_unready {
        values.extend(groups.unready.iter().map(|name| (*name, 0)));
    }
    let filled = double(average(&values).unwrap_or(usage)) / double(target);
    proposal(settle(current, ratio, filled, values.len(), tolerances))
}

/// The truncated average; none of nothing.
fn average(values: &BTreeMap<&str, i64>) -> Option<i64> {
    let sum = values.values().fold(0i64, |sum, value| sum.wrapping_add(*value));
    sum.checked_div(i64::try_from(values.len()).unwrap_or(i64::MAX))
}
