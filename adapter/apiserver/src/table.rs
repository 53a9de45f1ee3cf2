//! `meta.k8s.io/v1` `Table`: what `kubectl get` prints.

use serde::Serialize;
use serde_json::Value;

/// Rows and columns for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    /// The columns, in order.
    pub column_definitions: Vec<Column>,
    /// The rows, in order.
    pub rows: Vec<Row>,
}

/// A column of a [`Table`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// The heading.
    pub name: &'static str,
    /// An OpenAPI type: `string`, `integer`, `number`, `boolean`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// An OpenAPI format; `name` marks the column that identifies the row.
    pub format: &'static str,
    /// What the column says.
    pub description: &'static str,
    /// 0 is always shown, more only in wide output.
    pub priority: u8,
}

/// A row of a [`Table`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// One cell for each column.
    pub cells: Vec<Value>,
    /// `PartialObjectMetadata` of the row's object.
    pub object: Value,
}
