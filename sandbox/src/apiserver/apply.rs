//! Server-side apply, the part of it that clients notice.
//!
//! Who applied which field is kept in `metadata.managedFields`, so that a field that its only applier drops goes away, and
//! that two appliers who disagree get a conflict. Writers that do not apply own nothing here, unlike upstream.

use super::patch::{merge_keys, strategic_merge};
use super::status::Status;
use crate::clock::rfc3339;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// One apply.
pub(crate) struct Request {
    pub(crate) object: Value,
    pub(crate) manager: String,
    /// Take fields over from other appliers instead of failing.
    pub(crate) force: bool,
    pub(crate) now: Timestamp,
}

/// Makes `target` what the applier wants of it.
pub(crate) fn apply(target: &mut Value, request: &Request) -> Result<(), Status> {
    let mut applied = request.object.clone();
    let Some(fields) = applied.as_object_mut() else {
        return Err(Status::bad_request("an apply patch must be an object"));
    };
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        metadata.remove("creationTimestamp");
    }
    let mut owned = fields_of(&applied);
    if let Some(fields) = owned.as_object_mut() {
        // Identity is nobody's.
        fields.remove("f:kind");
        fields.remove("f:apiVersion");
        if let Some(metadata) = fields.get_mut("f:metadata").and_then(Value::as_object_mut) {
            metadata.remove("f:name");
            metadata.remove("f:namespace");
            // Emptied, it would read as a field of its own.
            if metadata.is_empty() {
                fields.remove("f:metadata");
            }
        }
    }
    let mut entries = target["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let mine = |entry: &Value| entry["manager"] == request.manager.as_str() && entry["operation"] == "Apply";
    let previous = entries.iter().find(|entry| mine(entry)).map(|entry| entry["fieldsV1"].clone());
    entries.retain(|entry| !mine(entry));
    for entry in &mut entries {
        if request.force {
            take_over(&mut entry["fieldsV1"], &owned, target, &applied);
        } else if let Some(path) = conflict(&entry["fieldsV1"], &owned, target, &applied) {
            let manager = entry["manager"].as_str().unwrap_or_default();
            let message = format!("Apply failed with 1 conflict: conflict with {manager:?}: {path}");
            return Err(Status::with_code(409, message));
        }
    }
    if let Some(previous) = previous {
        let others: Vec<&Value> = entries.iter().map(|entry| &entry["fieldsV1"]).collect();
        remove_dropped(target, &previous, &owned, &others);
    }
    strategic_merge(target, &applied)?;
    entries.push(json!({
        "manager": request.manager,
        "operation": "Apply",
        "apiVersion": request.object["apiVersion"],
        "time": rfc3339(request.now),
        "fieldsType": "FieldsV1",
        "fieldsV1": owned,
    }));
    target["metadata"]["managedFields"] = entries.into();
    Ok(())
}

/// The set of fields that an object mentions, in the `FieldsV1` notation.
fn fields_of(value: &Value) -> Value {
    let Value::Object(fields) = value else { return json!({}) };
    let mut set = Map::new();
    for (name, field) in fields {
        let below = match field.as_array().and_then(|items| keyed(name, items)) {
            Some(elements) => elements.into_iter().map(|(key, item)| (key, fields_of(item))).collect(),
            None => fields_of(field),
        };
        set.insert(format!("f:{name}"), below);
    }
    set.into()
}

/// The elements of a list that merges by key, under their `k:{...}` names.
fn keyed<'a>(field: &str, items: &'a [Value]) -> Option<Vec<(String, &'a Value)>> {
    let keys = merge_keys(field, items)?;
    let name = |item: &Value| {
        let key: Map<String, Value> = keys.iter().map(|&key| (key.to_owned(), item[key].clone())).collect();
        format!("k:{}", Value::Object(key))
    };
    Some(items.iter().map(|item| (name(item), item)).collect())
}

/// What a field name of a set means inside `value`.
fn child<'a>(value: &'a Value, parent_field: &str, name: &str) -> &'a Value {
    match (name.strip_prefix("f:"), value) {
        (Some(field), _) => &value[field],
        (None, Value::Array(items)) => {
            let elements = keyed(parent_field, items).unwrap_or_default();
            elements.into_iter().find(|(key, _)| key == name).map_or(&Value::Null, |(_, item)| item)
        }
        _ => &Value::Null,
    }
}

fn is_leaf(set: &Value) -> bool {
    set.as_object().is_none_or(Map::is_empty)
}

/// The path of a leaf that both sets hold and whose value would change.
fn conflict(theirs: &Value, ours: &Value, present: &Value, wanted: &Value) -> Option<String> {
    conflict_below("", theirs, ours, present, wanted)
        .map(|path| path.trim_start_matches('/').replace('/', "."))
}

fn conflict_below(
    field: &str,
    theirs: &Value,
    ours: &Value,
    present: &Value,
    wanted: &Value,
) -> Option<String> {
    let (theirs, ours) = (theirs.as_object()?, ours.as_object()?);
    theirs.iter().find_map(|(name, their)| {
        let our = ours.get(name)?;
        let (present, wanted) = (child(present, field, name), child(wanted, field, name));
        let field = name.strip_prefix("f:").unwrap_or(name);
        let below = if is_leaf(their) && is_leaf(our) {
            (present != wanted).then(String::new)
        } else {
            conflict_below(field, their, our, present, wanted)
        };
        below.map(|rest| format!("/{field}{rest}"))
    })
}

/// Removes from `theirs` the leaves whose values we are about to change.
fn take_over(theirs: &mut Value, ours: &Value, present: &Value, wanted: &Value) {
    take_over_below("", theirs, ours, present, wanted);
}

fn take_over_below(field: &str, theirs: &mut Value, ours: &Value, present: &Value, wanted: &Value) {
    let (Some(theirs), Some(ours)) = (theirs.as_object_mut(), ours.as_object()) else { return };
    theirs.retain(|name, their| {
        let Some(our) = ours.get(name) else { return true };
        let (present, wanted) = (child(present, field, name), child(wanted, field, name));
        if is_leaf(their) && is_leaf(our) {
            return present == wanted;
        }
        take_over_below(name.strip_prefix("f:").unwrap_or(name), their, our, present, wanted);
        !is_leaf(their)
    });
}

/// Removes from `target` what was applied before, is not now, and nobody else applies.
fn remove_dropped(target: &mut Value, before: &Value, now: &Value, others: &[&Value]) {
    remove_dropped_below("", target, before, now, others);
}

fn remove_dropped_below(field: &str, target: &mut Value, before: &Value, now: &Value, others: &[&Value]) {
    let Some(before) = before.as_object() else { return };
    for (name, before) in before {
        let others: Vec<&Value> = others.iter().filter_map(|other| other.get(name)).collect();
        let now = now.get(name);
        // An element of a list goes whole; an object only as far as it was applied.
        let is_whole = is_leaf(before) || name.starts_with("k:");
        if now.is_none() && others.is_empty() && is_whole {
            remove_child(target, field, name);
            continue;
        }
        let child_field = name.strip_prefix("f:").unwrap_or(name);
        let Some(child) = child_mut(target, field, name) else { continue };
        remove_dropped_below(child_field, child, before, now.unwrap_or(&Value::Null), &others);
        let is_empty =
            child.as_object().is_some_and(Map::is_empty) || child.as_array().is_some_and(Vec::is_empty);
        if is_empty && now.is_none() && others.is_empty() {
            remove_child(target, field, name);
        }
    }
}

fn position(items: &[Value], field: &str, name: &str) -> Option<usize> {
    keyed(field, items)?.iter().position(|(key, _)| key == name)
}

fn child_mut<'a>(target: &'a mut Value, field: &str, name: &str) -> Option<&'a mut Value> {
    match name.strip_prefix("f:") {
        Some(name) => target.get_mut(name),
        None => {
            let items = target.as_array_mut()?;
            let index = position(items, field, name)?;
            items.get_mut(index)
        }
    }
}

fn remove_child(target: &mut Value, field: &str, name: &str) {
    match (name.strip_prefix("f:"), target) {
        (Some(name), Value::Object(fields)) => _ = fields.remove(name),
        (None, Value::Array(items)) => {
            if let Some(index) = position(items, field, name) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(manager: &str, object: Value, force: bool) -> Request {
        Request { object, manager: manager.to_owned(), force, now: Timestamp::UNIX_EPOCH }
    }

    fn without_bookkeeping(mut object: Value) -> Value {
        object["metadata"].as_object_mut().unwrap().remove("managedFields");
        object
    }

    #[test]
    fn a_field_goes_with_its_last_applier() {
        let mut object = json!({"metadata": {"name": "a", "labels": {"other": "x"}}});
        let first = json!({"metadata": {"name": "a", "labels": {"l": "1"}},
            "spec": {"replicas": 1, "containers": [{"name": "a", "image": "i"}, {"name": "b"}]}});
        apply(&mut object, &request("me", first, false)).unwrap();
        let second =
            json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "b", "image": "j"}]}});
        apply(&mut object, &request("me", second, false)).unwrap();
        let expected = json!({"metadata": {"name": "a", "labels": {"other": "x"}},
            "spec": {"containers": [{"name": "b", "image": "j"}]}});
        assert_eq!(without_bookkeeping(object), expected);
    }

    #[test]
    fn appliers_who_disagree_conflict_unless_forced() {
        let mut object = json!({"metadata": {"name": "a"}});
        let spec = |replicas: u8| json!({"metadata": {"name": "a"}, "spec": {"replicas": replicas}});
        apply(&mut object, &request("one", spec(1), false)).unwrap();
        apply(&mut object, &request("two", spec(1), false)).unwrap();
        let refused = apply(&mut object.clone(), &request("two", spec(2), false)).unwrap_err();
        assert_eq!(refused.code, 409);
        assert!(refused.message.ends_with("conflict with \"one\": spec.replicas"), "{}", refused.message);
        apply(&mut object, &request("two", spec(2), true)).unwrap();
        // The first applier has lost the field, so that its next apply without it leaves it alone.
        apply(&mut object, &request("one", json!({"metadata": {"name": "a"}}), false)).unwrap();
        assert_eq!(without_bookkeeping(object)["spec"]["replicas"], 2);
    }
}
