//! The lists as they are in protobuf: the numbers of what [`document`](crate::document) and
//! [`external`](crate::external) write as JSON.
//!
//! They are those of `generated.proto` in `k8s.io/metrics` and, for `ObjectReference`, in `k8s.io/api/core/v1`; there are
//! the fields that are ever written.

use podgauge_apiserver::protobuf::{Field, Kind, LABEL_SELECTOR, LIST_META, Message, QUANTITY};

/// `custom_metrics/v1beta1` `MetricValueList`.
pub(crate) static METRIC_VALUES_V1BETA1: Message = Message(&[
    Field::message("metadata", 1, &LIST_META),
    Field::message(
        "items",
        2,
        &Message(&[
            Field::message("describedObject", 1, &OBJECT_REFERENCE),
            Field::plain("metricName", 2),
            Field::new("timestamp", 3, Kind::Time),
            Field::plain("window", 4),
            Field::new("value", 5, QUANTITY),
            Field::message("selector", 6, &LABEL_SELECTOR),
        ]),
    ),
]);

/// `custom_metrics/v1beta2` `MetricValueList`.
pub(crate) static METRIC_VALUES_V1BETA2: Message = Message(&[
    Field::message("metadata", 1, &LIST_META),
    Field::message(
        "items",
        2,
        &Message(&[
            Field::message("describedObject", 1, &OBJECT_REFERENCE),
            Field::message(
                "metric",
                2,
                &Message(&[Field::plain("name", 1), Field::message("selector", 2, &LABEL_SELECTOR)]),
            ),
            Field::new("timestamp", 3, Kind::Time),
            Field::plain("windowSeconds", 4),
            Field::new("value", 5, QUANTITY),
        ]),
    ),
]);

/// `external_metrics/v1beta1` `ExternalMetricValueList`.
pub(crate) static EXTERNAL_METRIC_VALUES: Message = Message(&[
    Field::message("metadata", 1, &LIST_META),
    Field::message(
        "items",
        2,
        &Message(&[
            Field::plain("metricName", 1),
            Field::new("metricLabels", 2, Kind::Map),
            Field::new("timestamp", 3, Kind::Time),
            Field::plain("window", 4),
            Field::new("value", 5, QUANTITY),
        ]),
    ),
]);

/// `core/v1` `ObjectReference`.
const OBJECT_REFERENCE: Message = Message(&[
    Field::plain("kind", 1),
    Field::plain("namespace", 2),
    Field::plain("name", 3),
    Field::plain("apiVersion", 5),
]);

#[cfg(test)]
mod tests {
    use podgauge_apiserver::Definition;

    use super::*;
    use crate::{Version, schema};

    fn names(message: &Message) -> Vec<&str> {
        let mut names: Vec<_> = message.0.iter().map(|field| field.name).collect();
        names.sort_unstable();
        names
    }

    /// The fields of a list's items.
    fn item(list: &Message) -> &Message {
        let Some(Field { kind: Kind::Message(item), .. }) = list.0.iter().find(|field| field.name == "items")
        else {
            panic!("a list has items");
        };
        item
    }

    /// What OpenAPI publishes and a message does not know would be lost.
    #[test]
    fn every_published_member_has_its_field() {
        let check = |definitions: Vec<Definition>, list: &Message| {
            for definition in definitions {
                let message = match definition.kind {
                    Some(kind) if kind.ends_with("List") => list,
                    Some(_) => item(list),
                    None => continue,
                };
                let published = definition.schema["properties"].as_object().unwrap().keys();
                let published = published.filter(|name| !matches!(name.as_str(), "apiVersion" | "kind"));
                assert_eq!(names(message), published.collect::<Vec<_>>(), "{}", definition.name);
            }
        };
        check(schema::definitions(Version::V1Beta1), &METRIC_VALUES_V1BETA1);
        check(schema::definitions(Version::V1Beta2), &METRIC_VALUES_V1BETA2);
        check(schema::external_definitions(), &EXTERNAL_METRIC_VALUES);
    }
}
