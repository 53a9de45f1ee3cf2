//! Strategic merge: a merge patch in which lists of named things merge by name.
//!
//! Upstream reads the merge keys from Go struct tags; here they stand in a table by field name, for the kinds that the
//! sandbox serves. Lists without a key, and lists of plain values without one, are replaced, finalizers excepted.

use crate::apiserver::status::Status;
use serde_json::{Map, Value};

/// Applies `patch` to `target`, honouring `$patch`, `$retainKeys` and `$deleteFromPrimitiveList`.
///
/// `$setElementOrder` only orders elements and is dropped.
pub(crate) fn apply(target: &mut Value, patch: &Value) -> Result<(), Status> {
    let patch =
        patch.as_object().ok_or_else(|| Status::bad_request("a strategic merge patch must be an object"))?;
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return Ok(()) };
    match patch.get("$patch").and_then(Value::as_str) {
        None | Some("merge") => {}
        Some("replace") => fields.clear(),
        Some("delete") => {
            fields.clear();
            return Ok(());
        }
        Some(other) => return Err(Status::bad_request(format!("unknown $patch directive {other:?}"))),
    }
    if let Some(retained) = patch.get("$retainKeys").and_then(Value::as_array) {
        fields.retain(|key, _| retained.iter().any(|kept| kept == key.as_str()));
    }
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            delete_from_list(fields, list, value);
        } else if !key.starts_with('$') {
            apply_field(fields, key, value)?;
        }
    }
    Ok(())
}

fn apply_field(fields: &mut Map<String, Value>, key: &str, value: &Value) -> Result<(), Status> {
    match value {
        Value::Null => {
            fields.remove(key);
            Ok(())
        }
        Value::Object(_) => apply(fields.entry(key).or_insert(Value::Null), value),
        Value::Array(items) if is_merged_set(key) => {
            let present = array_mut(fields.entry(key).or_insert(Value::Null));
            for item in items {
                if !present.contains(item) {
                    present.push(item.clone());
                }
            }
            Ok(())
        }
        Value::Array(items) => match merge_keys(key, items) {
            Some(keys) => merge_list(array_mut(fields.entry(key).or_insert(Value::Null)), items, keys),
            None => {
                fields.insert(key.to_owned(), value.clone());
                Ok(())
            }
        },
        _ => {
            fields.insert(key.to_owned(), value.clone());
            Ok(())
        }
    }
}

fn merge_list(present: &mut Vec<Value>, items: &[Value], keys: &[&str]) -> Result<(), Status> {
    if items.iter().any(|item| item["$patch"] == "replace") {
        present.clear();
    }
    for item in items {
        let same = |other: &Value| keys.iter().all(|key| other[*key] == item[*key]);
        let directive = item["$patch"].as_str();
        if directive == Some("delete") {
            present.retain(|other| !same(other));
        } else if directive != Some("replace") {
            match present.iter_mut().find(|other| same(other)) {
                Some(other) => apply(other, item)?,
                None => {
                    let mut added = Value::Null;
                    apply(&mut added, item)?;
                    present.push(added);
                }
            }
        }
    }
    Ok(())
}

fn delete_from_list(fields: &mut Map<String, Value>, list: &str, removed: &Value) {
    if let (Some(present), Some(removed)) =
        (fields.get_mut(list).and_then(Value::as_array_mut), removed.as_array())
    {
        present.retain(|item| !removed.contains(item));
    }
}

fn array_mut(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    value.as_array_mut().expect("it was made an array just above")
}

fn is_merged_set(field: &str) -> bool {
    field == "finalizers"
}

/// The fields that tell the elements of a list apart. `None`: the list is replaced whole.
pub(crate) fn merge_keys(field: &str, items: &[Value]) -> Option<&'static [&'static str]> {
    let keys: &[&str] = match field {
        "containers" | "initContainers" | "ephemeralContainers" | "env" | "volumes" | "imagePullSecrets" => {
            &["name"]
        }
        "secrets" => &["name"],
        // A container's ports and a Service's ports share a field name; they are told apart by what is in them.
        "ports" if items.iter().any(|item| !item["containerPort"].is_null()) => &["containerPort"],
        "ports" if items.iter().any(|item| !item["port"].is_null()) => &["port"],
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        "hostAliases" => &["ip"],
        "conditions" => &["type"],
        "addresses" => &["type"],
        "ownerReferences" => &["uid"],
        "topologySpreadConstraints" => &["topologyKey"],
        _ => return None,
    };
    // Plain values under such a name have no key to merge by (the addresses of an EndpointSlice).
    items.iter().all(Value::is_object).then_some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_of_named_things_merge() {
        let check = |mut target: Value, patch: Value, expected: Value| {
            apply(&mut target, &patch).unwrap();
            assert_eq!(target, expected, "{patch}");
        };
        check(
            json!({"containers": [{"name": "a", "image": "1"}, {"name": "b"}]}),
            json!({"containers": [{"name": "a", "image": "2", "env": [{"name": "X", "value": "y"}]}, {"name": "c"}],
                "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}),
            json!({"containers": [{"name": "a", "image": "2", "env": [{"name": "X", "value": "y"}]},
                {"name": "b"}, {"name": "c"}]}),
        );
        check(
            json!({"containers": [{"name": "a"}, {"name": "b"}]}),
            json!({"containers": [{"name": "a", "$patch": "delete"}]}),
            json!({"containers": [{"name": "b"}]}),
        );
        check(
            json!({"containers": [{"name": "a"}]}),
            json!({"containers": [{"$patch": "replace"}, {"name": "b"}]}),
            json!({"containers": [{"name": "b"}]}),
        );
        check(json!({"args": ["a"]}), json!({"args": ["b"]}), json!({"args": ["b"]}));
        check(json!({"finalizers": ["a"]}), json!({"finalizers": ["b"]}), json!({"finalizers": ["a", "b"]}));
        check(
            json!({"finalizers": ["a", "b"]}),
            json!({"$deleteFromPrimitiveList/finalizers": ["a"]}),
            json!({"finalizers": ["b"]}),
        );
        check(
            json!({"addresses": ["1.1.1.1"]}),
            json!({"addresses": ["1.1.1.2"]}),
            json!({"addresses": ["1.1.1.2"]}),
        );
        check(
            json!({"s": {"a": 1, "b": 2}}),
            json!({"s": {"$retainKeys": ["b"], "b": 3}}),
            json!({"s": {"b": 3}}),
        );
        check(json!({"s": {"a": 1}}), json!({"s": {"$patch": "replace", "b": 3}}), json!({"s": {"b": 3}}));
        check(json!({"s": 1, "t": 1}), json!({"s": null}), json!({"t": 1}));
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(apply(&mut json!({}), &json!([])).unwrap_err().code, 400);
        assert_eq!(apply(&mut json!({}), &json!({"$patch": "explode"})).unwrap_err().code, 400);
    }
}
