//! In which shape an object leaves: whole, metadata alone, or as rows of a table.

use super::resources::Resource;
use super::status::Status;
use super::table;
use http::HeaderMap;
use http::header::ACCEPT;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The shape that a client asked for in `Accept`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Representation {
    Object,
    Metadata,
    /// Rows for `kubectl get`; each carries as much of its object as `includeObject` says.
    Table(IncludeObject),
}

/// `includeObject` of a table request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum IncludeObject {
    None,
    Metadata,
    Object,
}

// === impl Representation ===

impl Representation {
    /// The first acceptable clause of `Accept` that can be satisfied; 406 if there is none.
    pub(crate) fn negotiate(headers: &HeaderMap, query: &[(String, String)]) -> Result<Self, Status> {
        let clauses: Vec<&str> = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|v| v.split(','))
            .collect();
        if clauses.iter().all(|clause| clause.trim().is_empty()) {
            return Ok(Self::Object);
        }
        clauses
            .into_iter()
            .find_map(|clause| Self::from_clause(clause, query))
            .ok_or_else(Status::not_acceptable)
    }

    fn from_clause(clause: &str, query: &[(String, String)]) -> Option<Self> {
        let mut parts = clause.split(';').map(str::trim);
        let media_type = parts.next()?;
        if !matches!(media_type, "application/json" | "application/*" | "*/*") {
            return None;
        }
        let (mut shape, mut version, mut group) = ("", "", "");
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key {
                "as" => shape = value,
                "v" => version = value,
                "g" => group = value,
                _ => {}
            }
        }
        match (shape, group, version) {
            ("", _, _) => Some(Self::Object),
            ("Table", "meta.k8s.io", "v1") => Some(Self::Table(include_object(query))),
            ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1") => {
                Some(Self::Metadata)
            }
            _ => None,
        }
    }

    /// One object in this shape.
    pub(crate) fn object(self, resource: &Resource, object: &Value, now: Timestamp) -> Value {
        match self {
            Self::Object => object.clone(),
            Self::Metadata => metadata_only(object),
            Self::Table(include) => {
                table::document(resource, std::slice::from_ref(&object), include, &object["metadata"], now)
            }
        }
    }

    /// A list in this shape. `metadata` is the list's own.
    pub(crate) fn list(
        self,
        resource: &Resource,
        objects: &[&Value],
        metadata: Value,
        now: Timestamp,
    ) -> Value {
        match self {
            Self::Object => json!({
                "kind": format!("{}List", resource.kind),
                "apiVersion": resource.api_version(),
                "metadata": metadata,
                "items": objects,
            }),
            Self::Metadata => json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "items": objects.iter().map(|object| metadata_only(object)).collect::<Vec<_>>(),
            }),
            Self::Table(include) => table::document(resource, objects, include, &metadata, now),
        }
    }
}

/// A `PartialObjectMetadata`.
pub(crate) fn metadata_only(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

fn include_object(query: &[(String, String)]) -> IncludeObject {
    match query.iter().find(|(key, _)| key == "includeObject").map(|(_, value)| value.as_str()) {
        Some("None") => IncludeObject::None,
        Some("Object") => IncludeObject::Object,
        _ => IncludeObject::Metadata,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_headers() {
        let check = |accept: &str, expected: Option<Representation>| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(Representation::negotiate(&headers, &[]).ok(), expected, "{accept}");
        };
        let table = Representation::Table(IncludeObject::Metadata);
        check("", Some(Representation::Object));
        check("application/json", Some(Representation::Object));
        check("application/vnd.kubernetes.protobuf, */*", Some(Representation::Object));
        check("application/vnd.kubernetes.protobuf", None);
        check("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Some(table));
        check(
            "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
            Some(Representation::Object),
        );
        check("application/json;as=Chair;v=v1;g=meta.k8s.io", None);
        check(
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            Some(Representation::Metadata),
        );
    }
}
