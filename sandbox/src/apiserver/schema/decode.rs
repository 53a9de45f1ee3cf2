//! Strict decoding: which fields of an object its kind does not have, and which values its fields cannot take.
//!
//! Wording follows Go's `encoding/json` and `sigs.k8s.io/json`, through which kube-apiserver reads objects.

use super::{Field, Kind, Message, Shape};
use serde_json::Value;

/// A value that cannot stand where it stands, in the words of the API server. Nothing of the object can be used.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misfit(pub(crate) String);

/// Drops what the kind does not have, nulls and structures that say nothing, as decoding does, so that the same is
/// always written the same; answers the paths of the dropped fields.
pub(crate) fn check(message: &'static Message, object: &mut Value) -> Result<Vec<String>, Misfit> {
    let mut unknown = Vec::new();
    if !object.is_object() {
        let name = message.go_name();
        return Err(Misfit(format!("json: cannot unmarshal {} into Go value of type {name}", found(object))));
    }
    in_message(message, object, &Path::default(), &mut unknown)?;
    Ok(unknown)
}

/// Where a value stands: with the places in lists, as unknown fields are named, and without, as types are.
#[derive(Clone, Default)]
struct Path {
    exact: String,
    fields: String,
}

// === impl Path ===

impl Path {
    fn field(&self, name: &str) -> Self {
        let join = |text: &str| if text.is_empty() { name.to_owned() } else { format!("{text}.{name}") };
        Self { exact: join(&self.exact), fields: join(&self.fields) }
    }

    fn element(&self, index: usize) -> Self {
        Self { exact: format!("{}[{index}]", self.exact), fields: self.fields.clone() }
    }

    fn key(&self, key: &str) -> Self {
        Self { exact: format!("{}.{key}", self.exact), fields: self.fields.clone() }
    }
}

fn in_message(
    message: &'static Message,
    object: &mut Value,
    path: &Path,
    unknown: &mut Vec<String>,
) -> Result<(), Misfit> {
    let Some(fields) = object.as_object_mut() else { return Ok(()) };
    let mut dropped = Vec::new();
    for (name, value) in fields.iter_mut() {
        let here = path.field(name);
        match message.field(name) {
            Some(_) if value.is_null() => dropped.push(name.clone()),
            Some(field) => {
                in_field(message, field, value, &here, unknown)?;
                if field.is_zero_message(value) {
                    dropped.push(name.clone());
                }
            }
            None if message.is_kind && matches!(name.as_str(), "apiVersion" | "kind") => {}
            None => {
                dropped.push(name.clone());
                unknown.push(here.exact);
            }
        }
    }
    for name in dropped {
        fields.remove(&name);
    }
    Ok(())
}

fn in_field(
    parent: &Message,
    field: &Field,
    value: &mut Value,
    path: &Path,
    unknown: &mut Vec<String>,
) -> Result<(), Misfit> {
    let refuse = |value: &Value, expected: String| {
        let (found, parent, path) = (found(value), parent.name, &path.fields);
        Misfit(format!(
            "json: cannot unmarshal {found} into Go struct field {parent}.{path} of type {expected}"
        ))
    };
    match (field.shape, value) {
        (Shape::One, value) => in_value(parent, field.kind, value, path, unknown),
        (Shape::List, Value::Array(items)) => {
            items.iter_mut().enumerate().filter(|(_, item)| !item.is_null()).try_for_each(|(index, item)| {
                in_value(parent, field.kind, item, &path.element(index), unknown)
            })
        }
        (Shape::Map, Value::Object(entries)) => entries
            .iter_mut()
            .filter(|(_, entry)| !entry.is_null())
            .try_for_each(|(key, entry)| in_value(parent, field.kind, entry, &path.key(key), unknown)),
        (Shape::List, value) => Err(refuse(value, format!("[]{}", go_type(field.kind)))),
        (Shape::Map, value) => Err(refuse(value, format!("map[string]{}", go_type(field.kind)))),
    }
}

fn in_value(
    parent: &Message,
    kind: Kind,
    value: &mut Value,
    path: &Path,
    unknown: &mut Vec<String>,
) -> Result<(), Misfit> {
    let fits = match (kind, &*value) {
        (Kind::String | Kind::Bytes, Value::String(_)) | (Kind::Bool, Value::Bool(_)) | (Kind::Raw, _) => {
            true
        }
        (Kind::Int32, number) => number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        (Kind::Int64, number) => number.is_i64(),
        (Kind::IntOrString, Value::String(_)) => true,
        (Kind::IntOrString, number) => number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        (Kind::Quantity, Value::String(text)) => return quantity(text),
        (Kind::Quantity, Value::Number(_)) => true,
        (Kind::Time | Kind::MicroTime, Value::String(text)) => return time(text),
        (Kind::Strings, Value::Array(items)) => items.iter().all(Value::is_string),
        (Kind::Message(_), Value::Object(_)) => {
            let Some(message) = kind.message() else { return Ok(()) };
            return in_message(message, value, path, unknown);
        }
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let (found, expected) = (found(value), go_type(kind));
    if matches!(kind, Kind::IntOrString | Kind::Time | Kind::MicroTime) {
        // These read themselves and do not know where they stand.
        let expected = if kind == Kind::IntOrString { "int32" } else { "string" };
        return Err(Misfit(format!("json: cannot unmarshal {found} into Go value of type {expected}")));
    }
    if kind == Kind::Quantity {
        return Err(not_a_quantity());
    }
    let (parent, path) = (parent.name, &path.fields);
    Err(Misfit(format!(
        "json: cannot unmarshal {found} into Go struct field {parent}.{path} of type {expected}"
    )))
}

/// What Go calls a JSON value; numbers that do not fit are shown.
fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) if i32::try_from(whole).is_ok() => "number".to_owned(),
            _ => format!("number {number}"),
        },
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    }
}

fn go_type(kind: Kind) -> String {
    match kind {
        Kind::String => "string",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::Bool => "bool",
        Kind::Bytes => "[]uint8",
        Kind::Time => "v1.Time",
        Kind::MicroTime => "v1.MicroTime",
        Kind::Quantity => "resource.Quantity",
        Kind::IntOrString => "intstr.IntOrString",
        Kind::Raw => "runtime.RawExtension",
        Kind::Strings => "[]string",
        Kind::Message(_) => return kind.message().map(Message::go_name).unwrap_or_default(),
    }
    .to_owned()
}

fn time(text: &str) -> Result<(), Misfit> {
    if text.parse::<jiff::Timestamp>().is_ok() {
        return Ok(());
    }
    let layout = "2006-01-02T15:04:05Z07:00";
    Err(Misfit(format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\"")))
}

fn quantity(text: &str) -> Result<(), Misfit> {
    let number = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
    let (number, suffix) = number.split_at(end);
    let is_number = number.matches('.').count() <= 1 && number.contains(|c: char| c.is_ascii_digit());
    let units = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let is_exponent = || suffix.strip_prefix(['e', 'E']).is_some_and(|power| power.parse::<i32>().is_ok());
    if is_number && (units.contains(&suffix) || is_exponent()) { Ok(()) } else { Err(not_a_quantity()) }
}

fn not_a_quantity() -> Misfit {
    Misfit(
        "quantities must match the regular expression \
         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::of;
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_told_what_is_wrong_with_them() {
        let check = |object: Value, expected: Result<&[&str], &str>| {
            let message = of("apps/v1", "Deployment").unwrap();
            let found = super::check(message, &mut object.clone()).map_err(|misfit| misfit.to_string());
            let expected = expected.map(|paths| paths.iter().map(|&path| path.to_owned()).collect());
            assert_eq!(found, expected.map_err(str::to_owned), "{object}");
        };
        let container =
            |container: Value| json!({"spec": {"template": {"spec": {"containers": [container]}}}});
        check(json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 1}}), Ok(&[]));
        check(json!({"spec": {"foo": 1}, "bar": {}}), Ok(&["bar", "spec.foo"]));
        check(
            container(json!({"name": "a", "imagee": "i"})),
            Ok(&["spec.template.spec.containers[0].imagee"]),
        );
        check(json!({"spec": {"template": {"metadata": {"creationTimestamp": null}}}}), Ok(&[]));
        check(json!({"metadata": {"annotations": {"any/thing": "goes"}}}), Ok(&[]));
        check(
            container(json!({"volumeMounts": [], "resources": {"limits": {"cpu": 0.5, "memory": "1.5Gi"}}})),
            Ok(&[]),
        );
        let field =
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32";
        check(json!({"spec": {"replicas": "3"}}), Err(field));
        let field = "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32";
        check(json!({"spec": {"replicas": 1.5}}), Err(field));
        let field =
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string";
        check(json!({"metadata": {"labels": {"a": 1}}}), Err(field));
        let field = "json: cannot unmarshal object into Go struct field \
            PodSpec.spec.template.spec.containers of type []v1.Container";
        check(json!({"spec": {"template": {"spec": {"containers": {}}}}}), Err(field));
        let field = "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string";
        check(container(json!({"env": [{"name": "A", "value": 1}]})), Err(field));
        let field = "json: cannot unmarshal array into Go value of type v1.Deployment";
        check(json!([]), Err(field));
        let field =
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
        for wrong in [json!("1.2.3"), json!("ten"), json!("1 Gi"), json!(""), json!({})] {
            check(container(json!({"resources": {"limits": {"cpu": wrong}}})), Err(field));
        }
    }

    #[test]
    fn what_is_not_decoded_is_gone() {
        let mut object =
            json!({"metadata": {"name": "a", "creationTimestamp": null}, "data": {"a": "b"}, "x": 1});
        super::check(of("v1", "ConfigMap").unwrap(), &mut object).unwrap();
        let mut pod = json!({"metadata": {}, "spec": {"containers": [{"resources": {}}], "volumes": [{"emptyDir": {}}]}});
        super::check(of("v1", "Pod").unwrap(), &mut pod).unwrap();
        assert_eq!(pod, json!({"spec": {"containers": [{}], "volumes": [{"emptyDir": {}}]}}));
        assert_eq!(object, json!({"metadata": {"name": "a"}, "data": {"a": "b"}}));
    }
}
