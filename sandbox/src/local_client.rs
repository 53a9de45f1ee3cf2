//! How the cluster's own components meet the API server: in the same process, past the network and its checks.
//!
//! Controllers and the node are level-triggered: they look at the whole of what concerns them whenever anything has
//! changed, and write only what differs. Everything here is quick and waits for nothing.

mod events;

pub(crate) use events::EventKind;

use crate::apiserver::{Core, DeleteOptions, Handle, Key, LogFiles, Part, Resource, Status};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Reads and writes the stored objects. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LocalClient(Arc<Core>);

// === impl LocalClient ===

impl LocalClient {
    pub(crate) fn new(handle: &Handle) -> Self {
        Self(handle.core().clone())
    }

    /// The cluster's wall time.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.registry.clock.now()
    }

    /// Says where `kubectl logs` finds what containers write.
    pub(crate) fn serve_logs(&self, files: impl LogFiles) {
        self.0.logs.register(files);
    }

    /// Wakes when anything changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.registry.store.changes()
    }

    pub(crate) fn get(&self, resource: &Resource, key: &Key) -> Option<Arc<Value>> {
        self.0.registry.store.get(resource, key)
    }

    /// Every object of `resource`, ordered by namespace and name.
    pub(crate) fn list(&self, resource: &Resource) -> Vec<(Key, Arc<Value>)> {
        self.0.registry.store.list(resource).objects
    }

    /// Stores a new object, its status included.
    pub(crate) fn create(
        &self,
        resource: &'static Resource,
        namespace: &str,
        object: Value,
    ) -> Result<Arc<Value>, Status> {
        self.0.registry.create(resource, namespace, object, Part::Whole, false)
    }

    /// Changes the object of this name if it is still the one with `uid`; if it is not, that is a 409.
    pub(crate) fn update(
        &self,
        resource: &'static Resource,
        key: &Key,
        uid: &Value,
        part: Part,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, Status> {
        self.0.registry.update(resource, key, part, false, |current| {
            if current["metadata"]["uid"] != *uid {
                return Err(Status::modified(resource, &key.name));
            }
            let mut object = current.clone();
            change(&mut object);
            Ok(object)
        })
    }

    /// Deletes the object of this name if it is still the one with `uid`; `grace_period` is in seconds, `None` asks the pod.
    pub(crate) fn delete(
        &self,
        resource: &'static Resource,
        key: &Key,
        uid: &Value,
        grace_period: Option<u64>,
    ) -> Result<(), Status> {
        let uid = uid.as_str().map(str::to_owned);
        let options = DeleteOptions { grace_period, uid, ..DeleteOptions::default() };
        self.0.registry.delete(resource, key, &options).map(drop)
    }

    /// A fresh random number.
    pub(crate) fn random(&self) -> u128 {
        let hex: String = self.0.registry.uuid().chars().filter(|c| *c != '-').collect();
        u128::from_str_radix(&hex, 16).expect("a UUID without its dashes is 32 hexadecimal digits")
    }

    /// Runs a controller until `stop`: calls `sync` at once, after every change, and after the time that it asks for.
    pub(crate) async fn control(
        self,
        stop: CancellationToken,
        mut sync: impl FnMut(&Self) -> Option<Duration>,
    ) {
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            let again = sync(&self);
            let due = async {
                match again {
                    Some(after) => tokio::time::sleep(after).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return },
                () = due => {}
            }
        }
    }
}

/// A number of seconds from a spec, at most a day: nobody waits longer here, and instants must not overflow.
pub(crate) fn seconds(number: u64) -> Duration {
    Duration::from_secs(number.min(24 * 60 * 60))
}

/// The object at a path of field names; whatever is there that is none is replaced, as is what is missing.
///
/// What people send may have anything anywhere.
pub(crate) fn object_at<'a>(value: &'a mut Value, path: &[&str]) -> &'a mut Map<String, Value> {
    let mut value = value;
    for field in path {
        value = as_object(value).entry(*field).or_insert_with(|| json!({}));
    }
    as_object(value)
}

fn as_object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("it was made an object just above")
}

impl std::fmt::Debug for LocalClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LocalClient")
    }
}

/// Logs a write that failed. Somebody else was quicker, nearly always; the next look at the cluster repairs it.
pub(crate) fn note<T>(what: &str, result: Result<T, Status>) -> Option<T> {
    result
        .inspect_err(
            |error| tracing::debug!(%error, what, "a write failed and will be repeated if still wanted"),
        )
        .ok()
}
