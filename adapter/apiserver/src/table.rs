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

// === impl Table ===

impl Table {
    /// The complete document: kind `Table`, apiVersion `meta.k8s.io/v1`, compact.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document<'a> {
            kind: &'static str,
            api_version: &'static str,
            metadata: Empty,
            #[serde(flatten)]
            table: &'a Table,
        }
        #[derive(Serialize)]
        struct Empty {}
        let document =
            Document { kind: "Table", api_version: "meta.k8s.io/v1", metadata: Empty {}, table: self };
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn document() {
        let table = Table {
            column_definitions: vec![Column {
                name: "Name",
                kind: "string",
                format: "name",
                description: "the object",
                priority: 0,
            }],
            rows: vec![Row { cells: vec![json!("web-0")], object: json!({"kind": "PartialObjectMetadata"}) }],
        };
        let text = String::from_utf8(table.to_json()).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"#,
                r#""columnDefinitions":[{"name":"Name","type":"string","format":"name","description":"the object","priority":0}],"#,
                r#""rows":[{"cells":["web-0"],"object":{"kind":"PartialObjectMetadata"}}]}"#
            )
        );
    }
}
