//! `MetricValueList`, written straight into the response.

use std::{borrow::Cow, fmt::Write as _, time::Duration};

use podgauge_apiserver::{
    Selector,
    selector::{Operator, Requirement},
};
use podgauge_store::{ObjectKind, Timestamp};
use serde_json::{Value as Json, json};

use crate::{Quantity, Version, tally::Value};

/// What an item is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Object<'a> {
    Pod {
        namespace: &'a str,
        name: &'a str,
    },
    Namespace {
        name: &'a str,
    },
    Node {
        name: &'a str,
    },
    /// An object that stands for pods, or that a rule names; in no namespace where that is empty.
    Owner {
        kind: &'a ObjectKind,
        namespace: &'a str,
        name: &'a str,
    },
}

/// A list being written.
pub(crate) struct Document {
    version: Version,
    /// What every item says of the metric, before its time and at its end.
    metric: String,
    end: String,
    json: String,
    items: usize,
    /// The second that was written last, and its text: most items are of the same one.
    second: (i64, Cow<'static, str>),
}

// === impl Object ===

impl Object<'_> {
    pub(crate) fn kind(&self) -> &str {
        match self {
            Self::Pod { .. } => "Pod",
            Self::Namespace { .. } => "Namespace",
            Self::Node { .. } => "Node",
            Self::Owner { kind, .. } => &kind.kind,
        }
    }

    pub(crate) fn api_version(&self) -> &str {
        match self {
            Self::Owner { kind, .. } => &kind.api_version,
            _ => "v1",
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Pod { name, .. }
            | Self::Namespace { name }
            | Self::Node { name }
            | Self::Owner { name, .. } => name,
        }
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        match self {
            Self::Pod { namespace, .. } => Some(namespace),
            Self::Owner { namespace, .. } => Some(*namespace).filter(|namespace| !namespace.is_empty()),
            Self::Namespace { .. } | Self::Node { .. } => None,
        }
    }
}

// === impl Document ===

impl Document {
    pub(crate) fn new(version: Version, metric: &str, selector: &Selector, capacity: usize) -> Self {
        let mut json = String::with_capacity(128 + 256 * capacity);
        json.push_str(r#"{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/"#);
        json.push_str(version.as_str());
        json.push_str(r#"","metadata":{},"items":["#);
        let (metric, selector) = (Json::from(metric), label_selector(selector));
        let (metric, end) = match version {
            Version::V1Beta1 => (
                format!(r#"}},"metricName":{metric},"timestamp":""#),
                format!(r#"","selector":{selector}}}"#),
            ),
            Version::V1Beta2 => (
                format!(r#"}},"metric":{{"name":{metric},"selector":{selector}}},"timestamp":""#),
                r#""}"#.to_owned(),
            ),
        };
        Self { version, metric, end, json, items: 0, second: (i64::MIN, Cow::Borrowed("")) }
    }

    /// Adds an item, in the order of members that Kubernetes' own types write.
    pub(crate) fn push(&mut self, object: Object<'_>, value: &Value, quantity: Quantity) {
        if self.items > 0 {
            self.json.push(',');
        }
        self.items += 1;
        self.json.push_str(r#"{"describedObject":{"kind":"#);
        self.string(object.kind());
        if let Some(namespace) = object.namespace() {
            self.json.push_str(r#","namespace":"#);
            self.string(namespace);
        }
        self.json.push_str(r#","name":"#);
        self.string(object.name());
        self.json.push_str(r#","apiVersion":"#);
        self.string(object.api_version());
        self.json.push_str(&self.metric);
        let second = value.at.millis().div_euclid(1000);
        if self.second.0 != second {
            self.second = (second, rfc3339(value.at));
        }
        self.json.push_str(&self.second.1);
        self.json.push('"');
        if let Some(window) = value.window {
            let name = match self.version {
                Version::V1Beta1 => "window",
                Version::V1Beta2 => "windowSeconds",
            };
            self.write(format_args!(r#","{name}":{}"#, whole_seconds(window)));
        }
        self.write(format_args!(r#","value":"{quantity}"#));
        self.json.push_str(&self.end);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.json.push_str("]}");
        self.json.into_bytes()
    }

    /// A JSON string. Names of pods and namespaces need no escapes; a metric's name may.
    fn string(&mut self, text: &str) {
        let plain = text.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\');
        if plain {
            self.json.push('"');
            self.json.push_str(text);
            self.json.push('"');
        } else {
            self.json.push_str(&Json::from(text).to_string());
        }
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.json.write_fmt(arguments);
    }
}

/// RFC 3339 in UTC with whole seconds, as `metav1.Time` writes it; rounded down, never into the future.
pub(crate) fn rfc3339(at: Timestamp) -> Cow<'static, str> {
    match jiff::Timestamp::from_second(at.millis().div_euclid(1000)) {
        Ok(at) => Cow::Owned(at.to_string()),
        Err(_) => Cow::Borrowed("1970-01-01T00:00:00Z"),
    }
}

/// The nearest number of whole seconds, at least 1.
pub(crate) fn whole_seconds(window: Duration) -> u64 {
    (window + Duration::from_millis(500)).as_secs().max(1)
}

/// `metav1.LabelSelector`, or null: for the empty selector, and for comparisons, which it cannot say.
fn label_selector(selector: &Selector) -> Json {
    let compares = |r: &Requirement| matches!(r.operator, Operator::GreaterThan(_) | Operator::LessThan(_));
    if selector.is_empty() || selector.requirements.iter().any(compares) {
        return Json::Null;
    }
    let mut labels = serde_json::Map::new();
    let mut expressions = Vec::new();
    for Requirement { key, operator } in &selector.requirements {
        let (operator, values) = match operator {
            Operator::In(values) => match values.as_slice() {
                [value] if !labels.contains_key(key) => {
                    labels.insert(key.clone(), json!(value));
                    continue;
                }
                values => ("In", values),
            },
            Operator::NotIn(values) => ("NotIn", values.as_slice()),
            Operator::Exists => ("Exists", [].as_slice()),
            Operator::DoesNotExist => ("DoesNotExist", [].as_slice()),
            Operator::GreaterThan(_) | Operator::LessThan(_) => continue,
        };
        let mut expression = json!({"key": key, "operator": operator});
        if let (false, Some(object)) = (values.is_empty(), expression.as_object_mut()) {
            object.insert("values".to_owned(), json!(values));
        }
        expressions.push(expression);
    }
    let mut all = serde_json::Map::new();
    if !labels.is_empty() {
        all.insert("matchLabels".to_owned(), Json::Object(labels));
    }
    if !expressions.is_empty() {
        all.insert("matchExpressions".to_owned(), Json::Array(expressions));
    }
    Json::Object(all)
}
