//! The scale subresource: an `autoscaling/v1` `Scale` in front of `.spec.replicas`.

use super::Core;
use super::call::Call;
use super::decoding;
use super::registry::Part;
use super::resources::Resource;
use super::respond::{self, Answer};
use super::status::Status;
use super::store::Key;
use super::write::Patch;
use http::Method;
use serde_json::{Value, json};

/// GET, PUT and PATCH of `/scale`.
pub(crate) fn handle(
    core: &Core,
    resource: &'static Resource,
    key: &Key,
    call: &Call,
) -> Result<Answer, Status> {
    let object = match call.method {
        Method::GET => core.registry.get(resource, key)?,
        Method::PUT => {
            let (wanted, _) = decoding::body(call, "autoscaling/v1", "Scale")?;
            write(core, resource, key, call, |_| Ok(wanted))?
        }
        Method::PATCH => {
            let patch = Patch::parse(core, call)?;
            write(core, resource, key, call, |mut scale| {
                patch.apply_to(call, &mut scale)?;
                Ok(scale)
            })?
        }
        _ => return Err(Status::method_not_allowed()),
    };
    Ok(respond::json(200, &scale_of(&object)))
}

fn write(
    core: &Core,
    resource: &'static Resource,
    key: &Key,
    call: &Call,
    change: impl FnOnce(Value) -> Result<Value, Status>,
) -> Result<std::sync::Arc<Value>, Status> {
    core.registry.update(resource, key, Part::Main, call.dry_run(), |current| {
        let scale = change(scale_of(current))?;
        // An absent count is the zero of the Go type.
        let replicas = match &scale["spec"]["replicas"] {
            Value::Null => 0,
            value => value.as_u64().filter(|&n| i32::try_from(n).is_ok()).ok_or_else(|| {
                Status::invalid(resource, &key.name, "spec.replicas", &format!("Invalid value: {value}"))
            })?,
        };
        let mut object = current.clone();
        object["spec"]["replicas"] = replicas.into();
        object["metadata"]["resourceVersion"] = scale["metadata"]["resourceVersion"].clone();
        Ok(object)
    })
}

/// The `Scale` of a workload.
fn scale_of(object: &Value) -> Value {
    let metadata = &object["metadata"];
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {"replicas": object["spec"]["replicas"].as_u64().unwrap_or(0)},
        "status": {
            "replicas": object["status"]["replicas"].as_u64().unwrap_or(0),
            "selector": selector_text(&object["spec"]["selector"]),
        },
    })
}

/// The text form of a selector, sorted by key as `LabelSelectorAsSelector` prints it.
fn selector_text(selector: &Value) -> String {
    let mut parts: Vec<(String, String)> = Vec::new();
    // A ReplicationController's selector is a bare map of labels.
    let bare = !selector["matchLabels"].is_object() && !selector["matchExpressions"].is_array();
    let labels = if bare { selector } else { &selector["matchLabels"] };
    for (key, value) in labels.as_object().into_iter().flatten() {
        parts.push((key.clone(), format!("{key}={}", value.as_str().unwrap_or_default())));
    }
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let mut values: Vec<&str> =
            expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        let text = match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        };
        parts.push((key.to_owned(), text));
    }
    parts.sort();
    parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_print_sorted() {
        let check = |selector: Value, expected: &str| assert_eq!(selector_text(&selector), expected);
        check(json!(null), "");
        check(json!({"app": "a"}), "app=a");
        check(json!({"matchLabels": {"b": "1", "a": "2"}}), "a=2,b=1");
        let expressions = json!([{"key": "b", "operator": "In", "values": ["z", "y"]}, {"key": "a", "operator": "Exists"},
            {"key": "c", "operator": "DoesNotExist"}, {"key": "d", "operator": "NotIn", "values": ["q"]}]);
        check(json!({"matchExpressions": expressions}), "a,b in (y,z),!c,d notin (q)");
    }
}
