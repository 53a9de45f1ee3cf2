//! The kinds of `custom.metrics.k8s.io`, for OpenAPI.

use podgauge_apiserver::Definition;
use serde_json::{Value as Json, json};

use crate::Version;

/// The definitions of one version, top-level kinds included.
pub(crate) fn definitions(version: Version) -> Vec<Definition> {
    let (list, value, identifier) = match version {
        Version::V1Beta1 => (
            "io.k8s.metrics.pkg.apis.custom_metrics.v1beta1.MetricValueList",
            "io.k8s.metrics.pkg.apis.custom_metrics.v1beta1.MetricValue",
            None,
        ),
        Version::V1Beta2 => (
            "io.k8s.metrics.pkg.apis.custom_metrics.v1beta2.MetricValueList",
            "io.k8s.metrics.pkg.apis.custom_metrics.v1beta2.MetricValue",
            Some("io.k8s.metrics.pkg.apis.custom_metrics.v1beta2.MetricIdentifier"),
        ),
    };
    let mut all = vec![
        Definition { name: list, kind: Some("MetricValueList"), schema: list_schema(value) },
        Definition { name: value, kind: Some("MetricValue"), schema: value_schema(identifier) },
    ];
    if let Some(name) = identifier {
        let properties = json!({
            "name": text("The metric's name."),
            "selector": object("The label selector that the metric's series were chosen by."),
        });
        all.push(Definition {
            name,
            kind: None,
            schema: described("Identifies a metric.", &properties, &["name"]),
        });
    }
    all
}

/// The definitions of `external.metrics.k8s.io/v1beta1`.
pub(crate) fn external_definitions() -> Vec<Definition> {
    let (list, value) = (
        "io.k8s.metrics.pkg.apis.external_metrics.v1beta1.ExternalMetricValueList",
        "io.k8s.metrics.pkg.apis.external_metrics.v1beta1.ExternalMetricValue",
    );
    let properties = json!({
        "apiVersion": text("The version of this representation."),
        "kind": text("The kind of this object."),
        "metricName": text("The metric's name."),
        "metricLabels": {
            "type": "object",
            "description": "The labels of the series.",
            "additionalProperties": {"type": "string"},
        },
        "timestamp": {"type": "string", "format": "date-time", "description": "When the value was taken."},
        "window": {
            "type": "integer",
            "format": "int64",
            "description": "The seconds over which a rate, mean or quantile was measured.",
        },
        "value": text("The value, a quantity such as 1500m."),
    });
    let required = ["metricName", "metricLabels", "timestamp", "value"];
    let schema = described("A value of an external metric.", &properties, &required);
    vec![
        Definition { name: list, kind: Some("ExternalMetricValueList"), schema: list_schema(value) },
        Definition { name: value, kind: Some("ExternalMetricValue"), schema },
    ]
}

fn list_schema(value: &str) -> Json {
    let properties = json!({
        "apiVersion": text("The version of this representation."),
        "kind": text("The kind of this object."),
        "metadata": object("Standard list metadata."),
        "items": {
            "type": "array",
            "description": "One value for each object described.",
            "items": {"$ref": format!("#/definitions/{value}")},
        },
    });
    described("A list of values of one metric.", &properties, &["metadata", "items"])
}

fn value_schema(identifier: Option<&str>) -> Json {
    let mut properties = json!({
        "apiVersion": text("The version of this representation."),
        "kind": text("The kind of this object."),
        "describedObject": object("The object that the value is about."),
        "timestamp": {"type": "string", "format": "date-time", "description": "When the value was taken."},
        "value": text("The value, a quantity such as 1500m."),
    });
    let window = json!({
        "type": "integer",
        "format": "int64",
        "description": "The seconds over which a rate, mean or quantile was measured.",
    });
    let more = match identifier {
        None => [
            ("metricName", text("The metric's name.")),
            ("selector", object("The label selector that the metric's series were chosen by.")),
            ("window", window),
        ]
        .to_vec(),
        Some(name) => {
            [("metric", json!({"$ref": format!("#/definitions/{name}")})), ("windowSeconds", window)].to_vec()
        }
    };
    if let Some(properties) = properties.as_object_mut() {
        properties.extend(more.into_iter().map(|(name, schema)| (name.to_owned(), schema)));
    }
    described("A metric's value for one object.", &properties, &["describedObject", "timestamp", "value"])
}

fn described(description: &str, properties: &Json, required: &[&str]) -> Json {
    json!({"type": "object", "description": description, "properties": properties, "required": required})
}

fn text(description: &str) -> Json {
    json!({"type": "string", "description": description})
}

fn object(description: &str) -> Json {
    json!({"type": "object", "description": description})
}
