use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::spec::Behavior;
use crate::time::Time;

const WINDOW: Duration = Duration::from_secs(300);

fn at(seconds: i64) -> Time {
    Time::from_seconds(1_000_000 + seconds)
}

fn proposed(current: i32, desired: i32) -> Proposed {
    Proposed { current, desired, min: 1, max: 100 }
}

fn behavior(json: Value) -> Behavior {
    serde_json::from_value(json).unwrap()
}

fn outcome(normalized: &Normalized) -> (i32, &str, &str) {
    (normalized.replicas, normalized.stabilized.reason, normalized.limited.reason)
}

/// Recommendations of given ages in seconds.
fn history(recommendations: &[(i32, i64)]) -> History {
    let recommendations = recommendations
        .iter()
        .map(|(replicas, age)| Recommendation { replicas: *replicas, at: at(-age) })
        .collect();
    History { recommendations, ..History::default() }
}

#[test]
fn fixed_rules() {
    use Proposed as P;
    let check = |past: &[(i32, i64)], proposed: P, want: (i32, &str, &str)| {
        let normalized = without_behavior(&mut history(past), proposed, WINDOW, at(0));
        assert_eq!(outcome(&normalized), want, "{past:?} {proposed:?}");
    };
    check(&[], proposed(3, 5), (5, "ReadyForNewScale", "DesiredWithinRange"));
    check(&[], proposed(5, 3), (3, "ReadyForNewScale", "DesiredWithinRange"));
    check(&[(5, 10)], proposed(5, 3), (5, "ScaleDownStabilized", "DesiredWithinRange"));
    // Exactly as old as the window still counts; older does not.
    check(&[(5, 300)], proposed(5, 3), (5, "ScaleDownStabilized", "DesiredWithinRange"));
    check(&[(5, 301)], proposed(5, 3), (3, "ReadyForNewScale", "DesiredWithinRange"));
    // The most recent wish counts in both directions.
    check(&[(7, 10)], proposed(5, 6), (7, "ScaleDownStabilized", "DesiredWithinRange"));
    check(&[], proposed(1, 9), (4, "ReadyForNewScale", "ScaleUpLimit"));
    check(&[], proposed(3, 9), (6, "ReadyForNewScale", "ScaleUpLimit"));
    check(&[], P { max: 6, ..proposed(3, 9) }, (6, "ReadyForNewScale", "TooManyReplicas"));
    check(&[], P { max: 5, ..proposed(3, 9) }, (5, "ReadyForNewScale", "TooManyReplicas"));
    check(&[], P { min: 2, ..proposed(3, 1) }, (2, "ReadyForNewScale", "TooFewReplicas"));
    check(&[], P { min: 2, max: 8, ..proposed(3, 0) }, (2, "ReadyForNewScale", "TooFewReplicas"));
    // Twice as many as fit are, in Go, the smallest number; seen to be written by a real controller.
    check(
        &[],
        P { max: i32::MAX, ..proposed(i32::MAX - 1, i32::MAX) },
        (i32::MIN, "ReadyForNewScale", "ScaleUpLimit"),
    );
}

#[test]
fn old_recommendations_are_overwritten() {
    let mut history = history(&[(9, 400), (8, 350), (7, 10)]);
    for turn in 0..3 {
        without_behavior(&mut history, proposed(7, turn), WINDOW, at(0));
    }
    let replicas: Vec<_> =
        history.recommendations.iter().map(|recommendation| recommendation.replicas).collect();
    assert_eq!(replicas, [1, 0, 7, 2], "the last old one first");
}

#[test]
fn the_first_recommendation_is_recorded_once() {
    let mut history = History::default();
    history.begin(5, at(0));
    history.begin(9, at(1));
    assert_eq!(history.recommendations, [Recommendation { replicas: 5, at: at(0) }]);
}

#[test]
fn stabilisation_by_behavior() {
    let windows = |up: i32, down: i32| {
        behavior(
            json!({"scaleUp": {"stabilizationWindowSeconds": up, "policies": [{"type": "Percent", "value": 900, "periodSeconds": 15}]},
            "scaleDown": {"stabilizationWindowSeconds": down}}),
        )
    };
    let check = |past: &[(i32, i64)], windows: &Behavior, proposed: Proposed, want: (i32, &str, &str)| {
        let normalized = with_behavior(&mut history(past), proposed, windows, WINDOW, at(0));
        assert_eq!(outcome(&normalized), want, "{past:?} {proposed:?}");
    };
    let fine = "DesiredWithinRange";
    check(&[(9, 5)], &windows(0, 0), proposed(5, 3), (3, "ReadyForNewScale", fine));
    check(&[(1, 5)], &windows(0, 0), proposed(5, 8), (8, "ReadyForNewScale", fine));
    // Down: the most of the window, but not more than there are.
    check(&[(4, 5)], &windows(0, 60), proposed(5, 3), (4, "ScaleDownStabilized", fine));
    check(&[(9, 5)], &windows(0, 60), proposed(5, 3), (5, "ScaleDownStabilized", fine));
    // Exactly as old as the window no longer counts.
    check(&[(9, 60)], &windows(0, 60), proposed(5, 3), (3, "ReadyForNewScale", fine));
    check(&[(9, 59)], &windows(0, 60), proposed(5, 3), (5, "ScaleDownStabilized", fine));
    // Up: the least of the window, but not less than there are.
    check(&[(6, 5)], &windows(60, 0), proposed(5, 8), (6, "ScaleUpStabilized", fine));
    check(&[(2, 5)], &windows(60, 0), proposed(5, 8), (5, "ScaleUpStabilized", fine));
    check(&[(2, 60)], &windows(60, 0), proposed(5, 8), (8, "ReadyForNewScale", fine));
    // Both windows: between them.
    check(&[(6, 5), (4, 5)], &windows(60, 60), proposed(5, 8), (5, "ScaleUpStabilized", fine));
    check(&[(8, 5), (6, 5)], &windows(60, 60), proposed(5, 5), (5, "ReadyForNewScale", fine));
    // Without a window for shrinking, the controller's.
    let no_window = behavior(json!({}));
    check(&[(9, 299)], &no_window, proposed(5, 3), (5, "ScaleDownStabilized", fine));
    check(&[(9, 300)], &no_window, proposed(5, 3), (3, "ReadyForNewScale", fine));
}

/// The limits of one policy list, from `current` replicas after the given changes with their ages in seconds.
#[track_caller]
fn limit(rules: Value, ups: &[(i32, i64)], downs: &[(i32, i64)], proposed: Proposed, want: (i32, &str)) {
    let direction = if proposed.desired > proposed.current { "scaleUp" } else { "scaleDown" };
    let mut rules = rules;
    rules["stabilizationWindowSeconds"] = json!(0);
    let events = |events: &[(i32, i64)]| -> Vec<_> {
        events
            .iter()
            .map(|(change, age)| ScaleEvent { change: *change, at: at(-age), outdated: false })
            .collect()
    };
    let mut history = History { scale_ups: events(ups), scale_downs: events(downs), ..History::default() };
    let normalized =
        with_behavior(&mut history, proposed, &behavior(json!({direction: rules})), WINDOW, at(0));
    assert_eq!((normalized.replicas, normalized.limited.reason), want);
}

#[test]
fn growth_by_policies() {
    let pods = json!({"type": "Pods", "value": 3, "periodSeconds": 60});
    let percent = json!({"type": "Percent", "value": 10, "periodSeconds": 60});
    let only = |policy: &Value| json!({"policies": [policy]});
    let both = |select: &str| json!({"policies": [pods, percent], "selectPolicy": select});
    limit(only(&pods), &[], &[], proposed(5, 99), (8, "ScaleUpLimit"));
    limit(only(&pods), &[], &[], proposed(5, 8), (8, "DesiredWithinRange"));
    // 10 % more: rounded up. Of 50 that is 56, because the double nearest to 1.1 is more than that.
    limit(only(&percent), &[], &[], proposed(5, 99), (6, "ScaleUpLimit"));
    limit(only(&percent), &[], &[], proposed(10, 99), (11, "ScaleUpLimit"));
    limit(both("Max"), &[], &[], proposed(50, 99), (56, "ScaleUpLimit"));
    limit(both("Min"), &[], &[], proposed(50, 99), (53, "ScaleUpLimit"));
    limit(both("Disabled"), &[], &[], proposed(50, 99), (50, "ScaleUpLimit"));
    // What came in the period counts against it, what went counts for it.
    limit(only(&pods), &[(2, 59)], &[], proposed(5, 99), (6, "ScaleUpLimit"));
    limit(only(&pods), &[(2, 60)], &[], proposed(5, 99), (8, "ScaleUpLimit"));
    limit(only(&pods), &[(2, 10)], &[(1, 10)], proposed(5, 99), (7, "ScaleUpLimit"));
    limit(
        only(&percent),
        &[(10, 10)],
        &[],
        Proposed { max: 200, ..proposed(110, 120) },
        (111, "ScaleUpLimit"),
    );
    // Never the wrong way: more came than the policy allows, since it was changed.
    limit(only(&pods), &[(9, 10)], &[], proposed(12, 99), (12, "ScaleUpLimit"));
    limit(only(&pods), &[], &[], Proposed { max: 8, ..proposed(5, 99) }, (8, "TooManyReplicas"));
    limit(only(&pods), &[], &[], Proposed { max: 7, ..proposed(5, 99) }, (7, "TooManyReplicas"));
}

#[test]
fn shrinking_by_policies() {
    let pods = json!({"type": "Pods", "value": 3, "periodSeconds": 60});
    let percent = json!({"type": "Percent", "value": 10, "periodSeconds": 60});
    let only = |policy: &Value| json!({"policies": [policy]});
    let both = |select: &str| json!({"policies": [pods, percent], "selectPolicy": select});
    limit(only(&pods), &[], &[], proposed(9, 1), (6, "ScaleDownLimit"));
    // 10 % fewer of 9 are 8.1: truncated.
    limit(only(&percent), &[], &[], proposed(9, 1), (8, "ScaleDownLimit"));
    limit(only(&percent), &[], &[], proposed(10, 1), (9, "ScaleDownLimit"));
    limit(both("Max"), &[], &[], proposed(50, 1), (45, "ScaleDownLimit"));
    limit(both("Min"), &[], &[], proposed(50, 1), (47, "ScaleDownLimit"));
    limit(both("Disabled"), &[], &[], proposed(50, 1), (50, "ScaleDownLimit"));
    limit(only(&pods), &[], &[(2, 59)], proposed(9, 1), (8, "ScaleDownLimit"));
    limit(only(&pods), &[], &[(2, 60)], proposed(9, 1), (6, "ScaleDownLimit"));
    limit(only(&pods), &[(1, 5)], &[(2, 5)], proposed(9, 1), (7, "ScaleDownLimit"));
    limit(only(&pods), &[], &[(9, 5)], proposed(9, 1), (9, "ScaleDownLimit"));
    limit(only(&pods), &[], &[], Proposed { min: 6, ..proposed(9, 1) }, (6, "TooFewReplicas"));
    limit(only(&pods), &[], &[], Proposed { min: 7, ..proposed(9, 1) }, (7, "TooFewReplicas"));
    limit(json!({}), &[], &[], proposed(9, 1), (1, "DesiredWithinRange"));
}

#[test]
fn changes_are_remembered_until_they_are_outdated() {
    let mut history = History::default();
    history.changed(1, 5, 60, at(0));
    history.changed(5, 8, 60, at(60));
    history.changed(8, 6, 60, at(60));
    assert_eq!(history.scale_ups.len(), 2, "exactly as old as the period is not outdated");
    history.changed(6, 7, 60, at(61));
    let changes: Vec<_> = history.scale_ups.iter().map(|event| event.change).collect();
    assert_eq!(changes, [1, 3]);
    assert_eq!(history.scale_downs, [ScaleEvent { change: 2, at: at(60), outdated: false }]);
}
