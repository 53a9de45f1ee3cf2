//! The rules of the spec's `behavior`.

use std::time::Duration;

use super::{Held, History, Limit, Normalized, Proposed, whole};
use crate::spec::{Behavior, ScalingPolicy, ScalingRules};
use crate::time::Time;

/// Applies a `behavior`; `down_window` is how long it looks back before shrinking when it does not say.
pub fn with_behavior(
    history: &mut History,
    proposed: Proposed,
    behavior: &Behavior,
    down_window: Duration,
    now: Time,
) -> Normalized {
    let behavior = behavior.defaulted();
    let up = behavior.scale_up.unwrap_or_default();
    let down = behavior.scale_down.unwrap_or_default();
    let up_cutoff = now.minus_seconds(up.stabilization_window_seconds.unwrap_or(0));
    let down_cutoff = match down.stabilization_window_seconds {
        Some(seconds) => now.minus_seconds(seconds),
        // Upstream makes whole seconds of it.
        None => now.minus(Duration::from_secs(down_window.as_secs())),
    };

    let (stable, held) = stabilized(history, proposed, up_cutoff, down_cutoff);
    history.recommend(proposed.desired, now, |at| at < up_cutoff && at < down_cutoff);
    let stable = Proposed { desired: stable, ..proposed };
    let (replicas, limit) = limited(history, stable, &up, &down, now);
    Normalized::new(replicas, held, limit)
}

/// The least of what was asked for in the window for growing if that is more than there are, the most of what
/// was asked for in the window for shrinking if that is less, else what there are. Entries as old as the
/// window are out.
fn stabilized(
    history: &History,
    proposed: Proposed,
    up_cutoff: Time,
    down_cutoff: Time,
) -> (i32, Option<Held>) {
    let Proposed { current, desired, .. } = proposed;
    let since = |cutoff| {
        let recent = history.recommendations.iter().filter(move |recommendation| recommendation.at > cutoff);
        recent.map(|recommendation| recommendation.replicas)
    };
    let least = since(up_cutoff).fold(desired, i32::min);
    let most = since(down_cutoff).fold(desired, i32::max);
    let stable = current.max(least).min(most);
    let held = if desired >= current { Held::Up } else { Held::Down };
    (stable, (stable != desired).then_some(held))
}

fn limited(
    history: &History,
    stable: Proposed,
    up: &ScalingRules,
    down: &ScalingRules,
    now: Time,
) -> (i32, Option<Limit>) {
    let Proposed { current, desired, min, max } = stable;
    if desired > current {
        let rate = up_limit(history, current, up, now).max(current);
        let (most, limit) = if max > rate { (rate, Limit::Up) } else { (max, Limit::Max) };
        if desired > most {
            return (most, Some(limit));
        }
    } else if desired < current {
        let rate = down_limit(history, current, down, now).min(current);
        let (least, limit) = if min < rate { (rate, Limit::Down) } else { (min, Limit::Min) };
        if desired < least {
            return (least, Some(limit));
        }
    }
    (desired, None)
}

/// The most replicas that there may be now.
fn up_limit(history: &History, current: i32, rules: &ScalingRules, now: Time) -> i32 {
    let limits = policies(rules).iter().map(|policy| {
        let start = history.at_start_of(policy.period_seconds, current, now);
        if policy.kind == "Pods" {
            start.wrapping_add(policy.value)
        } else {
            // Rounded up, or one replica would never become two.
            whole((f64::from(start) * (1.0 + f64::from(policy.value) / 100.0)).ceil())
        }
    });
    match rules.select_policy.as_deref() {
        Some("Disabled") => current,
        Some("Min") => limits.min().unwrap_or(i32::MAX),
        _ => limits.max().unwrap_or(i32::MIN),
    }
}

/// The fewest replicas that there may be now.
fn down_limit(history: &History, current: i32, rules: &ScalingRules, now: Time) -> i32 {
    let limits = policies(rules).iter().map(|policy| {
        let start = history.at_start_of(policy.period_seconds, current, now);
        if policy.kind == "Pods" {
            start.wrapping_sub(policy.value)
        } else {
            whole((f64::from(start) * (1.0 - f64::from(policy.value) / 100.0)).trunc())
        }
    });
    match rules.select_policy.as_deref() {
        Some("Disabled") => current,
        Some("Min") => limits.max().unwrap_or(i32::MIN),
        _ => limits.min().unwrap_or(i32::MAX),
    }
}

fn policies(rules: &ScalingRules) -> &[ScalingPolicy] {
    rules.policies.as_deref().unwrap_or_default()
}
