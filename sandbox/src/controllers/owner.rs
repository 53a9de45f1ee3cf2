//! Who made an object and looks after it: `metadata.ownerReferences`.

use serde_json::{Value, json};

/// The reference to the controller of an object made for `owner`.
pub(super) fn reference(owner: &Value) -> Value {
    json!([{
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    }])
}

/// Whether `owner` controls `object`.
pub(super) fn controls(owner: &Value, object: &Value) -> bool {
    let references = object["metadata"]["ownerReferences"].as_array();
    let uid = &owner["metadata"]["uid"];
    references.into_iter().flatten().any(|owner| owner["controller"] == true && owner["uid"] == *uid)
}
