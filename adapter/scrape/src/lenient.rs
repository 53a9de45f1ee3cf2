//! Values of any shape, where one shape is wanted.
//!
//! A streaming decoder that meets a string in place of a list gives up on the whole document, and with a page of a
//! list that means five hundred pods for the sake of one. [`Lenient`] reads whatever stands there to its end and keeps
//! what was wrong with it, so that exactly the object that is broken is lost. It holds nothing back and copies
//! nothing, unlike decoding into a tree first.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::{Error as ShapeError, MapAccessDeserializer, SeqAccessDeserializer},
    },
};

/// A value, its absence (missing or null), or what was there instead.
///
/// Every part of `T` must itself be lenient or a scalar: a failure deeper down would leave the decoder in the midst of
/// a value.
#[derive(Debug)]
pub(crate) struct Lenient<T>(Result<Option<T>, ShapeError>);

struct AnyShape<T>(PhantomData<T>);

// === impl Lenient ===

impl<T> Lenient<T> {
    /// The value, if there is one.
    ///
    /// # Errors
    /// What stood there instead, and under which name.
    pub(crate) fn read(self, field: &str) -> Result<Option<T>, Box<str>> {
        self.0.map_err(|error| format!("{field}: {error}").into())
    }
}

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(Ok(None))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyShape(PhantomData))
    }
}

// === impl AnyShape ===

/// A scalar was read to its end before its type is judged.
fn scalar<'de, T: Deserialize<'de>>(value: impl IntoDeserializer<'de, ShapeError>) -> Lenient<T> {
    Lenient(T::deserialize(value.into_deserializer()).map(Some))
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for AnyShape<T> {
    type Value = Lenient<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(scalar(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(scalar(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(scalar(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(scalar(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(scalar(value))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Lenient::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let value =
            T::deserialize(SeqAccessDeserializer::new(&mut seq)).map(Some).map_err(ShapeError::custom);
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Lenient(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let value =
            T::deserialize(MapAccessDeserializer::new(&mut map)).map(Some).map_err(ShapeError::custom);
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Lenient(value))
    }
}
