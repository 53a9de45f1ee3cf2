//! JSON documents as Kubernetes' protobuf: the same content, for those who ask for it, as autoscalers do.
//!
//! A document is written once, as JSON. What protobuf needs to know beyond it, the numbers of its fields, is in a
//! [`Message`]: what the two forms say cannot differ. Fields come in the order of JSON's members, which protobuf leaves
//! open.

use serde::de::DeserializeSeed as _;

mod message;
mod meta;
#[cfg(test)]
mod tests;
mod wire;

pub use message::{Field, Kind, Message};
pub(crate) use meta::{API_GROUP, API_GROUP_DISCOVERY_LIST, API_GROUP_LIST, API_RESOURCE_LIST, STATUS};
pub use meta::{LABEL_SELECTOR, LIST_META, QUANTITY};

use message::Members;
use wire::Writer;

/// What every document begins with.
const MAGIC: &[u8] = b"k8s\0";

/// A `runtime.TypeMeta`, whose members stand beside the object's own in JSON.
const TYPE_META: Message = Message(&[Field::plain("apiVersion", 1), Field::plain("kind", 2)]);

/// The document in the envelope that Kubernetes' clients look for: `k8s\0` and a `runtime.Unknown`
/// (apimachinery, `runtime/serializer/protobuf`); `None` if it is no JSON, or none of such a message.
pub fn from_json(document: &[u8], message: &Message) -> Option<Vec<u8>> {
    let mut type_meta = Writer::default();
    let mut object = Writer::starting(&[], document.len() / 2);
    let mut json = serde_json::Deserializer::from_slice(document);
    Members(&mut [(message, &mut object), (&TYPE_META, &mut type_meta)]).deserialize(&mut json).ok()?;
    json.end().ok()?;
    let (type_meta, object) = (type_meta.into_bytes(), object.into_bytes());
    let mut envelope = Writer::starting(MAGIC, type_meta.len() + object.len());
    envelope.bytes(1, &type_meta);
    envelope.bytes(2, &object);
    Some(envelope.into_bytes())
}
