//! The events on a scenario's HPA.
//!
//! The controller's recorder writes them late and one after the other. One that was there before, with the
//! same reason and text, is counted up instead. After 25 events on an object it drops what comes faster than
//! one in five minutes, so from there on there is nothing to compare.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cluster::{Cluster, RequestError};
use crate::manifests::NAME;
use crate::registration::{items, name};

/// How many events the recorder surely writes.
const BURST: i64 = 25;

/// What was seen so far: how often, by the events' names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger(BTreeMap<String, i64>);

// === impl Ledger ===

impl Ledger {
    /// The reasons of the events that this ledger has not, in the order in which they were written, and the
    /// ledger that has them.
    pub(crate) async fn news(
        &self,
        cluster: &Cluster,
        namespace: &str,
    ) -> Result<(Vec<String>, Self), RequestError> {
        let path = format!(
            "/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.kind%3DHorizontalPodAutoscaler%2CinvolvedObject.name%3D{NAME}"
        );
        Ok(self.since(&cluster.get(&path).await?))
    }

    /// Whether the recorder may have begun to drop events, had there been `more`.
    pub(crate) fn is_full(&self, more: usize) -> bool {
        let more = i64::try_from(more).unwrap_or(i64::MAX);
        self.0.values().sum::<i64>().saturating_add(more) >= BURST
    }

    fn since(&self, list: &Value) -> (Vec<String>, Self) {
        let mut now = Self::default();
        let mut news = Vec::new();
        for event in items(list) {
            let count = event["count"].as_i64().unwrap_or(1);
            let before = self.0.get(name(event)).copied().unwrap_or(0);
            // The version of an object is the cluster's count of writes when it was written.
            let version: u64 =
                event["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
            let reason = event["reason"].as_str().unwrap_or_default();
            news.extend((before..count).map(|_| (version, reason.to_owned())));
            now.0.insert(name(event).to_owned(), count);
        }
        news.sort_by_key(|(version, _)| *version);
        (news.into_iter().map(|(_, reason)| reason).collect(), now)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(name: &str, reason: &str, count: i64, version: u64) -> Value {
        json!({"metadata": {"name": name, "resourceVersion": version.to_string()}, "reason": reason, "count": count})
    }

    #[test]
    fn news_are_in_the_order_of_writing() {
        let first = json!({"items": [event("a", "Second", 1, 20), event("b", "First", 1, 9)]});
        let (news, ledger) = Ledger::default().since(&first);
        assert_eq!(news, ["First", "Second"]);
        assert_eq!(ledger.since(&first), (Vec::new(), ledger.clone()));
        let then = json!({"items": [event("a", "Second", 2, 30), event("b", "First", 1, 9), event("c", "Third", 1, 31)]});
        assert_eq!(ledger.since(&then).0, ["Second", "Third"]);
    }

    #[test]
    fn a_ledger_fills() {
        let (_, ledger) = Ledger::default().since(&json!({"items": [event("a", "r", 20, 1)]}));
        assert!(!ledger.is_full(4));
        assert!(ledger.is_full(5));
    }
}
