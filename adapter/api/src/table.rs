//! `MetricValueList` as a table for people.

use std::time::Duration;

use podgauge_apiserver::{
    Table,
    table::{Column, Row},
};
use serde_json::json;

use crate::{
    Quantity,
    document::{Object, whole_seconds},
    tally::Value,
};

/// An empty table with its columns.
pub(crate) fn new() -> Table {
    let column =
        |name, kind, format, description, priority| Column { name, kind, format, description, priority };
    Table {
        column_definitions: vec![
            column("Name", "string", "name", "The object that the value is about", 0),
            column("Metric", "string", "", "The metric's name", 0),
            column("Value", "string", "", "The value, a quantity", 0),
            column("Age", "string", "", "How long ago the value was taken", 0),
            column("Window", "string", "", "Over how long a rate, mean or quantile was measured", 1),
        ],
        rows: Vec::new(),
    }
}

/// A row of it.
pub(crate) fn row(object: Object<'_>, metric: &str, value: &Value, quantity: Quantity, age: Duration) -> Row {
    let window =
        value.window.map_or_else(|| "<none>".to_owned(), |window| format!("{}s", whole_seconds(window)));
    let mut metadata = json!({"name": object.name()});
    if let (Some(namespace), Some(members)) = (object.namespace(), metadata.as_object_mut()) {
        members.insert("namespace".to_owned(), json!(namespace));
    }
    Row {
        cells: vec![
            json!(object.name()),
            json!(metric),
            json!(quantity.to_string()),
            json!(format!("{}s", age.as_secs())),
            json!(window),
        ],
        object: json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}),
    }
}
