use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;
use crate::{
    Answer, Api, ApiResource, Definition, GroupVersion, Request, Status, discovery, status::Details,
};

/// Every kind of field.
const EVERYTHING: Message = Message(&[
    Field::plain("text", 1),
    Field::plain("number", 2),
    Field::plain("isTrue", 15),
    Field::plain("texts", 16),
    Field::new("labels", 17, Kind::Map),
    Field::new("time", 18, Kind::Time),
    Field::new("quantity", 19, QUANTITY),
    Field::new("verbs", 20, Kind::Wrapped(&Kind::Plain)),
    Field::message("selector", 100, &LABEL_SELECTOR),
    Field::message("parts", 5000, &PART),
]);
const PART: Message = Message(&[Field::plain("number", 1), Field::message("parts", 2, &SMALLER)]);
const SMALLER: Message = Message(&[Field::plain("text", 3)]);

/// A value on the wire.
#[derive(Clone, Copy)]
enum Part<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Reads a message the plain way: its fields, in order.
fn fields(mut bytes: &[u8]) -> Vec<(u32, Part<'_>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let part = match key & 7 {
            0 => Part::Number(varint(&mut bytes)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                let (part, rest) = bytes.split_at(length);
                bytes = rest;
                Part::Bytes(part)
            }
            other => panic!("wire type {other}"),
        };
        fields.push((u32::try_from(key >> 3).unwrap(), part));
    }
    fields
}

/// Reads an object back, whose JSON said `like`; protobuf does not tell an empty list from none, nor truth from 1.
fn object(message: &Message, bytes: &[u8], like: &Map<String, Value>) -> Map<String, Value> {
    let found = fields(bytes);
    let read = |(name, like): (&String, &Value)| {
        let field = message.0.iter().find(|field| field.name == name)?;
        let parts = found.iter().filter(|(number, _)| *number == field.number).map(|(_, part)| *part);
        Some((name.clone(), value(field.kind, &parts.collect::<Vec<_>>(), like)))
    };
    let read: Map<String, Value> = like.iter().filter_map(read).collect();
    let is_read =
        |number| message.0.iter().any(|field| field.number == number && read.contains_key(field.name));
    assert!(found.iter().all(|(number, _)| is_read(*number)), "more than {like:?}");
    read
}

fn value(kind: Kind, parts: &[Part<'_>], like: &Value) -> Value {
    match (kind, parts, like) {
        (Kind::Wrapped(kind), [Part::Bytes(wrapped)], like) => {
            let inner: Vec<Part<'_>> = fields(wrapped).into_iter().map(|(_, part)| part).collect();
            value(*kind, &inner, like)
        }
        (Kind::Map, entries, Value::Object(_)) => {
            let entry = |entry: &Part<'_>| {
                let Part::Bytes(entry) = entry else { panic!("an entry is a message") };
                let [(1, name), (2, value)] = fields(entry)[..] else { panic!("of two fields") };
                (text(name), Value::from(text(value)))
            };
            entries.iter().map(entry).collect::<Map<_, _>>().into()
        }
        (_, [], Value::Null) => Value::Null,
        (_, parts, Value::Array(like)) => {
            assert_eq!(parts.len(), like.len());
            parts.iter().zip(like).map(|(part, like)| value(kind, &[*part], like)).collect()
        }
        (Kind::Plain, [Part::Number(number)], Value::Bool(_)) => (*number != 0).into(),
        (Kind::Plain, [Part::Number(number)], _) => number.cast_signed().into(),
        (Kind::Plain, [part], _) => text(*part).into(),
        (Kind::Time, [Part::Bytes(time)], _) => {
            let [(1, Part::Number(seconds))] = fields(time)[..] else { panic!("seconds alone") };
            jiff::Timestamp::from_second(seconds.cast_signed()).unwrap().to_string().into()
        }
        (Kind::Message(message), [Part::Bytes(bytes)], Value::Object(like)) => {
            object(message, bytes, like).into()
        }
        (kind, parts, like) => panic!("{} values of {kind:?} for {like}", parts.len()),
    }
}

fn text(part: Part<'_>) -> String {
    let Part::Bytes(bytes) = part else { panic!("a number is no text") };
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The document that the envelope holds.
fn read(message: &Message, bytes: &[u8], like: &Map<String, Value>) -> Map<String, Value> {
    let envelope = fields(bytes.strip_prefix(MAGIC).unwrap());
    let [(1, Part::Bytes(type_meta)), (2, Part::Bytes(raw))] = envelope[..] else {
        panic!("a runtime.Unknown")
    };
    let mut document = object(&TYPE_META, type_meta, like);
    document.extend(object(message, raw, like));
    document
}

#[track_caller]
fn check(message: &Message, json: &[u8]) {
    let document: Map<String, Value> = serde_json::from_slice(json).unwrap();
    let bytes = from_json(json, message).unwrap();
    assert_eq!(read(message, &bytes, &document), document);
}

#[test]
fn status_is_written_byte_for_byte() {
    let status = Status::not_found("no such metric");
    let expected: &[&[u8]] = &[
        b"k8s\0",
        b"\x0a\x0c\x12\x06Status\x0a\x02v1",
        b"\x12\x28",
        b"\x0a\x00\x12\x07Failure\x1a\x0eno such metric\x22\x08NotFound\x30\x94\x03",
    ];
    assert_eq!(from_json(&status.to_json(), &STATUS), Some(expected.concat()));
}

/// A member that a message does not know would be lost.
#[test]
fn every_member_has_its_field() {
    let details = Details {
        name: "web-0".to_owned(),
        group: "g".to_owned(),
        kind: "pods".to_owned(),
        retry_after_seconds: 5,
    };
    check(&STATUS, &Status::bad_request("é\n\"").with_details(details).to_json());

    let apis = ["v1", "v2"].map(|version| Arc::new(Wheels(version)) as Arc<dyn Api>);
    let groups = discovery::groups(&apis);
    check(&API_GROUP_LIST, &discovery::group_list(&groups));
    check(&API_GROUP, &discovery::group(&groups[0]));
    check(&API_RESOURCE_LIST, &discovery::resource_list(&*apis[0]));
    check(&API_GROUP_DISCOVERY_LIST, &discovery::aggregated(&groups, "v2"));
}

/// An API with resources of all sorts.
struct Wheels(&'static str);

impl Api for Wheels {
    fn group_version(&self) -> GroupVersion {
        GroupVersion { group: "gears.example.com", version: self.0 }
    }

    fn resources(&self) -> Vec<ApiResource> {
        let resource = |name: &str, namespaced, verbs| ApiResource {
            name: name.to_owned(),
            singular_name: "wheel".to_owned(),
            namespaced,
            kind: "Wheel",
            verbs,
        };
        vec![resource("axles/wheels", true, &["get"]), resource("wheels", false, &["get", "list"])]
    }

    fn definitions(&self) -> Vec<Definition> {
        Vec::new()
    }

    fn message(&self) -> Option<&'static Message> {
        None
    }

    fn get(&self, _: &Request) -> Result<Answer, Status> {
        Err(Status::not_found("there are none"))
    }
}

#[test]
fn what_is_not_of_the_message_is_not_written() {
    let refused = |json: &str| assert_eq!(from_json(json.as_bytes(), &EVERYTHING), None, "{json}");
    for json in ["", "{", "[]", "null", "\"\"", "{} {}"] {
        refused(json);
    }
    for member in [
        r#""labels": "a""#,
        r#""labels": {"a": {}}"#,
        r#""parts": 1"#,
        r#""text": {}"#,
        r#""time": 1"#,
        r#""time": "yesterday""#,
        r#""number": 1.5"#,
    ] {
        refused(&format!("{{{member}}}"));
    }
    let unknown = from_json(br#"{"other": [{"deep": 1.5}], "text": "a"}"#, &EVERYTHING);
    assert_eq!(unknown, from_json(br#"{"text": "a"}"#, &EVERYTHING));
}

fn documents() -> impl Strategy<Value = Value> {
    fn member(
        name: &str,
        value: impl Strategy<Value = Value> + 'static,
    ) -> BoxedStrategy<Option<(String, Value)>> {
        let name = name.to_owned();
        prop::option::of(value.prop_map(move |value| (name.clone(), value))).boxed()
    }
    fn object(members: Vec<BoxedStrategy<Option<(String, Value)>>>) -> impl Strategy<Value = Value> {
        members.prop_map(|members| members.into_iter().flatten().collect::<Map<_, _>>().into())
    }
    fn list<S: Strategy<Value = Value>>(of: S) -> impl Strategy<Value = Value> {
        prop_oneof![Just(Value::Null), prop::collection::vec(of, 0..4).prop_map(Value::from)]
    }
    fn text() -> impl Strategy<Value = Value> {
        prop_oneof![any::<String>(), "[a-z]{120,300}"].prop_map(Value::from)
    }
    fn number() -> impl Strategy<Value = Value> {
        any::<i64>().prop_map(Value::from)
    }
    let time = (-62_135_596_800_i64..253_402_200_000)
        .prop_map(|seconds| jiff::Timestamp::from_second(seconds).unwrap().to_string().into());
    let labels = || {
        let pairs = prop::collection::btree_map(any::<String>(), text(), 0..4);
        pairs.prop_map(|labels| labels.into_iter().collect::<Map<_, _>>().into())
    };
    let requirement =
        object(vec![member("key", text()), member("operator", text()), member("values", list(text()))]);
    let smaller = object(vec![member("text", text())]);
    object(vec![
        member("apiVersion", text()),
        member("kind", text()),
        member("text", text()),
        member("number", number()),
        member("isTrue", any::<bool>().prop_map(Value::from)),
        member("texts", list(text())),
        member("labels", labels()),
        member("time", time),
        member("quantity", text()),
        member("verbs", prop::collection::vec(text(), 0..4).prop_map(Value::from)),
        member(
            "selector",
            object(vec![member("matchLabels", labels()), member("matchExpressions", list(requirement))]),
        ),
        member("parts", list(object(vec![member("number", number()), member("parts", list(smaller))]))),
    ])
}

proptest! {
    #[test]
    fn documents_read_back_as_what_they_were(document in documents()) {
        check(&EVERYTHING, document.to_string().as_bytes());
    }

    #[test]
    fn no_bytes_do_harm(json in prop::collection::vec(any::<u8>(), 0..60), text in "[{}\\[\\]\":,a-z0-9]{0,60}") {
        let _ = from_json(&json, &EVERYTHING);
        let _ = from_json(text.as_bytes(), &EVERYTHING);
    }
}
