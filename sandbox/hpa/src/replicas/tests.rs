use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::metrics::PodMetric;
use crate::time::Time;

const TENTH: Tolerances = Tolerances { down: 0.1, up: 0.1 };

/// A pod per word: `ready`, `pending`, `failed`, `deleted`, `done`, `unready`.
fn pods(words: &str) -> Vec<Pod> {
    let pod = |(index, word): (usize, &str)| {
        let phase = match word {
            "pending" => "Pending",
            "failed" => "Failed",
            "done" => "Succeeded",
            _ => "Running",
        };
        let deleted = if word == "deleted" { json!("2026-01-01T00:00:00Z") } else { Value::Null };
        let ready = if word == "ready" { "True" } else { "False" };
        let pod = json!({
            "metadata": {"name": format!("p{index}"), "deletionTimestamp": deleted},
            "spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "1"}}}]},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]},
        });
        serde_json::from_value(pod).unwrap()
    };
    words.split_whitespace().enumerate().map(pod).collect()
}

/// Units per pod `p0`, `p1`..., `-` for none.
fn metrics(words: &str) -> BTreeMap<String, PodMetric> {
    let values = words.split_whitespace().enumerate().filter(|(_, word)| *word != "-");
    values.map(|(index, word)| (format!("p{index}"), sample(word.parse::<i64>().unwrap() * 1000))).collect()
}

fn sample(value: i64) -> PodMetric {
    PodMetric { value, timestamp: Time::default(), window: Duration::from_secs(60) }
}

/// Against a target of 10 units.
#[track_caller]
fn check(phases: &str, values: &str, current: i32, want: Result<i32, ReplicasError>) {
    let pods = pods(phases);
    let pods: Vec<_> = pods.iter().collect();
    let got = plain(&metrics(values), &pods, current, 10_000, TENTH, None).map(|proposal| proposal.replicas);
    assert_eq!(got, want, "{phases}: {values}");
}

#[test]
fn averages_over_pods() {
    check("ready ready", "20 20", 2, Ok(4));
    check("ready ready", "11 11", 2, Ok(2));
    check("ready ready", "12 11", 2, Ok(3));
    check("ready ready", "9 9", 2, Ok(2));
    check("ready ready ready", "4 4 4", 3, Ok(2));
    check("ready ready", "0 0", 2, Ok(0));
    check("ready", "-20", 1, Ok(-2));
    // The pods that count are multiplied, not the replicas that are wanted.
    check("ready ready", "20 20", 5, Ok(4));
    check("unready unready", "20 20", 2, Ok(4));
}

#[test]
fn some_pods_do_not_count() {
    check("", "20", 2, Err(ReplicasError::NoPods));
    check("ready", "-", 1, Err(ReplicasError::NoMetrics));
    check("pending", "20", 1, Err(ReplicasError::NoMetrics));
    check("failed deleted", "20 20", 1, Err(ReplicasError::NoMetrics));
    check("ready failed deleted", "20 90 90", 1, Ok(2));
    // Missing: nothing used when growing, the target when shrinking.
    check("ready ready ready", "30 30 -", 3, Ok(6));
    check("ready ready ready", "5 5 -", 3, Ok(2));
    check("ready ready", "10 -", 2, Ok(2));
    check("ready done", "30 -", 2, Ok(3));
    check("ready pending", "30 -", 2, Ok(3));
    check("ready pending", "5 -", 2, Ok(1));
    // Growing must not become shrinking by what was filled in.
    check("ready ready ready", "15 - -", 3, Ok(3));
    // A pod that is not selected distorts.
    check("ready", "10 50", 1, Ok(3));
}

#[test]
fn values_are_truncated_and_wrap() {
    let pods = pods("ready ready");
    let pods: Vec<_> = pods.iter().collect();
    let of = |values: [i64; 2]| {
        BTreeMap::from([("p0".to_owned(), sample(values[0])), ("p1".to_owned(), sample(values[1]))])
    };
    let run = |values, target| plain(&of(values), &pods, 2, target, TENTH, None).unwrap();
    assert_eq!(run([1, 2], 1), Proposal { replicas: 2, usage: 1 });
    assert_eq!(run([-1, -2], 1), Proposal { replicas: -2, usage: -1 });
    assert_eq!(run([i64::MAX, i64::MAX], 1_000).usage, -1, "the sum wraps");
    // Too much for an int32.
    assert_eq!(run([1 << 50, 1 << 50], 1).replicas, i32::MIN);
}

#[test]
fn objects_and_external_metrics() {
    let three = pods("ready ready unready pending");
    let three: Vec<_> = three.iter().collect();
    let value = |usage, current| {
        object_value(usage, &three, current, 10_000, TENTH).map(|proposal| proposal.replicas)
    };
    assert_eq!(value(30_000, 3), Ok(6), "two pods are ready");
    assert_eq!(value(11_000, 3), Ok(3));
    assert_eq!(value(30_000, 0), Ok(3));
    assert_eq!(value(1, 0), Ok(1));
    assert_eq!(value(i64::MAX, 3), Ok(i32::MAX));
    assert_eq!(object_value(30_000, &[], 3, 10_000, TENTH), Err(ReplicasError::NoPods));
    assert!(object_value(10_000, &[], 3, 10_000, TENTH).is_ok(), "within tolerance no pod is counted");

    let average = |usage, replicas| object_average(usage, replicas, 10_000, TENTH);
    assert_eq!(average(50_000, 3), Proposal { replicas: 5, usage: 16_667 });
    assert_eq!(average(33_000, 3), Proposal { replicas: 3, usage: 11_000 });
    assert_eq!(average(5_000, 0), Proposal { replicas: 1, usage: i64::MIN });
    assert_eq!(average(0, 0), Proposal { replicas: 0, usage: i64::MIN });
    assert_eq!(object_average(i64::MAX, 3, 1, TENTH).replicas, i32::MIN, "not capped");

    let sum = |values: &[i64]| external_value(values, &three, 3, 10_000, TENTH).unwrap();
    assert_eq!(sum(&[10_000, 20_000]), Proposal { replicas: 6, usage: 30_000 });
    assert_eq!(sum(&[i64::MAX, 1]), Proposal { replicas: i32::MAX, usage: i64::MAX });
    let per_pod = |values: &[i64]| external_average(values, 3, 10_000, TENTH);
    assert_eq!(per_pod(&[20_000, 30_000]), Proposal { replicas: 5, usage: 16_667 });
    assert_eq!(per_pod(&[i64::MAX, 1]), Proposal { replicas: i32::MAX, usage: i64::MAX });
    assert_eq!(per_pod(&[-1]), Proposal { replicas: i32::MAX, usage: i64::MAX }, "taken for an overflow");
}

/// Against 50 percent of one core each.
#[track_caller]
fn utilized(phases: &str, milli: &[i64], current: i32, want: Result<(i32, i32), ReplicasError>) {
    let pods = pods(phases);
    let pods: Vec<_> = pods.iter().collect();
    let metrics: BTreeMap<_, _> = milli
        .iter()
        .enumerate()
        .filter(|(_, value)| **value >= 0)
        .map(|(index, value)| (format!("p{index}"), sample(*value)))
        .collect();
    let got = utilization(&metrics, &pods, current, 50, "cpu", None, TENTH, None);
    assert_eq!(got.map(|got| (got.proposal.replicas, got.percent)), want, "{phases}: {milli:?}");
}

#[test]
fn utilization_of_requests() {
    utilized("ready ready", &[1000, 1000], 2, Ok((4, 100)));
    // 55.9 % is 55 %, which is within tolerance.
    utilized("ready ready", &[559, 559], 2, Ok((2, 55)));
    utilized("ready ready", &[560, 560], 2, Ok((3, 56)));
    utilized("ready ready", &[-1, -1], 2, Err(ReplicasError::NoMetrics));
    // Missing: all of the request when shrinking, so that this stays.
    utilized("ready ready", &[100, -1], 2, Ok((2, 10)));
    utilized("ready ready ready ready ready", &[0, 0, 0, 0, -1], 5, Ok((2, 0)));
    utilized("ready ready", &[2000, -1], 2, Ok((4, 200)));
    utilized("ready pending", &[2000, -1], 2, Ok((4, 200)));
    // A pod that is not selected has no request: it changes no sum, but is an entry once others are filled
    // in.
    utilized("ready", &[1000, 9000], 1, Ok((2, 100)));
    utilized("ready pending", &[1000, -1, 9000], 2, Ok((2, 100)));
    let got = utilization(&metrics("1"), &[&pods("ready")[0]], 1, 50, "memory", None, TENTH, None);
    assert_eq!(got, Err(ReplicasError::Request("container main of pod p0 requests no memory".into())));
}

#[test]
fn cpu_of_a_starting_pod_does_not_count() {
    let now = Time::from_seconds(10_000);
    let cpu = CpuReadiness {
        initialization_period: Duration::from_secs(300),
        initial_readiness_delay: Duration::from_secs(30),
        now,
    };
    // Seconds ago: start, last transition of Ready, sample.
    let check = |start: i64, ready: Option<(&str, i64)>, sampled: i64, counts: bool| {
        let time = |ago: i64| Time::from_seconds(10_000 - ago).to_string();
        let conditions = ready.map_or(
            json!([]),
            |(status, ago)| json!([{"type": "Ready", "status": status, "lastTransitionTime": time(ago)}]),
        );
        let start_time = if start < 0 { Value::Null } else { json!(time(start)) };
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p0"}, "status": {"phase": "Running", "startTime": start_time, "conditions": conditions}})).unwrap();
        let metric = PodMetric {
            value: 20_000,
            timestamp: Time::from_seconds(10_000 - sampled),
            window: Duration::from_secs(60),
        };
        let got = plain(&BTreeMap::from([("p0".to_owned(), metric)]), &[&pod], 1, 10_000, TENTH, Some(cpu));
        assert_eq!(got.is_ok(), counts, "start {start} ready {ready:?} sampled {sampled}");
    };
    check(-1, Some(("True", 10)), 0, false);
    check(500, None, 0, false);
    // Within five minutes of its start.
    check(100, Some(("True", 90)), 0, true);
    check(100, Some(("True", 90)), 30, true);
    check(100, Some(("True", 90)), 31, false);
    check(100, Some(("False", 90)), 0, false);
    check(299, Some(("True", 20)), 0, false);
    check(300, Some(("True", 20)), 0, true);
    // Later: only a pod that was never ready.
    check(500, Some(("False", 480)), 0, false);
    check(500, Some(("False", 471)), 0, false);
    check(500, Some(("False", 470)), 0, true);
    check(500, Some(("True", 480)), 0, true);
}
