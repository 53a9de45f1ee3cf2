//! What a kind's fields are called in protobuf, and its JSON written so.

use std::{borrow::Cow, fmt};

use jiff::Timestamp;
use serde::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};

use super::wire::Writer;

/// The fields that an object of JSON has in protobuf. What is not among them is not written.
#[derive(Debug)]
pub struct Message(pub &'static [Field]);

/// A field of a [`Message`].
#[derive(Debug)]
pub struct Field {
    /// What JSON calls it.
    pub name: &'static str,
    /// What protobuf calls it.
    pub number: u32,
    /// How its value is written, or if that is an array, how each of its elements is.
    pub kind: Kind,
}

/// How a value is written. What JSON has as null is left out.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A text, an integer or a truth value, as it is in JSON.
    Plain,
    /// An object.
    Message(&'static Message),
    /// An object whose members are texts by name.
    Map,
    /// A text in RFC 3339, as a message of seconds. Kubernetes leaves fractions of them away, too.
    Time,
    /// A value that stands by itself in JSON, and in a message's only field, the first, in protobuf.
    Wrapped(&'static Kind),
}

/// The members of an object, each read into the first of these messages that has a field for it.
pub(super) struct Members<'p, 'a>(pub(super) &'p mut [(&'a Message, &'a mut Writer)]);

/// A value, read into a field.
struct Value<'a> {
    number: u32,
    kind: Kind,
    to: &'a mut Writer,
}

/// A member's name, read as which of these messages has a field for it, and the field.
struct Name<'p, 'a>(&'p [(&'a Message, &'a mut Writer)]);

// === impl Field ===

impl Field {
    /// A field of any kind.
    #[must_use]
    pub const fn new(name: &'static str, number: u32, kind: Kind) -> Self {
        Self { name, number, kind }
    }

    /// A text, an integer, a truth value, or a list of such.
    #[must_use]
    pub const fn plain(name: &'static str, number: u32) -> Self {
        Self::new(name, number, Kind::Plain)
    }

    /// An object, or a list of such.
    #[must_use]
    pub const fn message(name: &'static str, number: u32, message: &'static Message) -> Self {
        Self::new(name, number, Kind::Message(message))
    }
}

// === impl Message ===

impl Message {
    fn field(&self, name: &str) -> Option<&'static Field> {
        self.0.iter().find(|field| field.name == name)
    }
}

// === impl Members ===

impl<'de> DeserializeSeed<'de> for Members<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, object: D) -> Result<(), D::Error> {
        object.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(found) = members.next_key_seed(Name(self.0))? {
            match found.and_then(|(message, field)| Some((self.0.get_mut(message)?, field))) {
                Some(((_, to), &Field { number, kind, .. })) => {
                    members.next_value_seed(Value { number, kind, to })?;
                }
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

// === impl Name ===

impl<'de> DeserializeSeed<'de> for Name<'_, '_> {
    type Value = Option<(usize, &'static Field)>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_, '_> {
    type Value = Option<(usize, &'static Field)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let mut messages = self.0.iter().enumerate();
        Ok(messages.find_map(|(at, (message, _))| Some((at, message.field(name)?))))
    }
}

// === impl Value ===

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        match self.kind {
            Kind::Wrapped(&kind) => {
                self.to.message(self.number, |to| Value { number: 1, kind, to }.deserialize(value))
            }
            _ => value.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.visit_u64(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.visit_u64(value.cast_unsigned())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match self.kind {
            Kind::Plain => self.to.number(self.number, value),
            _ => return Err(E::invalid_type(Unexpected::Unsigned(value), &self)),
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        match self.kind {
            Kind::Plain => self.to.bytes(self.number, value.as_bytes()),
            Kind::Time => {
                let time: Timestamp = value.parse().map_err(E::custom)?;
                self.to.message(self.number, |to| to.number(1, time.as_second().cast_unsigned()));
            }
            _ => return Err(E::invalid_type(Unexpected::Str(value), &self)),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Self { number, kind, to } = self;
        while elements.next_element_seed(Value { number, kind, to })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        match self.kind {
            Kind::Message(message) => {
                self.to.message(self.number, |to| Members(&mut [(message, to)]).visit_map(members))
            }
            Kind::Map => {
                while let Some(name) = members.next_key::<Cow<'_, str>>()? {
                    self.to.message(self.number, |to| {
                        to.bytes(1, name.as_bytes());
                        members.next_value_seed(Value { number: 2, kind: Kind::Plain, to })
                    })?;
                }
                Ok(())
            }
            _ => Err(A::Error::invalid_type(Unexpected::Map, &self)),
        }
    }
}
