//! What the tests serve: gears, which have teeth.

use std::sync::{Arc, Condvar, Mutex};

use podgauge_apiserver::{
    Answer, Api, ApiResource, Definition, GroupVersion, Representation, Request, Status, Table,
    protobuf::{Field, Message},
    table::{Column, Row},
};
use serde_json::json;

pub(crate) const GROUP: &str = "gears.example.com";

/// One version of the group, and how wheels that have to be counted first are held up.
pub(crate) struct Gears(pub(crate) &'static str, pub(crate) Brake);

/// Holds up threads until it is let go. Not for threads that serve others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Brake(Arc<(Mutex<Held>, Condvar)>);

/// Lets go of a brake, at the latest when it is dropped: a test that fails ends.
pub(crate) struct Pedal(pub(crate) Brake);

#[derive(Debug, Default)]
struct Held {
    waiting: usize,
    released: bool,
}

// === impl Brake ===

impl Brake {
    fn hold(&self) {
        let (held, changed) = &*self.0;
        let mut held = held.lock().unwrap();
        held.waiting += 1;
        let mut held = changed.wait_while(held, |held| !held.released).unwrap();
        held.waiting -= 1;
    }
}

// === impl Pedal ===

impl Pedal {
    pub(crate) fn release(&self) {
        let (held, changed) = &*self.0.0;
        held.lock().unwrap().released = true;
        changed.notify_all();
    }

    /// How many are held up now.
    pub(crate) fn waiting(&self) -> usize {
        self.0.0.0.lock().unwrap().waiting
    }
}

impl Drop for Pedal {
    fn drop(&mut self) {
        self.release();
    }
}

// === impl Gears ===

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

    /// The first version alone has such a form.
    fn message(&self) -> Option<&'static Message> {
        static TEETH: Message = Message(&[Field::plain("segments", 1), Field::plain("verb", 2)]);
        Some(&TEETH).filter(|_| self.0 == "v1")
    }

    /// Echoes what it was asked, except for the names that stand for trouble.
    fn get(&self, request: &Request) -> Result<Answer, Status> {
        match (request.attributes.name.as_deref(), request.representation) {
            (Some("missing"), _) => Err(Status::not_found("no wheel is called missing; try another")),
            (Some("panic"), _) => panic!("asked to"),
            (Some("many"), representation) => {
                let brake = self.1.clone();
                Ok(Answer::later(move || {
                    brake.hold();
                    assert_eq!(representation, Representation::Object, "a panic far from who asked");
                    Ok(Answer::Json(br#"{"kind":"Teeth","counted":true}"#.to_vec()))
                }))
            }
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
