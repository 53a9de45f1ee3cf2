//! Objects in protobuf, which kubectl sends for the kinds that it knows, turned into the JSON that all else here reads.
//!
//! The envelope is `k8s\\0` and a `runtime.Unknown`; see `k8s.io/apimachinery/pkg/runtime/serializer/protobuf`. Answers
//! are JSON always: every client that sends protobuf accepts it too.

use super::{Field, Kind, Message, Shape, of};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value};

const MAGIC: &[u8] = b"k8s\0";

/// Bytes that are no object of a kind that is known here.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum NotAnObject {
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    Envelope,
    #[error("no kind {kind:?} is registered for version {version:?}")]
    Kind { version: String, kind: String },
    #[error("proto: the message is cut off or malformed")]
    Malformed,
}

/// Reads an object with its `apiVersion` and `kind`.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value, NotAnObject> {
    let envelope = bytes.strip_prefix(MAGIC).ok_or(NotAnObject::Envelope)?;
    let (mut type_meta, mut raw): (&[u8], &[u8]) = (&[], &[]);
    each_field(envelope, |number, part| {
        match (number, part) {
            (1, Part::Bytes(bytes)) => type_meta = bytes,
            (2, Part::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
        Some(())
    })
    .ok_or(NotAnObject::Malformed)?;
    let (version, kind) = two_texts(type_meta).ok_or(NotAnObject::Malformed)?;
    let Some(message) = of(&version, &kind) else { return Err(NotAnObject::Kind { version, kind }) };
    let mut object = Map::new();
    object.insert("apiVersion".into(), version.into());
    object.insert("kind".into(), kind.into());
    read_message(message, raw, &mut object).ok_or(NotAnObject::Malformed)?;
    Ok(object.into())
}

/// One value on the wire.
enum Part<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// A fixed-width number, of which the kinds here have none.
    Fixed,
}

/// Hands every field of a message to `take`; `None` if the message is malformed or `take` gives up.
fn each_field<'a>(mut rest: &'a [u8], mut take: impl FnMut(u64, Part<'a>) -> Option<()>) -> Option<()> {
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let part = match key & 7 {
            0 => Part::Number(varint(&mut rest)?),
            1 => split(&mut rest, 8).map(|_| Part::Fixed)?,
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                Part::Bytes(split(&mut rest, length)?)
            }
            5 => split(&mut rest, 4).map(|_| Part::Fixed)?,
            _ => return None,
        };
        take(key >> 3, part)?;
    }
    Some(())
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn split<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (front, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(front)
}

/// Adds the fields of a message to `object`. Unknown ones are passed over, as protobuf has it.
fn read_message(message: &'static Message, bytes: &[u8], object: &mut Map<String, Value>) -> Option<()> {
    each_field(bytes, |number, part| {
        let Some(field) = message.fields.iter().find(|field| field.number == number) else { return Some(()) };
        if field.name.is_empty() {
            let (Some(inner), Part::Bytes(bytes)) = (field.kind.message(), part) else { return None };
            return read_message(inner, bytes, object);
        }
        match field.shape {
            Shape::One => {
                let value = read_value(field.kind, &part)?;
                if field.optional || !is_zero(&value) {
                    object.insert(field.name.into(), value);
                }
            }
            Shape::List => {
                let value = read_value(field.kind, &part)?;
                let list = object.entry(field.name).or_insert_with(|| Value::Array(Vec::new()));
                list.as_array_mut()?.push(value);
            }
            Shape::Map => {
                let Part::Bytes(entry) = part else { return None };
                let (key, value) = read_entry(field, entry)?;
                let map = object.entry(field.name).or_insert_with(|| Value::Object(Map::new()));
                map.as_object_mut()?.insert(key, value);
            }
        }
        Some(())
    })
}

/// The zero of a Go value, which JSON leaves out.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn read_entry(field: &Field, entry: &[u8]) -> Option<(String, Value)> {
    let (mut key, mut value) = (String::new(), None);
    each_field(entry, |number, part| {
        match number {
            1 => key = text(&part)?,
            2 => value = Some(read_value(field.kind, &part)?),
            _ => {}
        }
        Some(())
    })?;
    // Left out, it is the zero of its type.
    let value = value.or_else(|| read_value(field.kind, &Part::Bytes(&[])))?;
    Some((key, value))
}

fn read_value(kind: Kind, part: &Part<'_>) -> Option<Value> {
    Some(match (kind, part) {
        (Kind::String, part) => text(part)?.into(),
        // Negative numbers are sent as their 64-bit two's complement.
        (Kind::Int32, Part::Number(number)) => (number.cast_signed() as i32).into(),
        (Kind::Int64, Part::Number(number)) => number.cast_signed().into(),
        (Kind::Bool, Part::Number(number)) => (*number != 0).into(),
        (Kind::Bytes, Part::Bytes(bytes)) => BASE64_STANDARD.encode(bytes).into(),
        (Kind::Time | Kind::MicroTime, Part::Bytes(bytes)) => time(kind, bytes)?,
        (Kind::Quantity, Part::Bytes(bytes)) => two_texts(bytes)?.0.into(),
        (Kind::IntOrString, Part::Bytes(bytes)) => int_or_string(bytes)?,
        (Kind::Raw, Part::Bytes(bytes)) => {
            let mut raw = Value::Null;
            each_field(bytes, |number, part| {
                if let (1, Part::Bytes(json)) = (number, part) {
                    raw = serde_json::from_slice(json).ok()?;
                }
                Some(())
            })?;
            raw
        }
        (Kind::Strings, Part::Bytes(bytes)) => {
            let mut items = Vec::new();
            each_field(bytes, |_, part| {
                items.push(Value::String(text(&part)?));
                Some(())
            })?;
            items.into()
        }
        (Kind::Message(_), Part::Bytes(bytes)) => {
            let mut object = Map::new();
            read_message(kind.message()?, bytes, &mut object)?;
            object.into()
        }
        _ => return None,
    })
}

fn text(part: &Part<'_>) -> Option<String> {
    match part {
        Part::Bytes(bytes) => String::from_utf8(bytes.to_vec()).ok(),
        _ => None,
    }
}

/// Fields 1 and 2 of a message of strings.
fn two_texts(bytes: &[u8]) -> Option<(String, String)> {
    let mut found = (String::new(), String::new());
    each_field(bytes, |number, part| {
        match number {
            1 => found.0 = text(&part)?,
            2 => found.1 = text(&part)?,
            _ => {}
        }
        Some(())
    })?;
    Some(found)
}

fn time(kind: Kind, bytes: &[u8]) -> Option<Value> {
    let (mut seconds, mut nanoseconds) = (0_i64, 0_i64);
    each_field(bytes, |number, part| {
        match (number, part) {
            (1, Part::Number(number)) => seconds = number.cast_signed(),
            (2, Part::Number(number)) => nanoseconds = number.cast_signed(),
            _ => {}
        }
        Some(())
    })?;
    if bytes.is_empty() {
        return Some(Value::Null);
    }
    let time = Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()?;
    Some(match kind {
        Kind::MicroTime => time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string().into(),
        _ => crate::clock::rfc3339(time).into(),
    })
}

fn int_or_string(bytes: &[u8]) -> Option<Value> {
    let (mut is_text, mut number, mut string) = (false, 0, String::new());
    each_field(bytes, |field, part| {
        match (field, part) {
            (1, Part::Number(kind)) => is_text = kind == 1,
            (2, Part::Number(value)) => number = value.cast_signed() as i32,
            (3, part) => string = text(&part)?,
            _ => {}
        }
        Some(())
    })?;
    Some(if is_text { string.into() } else { number.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn object(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let type_meta = [field(1, version.as_bytes()), field(2, kind.as_bytes())].concat();
        [MAGIC, &field(1, &type_meta), &field(2, raw)].concat()
    }

    #[test]
    fn objects_read_as_their_json() {
        let check = |bytes: Vec<u8>, expected: Value| assert_eq!(decode(&bytes).unwrap(), expected);
        let entry = field(2, &[field(1, b"k"), field(2, b"v")].concat());
        let metadata = field(1, &[field(1, b"a"), field(2, b""), field(8, b"")].concat());
        check(
            object("v1", "ConfigMap", &[metadata, entry].concat()),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}),
        );
        // No replicas is something else than none given; the volume's source stands beside its name.
        let volume = field(1, &[field(1, b"v"), field(2, &field(2, b""))].concat());
        let port = field(6, &[&[0x10, 0x01, 0x18, 0x90, 0x3f][..]].concat());
        let pod = field(2, &[volume, field(2, &[field(1, b"c"), port].concat())].concat());
        let spec = [vec![8, 0], field(3, &pod)].concat();
        check(
            object("apps/v1", "Deployment", &field(2, &spec)),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 0, "template": {"spec": {
                "volumes": [{"name": "v", "emptyDir": {}}],
                "containers": [{"name": "c", "ports": [{"hostPort": 1, "containerPort": 8080}]}]}}}}),
        );
        check(
            object("v1", "Event", &field(6, &[8, 1])),
            json!({"apiVersion": "v1", "kind": "Event", "firstTimestamp": "1970-01-01T00:00:01Z"}),
        );
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let check = |bytes: &[u8], expected: NotAnObject| assert_eq!(decode(bytes), Err(expected));
        check(b"{}", NotAnObject::Envelope);
        check(&object("v2", "Pod", b""), NotAnObject::Kind { version: "v2".into(), kind: "Pod".into() });
        for raw in [&[0x0a][..], &[0x0a, 5, 1], &[0xff; 11], &[0x0f], &[0x08, 1], &field(1, &[0x0a, 1, 0xff])]
        {
            check(&object("v1", "Pod", raw), NotAnObject::Malformed);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(raw in proptest::collection::vec(any::<u8>(), 0..100), cut in 0_usize..150) {
            for kind in ["Pod", "Event", "ConfigMap", "Node"] {
                let bytes = object("v1", kind, &raw);
                let _ = decode(&bytes);
                let _ = decode(bytes.get(..cut).unwrap_or(&raw));
            }
        }
    }
}
