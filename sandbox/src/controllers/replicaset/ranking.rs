//! Which pod goes first when there are too many.
//!
//! As `ActivePodsWithRanks` in `pkg/controller/controller_utils.go`, without the rank by pods on the same node, of which
//! there is one.

use crate::controllers::pods;
use jiff::Timestamp;
use serde_json::Value;
use std::cmp::Ordering;

/// Orders pods so that the first is the first to go: no node yet, Pending before Running, not ready before ready, the
/// cheaper to delete, ready for a shorter time, restarted more often, newer.
pub(super) fn first_to_go(a: &Value, b: &Value) -> Ordering {
    let key = |pod| {
        (
            is_assigned(pod),
            phase_rank(pod),
            pods::is_ready(pod),
            deletion_cost(pod),
            Newest(pods::is_ready(pod).then(|| pods::ready_since(pod)).flatten()),
            std::cmp::Reverse(restarts(pod)),
            Newest(pod["metadata"]["creationTimestamp"].as_str().and_then(|at| at.parse().ok())),
        )
    };
    // Names decide between equals, so that the same cluster always takes the same step.
    key(a).cmp(&key(b)).then_with(|| a["metadata"]["name"].as_str().cmp(&b["metadata"]["name"].as_str()))
}

/// Times, the newest first; an unknown one counts as newest.
#[derive(PartialEq, Eq)]
struct Newest(Option<Timestamp>);

impl Ord for Newest {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0, other.0) {
            (Some(a), Some(b)) => b.cmp(&a),
            (a, b) => a.is_some().cmp(&b.is_some()),
        }
    }
}

impl PartialOrd for Newest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn is_assigned(pod: &Value) -> bool {
    pod["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty())
}

fn phase_rank(pod: &Value) -> u8 {
    match pod["status"]["phase"].as_str() {
        Some("Running") => 2,
        Some("Pending") => 0,
        _ => 1,
    }
}

/// The annotation `controller.kubernetes.io/pod-deletion-cost`: the lower, the earlier.
fn deletion_cost(pod: &Value) -> i32 {
    let cost = &pod["metadata"]["annotations"]["controller.kubernetes.io/pod-deletion-cost"];
    cost.as_str().and_then(|cost| cost.parse().ok()).unwrap_or(0)
}

fn restarts(pod: &Value) -> u64 {
    let statuses = pod["status"]["containerStatuses"].as_array();
    statuses.into_iter().flatten().filter_map(|status| status["restartCount"].as_u64()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, phase: &str, ready: Option<&str>, created: &str) -> Value {
        let condition = match ready {
            Some(since) => json!({"type": "Ready", "status": "True", "lastTransitionTime": since}),
            None => json!({"type": "Ready", "status": "False", "lastTransitionTime": created}),
        };
        json!({
            "metadata": {"name": name, "creationTimestamp": created},
            "spec": {"nodeName": "n"},
            "status": {"phase": phase, "conditions": [condition]},
        })
    }

    #[test]
    fn the_least_useful_pod_goes_first() {
        let (early, late) = ("2026-08-21T11:00:00Z", "2026-08-21T12:00:00Z");
        let mut unassigned = pod("unassigned", "Pending", None, early);
        unassigned["spec"] = json!({});
        let mut cheap = pod("cheap", "Running", Some(early), early);
        cheap["metadata"]["annotations"] = json!({"controller.kubernetes.io/pod-deletion-cost": "-1"});
        let mut restarted = pod("restarted", "Running", Some(early), early);
        restarted["status"]["containerStatuses"] = json!([{"restartCount": 3}]);
        let expected = [
            unassigned,
            pod("pending", "Pending", None, early),
            pod("unready-new", "Running", None, late),
            pod("unready-old", "Running", None, early),
            cheap,
            pod("ready-late", "Running", Some(late), early),
            restarted,
            pod("new", "Running", Some(early), late),
            pod("old-a", "Running", Some(early), early),
            pod("old-b", "Running", Some(early), early),
        ];
        let mut found = expected.to_vec();
        found.reverse();
        found.sort_by(first_to_go);
        assert_eq!(found, expected);
    }
}
