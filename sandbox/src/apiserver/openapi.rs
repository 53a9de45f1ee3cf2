//! OpenAPI documents, as much of them as clients go by.
//!
//! kubectl reads from them whether the server validates fields itself, which kind a path takes and, for `kubectl
//! explain`, which fields there are, with their types and without descriptions. Version 2, which only says the former,
//! leaves the fields out.

use super::Core;
use super::bootstrap::group_versions;
use super::call::Call;
use super::resources::{RESOURCES, Resource};
use super::respond::{self, Answer};
use super::schema::{self, Kind, Message, Shape};
use super::status::Status;
use super::write::PATCH_TYPES;
use http::header::ACCEPT;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const V2_PROTOBUF_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// A document (`swagger: "2.0"`) that describes nothing. kubectl asks for it when `/openapi/v3` lacks a kind, and goes
/// on to say that there is no such kind; kubectl before 1.27 asks for it first, and then leaves validation to the server.
const V2_PROTOBUF: &[u8] = b"\x0a\x032.0";

/// `/openapi/v2`.
pub(crate) fn v2(call: &Call) -> Result<Answer, Status> {
    let accept = call.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("proto-openapi") && !accept.contains("application/json") {
        return Ok(respond::typed(200, V2_PROTOBUF_TYPE, V2_PROTOBUF));
    }
    if !accept.is_empty() && !accept.contains("application/json") && !accept.contains("*/*") {
        return Err(Status::not_acceptable());
    }
    let mut definitions = Map::new();
    let mut paths = Map::new();
    for resource in RESOURCES {
        definitions.insert(definition(resource), schema(resource));
        let operation = json!({"patch": {
            "consumes": PATCH_TYPES.split(", ").collect::<Vec<_>>(),
            "parameters": [{"in": "query", "name": "dryRun", "type": "string", "uniqueItems": true},
                {"in": "query", "name": "fieldValidation", "type": "string", "uniqueItems": true}],
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": gvk(resource),
        }});
        paths.insert(object_path(resource), operation);
    }
    let document = json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.33.0+sandbox"},
        "paths": paths,
        "definitions": definitions,
    });
    Ok(respond::json(200, &document))
}

/// `/openapi/v3` and below it one document a group and version.
pub(crate) async fn v3(core: &Arc<Core>, call: &Call, path: &str) -> Result<Answer, Status> {
    let local = |group: &str, version: &str| match group {
        "" => format!("api/{version}"),
        group => format!("apis/{group}/{version}"),
    };
    if path.is_empty() {
        let own = group_versions().into_iter().map(|(group, version)| {
            let path = local(group, version);
            // The documents change with the sandbox's version only.
            let url = format!("/openapi/v3/{path}?hash=1");
            (path, json!({"serverRelativeURL": url}))
        });
        let paths: Map<String, Value> = own.chain(core.aggregator.openapi_v3_paths()).collect();
        return Ok(respond::json(200, &json!({"paths": paths})));
    }
    if let Some((group, version)) =
        group_versions().into_iter().find(|(group, version)| local(group, version) == path)
    {
        return Ok(respond::json(200, &group_document(group, version)));
    }
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["apis", group, version] => core.aggregator.proxy(core, call, group, version).await,
        _ => Err(Status::no_route()),
    }
}

fn group_document(group: &str, version: &str) -> Value {
    let mut schemas = Map::new();
    let mut paths = Map::new();
    for resource in RESOURCES.iter().filter(|r| r.group == group && r.version == version) {
        let reference = json!({"$ref": format!("#/components/schemas/{}", definition(resource))});
        if let Some(message) = schema::of(&resource.api_version(), resource.kind) {
            add_schemas(message, &mut schemas);
        }
        if let Some(kind) = schemas.get_mut(&definition(resource)) {
            kind["x-kubernetes-group-version-kind"] = json!([gvk(resource)]);
        }
        let parameter = |name: &str| json!({"in": "query", "name": name, "schema": {"type": "string"}});
        // Strategic merge is left out on purpose: offered, kubectl would look for merge keys in the schemas, which
        // have none; so it takes them from its own types.
        let types =
            ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];
        let content: Map<String, Value> =
            types.iter().map(|t| (t.to_string(), json!({"schema": {}}))).collect();
        let answer =
            json!({"200": {"description": "OK", "content": {"application/json": {"schema": reference}}}});
        let operation = |action: &str| {
            json!({
                "parameters": [parameter("dryRun"), parameter("fieldManager"), parameter("fieldValidation")],
                "requestBody": {"content": content},
                "responses": answer,
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": gvk(resource),
            })
        };
        let entry = json!({"get": operation("get"), "patch": operation("patch"), "put": operation("put")});
        paths.insert(object_path(resource), entry);
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.33.0+sandbox"},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn object_path(resource: &Resource) -> String {
    let root = match resource.group {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    };
    let namespace = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
    format!("{root}{namespace}/{}/{{name}}", resource.plural)
}

fn definition(resource: &Resource) -> String {
    definition_name(&resource.api_version(), resource.kind)
}

/// Such as `io.k8s.api.apps.v1.Deployment`.
fn definition_name(api_version: &str, kind: &str) -> String {
    match api_version.rsplit_once('/') {
        Some(("meta.k8s.io", version)) => format!("io.k8s.apimachinery.pkg.apis.meta.{version}.{kind}"),
        Some((group, version)) => format!("io.k8s.api.{group}.{version}.{kind}"),
        None => format!("io.k8s.api.core.{api_version}.{kind}"),
    }
}

/// The schema of a structure and of all that it consists of.
fn add_schemas(message: &'static Message, schemas: &mut Map<String, Value>) {
    let name = definition_name(message.api_version, message.name);
    if schemas.contains_key(&name) {
        return;
    }
    let mut properties = Map::new();
    if message.is_kind() {
        properties.insert("apiVersion".into(), json!({"type": "string"}));
        properties.insert("kind".into(), json!({"type": "string"}));
    }
    add_properties(message, &mut properties);
    schemas.insert(name, json!({"type": "object", "properties": properties}));
    message
        .fields
        .iter()
        .filter_map(|field| field.kind.message())
        .for_each(|part| add_schemas(part, schemas));
}

fn add_properties(message: &'static Message, properties: &mut Map<String, Value>) {
    for field in &message.fields {
        let value = match field.kind {
            Kind::Message(_) => {
                let Some(part) = field.kind.message() else { continue };
                if field.name.is_empty() {
                    add_properties(part, properties);
                    continue;
                }
                let name = definition_name(part.api_version, part.name);
                json!({"allOf": [{"$ref": format!("#/components/schemas/{name}")}], "default": {}})
            }
            Kind::Int32 => json!({"type": "integer", "format": "int32"}),
            Kind::Int64 => json!({"type": "integer", "format": "int64"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::Bytes => json!({"type": "string", "format": "byte"}),
            Kind::Time | Kind::MicroTime => json!({"type": "string", "format": "date-time"}),
            Kind::String | Kind::Quantity => json!({"type": "string"}),
            Kind::IntOrString => json!({"type": "string", "format": "int-or-string"}),
            Kind::Raw => json!({"type": "object"}),
            Kind::Strings => json!({"type": "array", "items": {"type": "string"}}),
        };
        let schema = match field.shape {
            Shape::One => value,
            Shape::List => json!({"type": "array", "items": value}),
            Shape::Map => json!({"type": "object", "additionalProperties": value}),
        };
        properties.insert(field.name.into(), schema);
    }
}

fn schema(resource: &Resource) -> Value {
    json!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "x-kubernetes-group-version-kind": [gvk(resource)],
    })
}

fn gvk(resource: &Resource) -> Value {
    json!({"group": resource.group, "version": resource.version, "kind": resource.kind})
}
