//! The objects of the cluster, their one revision counter, and the recent history that watches replay.
//!
//! Everything happens under one lock that is never held across a wait; a change and its event are one step. Objects are
//! immutable once stored and shared by reference. Knows nothing of HTTP, of users or of what an object means.

use super::resources::Resource;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Where an object is, within its resource. The namespace is empty for cluster-scoped objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// What a transaction does with the object that it looked at.
pub(crate) enum Change {
    /// Leave everything as it is; no event.
    Keep,
    /// Store this. The store writes `metadata.resourceVersion`.
    Put(Value),
    /// Remove the object.
    Delete,
}

/// One change in the life of an object.
#[derive(Debug)]
pub(crate) struct Event {
    /// The revision that the change made.
    pub(crate) revision: u64,
    pub(crate) key: Key,
    /// The object after the change; of a deleted object its last state, under the deletion's revision.
    pub(crate) object: Arc<Value>,
    /// The object before the change, if there was one.
    pub(crate) previous: Option<Arc<Value>>,
    pub(crate) deleted: bool,
}

/// A consistent view of one resource.
pub(crate) struct Snapshot {
    pub(crate) revision: u64,
    /// In the order of keys.
    pub(crate) objects: Vec<(Key, Arc<Value>)>,
}

/// The asked-for point in history is gone; this is the oldest that remains.
#[derive(Debug, PartialEq)]
pub(crate) struct Compacted {
    pub(crate) oldest: u64,
}

/// All objects of all resources.
pub(crate) struct Store {
    history_limit: usize,
    inner: Mutex<Inner>,
    revision: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    revision: u64,
    collections: HashMap<(&'static str, &'static str), Collection>,
    /// Revisions below this one cannot be resumed from, whatever the resource.
    floor: u64,
}

#[derive(Default)]
struct Collection {
    objects: BTreeMap<Key, Arc<Value>>,
    /// Where the objects are that name an owner, by its uid.
    owned: HashMap<String, BTreeSet<Key>>,
    history: VecDeque<Arc<Event>>,
    /// The revision of the newest event that is no longer in the history.
    lost: u64,
}

// === impl Key ===

impl Key {
    pub(crate) fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

// === impl Store ===

impl Store {
    /// An empty store that keeps the newest `history_limit` events of each resource.
    pub(crate) fn new(history_limit: usize) -> Self {
        Self {
            history_limit,
            // Revision 0 means "any" on the wire, so that counting starts above it.
            inner: Mutex::new(Inner { revision: 1, ..Inner::default() }),
            revision: watch::Sender::new(1),
        }
    }

    /// The revision of the newest change.
    pub(crate) fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// Wakes when anything changes. Read with [`Store::events`].
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    pub(crate) fn get(&self, resource: &Resource, key: &Key) -> Option<Arc<Value>> {
        self.lock().collections.get(&id(resource))?.objects.get(key).cloned()
    }

    /// Every object of `resource` as of now.
    pub(crate) fn list(&self, resource: &Resource) -> Snapshot {
        let inner = self.lock();
        let objects = inner.collections.get(&id(resource)).map(Collection::all).unwrap_or_default();
        Snapshot { revision: inner.revision, objects }
    }

    /// The objects of `resource` that name this owner, perhaps among others.
    pub(crate) fn owned_by(&self, resource: &Resource, uid: &str) -> Vec<(Key, Arc<Value>)> {
        let inner = self.lock();
        let Some(collection) = inner.collections.get(&id(resource)) else { return Vec::new() };
        let keys = collection.owned.get(uid).into_iter().flatten();
        keys.filter_map(|key| Some((key.clone(), collection.objects.get(key)?.clone()))).collect()
    }

    /// Every object of `resource` as it was at `revision`, which must not lie in the future.
    pub(crate) fn list_at(&self, resource: &Resource, revision: u64) -> Result<Snapshot, Compacted> {
        let inner = self.lock();
        let Some(collection) = inner.collections.get(&id(resource)) else {
            return Ok(Snapshot { revision, objects: Vec::new() });
        };
        let oldest = inner.floor.max(collection.lost);
        if revision < oldest {
            return Err(Compacted { oldest });
        }
        let mut objects = collection.objects.clone();
        for event in collection.history.iter().rev().take_while(|event| event.revision > revision) {
            match &event.previous {
                Some(previous) => objects.insert(event.key.clone(), previous.clone()),
                None => objects.remove(&event.key),
            };
        }
        Ok(Snapshot { revision, objects: objects.into_iter().collect() })
    }

    /// Whether a client that has seen `revision` can learn all that came after it.
    pub(crate) fn check_resumable(&self, resource: &Resource, revision: u64) -> Result<(), Compacted> {
        let inner = self.lock();
        let lost = inner.collections.get(&id(resource)).map_or(0, |collection| collection.lost);
        let oldest = inner.floor.max(lost);
        if revision < oldest { Err(Compacted { oldest }) } else { Ok(()) }
    }

    /// The events of `resource` after `revision`, oldest first, and the revision up to which they are complete.
    ///
    /// For readers that follow on: a compaction concerns them only if it took events that they had not read.
    pub(crate) fn events(
        &self,
        resource: &Resource,
        revision: u64,
    ) -> Result<(Vec<Arc<Event>>, u64), Compacted> {
        let inner = self.lock();
        let collection = inner.collections.get(&id(resource));
        let oldest = collection.map_or(0, |collection| collection.lost);
        if revision < oldest {
            return Err(Compacted { oldest });
        }
        let events = collection.map_or_else(Vec::new, |collection| {
            let first = collection.history.partition_point(|event| event.revision <= revision);
            collection.history.range(first..).cloned().collect()
        });
        Ok((events, inner.revision))
    }

    /// Looks at one object and changes it in the same step.
    ///
    /// `decide` runs under the lock: it must be quick and must not call the store. Answers the object as it is after
    /// the change, or as it was if it has been deleted.
    pub(crate) fn transact<E>(
        &self,
        resource: &'static Resource,
        key: &Key,
        decide: impl FnOnce(Option<&Arc<Value>>) -> Result<Change, E>,
    ) -> Result<Option<Arc<Value>>, E> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let collection = inner.collections.entry(id(resource)).or_default();
        let previous = collection.objects.get(key).cloned();
        let (mut object, deleted) = match (decide(previous.as_ref())?, &previous) {
            (Change::Put(object), _) => (object, false),
            (Change::Delete, Some(last)) => (Value::clone(last), true),
            (Change::Keep | Change::Delete, _) => return Ok(previous),
        };
        inner.revision += 1;
        set_revision(&mut object, inner.revision);
        let object = Arc::new(object);
        collection.note_owners(key, previous.as_deref(), (!deleted).then_some(&object));
        if deleted {
            collection.objects.remove(key);
        } else {
            collection.objects.insert(key.clone(), object.clone());
        }
        collection.history.push_back(Arc::new(Event {
            revision: inner.revision,
            key: key.clone(),
            object: object.clone(),
            previous,
            deleted,
        }));
        if collection.history.len() > self.history_limit
            && let Some(oldest) = collection.history.pop_front()
        {
            collection.lost = oldest.revision;
        }
        self.revision.send_replace(inner.revision);
        Ok(Some(object))
    }

    /// Forgets the history of every resource: whoever resumes from a revision seen so far is told that it is gone.
    ///
    /// Watches that are connected and have read everything go on.
    pub(crate) fn compact(&self) {
        let mut inner = self.lock();
        inner.revision += 1;
        inner.floor = inner.revision;
        for collection in inner.collections.values_mut() {
            if let Some(newest) = collection.history.back() {
                collection.lost = newest.revision;
            }
            collection.history.clear();
        }
        self.revision.send_replace(inner.revision);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No step leaves the state half-changed, so a panic elsewhere while it was locked does not spoil it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Collection ===

impl Collection {
    fn all(&self) -> Vec<(Key, Arc<Value>)> {
        self.objects.iter().map(|(key, object)| (key.clone(), object.clone())).collect()
    }

    /// Notes whom an object names as its owners, instead of whom it named.
    fn note_owners(&mut self, key: &Key, before: Option<&Value>, after: Option<&Value>) {
        for uid in before.into_iter().flat_map(owners) {
            if let Some(keys) = self.owned.get_mut(uid) {
                keys.remove(key);
                if keys.is_empty() {
                    self.owned.remove(uid);
                }
            }
        }
        for uid in after.into_iter().flat_map(owners) {
            self.owned.entry(uid.to_owned()).or_default().insert(key.clone());
        }
    }
}

/// The uids of the owners that an object names.
pub(crate) fn owners(object: &Value) -> impl Iterator<Item = &str> {
    let references = object["metadata"]["ownerReferences"].as_array();
    references.into_iter().flatten().filter_map(|owner| owner["uid"].as_str())
}

fn id(resource: &Resource) -> (&'static str, &'static str) {
    (resource.group, resource.plural)
}

fn set_revision(object: &mut Value, revision: u64) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".into(), revision.to_string().into());
    }
}

#[cfg(test)]
mod tests;
