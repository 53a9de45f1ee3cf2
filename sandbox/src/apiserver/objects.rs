//! Objects written and read without HTTP, with no questions asked about who does it.

use super::Core;
use super::aggregator::GroupVersions;
use super::patch;
use super::registry::{DeleteOptions, Part, key_of};
use super::resources::{self, Resource};
use super::status::Status;
use super::store::Key;
use serde_json::Value;

/// Direct access to the stored objects, from [`Handle::objects`](super::Handle::objects).
///
/// Writes everything at once, the status too, as all components of a cluster together would. Objects say themselves what
/// and where they are; a namespaced one without a namespace goes to `default`.
pub struct Objects<'a> {
    core: &'a Core,
}

// === impl Objects ===

impl<'a> Objects<'a> {
    pub(crate) fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// Stores a new object and answers it as stored.
    pub fn create(&self, object: Value) -> Result<Value, Status> {
        let (resource, key, object) = addressed(object)?;
        let stored = self.core.registry.create(resource, &key.namespace, object, Part::Whole, false)?;
        Ok(Value::clone(&stored))
    }

    /// Replaces an object that exists; a `resourceVersion` that is given must be the present one.
    pub fn replace(&self, object: Value) -> Result<Value, Status> {
        let (resource, key, object) = addressed(object)?;
        let stored = self.core.registry.update(resource, &key, Part::Whole, false, |_| Ok(object))?;
        Ok(Value::clone(&stored))
    }

    /// Creates an object or replaces it.
    pub fn put(&self, object: Value) -> Result<Value, Status> {
        match self.create(object.clone()) {
            Err(status) if status.reason == "AlreadyExists" => self.replace(object),
            other => other,
        }
    }

    /// Changes an object by a JSON merge patch.
    pub fn merge(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Value, Status> {
        let resource = resource(api_version, kind)?;
        let stored = self.core.registry.update(
            resource,
            &Key::new(namespace, name),
            Part::Whole,
            false,
            |current| {
                let mut object = current.clone();
                patch::merge(&mut object, patch);
                Ok(object)
            },
        )?;
        Ok(Value::clone(&stored))
    }

    /// One object, if it exists. The namespace is empty for cluster-scoped kinds.
    pub fn get(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let resource = resources::by_kind(api_version, kind)?;
        self.core.registry.store.get(resource, &Key::new(namespace, name)).map(|object| Value::clone(&object))
    }

    /// Every object of a kind, in all namespaces, ordered by namespace and name.
    pub fn list(&self, api_version: &str, kind: &str) -> Vec<Value> {
        let Some(resource) = resources::by_kind(api_version, kind) else { return Vec::new() };
        let objects = self.core.registry.store.list(resource).objects;
        objects.into_iter().map(|(_, object)| Value::clone(&object)).collect()
    }

    /// Deletes an object at once, whatever grace it is owed; finalizers still hold it.
    pub fn delete(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<(), Status> {
        let options = DeleteOptions { grace_period: Some(0), ..DeleteOptions::default() };
        self.core
            .registry
            .delete(resource(api_version, kind)?, &Key::new(namespace, name), &options)
            .map(drop)
    }

    /// Starts the deletion of an object as a user's request would: a pod on a node stays, with a `deletionTimestamp`.
    pub fn begin_delete(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<(), Status> {
        let key = Key::new(namespace, name);
        self.core.registry.delete(resource(api_version, kind)?, &key, &DeleteOptions::default()).map(drop)
    }

    /// The revision of the newest change: what a list would carry as `resourceVersion`.
    pub fn revision(&self) -> u64 {
        self.core.registry.store.revision()
    }

    /// The names of the API groups in the order in which discovery offers them, with their versions.
    pub fn api_groups(&self) -> Vec<(String, Vec<String>)> {
        let groups = self.core.aggregator.groups(&self.core.registry.store);
        let owned = |group: &GroupVersions| group.version_names().into_iter().map(str::to_owned).collect();
        groups.iter().map(|group| (group.name.clone(), owned(group))).collect()
    }
}

fn resource(api_version: &str, kind: &str) -> Result<&'static Resource, Status> {
    resources::by_kind(api_version, kind).ok_or_else(|| {
        Status::bad_request(format!("no matches for kind {kind:?} in version {api_version:?}"))
    })
}

fn addressed(mut object: Value) -> Result<(&'static Resource, Key, Value), Status> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let resource = resource(text("apiVersion"), text("kind"))?;
    let mut key = key_of(&object);
    if resource.namespaced && key.namespace.is_empty() {
        key.namespace = "default".to_owned();
        object["metadata"]["namespace"] = "default".into();
    }
    Ok((resource, key, object))
}
