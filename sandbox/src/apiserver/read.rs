//! Get and list.

use super::Core;
use super::call::Call;
use super::representation::Representation;
use super::resources::Resource;
use super::respond::{self, Answer};
use super::selector::{FieldSelector, LabelSelector};
use super::status::Status;
use super::store::{Key, Snapshot, Store};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::sync::Arc;

/// Which objects of a resource a request is about.
pub(crate) struct Selection {
    /// Empty for all.
    namespace: String,
    labels: LabelSelector,
    fields: FieldSelector,
}

/// Answers one object.
pub(crate) fn get(core: &Core, resource: &Resource, key: &Key, call: &Call) -> Result<Answer, Status> {
    let shape = Representation::negotiate(&call.headers, &call.query)?;
    let object = core.registry.get(resource, key)?;
    Ok(respond::json(200, &shape.object(resource, &object, core.registry.clock.now())))
}

/// Answers the selected objects, whole or in pages of `limit`.
pub(crate) fn list(core: &Core, resource: &Resource, namespace: &str, call: &Call) -> Result<Answer, Status> {
    let shape = Representation::negotiate(&call.headers, &call.query)?;
    let selection = Selection::parse(resource, namespace, call)?;
    let limit = match call.parameter("limit") {
        None => None,
        Some(text) => Some(text.parse::<usize>().map_err(|_| {
            Status::bad_request(format!("limit must be a non-negative integer, not {text:?}"))
        })?),
    };
    let start = call.parameter("continue").map(Continue::decode).transpose()?;
    let snapshot = match &start {
        Some(start) => {
            core.registry.store.list_at(resource, start.revision).map_err(|_| Status::continue_expired())?
        }
        None => snapshot(&core.registry.store, resource, call)?,
    };
    let mut selected: Vec<(Key, Arc<Value>)> = snapshot
        .objects
        .into_iter()
        .filter(|(key, object)| {
            start.as_ref().is_none_or(|start| *key > start.after) && selection.matches(key, object)
        })
        .collect();
    let mut metadata = json!({"resourceVersion": snapshot.revision.to_string()});
    if let Some(limit) = limit.filter(|&limit| limit > 0 && limit < selected.len()) {
        metadata["remainingItemCount"] = (selected.len() - limit).into();
        selected.truncate(limit);
        if let Some((last, _)) = selected.last() {
            metadata["continue"] =
                Continue { revision: snapshot.revision, after: last.clone() }.encode().into();
        }
    }
    let objects: Vec<&Value> = selected.iter().map(|(_, object)| &**object).collect();
    Ok(respond::json(200, &shape.list(resource, &objects, metadata, core.registry.clock.now())))
}

/// The version that a `resourceVersion` parameter names; 400 if it is none.
pub(crate) fn version(call: &Call) -> Result<Option<u64>, Status> {
    call.parameter("resourceVersion").map(|text| text.parse()).transpose().map_err(|_| {
        Status::bad_request("resourceVersion: Invalid value: must be a version that a server gave")
    })
}

fn snapshot(store: &Store, resource: &Resource, call: &Call) -> Result<Snapshot, Status> {
    let version = version(call)?;
    let exact = match (call.parameter("resourceVersionMatch"), version) {
        (None, _) => false,
        (Some("NotOlderThan"), Some(_)) => false,
        (Some("Exact"), Some(asked)) if asked > 0 => true,
        (Some(_), None) => {
            let message = "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion \
                 is provided";
            return Err(Status::with_code(422, message));
        }
        (Some(other), _) => {
            let message = format!("resourceVersionMatch: Unsupported value: {other:?}");
            return Err(Status::with_code(422, message));
        }
    };
    let asked = version.unwrap_or(0);
    let current = store.list(resource);
    if asked > current.revision {
        return Err(Status::too_large_version(asked, current.revision));
    }
    if exact {
        return store.list_at(resource, asked).map_err(|gone| Status::expired(asked, gone.oldest));
    }
    Ok(current)
}

/// Where the next page begins; opaque to clients.
#[derive(Debug, PartialEq)]
struct Continue {
    revision: u64,
    after: Key,
}

// === impl Continue ===

impl Continue {
    fn encode(&self) -> String {
        let token = json!([self.revision, self.after.namespace, self.after.name]);
        BASE64_URL_SAFE_NO_PAD.encode(token.to_string())
    }

    fn decode(text: &str) -> Result<Self, Status> {
        let parse = || {
            let token: (u64, String, String) =
                serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
            Some(Self { revision: token.0, after: Key::new(token.1, token.2) })
        };
        parse().ok_or_else(|| Status::bad_request("continue key is not valid"))
    }
}

// === impl Selection ===

impl Selection {
    /// Reads the selectors of a request.
    pub(crate) fn parse(resource: &Resource, namespace: &str, call: &Call) -> Result<Self, Status> {
        Ok(Self {
            namespace: namespace.to_owned(),
            labels: LabelSelector::parse(call.parameter("labelSelector").unwrap_or_default())?,
            fields: FieldSelector::parse(call.parameter("fieldSelector").unwrap_or_default(), resource)?,
        })
    }

    pub(crate) fn matches(&self, key: &Key, object: &Value) -> bool {
        (self.namespace.is_empty() || self.namespace == key.namespace)
            && self.fields.name().is_none_or(|name| name == key.name)
            && self.labels.matches(object)
            && self.fields.matches(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continue_tokens_round_trip_and_garbage_is_refused() {
        let token = Continue { revision: 7, after: Key::new("default", "a\"b") };
        assert_eq!(Continue::decode(&token.encode()).unwrap(), token);
        for garbage in ["", "!", "W10", "AAAA"] {
            assert_eq!(Continue::decode(garbage).unwrap_err().code, 400, "{garbage}");
        }
    }
}
