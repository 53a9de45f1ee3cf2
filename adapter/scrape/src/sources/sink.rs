//! Brings the state of one resource up to date.

use std::{collections::HashMap, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ApiResource;
use podgauge_objects::Sink;
use tracing::warn;

use super::{Followed, Key, Settings, Shared, State};
use crate::{
    object::{Reduced, Wanted},
    text::tame,
};

/// What is kept of the objects of one resource.
pub(super) trait Kept: Wanted {
    const FOLLOWED: Followed;

    /// How many of a list are looked at: of all, and of those in one namespace.
    fn room(_settings: &Settings, _namespace: &str) -> (usize, usize) {
        (usize::MAX, usize::MAX)
    }

    /// Takes in all there are.
    fn replace(state: &mut State, all: HashMap<Key, Self>);

    /// Takes in one that is new, has changed, or (`None`) is gone.
    fn change(state: &mut State, key: Key, object: Option<Self>);
}

/// Keeps the state of one resource up to date.
pub(super) struct StateSink<T> {
    shared: Arc<Shared>,
    /// What the list that is under way has so far.
    listed: Option<Listed<T>>,
}

struct Listed<T> {
    objects: HashMap<Key, T>,
    /// How many of them are in each namespace.
    near: HashMap<Arc<str>, usize>,
}

// === impl StateSink ===

impl<T> StateSink<T> {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, listed: None }
    }
}

impl<T: Kept> Sink<Reduced<T>> for StateSink<T> {
    fn begin(&mut self) {
        self.listed = Some(Listed { objects: HashMap::new(), near: HashMap::new() });
    }

    fn put(&mut self, object: Reduced<T>) {
        let Some(key) = key(&object.metadata) else { return };
        match (object.wanted, &mut self.listed) {
            (Ok(wanted), Some(listed)) => {
                let room = T::room(&self.shared.state().settings, &key.namespace);
                listed.put(key, wanted, room);
            }
            (Ok(wanted), None) => {
                T::change(&mut self.shared.state(), key, Some(wanted));
                self.shared.changed.notify_one();
            }
            (Err(error), _) => {
                let resource = T::FOLLOWED.resource();
                warn!(%resource, object = %key, error = tame(&error), "passed over an object that cannot be decoded");
            }
        }
    }

    fn end(&mut self, _served: &ApiResource) {
        let objects = self.listed.take().map(|listed| listed.objects);
        T::replace(&mut self.shared.state(), objects.unwrap_or_default());
        self.shared.settle(T::FOLLOWED);
    }

    fn remove(&mut self, object: &Reduced<T>) {
        if let Some(key) = key(&object.metadata) {
            T::change(&mut self.shared.state(), key, None);
            self.shared.changed.notify_one();
        }
    }

    fn unavailable(&mut self, _why: &str) {
        self.shared.settle(T::FOLLOWED);
    }

    fn absent(&mut self, _why: &str) {
        T::replace(&mut self.shared.state(), HashMap::new());
        self.shared.settle(T::FOLLOWED);
    }
}

// === impl Listed ===

impl<T> Listed<T> {
    /// Puts an object there, if there is room for it; what is beyond is nowhere while the list is read.
    fn put(&mut self, key: Key, object: T, (all, in_namespace): (usize, usize)) {
        let near = self.near.entry(Arc::clone(&key.namespace)).or_default();
        if self.objects.len() < all && *near < in_namespace {
            *near += 1;
            self.objects.insert(key, object);
        }
    }
}

fn key(metadata: &ObjectMeta) -> Option<Key> {
    Some(Key::new(metadata.namespace.as_deref()?, metadata.name.as_deref()?))
}
