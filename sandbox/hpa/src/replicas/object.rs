//! Numbers that are not of pods: Object and External metrics.
//!
//! Pods without metrics play no part here. Against a `Value`, the replicas that the scale wants and the pods
//! that are ready decide; against an `AverageValue`, the replicas that the scale has.

use super::{Proposal, ReplicasError, Tolerances, capped_ceiling, ceiling, double, ready_pods};
use crate::pod::Pod;

/// Replicas for the `value` of an object, both in thousandths (`GetObjectMetricReplicas`).
///
/// # Errors
/// When there is no pod.
pub fn object_value(
    usage: i64,
    pods: &[&Pod],
    current: i32,
    target: i64,
    tolerances: Tolerances,
) -> Result<Proposal, ReplicasError> {
    let ratio = double(usage) / double(target);
    let replicas = match current {
        // From nothing there is no count of pods to multiply, and no tolerance.
        0 => ceiling(ratio),
        _ if tolerances.contain(ratio) => current,
        _ => capped_ceiling(ratio * ready_pods(pods)?),
    };
    Ok(Proposal { replicas, usage })
}

/// Replicas for the `averageValue` of an object, both in thousandths (`GetObjectPerPodMetricReplicas`).
///
/// `replicas` is the scale's `status.replicas`. A number too large for an `int32` is not capped.
#[must_use]
pub fn object_average(usage: i64, replicas: i32, target: i64, tolerances: Tolerances) -> Proposal {
    let within = is_average_within(usage, replicas, target, tolerances);
    Proposal {
        replicas: if within { replicas } else { ceiling(double(usage) / double(target)) },
        usage: per_replica(usage, replicas),
    }
}

/// Replicas for the sum of an external metric against a `value`, in thousandths
/// (`GetExternalMetricReplicas`).
///
/// # Errors
/// When there is no pod.
pub fn external_value(
    values: &[i64],
    pods: &[&Pod],
    current: i32,
    target: i64,
    tolerances: Tolerances,
) -> Result<Proposal, ReplicasError> {
    let mut sum = 0i64;
    for value in values {
        match sum.checked_add(*value) {
            None if *value > 0 => {
                sum = i64::MAX;
                break;
            }
            _ => sum = sum.wrapping_add(*value),
        }
    }
    object_value(sum, pods, current, target, tolerances)
}

/// Replicas for the sum of an external metric against an `averageValue` (`GetExternalPerPodMetricReplicas`).
///
/// A sum that turns negative is taken for an overflow, even when it was a negative value that made it so.
#[must_use]
pub fn external_average(values: &[i64], replicas: i32, target: i64, tolerances: Tolerances) -> Proposal {
    let mut sum = 0i64;
    for value in values {
        sum = sum.wrapping_add(*value);
        if sum < 0 {
            sum = i64::MAX;
            break;
        }
    }
    let within = is_average_within(sum, replicas, target, tolerances);
    Proposal {
        replicas: if within { replicas } else { capped_ceiling(double(sum) / double(target)) },
        usage: if double(sum) >= double(i64::MAX) { i64::MAX } else { per_replica(sum, replicas) },
    }
}

fn is_average_within(usage: i64, replicas: i32, target: i64, tolerances: Tolerances) -> bool {
    tolerances.contain(double(usage) / (double(target) * f64::from(replicas)))
}

/// Go's `int64(math.Ceil(...))` on amd64: what fits no `int64`, as a division by no replicas gives, is the
/// smallest one.
fn per_replica(usage: i64, replicas: i32) -> i64 {
    let average = (double(usage) / f64::from(replicas)).ceil();
    if (double(i64::MIN)..double(i64::MAX)).contains(&average) {
        #[expect(clippy::cast_possible_truncation, reason = "in range")]
        return average as i64;
    }
    i64::MIN
}
