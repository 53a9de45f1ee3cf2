//! Label and field selectors: parsed from the query, asked of an object.

use super::resources::Resource;
use super::status::Status;
use serde_json::Value;

/// A label selector: every requirement must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Clone, Debug, PartialEq)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
    GreaterThan(i64),
    LessThan(i64),
}

/// A field selector: `path=value` and `path!=value`, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FieldSelector(Vec<(String, bool, String)>);

// === impl LabelSelector ===

impl LabelSelector {
    /// Parses the text form, such as `app=web,tier in (a,b),!canary`.
    pub(crate) fn parse(text: &str) -> Result<Self, Status> {
        let refuse =
            || Status::bad_request(format!("unable to parse requirement: {text:?} is no label selector"));
        split_outside_parentheses(text)
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| parse_requirement(part).ok_or_else(refuse))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Reads the object form, `{matchLabels, matchExpressions}`. `None` if it uses an unknown operator.
    pub(crate) fn from_object(selector: &Value) -> Option<Self> {
        let mut requirements = Vec::new();
        for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
            let values = vec![value.as_str()?.to_owned()];
            requirements.push(Requirement { key: key.clone(), operator: Operator::In(values) });
        }
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            let values = || strings(&expression["values"]);
            let operator = match expression["operator"].as_str()? {
                "In" => Operator::In(values()),
                "NotIn" => Operator::NotIn(values()),
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                _ => return None,
            };
            requirements.push(Requirement { key: expression["key"].as_str()?.to_owned(), operator });
        }
        Some(Self(requirements))
    }

    /// Whether the object's labels satisfy every requirement.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.0.iter().all(|requirement| requirement.matches(labels[&requirement.key].as_str()))
    }
}

// === impl Requirement ===

impl Requirement {
    fn matches(&self, label: Option<&str>) -> bool {
        let number = || label.and_then(|label| label.parse::<i64>().ok());
        match &self.operator {
            Operator::In(values) => label.is_some_and(|label| values.iter().any(|value| value == label)),
            // A missing label is "not in": so has Kubernetes decided.
            Operator::NotIn(values) => label.is_none_or(|label| !values.iter().any(|value| value == label)),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::GreaterThan(bound) => number().is_some_and(|number| number > *bound),
            Operator::LessThan(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

// === impl FieldSelector ===

impl FieldSelector {
    /// Parses `a=b,c!=d`, refusing fields that `resource` does not index, as kube-apiserver does.
    pub(crate) fn parse(text: &str, resource: &Resource) -> Result<Self, Status> {
        let mut requirements = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (field, equal, value) = split_operator(part)
                .ok_or_else(|| Status::bad_request(format!("invalid field selector: {part:?}")))?;
            if !supported_fields(resource).contains(&field) {
                return Err(Status::bad_request(format!("field label not supported: {field}")));
            }
            requirements.push((field.to_owned(), equal, value.to_owned()));
        }
        Ok(Self(requirements))
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|(field, equal, expected)| {
            let found = field.split('.').fold(object, |value, segment| &value[segment]);
            // A field that is absent reads as its zero value.
            let same = match found {
                Value::Null => expected.is_empty() || expected == "false",
                Value::String(text) => text == expected,
                Value::Bool(flag) => expected.parse() == Ok(*flag),
                _ => false,
            };
            same == *equal
        })
    }

    /// The one name that `metadata.name=` asks for, if it does.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0
            .iter()
            .find(|(field, equal, _)| field == "metadata.name" && *equal)
            .map(|(_, _, name)| name.as_str())
    }
}

fn supported_fields(resource: &Resource) -> &'static [&'static str] {
    match (resource.group, resource.plural) {
        ("", "pods") => &[
            "metadata.name",
            "metadata.namespace",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "events") => &[
            "metadata.name",
            "metadata.namespace",
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("", "namespaces") => &["metadata.name", "metadata.namespace", "status.phase"],
        ("", "nodes") => &["metadata.name", "metadata.namespace", "spec.unschedulable"],
        ("", "secrets") => &["metadata.name", "metadata.namespace", "type"],
        _ => &["metadata.name", "metadata.namespace"],
    }
}

fn split_operator(part: &str) -> Option<(&str, bool, &str)> {
    if let Some((field, value)) = part.split_once("!=") {
        return Some((field.trim(), false, value.trim()));
    }
    let (field, value) = part.split_once("==").or_else(|| part.split_once('='))?;
    Some((field.trim(), true, value.trim()))
}

fn split_outside_parentheses(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

fn parse_requirement(part: &str) -> Option<Requirement> {
    let requirement = |key: &str, operator| {
        let key = key.trim();
        is_label_key(key).then(|| Requirement { key: key.to_owned(), operator })
    };
    if let Some(key) = part.strip_prefix('!') {
        return requirement(key, Operator::DoesNotExist);
    }
    if let Some(list) = part.strip_suffix(')') {
        let (head, values) = list.split_once('(')?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let head = head.trim_end();
        return match head.rsplit_once(char::is_whitespace)? {
            (key, "in") => requirement(key, Operator::In(values)),
            (key, "notin") => requirement(key, Operator::NotIn(values)),
            _ => None,
        };
    }
    if let Some((key, value)) = part.split_once("!=") {
        return requirement(key, Operator::NotIn(vec![label_value(value)?]));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return requirement(key, Operator::In(vec![label_value(value)?]));
    }
    if let Some((key, bound)) = part.split_once('>') {
        return requirement(key, Operator::GreaterThan(bound.trim().parse().ok()?));
    }
    if let Some((key, bound)) = part.split_once('<') {
        return requirement(key, Operator::LessThan(bound.trim().parse().ok()?));
    }
    requirement(part, Operator::Exists)
}

fn label_value(text: &str) -> Option<String> {
    let text = text.trim();
    let legal = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    (legal && text.len() <= 63).then(|| text.to_owned())
}

fn is_label_key(key: &str) -> bool {
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    !name.is_empty() && name.len() <= 63 && key.chars().all(legal)
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::resources::known;
    use super::*;
    use serde_json::json;

    #[test]
    fn label_selectors() {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "1", "x.io/y": ""}}});
        let check = |text: &str, expected: Option<bool>| {
            assert_eq!(LabelSelector::parse(text).ok().map(|s| s.matches(&object)), expected, "{text}");
        };
        check("", Some(true));
        check("app=web", Some(true));
        check("app==web,tier=1", Some(true));
        check("app!=web", Some(false));
        check("gone!=web", Some(true));
        check("app in (web, db)", Some(true));
        check("app notin (web,db)", Some(false));
        check("gone notin (a)", Some(true));
        check("app", Some(true));
        check("!app", Some(false));
        check("!gone,app in (web),tier", Some(true));
        check("x.io/y=", Some(true));
        check("tier>0,tier<2", Some(true));
        check("tier>1", Some(false));
        check("app=a b", None);
        check("in (a)", None);
        check("=a", None);
        check("tier>x", None);
    }

    #[test]
    fn object_selectors() {
        let object = json!({"metadata": {"labels": {"app": "web"}}});
        let check = |selector: Value, expected: Option<bool>| {
            assert_eq!(
                LabelSelector::from_object(&selector).map(|s| s.matches(&object)),
                expected,
                "{selector}"
            );
        };
        check(json!({}), Some(true));
        check(json!({"matchLabels": {"app": "web"}}), Some(true));
        check(json!({"matchLabels": {"app": "db"}}), Some(false));
        check(
            json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]}),
            Some(true),
        );
        check(json!({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}), Some(false));
        check(json!({"matchExpressions": [{"key": "app", "operator": "Like"}]}), None);
    }

    #[test]
    fn field_selectors() {
        let pod =
            json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n"}, "status": {"phase": "Running"}});
        let check = |text: &str, expected: Option<bool>| {
            let selector = FieldSelector::parse(text, known("", "pods"));
            assert_eq!(selector.ok().map(|s| s.matches(&pod)), expected, "{text}");
        };
        check("metadata.name=a,status.phase!=Pending", Some(true));
        check("spec.nodeName=", Some(false));
        check("status.podIP=", Some(true));
        check("spec.image=x", None);
        check("metadata.name", None);
    }
}
