//! What writing an object means: identity, versions, preconditions, finalizers, owners.
//!
//! The HTTP handlers, the controllers and the test handle all write through here. Authorization is the caller's.

use super::defaults;
use super::resources::{self, Resource};
use super::status::Status;
use super::store::{Change, Key, Store, owners};
use super::validation;
use crate::clock::{Clock, rfc3339};
use rustls::crypto::SecureRandom;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The store with Kubernetes' rules for writing to it.
pub(crate) struct Registry {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    random: &'static dyn SecureRandom,
}

/// Who writes which part of an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Part {
    /// Spec and metadata, through the main resource: a status in the body is ignored.
    Main,
    /// Only `.status`, through the status subresource.
    Status,
    /// Everything at once, as only the sandbox itself may.
    Whole,
}

/// How an object is to be deleted.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    /// Seconds to leave to a pod; `None` asks the pod.
    pub(crate) grace_period: Option<u64>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    /// Leave what this object owns.
    pub(crate) orphan: bool,
    pub(crate) dry_run: bool,
}

// === impl Registry ===

impl Registry {
    pub(crate) fn new(store: Store, clock: Clock, random: &'static dyn SecureRandom) -> Self {
        Self { store, clock, random }
    }

    /// A fresh random identifier in UUID form (version 4).
    pub(crate) fn uuid(&self) -> String {
        let mut bytes = [0; 16];
        // The only failure is an operating system without randomness, with which TLS would not have started.
        self.random.fill(&mut bytes).expect("TLS, which needs the same source, is up");
        let bits = (u128::from_be_bytes(bytes) & !(0xf << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62);
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// The object, or 404.
    pub(crate) fn get(&self, resource: &Resource, key: &Key) -> Result<Arc<Value>, Status> {
        self.store.get(resource, key).ok_or_else(|| Status::not_found(resource, &key.name))
    }

    /// Stores a new object in `namespace` (empty for cluster-scoped resources).
    pub(crate) fn create(
        &self,
        resource: &'static Resource,
        namespace: &str,
        mut object: Value,
        part: Part,
        dry_run: bool,
    ) -> Result<Arc<Value>, Status> {
        self.complete_address(resource, namespace, &mut object)?;
        let key = key_of(&object);
        self.require_namespace(resource, namespace, &key.name)?;
        let metadata = metadata_mut(&mut object);
        metadata.insert("uid".into(), self.uuid().into());
        metadata.insert("creationTimestamp".into(), rfc3339(self.clock.now()).into());
        metadata.remove("resourceVersion");
        metadata.remove("deletionTimestamp");
        if resource.status {
            metadata.insert("generation".into(), 1.into());
            if part == Part::Main
                && let Some(fields) = object.as_object_mut()
            {
                fields.remove("status");
            }
        }
        defaults::apply(resource, &mut object);
        validation::check(resource, &object)?;
        let result = self.store.transact(resource, &key, |current| match current {
            Some(_) => Err(Status::already_exists(resource, &key.name)),
            None if dry_run => Ok(Change::Keep),
            None => Ok(Change::Put(object.clone())),
        })?;
        Ok(result.unwrap_or_else(|| Arc::new(object)))
    }

    /// Changes an object to what `change` makes of its present state.
    ///
    /// `change` may run under the store's lock and must be quick. A `resourceVersion` in its result that is not the
    /// present one is a conflict; an absent one is none. A result that differs in nothing makes no new version.
    pub(crate) fn update(
        &self,
        resource: &'static Resource,
        key: &Key,
        part: Part,
        dry_run: bool,
        change: impl FnOnce(&Value) -> Result<Value, Status>,
    ) -> Result<Arc<Value>, Status> {
        let mut preview = None;
        let mut removed = false;
        let stored = self.store.transact(resource, key, |current| {
            let current = current.ok_or_else(|| Status::not_found(resource, &key.name))?;
            let object = merge_update(resource, key, part, current, change(current)?)?;
            if object == **current {
                return Ok(Change::Keep);
            }
            validation::check(resource, &object)?;
            validation::check_update(resource, current, &object)?;
            if dry_run {
                preview = Some(Arc::new(object));
                return Ok(Change::Keep);
            }
            removed = is_finished(resource, &object);
            Ok(if removed { Change::Delete } else { Change::Put(object) })
        })?;
        if removed && let Some(last) = &stored {
            self.delete_dependents(last);
        }
        preview.or(stored).ok_or_else(|| Status::not_found(resource, &key.name))
    }

    /// Deletes an object, or marks it as being deleted while finalizers or a kubelet still have work with it.
    ///
    /// Answers the object as it is then, and whether it is gone.
    pub(crate) fn delete(
        &self,
        resource: &'static Resource,
        key: &Key,
        options: &DeleteOptions,
    ) -> Result<(Arc<Value>, bool), Status> {
        let now = self.clock.now();
        let mut gone = false;
        let result = self.store.transact(resource, key, |current| {
            let current = current.ok_or_else(|| Status::not_found(resource, &key.name))?;
            check_preconditions(resource, key, current, options)?;
            let mut object = Value::clone(current);
            let grace = grace_period(resource, &object, options);
            let already = current["metadata"]["deletionGracePeriodSeconds"].as_u64();
            let metadata = metadata_mut(&mut object);
            // A second deletion can only shorten what is left.
            let grace = grace.min(already.unwrap_or(grace));
            if already != Some(grace) || !metadata.contains_key("deletionTimestamp") {
                let deadline = now.saturating_add(std::time::Duration::from_secs(grace)).unwrap_or(now);
                metadata.insert("deletionTimestamp".into(), rfc3339(deadline).into());
                metadata.insert("deletionGracePeriodSeconds".into(), grace.into());
            }
            if options.dry_run {
                return Ok(Change::Keep);
            }
            if is_namespace(resource) {
                object["status"]["phase"] = "Terminating".into();
            }
            gone = is_finished(resource, &object);
            Ok(match (gone, object == **current) {
                (true, _) => Change::Delete,
                (false, true) => Change::Keep,
                (false, false) => Change::Put(object),
            })
        })?;
        let object = result.ok_or_else(|| Status::not_found(resource, &key.name))?;
        if gone && !options.orphan {
            self.delete_dependents(&object);
        }
        Ok((object, gone))
    }

    /// Background garbage collection: what has no owner left goes with its last owner.
    fn delete_dependents(&self, owner: &Value) {
        let Some(uid) = owner["metadata"]["uid"].as_str() else { return };
        for resource in resources::RESOURCES {
            for (key, object) in self.store.owned_by(resource, uid) {
                if owners(&object).all(|owner| owner == uid) {
                    // Gone already is as good.
                    let _ = self.delete(resource, &key, &DeleteOptions::default());
                }
            }
        }
    }

    /// Deletes what is in a namespace, and the namespace itself once nothing is.
    pub(crate) fn finish_namespace(&self, namespace: &str) {
        let options = DeleteOptions { grace_period: Some(0), ..DeleteOptions::default() };
        let mut is_empty = true;
        for resource in resources::RESOURCES.iter().filter(|resource| resource.namespaced) {
            for (key, _) in self.store.list(resource).objects {
                if key.namespace == namespace {
                    is_empty &= !matches!(self.delete(resource, &key, &options), Ok((_, false)));
                }
            }
        }
        if is_empty {
            let key = Key::new("", namespace);
            // Gone already is as good.
            let _ = self.update(resources::known("", "namespaces"), &key, Part::Whole, false, |current| {
                let mut object = current.clone();
                object["spec"]["finalizers"] = json!([]);
                Ok(object)
            });
        }
    }

    /// Fills in kind, name and namespace from the address and refuses what contradicts it.
    fn complete_address(
        &self,
        resource: &Resource,
        namespace: &str,
        object: &mut Value,
    ) -> Result<(), Status> {
        let fields =
            object.as_object_mut().ok_or_else(|| Status::bad_request("the body must be a JSON object"))?;
        check_type(resource, fields)?;
        let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
        if !metadata.is_object() {
            return Err(Status::bad_request("metadata must be an object"));
        }
        let metadata = metadata_mut(object);
        let text = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (mut name, prefix, own_namespace) = (text("name"), text("generateName"), text("namespace"));
        if name.is_empty() && !prefix.is_empty() {
            let suffix: String = self.uuid().chars().filter(char::is_ascii_alphanumeric).take(5).collect();
            name = format!("{prefix}{suffix}");
            metadata.insert("name".into(), name.clone().into());
        }
        if name.is_empty() {
            let problem = "Required value: name or generateName is required";
            return Err(Status::invalid(resource, "", "metadata.name", problem));
        }
        if !own_namespace.is_empty() && own_namespace != namespace {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        if resource.namespaced {
            metadata.insert("namespace".into(), namespace.into());
        }
        Ok(())
    }

    fn require_namespace(&self, resource: &Resource, namespace: &str, name: &str) -> Result<(), Status> {
        if !resource.namespaced {
            return Ok(());
        }
        if namespace.is_empty() {
            let problem = "Required value";
            return Err(Status::invalid(resource, name, "metadata.namespace", problem));
        }
        let found = self.get(resources::known("", "namespaces"), &Key::new("", namespace))?;
        if found["metadata"]["deletionTimestamp"].is_null() {
            return Ok(());
        }
        let message = format!(
            "{} {name:?} is forbidden: unable to create new content in namespace {namespace} because it is being \
             terminated",
            resource.qualified()
        );
        Err(Status::forbidden(message, json!({"name": name, "kind": resource.plural})))
    }
}

/// Where the object says it is.
pub(crate) fn key_of(object: &Value) -> Key {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    Key::new(text("namespace"), text("name"))
}

/// The metadata of an object, which is made if it is missing.
pub(crate) fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = json!({});
    }
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    object["metadata"].as_object_mut().expect("it was made an object just above")
}

fn check_type(resource: &Resource, fields: &mut Map<String, Value>) -> Result<(), Status> {
    for (field, expected) in [("kind", resource.kind.to_owned()), ("apiVersion", resource.api_version())] {
        match fields.get(field).and_then(Value::as_str) {
            None | Some("") => _ = fields.insert(field.into(), expected.into()),
            Some(found) if found == expected => {}
            Some(found) => {
                return Err(Status::bad_request(format!(
                    "the {field} in the data ({found}) does not match the expected {field} ({expected})"
                )));
            }
        }
    }
    Ok(())
}

/// What is stored when `wanted` is written over `current` as `part`.
fn merge_update(
    resource: &Resource,
    key: &Key,
    part: Part,
    current: &Value,
    mut wanted: Value,
) -> Result<Value, Status> {
    let fields =
        wanted.as_object_mut().ok_or_else(|| Status::bad_request("the body must be a JSON object"))?;
    check_type(resource, fields)?;
    let text = |field: &str| wanted["metadata"][field].as_str().unwrap_or_default();
    if !text("name").is_empty() && text("name") != key.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            text("name"),
            key.name
        )));
    }
    if !text("uid").is_empty() && wanted["metadata"]["uid"] != current["metadata"]["uid"] {
        let why = "Precondition failed: UID in precondition differs from the object's";
        return Err(Status::conflict(resource, &key.name, why));
    }
    let version = &wanted["metadata"]["resourceVersion"];
    if !matches!(version.as_str(), None | Some("" | "0"))
        && *version != current["metadata"]["resourceVersion"]
    {
        return Err(Status::modified(resource, &key.name));
    }
    if part == Part::Status {
        let status = wanted["status"].take();
        wanted = current.clone();
        set_or_remove(&mut wanted, "status", &status);
    } else if part == Part::Main && resource.status {
        set_or_remove(&mut wanted, "status", &current["status"]);
    }
    let metadata = metadata_mut(&mut wanted);
    // What only the server says.
    let fixed = ["name", "namespace", "uid", "creationTimestamp", "resourceVersion", "generation"];
    for field in fixed.into_iter().chain(["deletionTimestamp", "deletionGracePeriodSeconds"]) {
        match current["metadata"].get(field) {
            Some(value) => _ = metadata.insert(field.into(), value.clone()),
            None => _ = metadata.remove(field),
        }
    }
    defaults::apply(resource, &mut wanted);
    if resource.status && differs_outside_status(current, &wanted) {
        let next = current["metadata"]["generation"].as_u64().unwrap_or(0).saturating_add(1);
        metadata_mut(&mut wanted).insert("generation".into(), next.into());
    }
    Ok(wanted)
}

fn set_or_remove(object: &mut Value, field: &str, value: &Value) {
    if let Some(fields) = object.as_object_mut() {
        match value {
            Value::Null => _ = fields.remove(field),
            value => _ = fields.insert(field.into(), value.clone()),
        }
    }
}

fn differs_outside_status(a: &Value, b: &Value) -> bool {
    let rest = |object: &Value| {
        let mut fields = object.as_object().cloned().unwrap_or_default();
        fields.remove("metadata");
        fields.remove("status");
        fields
    };
    rest(a) != rest(b)
}

fn check_preconditions(
    resource: &Resource,
    key: &Key,
    current: &Value,
    options: &DeleteOptions,
) -> Result<(), Status> {
    let checks =
        [("uid", "UID", &options.uid), ("resourceVersion", "ResourceVersion", &options.resource_version)];
    for (field, label, expected) in checks {
        let found = current["metadata"][field].as_str().unwrap_or_default();
        if let Some(expected) = expected
            && expected != found
        {
            let why = format!(
                "Precondition failed: {label} in precondition: {expected}, {label} in object meta: {found}"
            );
            return Err(Status::conflict(resource, &key.name, &why));
        }
    }
    Ok(())
}

/// Seconds between the request and the end. Only a pod that has a node, whose kubelet ends it, is given any.
fn grace_period(resource: &Resource, object: &Value, options: &DeleteOptions) -> u64 {
    let bound = object["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    if (resource.group, resource.plural) != ("", "pods") || !bound {
        return 0;
    }
    let ended = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    match options.grace_period {
        Some(seconds) => seconds,
        None if ended => 0,
        None => object["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30),
    }
}

fn is_namespace(resource: &Resource) -> bool {
    (resource.group, resource.plural) == ("", "namespaces")
}

/// Whether nothing holds the object any more.
fn is_finished(resource: &Resource, object: &Value) -> bool {
    let metadata = &object["metadata"];
    let holds = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
    // A namespace has finalizers of its own: they stand for what is in it.
    let held =
        holds(&metadata["finalizers"]) || (is_namespace(resource) && holds(&object["spec"]["finalizers"]));
    let graceful = (resource.group, resource.plural) == ("", "pods")
        && metadata["deletionGracePeriodSeconds"].as_u64().is_some_and(|grace| grace > 0);
    !metadata["deletionTimestamp"].is_null() && !held && !graceful
}

#[cfg(test)]
mod tests;
