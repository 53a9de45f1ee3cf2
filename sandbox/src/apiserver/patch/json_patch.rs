//! JSON Patch, RFC 6902.

use crate::apiserver::status::Status;
use serde_json::Value;

/// Applies every operation in order. On an error `target` is left half-changed: callers work on a copy.
pub(crate) fn apply(target: &mut Value, patch: &Value) -> Result<(), Status> {
    let operations =
        patch.as_array().ok_or_else(|| Status::bad_request("a JSON patch must be an array of operations"))?;
    operations.iter().try_for_each(|operation| {
        apply_one(target, operation).ok_or_else(|| {
            Status::with_code(
                422,
                format!("the server rejected our request due to an error in our request: {operation}"),
            )
        })
    })
}

/// `None` if the operation is malformed, points nowhere, or is a test that fails.
fn apply_one(target: &mut Value, operation: &Value) -> Option<()> {
    let path = operation["path"].as_str()?;
    let value = || operation.get("value").cloned();
    match operation["op"].as_str()? {
        "add" => add(target, path, value()?),
        "remove" => remove(target, path).map(drop),
        "replace" => {
            *target.pointer_mut(path)? = value()?;
            Some(())
        }
        "move" => {
            let moved = remove(target, operation["from"].as_str()?)?;
            add(target, path, moved)
        }
        "copy" => {
            let copied = target.pointer(operation["from"].as_str()?)?.clone();
            add(target, path, copied)
        }
        "test" => (*target.pointer(path)? == value()?).then_some(()),
        _ => None,
    }
}

fn add(target: &mut Value, path: &str, value: Value) -> Option<()> {
    let Some((parent, last)) = path.rsplit_once('/') else {
        *target = value;
        return path.is_empty().then_some(());
    };
    match target.pointer_mut(parent)? {
        Value::Object(fields) => _ = fields.insert(unescape(last), value),
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => {
            let index: usize = last.parse().ok()?;
            if index > items.len() {
                return None;
            }
            items.insert(index, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(target: &mut Value, path: &str) -> Option<Value> {
    let (parent, last) = path.rsplit_once('/')?;
    match target.pointer_mut(parent)? {
        Value::Object(fields) => fields.remove(&unescape(last)),
        Value::Array(items) => {
            let index: usize = last.parse().ok()?;
            (index < items.len()).then(|| items.remove(index))
        }
        _ => None,
    }
}

fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn operations() {
        let check = |target: Value, patch: Value, expected: Option<Value>| {
            let mut result = target.clone();
            let outcome = apply(&mut result, &patch);
            assert_eq!(outcome.ok().map(|()| result), expected, "{patch}");
        };
        let base = json!({"a": [1, 2], "b": {"x/y": 1}});
        check(
            base.clone(),
            json!([{"op": "add", "path": "/a/1", "value": 9}]),
            Some(json!({"a": [1, 9, 2], "b": {"x/y": 1}})),
        );
        check(
            base.clone(),
            json!([{"op": "add", "path": "/a/-", "value": 9}]),
            Some(json!({"a": [1, 2, 9], "b": {"x/y": 1}})),
        );
        check(
            base.clone(),
            json!([{"op": "remove", "path": "/b/x~1y"}]),
            Some(json!({"a": [1, 2], "b": {}})),
        );
        check(
            base.clone(),
            json!([{"op": "replace", "path": "/a", "value": 0}]),
            Some(json!({"a": 0, "b": {"x/y": 1}})),
        );
        check(
            base.clone(),
            json!([{"op": "move", "from": "/a/0", "path": "/c"}]),
            Some(json!({"a": [2], "b": {"x/y": 1}, "c": 1})),
        );
        check(
            base.clone(),
            json!([{"op": "copy", "from": "/a/0", "path": "/c"}]),
            Some(json!({"a": [1, 2], "b": {"x/y": 1}, "c": 1})),
        );
        check(base.clone(), json!([{"op": "test", "path": "/a/0", "value": 1}]), Some(base.clone()));
        check(base.clone(), json!([{"op": "test", "path": "/a/0", "value": 2}]), None);
        check(base.clone(), json!([{"op": "replace", "path": "/z", "value": 2}]), None);
        check(base.clone(), json!([{"op": "add", "path": "/a/3", "value": 2}]), None);
        check(base.clone(), json!([{"op": "remove", "path": "/a/2"}]), None);
        check(base.clone(), json!([{"op": "jump", "path": "/a"}]), None);
        check(base.clone(), json!({}), None);
        check(base, json!([1]), None);
    }
}
