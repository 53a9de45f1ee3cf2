//! What controllers ask of a pod.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::time::Duration;

/// Whether the pod counts: it has not ended and nobody wants it to.
pub(super) fn is_active(pod: &Value) -> bool {
    !has_ended(pod) && pod["metadata"]["deletionTimestamp"].is_null()
}

/// Whether all its containers have ended for good.
pub(super) fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// Whether its condition `Ready` is true.
pub(super) fn is_ready(pod: &Value) -> bool {
    ready_condition(pod).is_some_and(|condition| condition["status"] == "True")
}

/// Since when its condition `Ready` is what it is.
pub(super) fn ready_since(pod: &Value) -> Option<Timestamp> {
    ready_condition(pod)?["lastTransitionTime"].as_str()?.parse().ok()
}

/// Whether it has been ready for `min_ready`; if only the time is missing, how much of it.
pub(super) fn availability(pod: &Value, min_ready: Duration, now: Timestamp) -> Result<(), Option<Duration>> {
    if !is_ready(pod) {
        return Err(None);
    }
    if min_ready.is_zero() {
        return Ok(());
    }
    let age = ready_since(pod).map_or(SignedDuration::ZERO, |since| now.duration_since(since));
    let age = Duration::try_from(age).unwrap_or(Duration::ZERO);
    match min_ready.checked_sub(age) {
        None | Some(Duration::ZERO) => Ok(()),
        missing => Err(missing),
    }
}

fn ready_condition(pod: &Value) -> Option<&Value> {
    pod["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == "Ready")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_is_available_after_being_ready_for_long_enough() {
        let now: Timestamp = "2026-08-21T11:29:11Z".parse().unwrap();
        let check = |ready: &str, since: &str, min_ready: u64, expected: Result<(), Option<u64>>| {
            let pod = json!({"status": {"conditions": [
                {"type": "Ready", "status": ready, "lastTransitionTime": since}]}});
            let found = availability(&pod, Duration::from_secs(min_ready), now);
            assert_eq!(
                found,
                expected.map_err(|missing| missing.map(Duration::from_secs)),
                "{ready} {since}"
            );
        };
        check("False", "2026-08-21T11:00:00Z", 0, Err(None));
        check("True", "2026-08-21T11:29:11Z", 0, Ok(()));
        check("True", "2026-08-21T11:29:06Z", 5, Ok(()));
        check("True", "2026-08-21T11:29:06Z", 6, Err(Some(1)));
        check("True", "2026-08-21T11:29:12Z", 6, Err(Some(6)));
        check("True", "garbage", 6, Err(Some(6)));
    }
}
