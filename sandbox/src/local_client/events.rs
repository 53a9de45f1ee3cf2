//! Events: what the components tell people about an object.

use super::{LocalClient, note};
use crate::apiserver::{Part, known};
use crate::clock::rfc3339;
use serde_json::{Value, json};

/// The most events that are kept in all namespaces together. The oldest go first.
///
/// A cluster keeps events for an hour; this is an hour of a busy sandbox.
const MAX_EVENTS: usize = 1_000;

/// How alarming an event is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum EventKind {
    Normal,
    Warning,
}

// === impl LocalClient ===

impl LocalClient {
    /// Records an event about an object, or counts one more of the same.
    ///
    /// `field` says which part of the object is meant, such as `spec.containers{web}`; empty for all of it.
    pub(crate) fn record(
        &self,
        component: &str,
        about: &Value,
        field: &str,
        kind: EventKind,
        reason: &str,
        message: &str,
    ) {
        let resource = known("", "events");
        let now = rfc3339(self.now());
        let involved = reference(about, field);
        let all = self.list(resource);
        let same = all.iter().find(|(_, event)| {
            event["involvedObject"] == involved
                && event["reason"] == reason
                && event["message"] == message
                && event["source"]["component"] == component
        });
        if let Some((key, event)) = same {
            let updated = self.update(resource, key, &event["metadata"]["uid"], Part::Whole, |event| {
                event["count"] = event["count"].as_u64().unwrap_or(0).saturating_add(1).into();
                event["lastTimestamp"] = now.into();
            });
            note("count an event", updated);
            return;
        }
        if all.len() >= MAX_EVENTS
            && let Some((key, event)) = all.iter().min_by_key(|(_, event)| event["lastTimestamp"].as_str())
        {
            note("drop an old event", self.delete(resource, key, &event["metadata"]["uid"], None));
        }
        let name = about["metadata"]["name"].as_str().unwrap_or_default();
        // Events about objects without a namespace live in `default`.
        let namespace = about["metadata"]["namespace"].as_str().unwrap_or("default");
        let number = self.random() as u64;
        let event = json!({
            "metadata": {"name": format!("{name}.{number:016x}")},
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "type": match kind { EventKind::Normal => "Normal", EventKind::Warning => "Warning" },
            "source": {"component": component},
            "reportingComponent": component,
            "reportingInstance": "",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        });
        // In a namespace that is going away nothing new is taken; nobody will read it there either.
        note("record an event", self.create(resource, namespace, event));
    }
}

fn reference(about: &Value, field: &str) -> Value {
    let metadata = &about["metadata"];
    let mut reference = json!({
        "apiVersion": about["apiVersion"],
        "kind": about["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    });
    if let Some(namespace) = metadata["namespace"].as_str() {
        reference["namespace"] = namespace.into();
    }
    if !field.is_empty() {
        reference["fieldPath"] = field.into();
    }
    reference
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::{ApiServer, Config, Key};

    #[tokio::test]
    async fn the_same_event_is_counted_and_the_oldest_make_room() {
        let server = ApiServer::start(Config::default()).await.unwrap();
        let client = LocalClient::new(&server);
        let about = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "web", "namespace": "default", "uid": "u"}});
        let record = |message: &str| client.record("test", &about, "", EventKind::Normal, "Reason", message);
        let events = || client.list(known("", "events"));
        record("first");
        record("first");
        assert_eq!((events().len(), &events()[0].1["count"]), (1, &json!(2)));
        for number in 0..MAX_EVENTS {
            record(&number.to_string());
        }
        assert_eq!(events().len(), MAX_EVENTS);
        // A namespace that does not exist takes no events, and nobody minds.
        let nowhere = json!({"metadata": {"name": "a", "namespace": "nowhere"}});
        client.record("test", &nowhere, "", EventKind::Warning, "Reason", "message");
        assert!(client.get(known("", "namespaces"), &Key::new("", "nowhere")).is_none());
        server.shutdown().await;
    }

    #[test]
    fn objects_are_made_where_they_are_missing() {
        let mut value = json!({"a": "text"});
        super::super::object_at(&mut value, &["a", "b"]).insert("c".into(), 1.into());
        assert_eq!(value, json!({"a": {"b": {"c": 1}}}));
    }
}
