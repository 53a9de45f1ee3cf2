//! How many pods of which template: the arithmetic of a rolling update.
//!
//! Follows `pkg/controller/deployment/{rolling.go,util/deployment_util.go}`. Promises, whatever becomes available when:
//! never more than `replicas + max_surge` pods are asked for, and none is taken away while that would leave fewer than
//! `replicas - max_unavailable` available.

use serde_json::Value;

/// A number of pods, or a share of the wanted ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Share {
    Count(u64),
    Percent(u64),
}

/// How far a rollout may stray from the wanted number of pods.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    pub(super) max_surge: u64,
    pub(super) max_unavailable: u64,
}

/// The numbers of one ReplicaSet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Size {
    /// How many pods it is to have.
    pub(super) spec: u64,
    /// How many of them are available.
    pub(super) available: u64,
}

/// How many pods the ReplicaSet of the present template is to have next.
pub(super) fn new_set(replicas: u64, limits: Limits, new: Size, old: &[Size]) -> u64 {
    if new.spec >= replicas {
        return replicas;
    }
    let all = total(old).spec.saturating_add(new.spec);
    let room = replicas.saturating_add(limits.max_surge).saturating_sub(all);
    new.spec + room.min(replicas - new.spec)
}

/// How many pods each of the older ReplicaSets, oldest first, is to have next.
pub(super) fn old_sets(replicas: u64, limits: Limits, new: Size, old: &[Size]) -> Vec<u64> {
    let min_available = replicas.saturating_sub(limits.max_unavailable);
    let mut next: Vec<u64> = old.iter().map(|size| size.spec).collect();
    // First what is broken anyway, as far as the new pods that are not available yet allow.
    let all = total(old).spec.saturating_add(new.spec);
    let unavailable_new = new.spec.saturating_sub(new.available);
    let mut removable = all.saturating_sub(min_available).saturating_sub(unavailable_new);
    if removable == 0 {
        return next;
    }
    for (next, size) in next.iter_mut().zip(old) {
        let broken = next.saturating_sub(size.available).min(removable);
        *next -= broken;
        removable -= broken;
    }
    // Then what works, as long as enough is left that does.
    let mut spare = total(old).available.saturating_add(new.available).saturating_sub(min_available);
    for next in &mut next {
        let down = spare.min(*next);
        *next -= down;
        spare -= down;
    }
    next
}

fn total(sizes: &[Size]) -> Size {
    sizes.iter().fold(Size::default(), |sum, size| Size {
        spec: sum.spec.saturating_add(size.spec),
        available: sum.available.saturating_add(size.available),
    })
}

// === impl Share ===

impl Share {
    /// Reads a number or `25%`, which is the default too.
    pub(super) fn parse(value: &Value) -> Self {
        let percent = value.as_str().and_then(|text| text.strip_suffix('%')?.parse().ok());
        value.as_u64().map(Self::Count).or(percent.map(Self::Percent)).unwrap_or(Self::Percent(25))
    }

    fn of(self, replicas: u64, round_up: bool) -> u64 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                let product = percent.saturating_mul(replicas);
                if round_up { product.div_ceil(100) } else { product / 100 }
            }
        }
    }
}

// === impl Limits ===

impl Limits {
    /// The limits in pods: surge rounds up, unavailability down, and one of them must allow a step.
    pub(super) fn resolve(max_surge: Share, max_unavailable: Share, replicas: u64) -> Self {
        let max_surge = max_surge.of(replicas, true);
        let max_unavailable = max_unavailable.of(replicas, false).min(replicas);
        if max_surge == 0 && max_unavailable == 0 {
            return Self { max_surge, max_unavailable: 1 };
        }
        Self { max_surge, max_unavailable }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn size(spec: u64, available: u64) -> Size {
        Size { spec, available }
    }

    #[test]
    fn limits_round_away_from_standing_still() {
        let check = |surge: Value, unavailable: Value, replicas, expected: (u64, u64)| {
            let limits = Limits::resolve(Share::parse(&surge), Share::parse(&unavailable), replicas);
            assert_eq!(
                (limits.max_surge, limits.max_unavailable),
                expected,
                "{surge} {unavailable} {replicas}"
            );
        };
        check(json!(null), json!(null), 1, (1, 0));
        check(json!(null), json!(null), 10, (3, 2));
        check(json!("25%"), json!("0%"), 10, (3, 0));
        check(json!(0), json!(0), 10, (0, 1));
        check(json!(0), json!("1%"), 10, (0, 1));
        check(json!(2), json!(50), 10, (2, 10));
        check(json!("garbage"), json!("garbage"), 4, (1, 1));
    }

    #[test]
    fn one_step_of_a_rollout() {
        let limits = Limits { max_surge: 1, max_unavailable: 1 };
        let up = |replicas, new, old: &[Size], expected| {
            assert_eq!(new_set(replicas, limits, new, old), expected, "{new:?} {old:?}");
        };
        up(4, size(0, 0), &[], 4);
        up(4, size(0, 0), &[size(4, 4)], 1);
        up(4, size(1, 1), &[size(3, 3)], 2);
        up(4, size(6, 6), &[], 4);
        up(4, size(4, 0), &[size(1, 1)], 4);
        let down = |replicas, new, old: &[Size], expected: &[u64]| {
            assert_eq!(old_sets(replicas, limits, new, old), expected, "{new:?} {old:?}");
        };
        down(4, size(1, 0), &[size(4, 4)], &[3]);
        down(4, size(1, 1), &[size(4, 4)], &[2]);
        down(4, size(2, 0), &[size(3, 3)], &[3]);
        // Old pods that never became available do not hold anything up.
        down(4, size(1, 0), &[size(4, 0)], &[3]);
        down(4, size(4, 4), &[size(2, 1), size(1, 1)], &[0, 0]);
        down(2, size(1, 1), &[size(1, 0), size(1, 1)], &[0, 0]);
    }

    proptest! {
        /// Pods become available, or break, in any order; the rollout keeps its limits at each step and comes to its end.
        #[test]
        fn a_rollout_keeps_its_limits_and_ends(
            replicas in 0_u64..12,
            surge in 0_u64..4,
            unavailable in 0_u64..4,
            olds in prop::collection::vec((0_u64..8, 0_u64..8), 0..3),
            luck in prop::collection::vec(0_u64..4, 1..20),
        ) {
            let limits = Limits::resolve(Share::Count(surge), Share::Count(unavailable), replicas);
            let mut new = Size::default();
            let mut old: Vec<Size> =
                olds.iter().map(|&(spec, available)| size(spec, available.min(spec))).collect();
            let most = (replicas + limits.max_surge).max(total(&old).spec);
            for round in 0..200 {
                let up = new_set(replicas, limits, new, &old);
                if up == new.spec {
                    let before = total(&old).available + new.available;
                    let down = old_sets(replicas, limits, new, &old);
                    for (size, spec) in old.iter_mut().zip(down) {
                        prop_assert!(spec <= size.spec);
                        *size = Size { spec, available: size.available.min(spec) };
                    }
                    let after = total(&old).available + new.available;
                    let floor = replicas.saturating_sub(limits.max_unavailable).min(before);
                    prop_assert!(after >= floor, "{after} of {before} available, {floor} needed");
                }
                new = Size { spec: up, available: new.available.min(up) };
                prop_assert!(new.spec + total(&old).spec <= most);
                let ready = luck[round % luck.len()].max(u64::from(round > 20));
                new.available = (new.available + ready).min(new.spec);
            }
            prop_assert_eq!(new, size(replicas, replicas));
            prop_assert_eq!(total(&old).spec, 0);
        }
    }
}
