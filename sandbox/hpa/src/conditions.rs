//! The conditions of an HPA: which there are, with which reasons, and how one replaces another.
//!
//! A condition is found by its type. Setting it replaces status, reason and message, but the time of its last
//! transition changes only when the status does.

use crate::spec::Condition;
use crate::time::Time;

/// Whether the scale could be read and written, and whether back-off stood in the way.
pub const ABLE_TO_SCALE: &str = "AbleToScale";
/// Whether there was anything to compute a replica count from.
pub const SCALING_ACTIVE: &str = "ScalingActive";
/// Whether the computed count was cut off at a limit.
pub const SCALING_LIMITED: &str = "ScalingLimited";
/// Whether this HPA went to zero replicas; exists only with the feature HPAScaleToZero.
pub const SCALED_TO_ZERO: &str = "ScaledToZero";

/// What a condition is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The condition's type, one of the constants here.
    pub kind: &'static str,
    /// `True` or `False`.
    pub holds: bool,
    /// Why, in one word: upstream's identifier.
    pub reason: &'static str,
    /// Why, in a sentence of ours.
    pub message: String,
}

// === impl Verdict ===

impl Verdict {
    /// The condition `kind` holds.
    #[must_use]
    pub fn holds(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, holds: true, reason, message: message.into() }
    }

    /// The condition `kind` does not hold.
    #[must_use]
    pub fn fails(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, holds: false, reason, message: message.into() }
    }
}

/// Puts `verdict` among the conditions: in place, or at the end.
pub fn set(conditions: &mut Vec<Condition>, verdict: Verdict, now: Time) {
    let status = if verdict.holds { "True" } else { "False" };
    let known = conditions.iter().position(|condition| condition.kind == verdict.kind);
    let mut condition = Condition { kind: verdict.kind.into(), ..Condition::default() };
    if let Some(before) = known.and_then(|index| conditions.get(index)) {
        condition.status.clone_from(&before.status);
        condition.last_transition_time = before.last_transition_time;
    }
    if condition.status != status {
        condition.last_transition_time = Some(now);
    }
    condition.status = status.into();
    condition.reason = verdict.reason.into();
    condition.message = verdict.message;
    match known.and_then(|index| conditions.get_mut(index)) {
        Some(before) => *before = condition,
        None => conditions.push(condition),
    }
}

/// Takes the condition `kind` away.
pub fn remove(conditions: &mut Vec<Condition>, kind: &str) {
    conditions.retain(|condition| condition.kind != kind);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transition_times_follow_the_status_alone() {
        let mut conditions = Vec::new();
        let steps = [
            (1, Verdict::holds(ABLE_TO_SCALE, "SucceededGetScale", "a"), 1),
            (2, Verdict::holds(ABLE_TO_SCALE, "ReadyForNewScale", "b"), 1),
            (3, Verdict::fails(ABLE_TO_SCALE, "FailedUpdateScale", "c"), 3),
            (4, Verdict::fails(ABLE_TO_SCALE, "FailedGetScale", "d"), 3),
            (5, Verdict::holds(ABLE_TO_SCALE, "SucceededGetScale", "e"), 5),
        ];
        for (now, verdict, since) in steps {
            set(&mut conditions, verdict.clone(), Time::from_seconds(now));
            let [condition] = conditions.as_slice() else { panic!("one condition, not {conditions:?}") };
            assert_eq!(condition.reason, verdict.reason);
            assert_eq!(condition.message, verdict.message);
            assert_eq!(condition.status, if verdict.holds { "True" } else { "False" });
            assert_eq!(condition.last_transition_time, Some(Time::from_seconds(since)), "{}", verdict.reason);
        }
    }

    #[test]
    fn keeps_order_and_removes() {
        let mut conditions = Vec::new();
        for kind in [ABLE_TO_SCALE, SCALING_ACTIVE, SCALED_TO_ZERO, SCALING_LIMITED, SCALING_ACTIVE] {
            set(&mut conditions, Verdict::holds(kind, "Because", ""), Time::default());
        }
        remove(&mut conditions, SCALED_TO_ZERO);
        let kinds: Vec<_> = conditions.iter().map(|condition| condition.kind.as_str()).collect();
        assert_eq!(kinds, [ABLE_TO_SCALE, SCALING_ACTIVE, SCALING_LIMITED]);
    }
}
