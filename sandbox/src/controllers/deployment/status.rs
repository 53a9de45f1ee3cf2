//! How far a Deployment is: counts and the conditions `Available` and `Progressing`.
//!
//! Follows `pkg/controller/deployment/{sync.go,progress.go}`; reasons and messages are what `kubectl rollout status` and
//! `kubectl describe` show.

use crate::clock::rfc3339;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// The pods of all ReplicaSets of a Deployment, counted.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Counts {
    wanted: u64,
    replicas: u64,
    updated: u64,
    ready: u64,
    available: u64,
}

/// What the condition `Progressing` depends on besides the counts.
#[derive(Debug)]
pub(super) struct Progress<'a> {
    pub(super) deadline: Duration,
    pub(super) paused: bool,
    /// The ReplicaSet that was created just now.
    pub(super) created: Option<&'a str>,
    /// The ReplicaSet of the present template.
    pub(super) new_set: Option<&'a str>,
}

/// The status to write over the present one.
pub(super) fn next(
    deployment: &Value,
    replicas: u64,
    max_unavailable: u64,
    counts: &Counts,
    progress: &Progress<'_>,
    now: Timestamp,
) -> Value {
    let before = &deployment["status"];
    let mut status = json!({
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": counts.replicas,
        "updatedReplicas": counts.updated,
        "readyReplicas": counts.ready,
        "availableReplicas": counts.available,
        "unavailableReplicas": counts.wanted.saturating_sub(counts.available),
    });
    if !before["collisionCount"].is_null() {
        status["collisionCount"] = before["collisionCount"].clone();
    }
    let available = if counts.available >= replicas.saturating_sub(max_unavailable) {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.".to_owned())
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.".to_owned())
    };
    let present = |kind: &str| condition(before, kind);
    let mut conditions = vec![renewed(present("Available"), "Available", available, false, now)];
    let progressing = progressing(before, &status, replicas, progress, now);
    conditions.extend(match progressing {
        Some((condition, advanced)) => {
            Some(renewed(present("Progressing"), "Progressing", condition, advanced, now))
        }
        None => present("Progressing").cloned(),
    });
    status["conditions"] = conditions.into();
    status
}

/// Whether every pod is of the present template, available, and counted.
pub(super) fn is_complete(deployment: &Value, replicas: u64) -> bool {
    let status = &deployment["status"];
    status["observedGeneration"] == deployment["metadata"]["generation"]
        && counts_are_complete(status, replicas)
}

/// How long the rollout may still take without progress; `None` if it is over, either way.
pub(super) fn time_left(
    status: &Value,
    replicas: u64,
    progress: &Progress<'_>,
    now: Timestamp,
) -> Option<Duration> {
    let condition = condition(status, "Progressing")?;
    let is_over = counts_are_complete(status, replicas) || condition["reason"] == "NewReplicaSetAvailable";
    if is_over || progress.paused || condition["status"] != "True" {
        return None;
    }
    // A second more than the deadline, because times are written in whole seconds.
    Some((progress.deadline + Duration::from_secs(1)).saturating_sub(age(condition, now)))
}

type Condition = (&'static str, &'static str, String);

/// The condition `Progressing`, if it is to change, and whether something advanced.
fn progressing(
    before: &Value,
    status: &Value,
    replicas: u64,
    progress: &Progress<'_>,
    now: Timestamp,
) -> Option<(Condition, bool)> {
    if progress.paused {
        return Some((("Unknown", "DeploymentPaused", "Deployment is paused".to_owned()), false));
    }
    if let Some(created) = progress.created {
        return Some((
            ("True", "NewReplicaSetCreated", format!("Created new replica set {created:?}")),
            true,
        ));
    }
    let name = progress.new_set?;
    let present = condition(before, "Progressing");
    // A rollout that was complete once stays so: pods that come, go or break later are no progress and not late.
    let was_complete = present.is_some_and(|present| present["reason"] == "NewReplicaSetAvailable");
    if was_complete && count(status, "replicas") == count(status, "updatedReplicas") {
        return None;
    }
    if counts_are_complete(status, replicas) {
        let message = format!("ReplicaSet {name:?} has successfully progressed.");
        return Some((("True", "NewReplicaSetAvailable", message), false));
    }
    if has_advanced(before, status) {
        return Some((("True", "ReplicaSetUpdated", format!("ReplicaSet {name:?} is progressing.")), true));
    }
    let Some(present) = present else {
        return Some((("True", "FoundNewReplicaSet", format!("Found new replica set {name:?}")), true));
    };
    if present["reason"] != "ProgressDeadlineExceeded" && age(present, now) > progress.deadline {
        let message = format!("ReplicaSet {name:?} has timed out progressing.");
        return Some((("False", "ProgressDeadlineExceeded", message), false));
    }
    if present["reason"] == "DeploymentPaused" {
        return Some((("Unknown", "DeploymentResumed", "Deployment is resumed".to_owned()), true));
    }
    None
}

fn counts_are_complete(status: &Value, replicas: u64) -> bool {
    ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|field| count(status, field) == replicas)
}

fn has_advanced(before: &Value, after: &Value) -> bool {
    let old = |status: &Value| count(status, "replicas").saturating_sub(count(status, "updatedReplicas"));
    let grew = |field: &str| count(after, field) > count(before, field);
    grew("updatedReplicas") || grew("readyReplicas") || grew("availableReplicas") || old(after) < old(before)
}

fn count(status: &Value, field: &str) -> u64 {
    status[field].as_u64().unwrap_or(0)
}

fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// How long ago the condition was last updated.
fn age(condition: &Value, now: Timestamp) -> Duration {
    let updated =
        condition["lastUpdateTime"].as_str().and_then(|at| at.parse::<Timestamp>().ok()).unwrap_or(now);
    Duration::try_from(now.duration_since(updated)).unwrap_or(Duration::ZERO)
}

/// The condition as it is from now on; times change only where they say something new.
fn renewed(
    present: Option<&Value>,
    kind: &str,
    (status, reason, message): Condition,
    advanced: bool,
    now: Timestamp,
) -> Value {
    let at = rfc3339(now);
    let same_status = present.filter(|present| present["status"] == status);
    let same = same_status.filter(|p| p["reason"] == reason && p["message"] == message.as_str() && !advanced);
    json!({
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": same.map_or_else(|| json!(at), |present| present["lastUpdateTime"].clone()),
        "lastTransitionTime": same_status.map_or_else(|| json!(at), |present| present["lastTransitionTime"].clone()),
    })
}

// === impl Counts ===

impl Counts {
    /// Adds up the statuses of all ReplicaSets, of which `new` has the present template.
    pub(super) fn of<'a>(new: Option<&Value>, all: impl Iterator<Item = &'a Value>) -> Self {
        let updated = new.map_or(0, |set| count(&set["status"], "replicas"));
        all.fold(Self { updated, ..Self::default() }, |sum, set| {
            let status = &set["status"];
            Self {
                wanted: sum.wanted.saturating_add(set["spec"]["replicas"].as_u64().unwrap_or(0)),
                replicas: sum.replicas.saturating_add(count(status, "replicas")),
                ready: sum.ready.saturating_add(count(status, "readyReplicas")),
                available: sum.available.saturating_add(count(status, "availableReplicas")),
                updated,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(60);

    fn at(second: u64) -> Timestamp {
        let start: Timestamp = "2026-08-21T11:00:00Z".parse().unwrap();
        start + Duration::from_secs(second)
    }

    fn counts(replicas: u64, updated: u64, available: u64) -> Counts {
        Counts { wanted: 2, replicas, updated, ready: available, available }
    }

    /// The status after each of a row of looks at a Deployment of 2 replicas.
    #[test]
    fn conditions_tell_the_story_of_a_rollout() {
        let mut deployment = json!({"metadata": {"generation": 1}});
        let mut look = |second, counts: Counts, created, expected: [&str; 2], since: [u64; 2]| {
            let progress =
                Progress { deadline: DEADLINE, paused: false, created, new_set: created.or(Some("a-1")) };
            let status = next(&deployment, 2, 0, &counts, &progress, at(second));
            let found = |kind: &str, field: &str| {
                condition(&status, kind).unwrap()[field].as_str().unwrap_or_default().to_owned()
            };
            let text = |kind: &str| format!("{} {}", found(kind, "status"), found(kind, "reason"));
            assert_eq!([text("Available"), text("Progressing")], expected, "at {second}");
            let times = [found("Available", "lastTransitionTime"), found("Progressing", "lastUpdateTime")];
            assert_eq!(times, since.map(|second| rfc3339(at(second))), "at {second}");
            let left = time_left(&status, 2, &progress, at(second));
            deployment["status"] = status;
            left
        };
        let (missing, enough) = ("False MinimumReplicasUnavailable", "True MinimumReplicasAvailable");
        look(0, counts(0, 0, 0), Some("a-1"), [missing, "True NewReplicaSetCreated"], [0, 0]);
        let left = look(1, counts(2, 2, 0), None, [missing, "True ReplicaSetUpdated"], [0, 1]);
        assert_eq!(left, Some(Duration::from_secs(61)));
        let left = look(31, counts(2, 2, 0), None, [missing, "True ReplicaSetUpdated"], [0, 1]);
        assert_eq!(left, Some(Duration::from_secs(31)));
        let left = look(62, counts(2, 2, 0), None, [missing, "False ProgressDeadlineExceeded"], [0, 62]);
        assert_eq!(left, None);
        look(70, counts(2, 2, 1), None, [missing, "True ReplicaSetUpdated"], [0, 70]);
        look(75, counts(2, 2, 2), None, [enough, "True NewReplicaSetAvailable"], [75, 75]);
        // A pod that breaks later makes it unavailable, not late.
        look(500, counts(2, 2, 1), None, [missing, "True NewReplicaSetAvailable"], [500, 75]);
    }

    #[test]
    fn a_pause_is_said() {
        let progress = Progress { deadline: DEADLINE, paused: true, created: None, new_set: None };
        let status = next(&json!({}), 2, 0, &counts(0, 0, 0), &progress, at(0));
        assert_eq!(condition(&status, "Progressing").unwrap()["reason"], "DeploymentPaused");
        assert_eq!(time_left(&status, 2, &progress, at(0)), None);
    }

    #[test]
    fn counts_add_up() {
        let set = |spec: u64, replicas: u64, available: u64| {
            json!({"spec": {"replicas": spec},
                "status": {"replicas": replicas, "readyReplicas": available, "availableReplicas": available}})
        };
        let (new, old) = (set(2, 1, 0), set(1, 1, 1));
        let found = Counts::of(Some(&new), [&new, &old].into_iter());
        assert_eq!(found, Counts { wanted: 3, replicas: 2, updated: 1, ready: 1, available: 1 });
    }
}
