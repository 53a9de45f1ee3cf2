//! What must hold for every input, and a slow and obvious twin of the average over pods.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use sandbox_hpa::metrics::{PodMetric, Samples};
use sandbox_hpa::normalize::History;
use sandbox_hpa::pod::Pod;
use sandbox_hpa::reconcile::{Config, Inputs, Scale, needs_metrics, reconcile};
use sandbox_hpa::replicas::{Tolerances, plain};
use sandbox_hpa::spec::HorizontalPodAutoscaler;
use sandbox_hpa::time::Time;
use serde_json::{Value, json};

const TENTH: Tolerances = Tolerances { down: 0.1, up: 0.1 };

/// A pod: what phase it is in and what its metric is, in thousandths.
#[derive(Clone, Debug)]
struct Case {
    phase: &'static str,
    deleting: bool,
    value: Option<i64>,
}

fn case() -> impl Strategy<Value = Case> {
    let phase =
        prop_oneof![6 => Just("Running"), 2 => Just("Pending"), 1 => Just("Failed"), 1 => Just("Succeeded")];
    (phase, prop::bool::weighted(0.1), prop::option::weighted(0.7, 0i64..50_000))
        .prop_map(|(phase, deleting, value)| Case { phase, deleting, value })
}

fn pods(cases: &[Case]) -> Vec<Pod> {
    let pod = |(index, case): (usize, &Case)| {
        let deleted = if case.deleting { json!("2026-01-01T00:00:00Z") } else { Value::Null };
        let pod = json!({
            "metadata": {"name": format!("p{index}"), "labels": {"app": "web"}, "deletionTimestamp": deleted},
            "status": {"phase": case.phase},
        });
        serde_json::from_value(pod).unwrap()
    };
    cases.iter().enumerate().map(pod).collect()
}

fn metrics(cases: &[Case]) -> BTreeMap<String, PodMetric> {
    let sample = |value| PodMetric { value, timestamp: Time::default(), window: Duration::ZERO };
    let values =
        cases.iter().enumerate().filter_map(|(index, case)| Some((format!("p{index}"), sample(case.value?))));
    values.collect()
}

/// The rule as one would tell it, over lists; `None` where there is nothing to tell.
fn naive(cases: &[Case], current: i32, target: i64) -> Option<i32> {
    let alive: Vec<_> = cases.iter().filter(|case| !case.deleting && case.phase != "Failed").collect();
    let unready = alive.iter().filter(|case| case.phase == "Pending").count();
    let known: Vec<i64> =
        alive.iter().filter(|case| case.phase != "Pending").filter_map(|case| case.value).collect();
    let missing = alive.len() - unready - known.len();
    if known.is_empty() {
        return None;
    }
    let ratio_of = |values: &[i64]| (values.iter().sum::<i64>() / values.len() as i64) as f64 / target as f64;
    let is_near = |ratio: f64| (0.9..=1.1).contains(&ratio);
    let ratio = ratio_of(&known);
    let growing = ratio > 1.0;
    if missing == 0 && !(growing && unready > 0) {
        return Some(if is_near(ratio) { current } else { (ratio * known.len() as f64).ceil() as i32 });
    }
    let mut all = known;
    if growing {
        all.extend(vec![0; missing + unready]);
    } else if ratio < 1.0 {
        all.extend(vec![target; missing]);
    }
    let filled = ratio_of(&all);
    let wanted = (filled * all.len() as f64).ceil() as i32;
    let goes_on = if growing { filled > 1.0 && wanted >= current } else { filled < 1.0 && wanted <= current };
    Some(if goes_on && !is_near(filled) { wanted } else { current })
}

fn run(cases: &[Case], current: i32, target: i64) -> Option<i32> {
    let pods = pods(cases);
    let pods: Vec<_> = pods.iter().collect();
    plain(&metrics(cases), &pods, current, target, TENTH, None).ok().map(|proposal| proposal.replicas)
}

/// One HPA, its scale and metric, turn by turn.
#[derive(Clone, Debug)]
struct Turn {
    seconds: u8,
    cases: Vec<Case>,
    fails: bool,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = (1u8..120, prop::collection::vec(case(), 0..8), prop::bool::weighted(0.1))
        .prop_map(|(seconds, cases, fails)| Turn { seconds, cases, fails });
    prop::collection::vec(turn, 1..20)
}

fn behavior() -> impl Strategy<Value = Value> {
    let policy = (prop::bool::ANY, 1i32..300, 1i32..1800).prop_map(|(pods, value, period)| {
        json!({"type": if pods { "Pods" } else { "Percent" }, "value": value, "periodSeconds": period})
    });
    let select = prop_oneof![Just("Max"), Just("Min"), Just("Disabled")];
    let rules = (0i32..3600, select, prop::collection::vec(policy, 1..3)).prop_map(|(window, select, policies)| {
        json!({"stabilizationWindowSeconds": window, "selectPolicy": select, "policies": policies})
    });
    let both = (prop::option::of(rules.clone()), prop::option::of(rules))
        .prop_map(|(up, down)| json!({"scaleUp": up, "scaleDown": down}));
    prop_oneof![Just(Value::Null), both]
}

fn hpa(min: i32, max: i32, behavior: Value) -> HorizontalPodAutoscaler {
    let mut hpa: HorizontalPodAutoscaler = serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": min, "maxReplicas": max, "behavior": behavior,
            "metrics": [{"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "10"}}}],
        },
    }))
    .unwrap();
    hpa.apply_defaults();
    assert_eq!(hpa.validate(), Ok(()));
    hpa
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_average_is_what_the_twin_says(
        cases in prop::collection::vec(case(), 1..8), current in 1i32..20, target in 1i64..30_000,
    ) {
        prop_assert_eq!(run(&cases, current, target), naive(&cases, current, target));
    }

    /// Around the ends of the tolerance, where the twin and the truth would differ first.
    #[test]
    fn the_average_is_what_the_twin_says_near_the_edges(
        values in prop::collection::vec(prop_oneof![8_990i64..9_010, 9_990i64..10_010, 10_990i64..11_010], 1..6),
        missing in 0usize..3, pending in 0usize..3, current in 1i32..8,
    ) {
        let of = |phase, value| Case { phase, deleting: false, value };
        let mut cases: Vec<_> = values.iter().map(|value| of("Running", Some(*value))).collect();
        cases.extend(vec![of("Running", None); missing]);
        cases.extend(vec![of("Pending", None); pending]);
        prop_assert_eq!(run(&cases, current, 10_000), naive(&cases, current, 10_000));
    }

    /// With all pods known, higher values never ask for fewer replicas.
    #[test]
    fn more_asks_for_no_less(values in prop::collection::vec(0i64..50_000, 1..8), index: prop::sample::Index, more in 0i64..50_000) {
        let of = |values: &[i64]| -> Vec<_> {
            values.iter().map(|value| Case { phase: "Running", deleting: false, value: Some(*value) }).collect()
        };
        let current = i32::try_from(values.len()).unwrap();
        let less = run(&of(&values), current, 10_000);
        let mut values = values;
        let at = index.index(values.len());
        values[at] += more;
        prop_assert!(run(&of(&values), current, 10_000) >= less);
    }

    /// A pod that loses its metric never makes the count change further in the direction that it was going.
    #[test]
    fn a_missing_pod_only_dampens(values in prop::collection::vec(0i64..50_000, 2..8)) {
        let current = i32::try_from(values.len()).unwrap();
        let mut cases: Vec<_> =
            values.iter().map(|value| Case { phase: "Running", deleting: false, value: Some(*value) }).collect();
        cases[0].value = None;
        let with_missing = run(&cases, current, 10_000).unwrap();
        let known = &cases[1..];
        let average = known.iter().filter_map(|case| case.value).sum::<i64>() / i64::from(current - 1);
        if average <= 10_000 {
            // Not below what the target for that pod would give, and never up.
            cases[0].value = Some(10_000);
            let on_target = run(&cases, current, 10_000).unwrap();
            prop_assert!(with_missing <= current && with_missing >= on_target.min(current));
        } else {
            cases[0].value = Some(0);
            let idle = run(&cases, current, 10_000).unwrap();
            prop_assert!(with_missing >= current && with_missing <= idle.max(current));
        }
    }

    #[test]
    fn scales_stay_within_their_bounds(
        start in 0i32..30, min in 1i32..10, more in 0i32..20, behavior in behavior(), turns in turns(),
    ) {
        let mut hpa = hpa(min, min + more, behavior);
        let max = min + more;
        let mut history = History::default();
        let mut replicas = start;
        let mut now = Time::from_seconds(1_800_000_000);
        for turn in &turns {
            now = now.plus(Duration::from_secs(turn.seconds.into()));
            let scale = Scale { replicas, status_replicas: replicas, selector: "app=web".into() };
            let samples = if turn.fails { Err("fails".to_owned()) } else { Ok(Samples::Pods(metrics(&turn.cases))) };
            let pods = pods(&turn.cases);
            let decided_by_metrics = needs_metrics(&hpa, &scale);
            let inputs = Inputs {
                hpa: &hpa, scale: Ok(scale), pods: &pods, rivals: &[], metrics: &[samples], now, config: &Config::default(),
            };
            let mut updated = None;
            let before = replicas;
            let outcome = reconcile(&mut history, &inputs).apply(&mut history, |replicas| {
                updated = Some(replicas);
                Ok(())
            });
            replicas = updated.unwrap_or(before);

            let status = &outcome.status;
            let condition = |kind: &str| status.conditions.iter().find(|condition| condition.kind == kind);
            prop_assert_eq!(status.current_replicas, before);
            if before == 0 {
                prop_assert_eq!(updated, None);
                break;
            }
            prop_assert!((min..=max).contains(&replicas), "{} is not in {}..={}", replicas, min, max);
            prop_assert!(updated != Some(before), "an update that changes nothing");
            prop_assert_eq!(status.last_scale_time == Some(now), updated.is_some());
            prop_assert_eq!(condition("AbleToScale").map(|condition| condition.status.as_str()), Some("True"));
            if decided_by_metrics {
                let active = condition("ScalingActive").is_some_and(|condition| condition.status == "True");
                let nothing_known = naive(&turn.cases, before, 10_000).is_none();
                prop_assert_eq!(active, !turn.fails && !nothing_known);
                prop_assert!(active || updated.is_none(), "a change without a valid metric");
                prop_assert_eq!(outcome.error.is_none(), active);
                if active {
                    prop_assert_eq!(status.desired_replicas, replicas);
                }
            }
            hpa.status = outcome.status;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Memory does not grow with the number of turns, only with how many fit the longest window.
    #[test]
    fn what_is_remembered_is_bounded(behavior in behavior(), values in prop::collection::vec(0i64..200_000, 300)) {
        let hpa = hpa(1, 100, behavior);
        let mut history = History::default();
        let mut replicas = 5;
        for (turn, value) in values.iter().enumerate() {
            let cases = vec![Case { phase: "Running", deleting: false, value: Some(*value) }; 5];
            let pods = pods(&cases);
            let inputs = Inputs {
                hpa: &hpa,
                scale: Ok(Scale { replicas, status_replicas: replicas, selector: "app=web".into() }),
                pods: &pods,
                rivals: &[],
                metrics: &[Ok(Samples::Pods(metrics(&cases)))],
                now: Time::from_seconds(1_800_000_000 + 60 * i64::try_from(turn).unwrap()),
                config: &Config::default(),
            };
            let _ = reconcile(&mut history, &inputs).apply(&mut history, |wanted| {
                replicas = wanted;
                Ok(())
            });
        }
        // An hour, or half an hour, of one turn a minute, and one more.
        prop_assert!(history.recommendations.len() <= 62, "{}", history.recommendations.len());
        prop_assert!(history.scale_ups.len() <= 32 && history.scale_downs.len() <= 32);
    }
}
