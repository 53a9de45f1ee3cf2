//! Which pods an object selects, in the text form of label selectors.
//!
//! | object | where it stands |
//! |---|---|
//! | Service | `spec.selector`, a map of labels |
//! | workload of `apps` or `batch` | `spec.selector`, with `matchLabels` and `matchExpressions` |
//! | custom resource with a scale | the same, or a text in `status.selector` or `spec.selector` |

use std::sync::Arc;

use serde_json::Value;

/// The selector of an object, from all of the object but its metadata; none if it selects nothing by labels.
pub(crate) fn selector(object: &Value) -> Option<Arc<str>> {
    let selector = &object["spec"]["selector"];
    let text = match selector {
        Value::Object(fields)
            if fields.contains_key("matchLabels") || fields.contains_key("matchExpressions") =>
        {
            let mut parts = equalities(&selector["matchLabels"]);
            for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
                parts.push(requirement(expression)?);
            }
            parts.join(",")
        }
        Value::Object(_) => equalities(selector).join(","),
        Value::String(text) => text.clone(),
        _ => object["status"]["selector"].as_str().unwrap_or_default().to_owned(),
    };
    (!text.is_empty()).then(|| text.into())
}

fn equalities(labels: &Value) -> Vec<String> {
    let labels = labels.as_object().into_iter().flatten();
    labels.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect()
}

/// An operator that is not known makes the whole selector unknown: without it too many pods would be taken.
fn requirement(expression: &Value) -> Option<String> {
    let key = expression["key"].as_str()?;
    let values: Vec<&str> =
        expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let values = values.join(",");
    match expression["operator"].as_str()? {
        "In" => Some(format!("{key} in ({values})")),
        "NotIn" => Some(format!("{key} notin ({values})")),
        "Exists" => Some(key.to_owned()),
        "DoesNotExist" => Some(format!("!{key}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_of_every_kind() {
        let check = |object: Value, expected: Option<&str>| {
            assert_eq!(selector(&object).as_deref(), expected, "{object}");
        };
        check(json!({"spec": {"selector": {"app": "web", "tier": "front"}}}), Some("app=web,tier=front"));
        check(json!({"spec": {"selector": {"matchLabels": {"app": "web"}}}}), Some("app=web"));
        let expressions = json!([{"key": "a", "operator": "In", "values": ["1", "2"]}, {"key": "b", "operator": "Exists"},
            {"key": "c", "operator": "NotIn", "values": ["3"]}, {"key": "d", "operator": "DoesNotExist"}]);
        check(
            json!({"spec": {"selector": {"matchExpressions": expressions, "matchLabels": {"app": "web"}}}}),
            Some("app=web,a in (1,2),b,c notin (3),!d"),
        );
        check(json!({"spec": {}, "status": {"selector": "app=web"}}), Some("app=web"));
        check(json!({"spec": {"selector": "app=web"}}), Some("app=web"));
        check(json!({"spec": {"selector": {"matchExpressions": [{"key": "a", "operator": "Gt"}]}}}), None);
        for nothing in [
            json!({}),
            json!({"spec": {"selector": {}}}),
            json!({"spec": 3}),
            json!({"spec": {"selector": null}}),
        ] {
            check(nothing, None);
        }
    }
}
