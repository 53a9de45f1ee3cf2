//! Create, update, patch and delete over HTTP.

use super::Core;
use super::apply;
use super::call::Call;
use super::decoding::{self, Warnings};
use super::patch;
use super::read::Selection;
use super::registry::{DeleteOptions, Part};
use super::representation::Representation;
use super::resources::Resource;
use super::respond::{self, Answer};
use super::status::Status;
use super::store::Key;
use serde_json::{Value, json};

pub(crate) const PATCH_TYPES: &str = "application/json-patch+json, application/merge-patch+json, \
     application/strategic-merge-patch+json, application/apply-patch+yaml";

/// POST to a collection.
pub(crate) fn create(
    core: &Core,
    resource: &'static Resource,
    namespace: &str,
    call: &Call,
) -> Result<Answer, Status> {
    let shape = Representation::negotiate(&call.headers, &call.query)?;
    let (object, warnings) = decoding::body(call, &resource.api_version(), resource.kind)?;
    let object = core.registry.create(resource, namespace, object, Part::Main, call.dry_run())?;
    let answer = respond::json(201, &shape.object(resource, &object, core.registry.clock.now()));
    Ok(decoding::warn(answer, &warnings))
}

/// PUT to an object or its status.
pub(crate) fn update(
    core: &Core,
    resource: &'static Resource,
    key: &Key,
    part: Part,
    call: &Call,
) -> Result<Answer, Status> {
    let shape = Representation::negotiate(&call.headers, &call.query)?;
    let (wanted, warnings) = decoding::body(call, &resource.api_version(), resource.kind)?;
    let object = core.registry.update(resource, key, part, call.dry_run(), |_| Ok(wanted))?;
    let answer = respond::json(200, &shape.object(resource, &object, core.registry.clock.now()));
    Ok(decoding::warn(answer, &warnings))
}

/// PATCH of an object or its status. A server-side apply of what is not there creates it.
pub(crate) fn patch(
    core: &Core,
    resource: &'static Resource,
    key: &Key,
    part: Part,
    call: &Call,
) -> Result<Answer, Status> {
    let shape = Representation::negotiate(&call.headers, &call.query)?;
    let change = Patch::parse(core, call)?;
    let missing = core.registry.store.get(resource, key).is_none();
    let mut warnings = Vec::new();
    let (code, object) = if missing && part == Part::Main && matches!(change, Patch::Apply(_)) {
        let mut object = json!({});
        warnings = change.apply_to(call, &mut object)?;
        object["metadata"]["name"] = key.name.as_str().into();
        (201, core.registry.create(resource, &key.namespace, object, Part::Main, call.dry_run())?)
    } else {
        let changed = core.registry.update(resource, key, part, call.dry_run(), |current| {
            let mut object = current.clone();
            warnings = change.apply_to(call, &mut object)?;
            Ok(object)
        })?;
        (200, changed)
    };
    let answer = respond::json(code, &shape.object(resource, &object, core.registry.clock.now()));
    Ok(decoding::warn(answer, &warnings))
}

/// A parsed patch of any type.
pub(crate) enum Patch {
    Json(Value),
    Merge(Value),
    Strategic(Value),
    Apply(apply::Request),
}

/// DELETE of an object: a `Status`, or the object if it is still there or is a pod.
pub(crate) fn delete(
    core: &Core,
    resource: &'static Resource,
    key: &Key,
    call: &Call,
) -> Result<Answer, Status> {
    let (object, gone) = core.registry.delete(resource, key, &delete_options(call)?)?;
    if !gone || resource.kind == "Pod" {
        return Ok(respond::json(200, &object));
    }
    let mut details = json!({"name": key.name, "kind": resource.plural, "uid": object["metadata"]["uid"]});
    if !resource.group.is_empty() {
        details["group"] = resource.group.into();
    }
    let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
    Ok(respond::json(200, &success))
}

/// DELETE of everything selected.
pub(crate) fn delete_collection(
    core: &Core,
    resource: &'static Resource,
    namespace: &str,
    call: &Call,
) -> Result<Answer, Status> {
    let selection = Selection::parse(resource, namespace, call)?;
    let options = delete_options(call)?;
    let snapshot = core.registry.store.list(resource);
    let mut deleted = Vec::new();
    for (key, _) in snapshot.objects.iter().filter(|(key, object)| selection.matches(key, object)) {
        match core.registry.delete(resource, key, &options) {
            Ok((object, _)) => deleted.push(object),
            // Somebody else was quicker.
            Err(status) if status.code == 404 => {}
            Err(status) => return Err(status),
        }
    }
    let objects: Vec<&Value> = deleted.iter().map(|object| &**object).collect();
    let metadata = json!({"resourceVersion": core.registry.store.revision().to_string()});
    let list = Representation::Object.list(resource, &objects, metadata, core.registry.clock.now());
    Ok(respond::json(200, &list))
}

// === impl Patch ===

impl Patch {
    pub(crate) fn parse(core: &Core, call: &Call) -> Result<Self, Status> {
        Ok(match call.content_type() {
            "application/json-patch+json" => Self::Json(call.patch()?),
            "application/merge-patch+json" => Self::Merge(call.patch()?),
            "application/strategic-merge-patch+json" => Self::Strategic(call.patch()?),
            "application/apply-patch+yaml" => Self::Apply(apply::Request {
                // JSON is YAML, and what clients send under this name is JSON.
                object: call.patch()?,
                manager: call
                    .parameter("fieldManager")
                    .ok_or_else(|| Status::bad_request("fieldManager is required for apply patch"))?
                    .to_owned(),
                force: call.flag("force"),
                now: core.registry.clock.now(),
            }),
            _ => return Err(Status::unsupported_media_type(PATCH_TYPES)),
        })
    }

    /// Changes an object, which stays one of its kind; answers what the client is to be warned of.
    pub(crate) fn apply_to(&self, call: &Call, object: &mut Value) -> Result<Warnings, Status> {
        match self {
            Self::Json(patch) => patch::json_patch(object, patch)?,
            Self::Merge(patch) => patch::merge(object, patch),
            Self::Strategic(patch) => {
                patch::strategic_merge(object, patch)?;
                return decoding::patched(call, object, || decoding::go_text(patch));
            }
            Self::Apply(request) => {
                decoding::applied(&request.object)?;
                apply::apply(object, request)?;
            }
        }
        let shown = object.to_string();
        decoding::patched(call, object, || shown.clone())
    }
}

/// Options come in the body, in the query, or both; the body wins.
fn delete_options(call: &Call) -> Result<DeleteOptions, Status> {
    let body = match call.body.is_empty() {
        true => Value::Null,
        false => decoding::body(call, "meta.k8s.io/v1", "DeleteOptions")?.0,
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let grace_period = match &body["gracePeriodSeconds"] {
        Value::Null => call
            .parameter("gracePeriodSeconds")
            .map(str::parse)
            .transpose()
            .map_err(|_| Status::bad_request("gracePeriodSeconds must be a non-negative integer"))?,
        seconds => Some(
            seconds
                .as_u64()
                .ok_or_else(|| Status::bad_request("gracePeriodSeconds must be a non-negative integer"))?,
        ),
    };
    let policy = body["propagationPolicy"].as_str().or(call.parameter("propagationPolicy"));
    Ok(DeleteOptions {
        grace_period,
        uid: text(&body["preconditions"]["uid"]),
        resource_version: text(&body["preconditions"]["resourceVersion"]),
        orphan: policy == Some("Orphan"),
        dry_run: call.dry_run()
            || body["dryRun"].as_array().is_some_and(|list| list.iter().any(|v| v == "All")),
    })
}
