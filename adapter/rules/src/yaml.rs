//! YAML as a tree of texts, lists and maps, each with its place.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::Spanned;

use crate::{Config, Problem, Severity};

/// A value and where it stands; what an alias stands for stands where the alias does.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A line and a character in it, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// Text, and numbers as they are usually written.
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) text: String,
}

/// Reads a file that has one document.
///
/// # Errors
/// It is too large, or no YAML.
pub(crate) fn read(text: &str, config: &Config) -> Result<Node, Problem> {
    let problem = |place: Place, message: String| Problem {
        severity: Severity::Error,
        line: place.line,
        column: place.column,
        place: String::new(),
        message,
    };
    if text.len() > config.file_bytes {
        let (has, most) = (text.len(), config.file_bytes);
        let message =
            format!("the file has {has} bytes, at most {most} are read; --rules-file-limit says so");
        return Err(problem(Place::START, message));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: config.nesting,
            max_nodes: 100_000,
            max_events: 400_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_total_scalar_bytes: config.file_bytes.saturating_mul(4),
        },
        with_snippet: false,
    };
    let spanned: Spanned<Value> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map_or(Place::START, Place::of);
        let message = error.without_snippet().to_string();
        // The first line says what is wrong; the place comes with the problem.
        let message = message.lines().next().unwrap_or("cannot be read");
        problem(place, format!("not YAML that can be read: {message}"))
    })?;
    Ok(Node::of(spanned))
}

// === impl Place ===

impl Place {
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    fn of(location: serde_saphyr::Location) -> Self {
        Self { line: location.line().max(1), column: location.column().max(1) }
    }
}

// === impl Node ===

impl Node {
    fn of(spanned: Spanned<Value>) -> Self {
        Self { place: Place::of(spanned.referenced), value: spanned.value }
    }
}

// === impl Value ===

impl Value {
    /// What it is, for a message.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

// === impl ValueVisitor ===

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list or a map")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Value>>()? {
            list.push(Node::of(item));
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Spanned<Value>>()? {
            map.push((Key { place: Place::of(key.referenced), text: key.value }, Node::of(value)));
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(node: &Node) -> String {
        let inner = match &node.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Text(text) => format!("{text:?}"),
            Value::List(list) => format!("[{}]", list.iter().map(drawn).collect::<Vec<_>>().join(" ")),
            Value::Map(map) => {
                let entry = |(key, node): &(Key, Node)| {
                    format!("{}@{}:{}={}", key.text, key.place.line, key.place.column, drawn(node))
                };
                format!("{{{}}}", map.iter().map(entry).collect::<Vec<_>>().join(" "))
            }
        };
        format!("{inner}@{}:{}", node.place.line, node.place.column)
    }

    #[test]
    fn values_have_places() {
        let check = |text: &str, want: &str| {
            let node = read(text, &Config::default()).unwrap();
            assert_eq!(drawn(&node), want, "{text}");
        };
        check("", "null@1:1");
        check("a: x", "{a@1:1=\"x\"@1:4}@1:1");
        check(
            "a:\n- b: 'y'\n  c: true\n- 3",
            "{a@1:1=[{b@2:3=\"y\"@2:6 c@3:3=true@3:6}@2:3 \"3\"@4:3]@2:3}@1:1",
        );
        check("a: &x {b: c}\nd: *x", "{a@1:1={b@1:8=\"c\"@1:11}@1:7 d@2:1={b@2:4=\"c\"@2:4}@2:4}@1:1");
    }

    #[test]
    fn what_cannot_be_read_has_a_place() {
        let check = |text: &str, line: u64, want: &str| {
            let problem = read(text, &Config { file_bytes: 100, ..Config::default() }).unwrap_err();
            assert!(problem.message.contains(want), "{problem}");
            assert_eq!(problem.line, line, "{problem}");
        };
        check(&"x".repeat(101), 1, "at most 100");
        check("a: b\n  c: [", 2, "not YAML");
        check("a: 1\na: 2", 2, "duplicate");
        check(&"[".repeat(90), 1, "not YAML");
    }
}
