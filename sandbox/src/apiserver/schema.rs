//! Which fields each kind has: what strict decoding, protobuf and `kubectl explain` go by.
//!
//! The table is `schema/fields.txt`. It knows names, numbers and types; what values mean is `validation`'s.

mod decode;
mod protobuf;

pub(crate) use decode::{Misfit, check};
pub(crate) use protobuf::decode as decode_protobuf;

use serde_json::Value;
use std::collections::HashMap;
use std::sync::LazyLock;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::parse(include_str!("schema/fields.txt")));

/// One structure: a kind, or a part of one.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) name: &'static str,
    /// The group and version that define it, as objects write them.
    pub(crate) api_version: &'static str,
    is_kind: bool,
    pub(crate) fields: Vec<Field>,
}

/// One field of a structure.
#[derive(Debug)]
pub(crate) struct Field {
    number: u64,
    /// Empty if its own fields stand in the parent's object.
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) kind: Kind,
    /// Whether its zero is told apart from its absence.
    optional: bool,
}

/// How many values a field has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    One,
    List,
    Map,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    String,
    Int32,
    Int64,
    Bool,
    /// Base64 in JSON.
    Bytes,
    Time,
    MicroTime,
    Quantity,
    IntOrString,
    /// Any JSON.
    Raw,
    /// A list of strings that protobuf wraps in a message.
    Strings,
    /// The message with this index.
    Message(usize),
}

#[derive(Debug)]
struct Schema {
    messages: Vec<Message>,
    kinds: HashMap<(&'static str, &'static str), usize>,
}

/// The structure of a kind.
pub(crate) fn of(api_version: &str, kind: &str) -> Option<&'static Message> {
    let schema: &'static Schema = &SCHEMA;
    // The same options serve every group.
    let api_version = if kind == "DeleteOptions" { "meta.k8s.io/v1" } else { api_version };
    schema.kinds.get(&(api_version, kind)).and_then(|&index| schema.messages.get(index))
}

// === impl Schema ===

impl Schema {
    /// # Panics
    /// If the table, which is part of the program, is malformed; a test parses it.
    fn parse(table: &'static str) -> Self {
        let lines = || {
            let mut group = "";
            table.lines().filter(|line| !line.starts_with('#')).filter_map(move |line| {
                if let Some(name) = line.strip_prefix("@ ") {
                    group = name;
                    return None;
                }
                let (name, fields) = line.split_once(':').expect("a line of the table is `Name: fields`");
                Some((group, name.trim_start_matches('*'), name.starts_with('*'), fields.trim()))
            })
        };
        let by_name: HashMap<_, _> =
            lines().enumerate().map(|(index, (group, name, ..))| ((group, name), index)).collect();
        let message = |(api_version, name, is_kind, fields): (&'static str, _, _, &'static str)| {
            let fields = fields.split(", ").filter(|field| !field.is_empty());
            let fields = fields.map(|field| Field::parse(field, api_version, &by_name)).collect();
            Message { name, api_version, is_kind, fields }
        };
        let messages: Vec<Message> = lines().map(message).collect();
        let kinds = by_name.into_iter().filter(|(_, index)| messages[*index].is_kind).collect();
        Self { messages, kinds }
    }
}

// === impl Message ===

impl Message {
    /// The field with this JSON name, be it its own or one that it takes in.
    pub(crate) fn field(&'static self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find_map(|field| match (field.name, field.kind.message()) {
            ("", Some(inner)) => inner.field(name),
            _ => (field.name == name).then_some(field),
        })
    }

    /// Whether its objects have an `apiVersion` and a `kind`.
    pub(crate) fn is_kind(&self) -> bool {
        self.is_kind
    }

    /// Its Go name, as decoding errors write it: `v1.PodSpec`.
    fn go_name(&self) -> String {
        let version = self.api_version.rsplit('/').next().unwrap_or_default();
        format!("{version}.{}", self.name)
    }
}

// === impl Field ===

impl Field {
    /// # Panics
    /// As [`Schema::parse`].
    fn parse(
        text: &'static str,
        group: &'static str,
        by_name: &HashMap<(&'static str, &'static str), usize>,
    ) -> Self {
        let mut words = text.split(' ');
        let mut word = || words.next().expect("a field of the table is `number name type`");
        let number = word().parse().expect("a field of the table begins with its number");
        let name = match word() {
            "." => "",
            name => name,
        };
        let kind = word();
        let (kind, optional) = kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true));
        let (shape, kind) = match (kind.strip_prefix("[]"), kind.strip_prefix("{}")) {
            (Some(kind), _) => (Shape::List, kind),
            (_, Some(kind)) => (Shape::Map, kind),
            _ => (Shape::One, kind),
        };
        let kind = match kind {
            "string" => Kind::String,
            "i32" => Kind::Int32,
            "i64" => Kind::Int64,
            "bool" => Kind::Bool,
            "bytes" => Kind::Bytes,
            "Time" => Kind::Time,
            "MicroTime" => Kind::MicroTime,
            "Quantity" => Kind::Quantity,
            "IntOrString" => Kind::IntOrString,
            "Raw" => Kind::Raw,
            "Strings" => Kind::Strings,
            message => {
                let groups = [group, "v1", "meta.k8s.io/v1"];
                let found = groups.iter().find_map(|group| by_name.get(&(*group, message)));
                Kind::Message(*found.expect("the table has every message that a field of it names"))
            }
        };
        Self { number, name, shape, kind, optional }
    }
}

impl Field {
    /// Whether this is a structure that says nothing and need not be told apart from none.
    fn is_zero_message(&self, value: &Value) -> bool {
        let says_nothing = value.as_object().is_some_and(serde_json::Map::is_empty);
        says_nothing && !self.optional && self.shape == Shape::One && self.kind.message().is_some()
    }
}

// === impl Kind ===

impl Kind {
    pub(crate) fn message(self) -> Option<&'static Message> {
        let schema: &'static Schema = &SCHEMA;
        match self {
            Self::Message(index) => schema.messages.get(index),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::resources::RESOURCES;
    use crate::apiserver::reviews::REVIEWS;

    #[test]
    fn every_kind_served_is_known() {
        for resource in RESOURCES {
            assert!(of(&resource.api_version(), resource.kind).is_some(), "{resource:?}");
        }
        for (group, _, kind) in REVIEWS {
            assert!(of(&format!("{group}/v1"), kind).is_some(), "{kind}");
        }
        assert!(of("v1", "DeleteOptions").is_some());
        assert!(of("v1", "PodSpec").is_none());
    }

    /// What decodes a message need not count how deep it is.
    #[test]
    fn no_message_is_part_of_itself() {
        fn descend(message: &'static Message, above: &mut Vec<&'static str>) {
            assert!(!above.contains(&message.name), "{above:?} {}", message.name);
            above.push(message.name);
            message.fields.iter().filter_map(|field| field.kind.message()).for_each(|m| descend(m, above));
            above.pop();
        }
        SCHEMA.messages.iter().for_each(|message| descend(message, &mut Vec::new()));
    }

    #[test]
    fn fields_are_found_where_json_has_them() {
        let volume = of("v1", "Pod").unwrap().field("spec").unwrap().kind.message().unwrap();
        let volume = volume.field("volumes").unwrap().kind.message().unwrap();
        assert_eq!(volume.name, "Volume");
        assert!(volume.field("emptyDir").is_some() && volume.field("volumeSource").is_none());
    }
}
