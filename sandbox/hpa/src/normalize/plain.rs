//! The rules of before there was a `behavior`.

use std::time::Duration;

use super::{Held, History, Limit, Normalized, Proposed, whole};
use crate::time::Time;

/// However few replicas there are, so many may be had at once.
const SCALE_UP_LIMIT_MINIMUM: f64 = 4.0;
/// So many times the replicas may be had at once.
const SCALE_UP_LIMIT_FACTOR: f64 = 2.0;

/// Applies the most of what was asked for within `window`, an entry of exactly that age included; then the
/// bounds of the spec and twice the current count, or 4.
pub fn without_behavior(
    history: &mut History,
    proposed: Proposed,
    window: Duration,
    now: Time,
) -> Normalized {
    let Proposed { current, desired, min, max } = proposed;
    let cutoff = now.minus(window);
    let recent = history.recommendations.iter().filter(|recommendation| recommendation.at >= cutoff);
    let stable = recent.map(|recommendation| recommendation.replicas).fold(desired, i32::max);
    history.recommend(desired, now, |at| at < cutoff);
    let held = (stable != desired).then_some(Held::Down);

    let up_limit = whole((f64::from(current) * SCALE_UP_LIMIT_FACTOR).max(SCALE_UP_LIMIT_MINIMUM));
    let (most, limit) = if max > up_limit { (up_limit, Limit::Up) } else { (max, Limit::Max) };
    // The minimum goes first, should the two contradict each other.
    if stable < min {
        Normalized::new(min, held, Some(Limit::Min))
    } else if stable > most {
        Normalized::new(most, held, Some(limit))
    } else {
        Normalized::new(stable, held, None)
    }
}
