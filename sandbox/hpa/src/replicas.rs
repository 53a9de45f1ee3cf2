//! From what was measured to how many replicas that asks for (`replica_calculator.go`).
//!
//! Numbers are thousandths in an `int64`; sums wrap and averages truncate, as upstream's do. Ratios are
//! doubles. A double that fits no `int32` becomes the smallest one, as on amd64; on other machines upstream
//! differs.

use crate::pod::Pod;

pub use self::group::CpuReadiness;
pub use self::object::{external_average, external_value, object_average, object_value};
pub use self::plain::plain;
pub use self::utilization::{Utilization, utilization};

mod group;
mod object;
mod plain;
mod utilization;

/// How far from 1 a ratio may be without effect; both ends count as within.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerances {
    /// Below 1.
    pub down: f64,
    /// Above 1.
    pub up: f64,
}

/// How many replicas a metric asks for, and what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The replicas; not yet bounded in any way.
    pub replicas: i32,
    /// Thousandths: the average over pods, the value, or the value per replica.
    pub usage: i64,
}

/// Why a metric asks for no number of replicas.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplicasError {
    /// There is nothing to scale from.
    #[error("the selector matches no pods")]
    NoPods,
    /// Metrics came, but for none of the pods that count.
    #[error("none of the metrics is of a pod that counts (pods may be unready)")]
    NoMetrics,
    /// Metrics and requests have no pod in common, or the requests are zero.
    #[error("none of the metrics is of a pod with a resource request")]
    NoRequests,
    /// A container requests nothing of the resource; a sentence.
    #[error("{0}")]
    Request(String),
}

// === impl Tolerances ===

impl Tolerances {
    /// Whether `ratio` is near enough to 1. NaN and the infinities are not.
    #[must_use]
    pub fn contain(self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}

/// How many pods are Running and Ready.
///
/// # Errors
/// When there are none at all.
fn ready_pods(pods: &[&Pod]) -> Result<f64, ReplicasError> {
    if pods.is_empty() {
        return Err(ReplicasError::NoPods);
    }
    Ok(count(pods.iter().filter(|pod| pod.status.phase == "Running" && pod.is_ready()).count()))
}

/// A count of pods as a double; there are never so many that it is not exact.
fn count(pods: usize) -> f64 {
    u32::try_from(pods).unwrap_or(u32::MAX).into()
}

/// An `int64` as a double, rounded to nearest.
#[expect(clippy::cast_precision_loss, reason = "upstream divides doubles, so their precision is the rule")]
fn double(number: i64) -> f64 {
    number as f64
}

/// Go's `int32(math.Ceil(number))` on amd64: what fits no `int32` is the smallest one.
fn ceiling(number: f64) -> i32 {
    let number = number.ceil();
    if (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number) {
        #[expect(clippy::cast_possible_truncation, reason = "in range")]
        return number as i32;
    }
    i32::MIN
}

/// [`ceiling`], but what is too large is the largest `int32`.
fn capped_ceiling(number: f64) -> i32 {
    if number > f64::from(i32::MAX) { i32::MAX } else { ceiling(number) }
}

/// The part of both kinds of averages over pods that comes after the ratio over all entries is known.
///
/// `ratio` is that of the pods with metrics alone, `filled` that of all entries after those without were
/// filled in.
fn settle(current: i32, ratio: f64, filled: f64, entries: usize, tolerances: Tolerances) -> i32 {
    let flipped = (ratio < 1.0 && filled > 1.0) || (ratio > 1.0 && filled < 1.0);
    if tolerances.contain(filled) || flipped {
        return current;
    }
    let replicas = ceiling(filled * count(entries));
    let against = (filled < 1.0 && replicas > current) || (filled > 1.0 && replicas < current);
    if against { current } else { replicas }
}

#[cfg(test)]
mod tests;
