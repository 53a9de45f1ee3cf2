//! Small OpenAPI documents: enough for `kubectl explain` and for the aggregator to be quiet.
//!
//! Each group-version publishes its kinds and its discovery path. Everything is drawn once, when the
//! server is built.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use crate::{
    api::{Api, Definition, GroupVersion},
    etag::Tagged,
};

/// The published documents.
pub(crate) struct OpenApi {
    /// `/openapi/v2`.
    pub(crate) v2: Tagged,
    /// `/openapi/v3`.
    pub(crate) v3_index: Tagged,
    /// `/openapi/v3/apis/<group>/<version>`.
    pub(crate) v3: BTreeMap<GroupVersion, Tagged>,
}

// === impl OpenApi ===

impl OpenApi {
    pub(crate) fn new(apis: &[Arc<dyn Api>], title: &str, version: &str) -> Self {
        let info = json!({"title": title, "version": version});
        let mut paths = Map::new();
        let mut definitions = Map::new();
        let mut v3 = BTreeMap::new();
        let mut index = Map::new();
        for api in apis {
            let of = api.group_version();
            let schemas = schemas(of, api.definitions());
            paths.insert(root_path(of), operation(of, &json!({"description": "OK"})));
            definitions.extend(schemas.clone());
            let document = Tagged::new(
                json!({
                    "openapi": "3.0.0",
                    "info": info,
                    "paths": {root_path(of): operation(of, &json!({"description": "OK"}))},
                    "components": {"schemas": as_v3(Value::Object(schemas))},
                })
                .to_string(),
            );
            index.insert(format!("apis/{of}"), json!({"serverRelativeURL": v3_url(of, &document.hash)}));
            v3.insert(of, document);
        }
        let v2 = json!({"swagger": "2.0", "info": info, "paths": paths, "definitions": definitions});
        Self {
            v2: Tagged::new(v2.to_string()),
            v3_index: Tagged::new(json!({"paths": index}).to_string()),
            v3,
        }
    }
}

/// Where the document of this hash is.
pub(crate) fn v3_url(of: GroupVersion, hash: &str) -> String {
    format!("/openapi/v3/apis/{of}?hash={hash}")
}

fn root_path(of: GroupVersion) -> String {
    format!("/apis/{of}/")
}

fn operation(of: GroupVersion, ok: &Value) -> Value {
    json!({"get": {
        "description": format!("get available resources of {of}"),
        "responses": {"200": ok},
    }})
}

/// Definitions by name, those of kinds marked as such.
fn schemas(of: GroupVersion, definitions: Vec<Definition>) -> Map<String, Value> {
    let mark = |mut definition: Definition| {
        if let (Some(kind), Some(schema)) = (definition.kind, definition.schema.as_object_mut()) {
            schema.insert(
                "x-kubernetes-group-version-kind".to_owned(),
                json!([{"group": of.group, "version": of.version, "kind": kind}]),
            );
        }
        (definition.name.to_owned(), definition.schema)
    };
    definitions.into_iter().map(mark).collect()
}

/// The same schemas with version 3's references.
fn as_v3(schema: Value) -> Value {
    match schema {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| match (name.as_str(), value.as_str()) {
                    ("$ref", Some(to)) => {
                        let to = to.replacen("#/definitions/", "#/components/schemas/", 1);
                        (name, to.into())
                    }
                    _ => (name, as_v3(value)),
                })
                .collect(),
        ),
        Value::Array(items) => items.into_iter().map(as_v3).collect(),
        leaf => leaf,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_move() {
        let schema =
            json!({"a": [{"$ref": "#/definitions/b"}], "$ref": "#/definitions/c", "d": "#/definitions/e"});
        assert_eq!(
            as_v3(schema),
            json!({"a": [{"$ref": "#/components/schemas/b"}], "$ref": "#/components/schemas/c", "d": "#/definitions/e"})
        );
    }
}
