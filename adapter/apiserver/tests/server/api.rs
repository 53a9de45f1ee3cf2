//! What the tests serve: gears, which have teeth.

use podgauge_apiserver::{
    Answer, Api, ApiResource, Definition, GroupVersion, Representation, Request, Status, Table,
    table::{Column, Row},
};
use serde_json::json;

pub(crate) const GROUP: &str = "gears.example.com";

/// One version of the group.
pub(crate) struct Gears(pub(crate) &'static str);

impl Api for Gears {
    fn group_version(&self) -> GroupVersion {
        GroupVersion { group: GROUP, version: self.0 }
    }

    fn resources(&self) -> Vec<ApiResource> {
        vec![ApiResource {
            name: "wheels/teeth".to_owned(),
            singular_name: String::new(),
            namespaced: true,
            kind: "Teeth",
            verbs: &["get"],
        }]
    }

    fn definitions(&self) -> Vec<Definition> {
        vec![Definition {
            name: if self.0 == "v1" {
                "com.example.gears.v1.Teeth"
            } else {
                "com.example.gears.v1beta1.Teeth"
            },
            kind: Some("Teeth"),
            schema: json!({"type": "object", "properties": {"next": {"$ref": "#/definitions/x"}}}),
        }]
    }

    /// Echoes what it was asked, except for the names that stand for trouble.
    fn get(&self, request: &Request) -> Result<Answer, Status> {
        match (request.attributes.name.as_deref(), request.representation) {
            (Some("missing"), _) => Err(Status::not_found("no wheel is called missing; try another")),
            (Some("panic"), _) => panic!("asked to"),
            (Some("round"), Representation::Table) => Ok(Answer::Table(Table {
                column_definitions: vec![Column {
                    name: "Name",
                    kind: "string",
                    format: "name",
                    description: "",
                    priority: 0,
                }],
                rows: vec![Row { cells: vec![json!("round")], object: json!({}) }],
            })),
            _ => {
                let document = json!({
                    "kind": "Teeth",
                    "apiVersion": self.group_version().to_string(),
                    "segments": request.segments,
                    "verb": request.attributes.verb,
                    "query": request.query.0,
                });
                Ok(Answer::Json(document.to_string().into_bytes()))
            }
        }
    }
}
