//! What the API and the shop say, as a sample. Everything here is a function of their answers.

use super::record::{Autoscaler, Decision, Queue, Served, Trouble, Workers};
use jiff::Timestamp;
use sandbox_hpa::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeMap;

/// Why containers wait that will not get better by waiting.
const STUCK: [&str; 7] = [
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
];

/// Which events have been seen, and how often each had happened.
#[derive(Clone, Debug, Default)]
pub(super) struct SeenEvents(BTreeMap<String, u64>);

/// The queue, from the shop's page in JSON.
pub(super) fn queue(page: &Value) -> Option<Queue> {
    let queue = &page["queue"];
    Some(Queue { messages: queue["messages"].as_u64()?, done: queue["completed"].as_u64() })
}

/// The value of a `MetricValueList`, read at `now`.
pub(super) fn served(list: &Value, now: Timestamp) -> Option<Served> {
    let items = list["items"].as_array()?;
    let values = items.iter().filter_map(|item| {
        let value: Quantity = item["value"].as_str()?.parse().ok()?;
        let taken: Timestamp = item["timestamp"].as_str()?.parse().ok()?;
        // Clocks of two machines differ, and a value from the future is a new one.
        Some(Served { value: value.approximate(), age: now.duration_since(taken).as_secs_f64().max(0.0) })
    });
    values.reduce(|one, other| Served { value: one.value.max(other.value), age: one.age.max(other.age) })
}

/// The workers, from their Deployment and pods.
pub(super) fn workers(deployment: &Value, pods: &[&Value]) -> Workers {
    let is_ready = |pod: &&&Value| {
        pod["metadata"]["deletionTimestamp"].is_null() && condition(pod, "Ready").is_some_and(is_true)
    };
    Workers {
        wanted: deployment["spec"]["replicas"].as_u64().unwrap_or(0),
        ready: pods.iter().filter(is_ready).count() as u64,
        pods: pods.len() as u64,
    }
}

/// The autoscaler's status.
///
/// Of its conditions, those are told that say why the number is what it is: that it cannot act at all; or what it did or
/// waits for, and what limits it.
pub(super) fn autoscaler(hpa: &Value) -> Autoscaler {
    let reason = |condition: &Value| condition["reason"].as_str().unwrap_or_default().to_owned();
    let message = |condition: &Value| condition["message"].as_str().unwrap_or_default().to_owned();
    let (able, active, limited) =
        (condition(hpa, "AbleToScale"), condition(hpa, "ScalingActive"), condition(hpa, "ScalingLimited"));
    let failed = [able, active].into_iter().flatten().find(|condition| condition["status"] == "False");
    let told = match failed {
        Some(failed) => vec![failed],
        None => {
            let limited = limited.filter(|condition| is_true(condition));
            let quiet = able.filter(|condition| condition["reason"] == "ReadyForNewScale").is_some();
            able.filter(|_| !quiet || limited.is_none()).into_iter().chain(limited).collect()
        }
    };
    Autoscaler {
        active: active.is_some_and(is_true),
        reasons: told.iter().map(|condition| reason(condition)).collect::<Vec<_>>().join(", "),
        message: told.first().map(|condition| message(condition)).unwrap_or_default(),
    }
}

/// What is wrong with the containers of pods.
pub(super) fn troubles(pods: &[&Value]) -> Vec<Trouble> {
    let mut found = Vec::new();
    for pod in pods {
        for container in pod["status"]["containerStatuses"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let restarts = container["restartCount"].as_u64().unwrap_or(0);
            let waiting = container["state"]["waiting"]["reason"].as_str();
            let waiting = waiting.filter(|reason| STUCK.contains(reason));
            let reason = match (waiting, restarts) {
                (Some(reason), _) => reason.to_owned(),
                (None, 0) => continue,
                (None, _) => {
                    let last = &container["lastState"]["terminated"];
                    format!("ended with code {}", last["exitCode"].as_i64().unwrap_or(-1))
                }
            };
            let (pod, container) = (text(&pod["metadata"]["name"]), text(&container["name"]));
            found.push(Trouble { pod, container, reason, restarts, waits: waiting.is_some() });
        }
    }
    found
}

// === impl SeenEvents ===

impl SeenEvents {
    /// The events about the autoscaler that are new, or have happened again, oldest first.
    pub(super) fn new_ones(&mut self, events: &Value, hpa: &str, at: f64) -> Vec<Decision> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut fresh = Vec::new();
        for event in events["items"].as_array().into_iter().flatten() {
            let about = &event["involvedObject"];
            if about["kind"] != "HorizontalPodAutoscaler" || about["name"] != hpa {
                continue;
            }
            let count = event["count"].as_u64().or(event["series"]["count"].as_u64()).unwrap_or(1);
            if self.0.insert(text(&event["metadata"]["uid"]), count) == Some(count) {
                continue;
            }
            let when = ["lastTimestamp", "eventTime"].map(|field| text(&event[field])).join("");
            fresh.push((
                when,
                Decision {
                    at,
                    warning: event["type"] == "Warning",
                    reason: text(&event["reason"]),
                    message: text(&event["message"]),
                },
            ));
        }
        fresh.sort_by(|(one, _), (other, _)| one.cmp(other));
        fresh.into_iter().map(|(_, decision)| decision).collect()
    }
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

fn is_true(condition: &Value) -> bool {
    condition["status"] == "True"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_shops_page() {
        let check = |page: Value, expected: Option<(u64, Option<u64>)>| {
            assert_eq!(queue(&page).map(|queue| (queue.messages, queue.done)), expected, "{page}");
        };
        check(json!({"queue": {"messages": 3, "completed": 97}}), Some((3, Some(97))));
        check(json!({"queue": {"messages": 3, "completed": null}}), Some((3, None)));
        check(json!({"queue": {"messages": null}}), None);
        check(json!({}), None);
    }

    #[test]
    fn a_metrics_value_is_the_largest_and_its_age_the_oldests() {
        let item = |value: &str, at: &str| json!({"value": value, "timestamp": at});
        let check = |items: Value, expected: Option<(f64, f64)>| {
            let now = "2026-01-01T00:00:10.5Z".parse().unwrap();
            let found = served(&json!({"items": items}), now).map(|served| (served.value, served.age));
            assert_eq!(found, expected, "{items}");
        };
        check(json!([item("100", "2026-01-01T00:00:10Z")]), Some((100.0, 0.5)));
        check(
            json!([item("12500m", "2026-01-01T00:00:10Z"), item("9", "2026-01-01T00:00:07Z")]),
            Some((12.5, 3.5)),
        );
        check(json!([item("1", "2026-01-01T00:00:20Z")]), Some((1.0, 0.0)));
        check(json!([item("x", "2026-01-01T00:00:10Z"), item("1", "today")]), None);
        check(json!([]), None);
        check(json!(null), None);
    }

    #[test]
    fn workers_are_counted_as_wanted_ready_and_there() {
        let pod = |ready: &str, ending: bool| {
            let mut pod =
                json!({"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": ready}]}});
            if ending {
                pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
            }
            pod
        };
        let pods = [pod("True", false), pod("False", false), pod("True", true), json!({})];
        let pods: Vec<_> = pods.iter().collect();
        let found = workers(&json!({"spec": {"replicas": 5}}), &pods);
        assert_eq!(found, Workers { wanted: 5, ready: 1, pods: 4 });
        assert_eq!(workers(&json!(null), &[]), Workers::default());
    }

    #[test]
    fn the_conditions_that_say_most_are_told() {
        let check = |conditions: &[(&str, &str, &str)], active: bool, reasons: &str| {
            let conditions = conditions.iter();
            let conditions: Vec<_> = conditions
                .map(|(kind, status, reason)| json!({"type": kind, "status": status, "reason": reason}))
                .collect();
            let found = autoscaler(&json!({"status": {"conditions": conditions}}));
            assert_eq!((found.active, found.reasons.as_str()), (active, reasons), "{conditions:?}");
        };
        let (ready, active, free) = (
            ("AbleToScale", "True", "ReadyForNewScale"),
            ("ScalingActive", "True", "ValidMetricFound"),
            ("ScalingLimited", "False", "DesiredWithinRange"),
        );
        check(&[], false, "");
        check(&[ready, active, free], true, "ReadyForNewScale");
        check(&[ready, active, ("ScalingLimited", "True", "TooFewReplicas")], true, "TooFewReplicas");
        let (rescaled, limit) =
            (("AbleToScale", "True", "SucceededRescale"), ("ScalingLimited", "True", "ScaleUpLimit"));
        check(&[rescaled, active, limit], true, "SucceededRescale, ScaleUpLimit");
        check(&[("AbleToScale", "True", "ScaleDownStabilized"), active, free], true, "ScaleDownStabilized");
        let broken = ("ScalingActive", "False", "FailedGetPodsMetric");
        check(&[("AbleToScale", "True", "SucceededGetScale"), broken], false, "FailedGetPodsMetric");
        check(&[("AbleToScale", "False", "FailedGetScale"), active], true, "FailedGetScale");
    }

    #[test]
    fn containers_that_wait_or_were_restarted_are_told() {
        let pod =
            |status: Value| json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [status]}});
        let check = |status: Value, expected: Option<&str>| {
            let pod = pod(status);
            let found = troubles(&[&pod]);
            assert_eq!(found.first().map(Trouble::text).as_deref(), expected, "{pod}");
        };
        check(json!({"name": "c", "restartCount": 0, "state": {"running": {}}}), None);
        check(json!({"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}}), None);
        check(
            json!({"name": "c", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}),
            Some("p: CrashLoopBackOff, restarted 3 times"),
        );
        check(
            json!({"name": "c", "restartCount": 1, "state": {"running": {}},
                "lastState": {"terminated": {"exitCode": 137}}}),
            Some("p: ended with code 137, restarted once"),
        );
        check(
            json!({"name": "c", "restartCount": 0, "state": {"waiting": {"reason": "ErrImagePull"}}}),
            Some("p: ErrImagePull"),
        );
    }

    #[test]
    fn an_event_is_told_once_for_each_time_that_it_happens() {
        let event = |uid: &str, count: u64, at: &str, name: &str| {
            json!({"metadata": {"uid": uid}, "count": count, "lastTimestamp": at, "reason": uid, "type": "Normal",
                "involvedObject": {"kind": "HorizontalPodAutoscaler", "name": name}})
        };
        let mut seen = SeenEvents::default();
        let mut check = |events: Vec<Value>, expected: &[&str]| {
            let found = seen.new_ones(&json!({"items": events}), "backend", 1.0);
            let found: Vec<_> = found.iter().map(|decision| decision.reason.as_str()).collect();
            assert_eq!(found, expected);
        };
        let (first, second) = (
            event("a", 1, "2026-01-01T00:00:02Z", "backend"),
            event("b", 1, "2026-01-01T00:00:01Z", "backend"),
        );
        check(vec![first.clone(), second.clone(), event("c", 1, "", "other")], &["b", "a"]);
        check(vec![first, second.clone()], &[]);
        check(vec![event("a", 2, "2026-01-01T00:00:09Z", "backend"), second], &["a"]);
    }
}
