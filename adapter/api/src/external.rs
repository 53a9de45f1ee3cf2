//! `external.metrics.k8s.io/v1beta1`: numbers that belong to no object.
//!
//! | path below the version | answers |
//! |---|---|
//! | `namespaces/NS/METRIC` | a value for each series that `labelSelector` picks |
//!
//! A name is that of an external rule, or else of series on pods' pages in that namespace, whose labels are those of
//! [`podgauge_rules::TargetLabels`]. Names are compared in lower case, because that is how they arrive: client-go takes
//! them for resources.

mod scraped;

use std::{collections::BTreeSet, fmt, sync::Arc};

use podgauge_apiserver::{
    Answer, Api, ApiResource, Definition, GroupVersion, Representation, Request, Status, Table,
    protobuf::Message,
    table::{Column, Row},
};
use podgauge_promql::{Labels, METRIC_NAME};
use podgauge_rules::Ask;
use podgauge_store::{Reader, Timestamp};
use serde_json::{Map, json};

use self::scraped::{Wanted, scraped};
use crate::{
    AgeMetrics, Config, Quantity, Rules,
    custom::Clock,
    discovery::is_addressable,
    document::{rfc3339, whole_seconds},
    messages,
    rules::{Element, conditions},
    schema,
    selectors::Selectors,
};

/// `external.metrics.k8s.io/v1beta1`.
#[derive(Clone)]
pub struct ExternalMetrics {
    config: Config,
    reader: Reader,
    rules: Rules,
    clock: Arc<Clock>,
    metrics: AgeMetrics,
    selectors: Arc<Selectors>,
}

/// What is listed while there is nothing, since an empty list makes clients warn. The field's other adapters use the
/// same name.
const PLACEHOLDER: &str = "externalmetrics";

// === impl ExternalMetrics ===

impl ExternalMetrics {
    /// Serves what `reader` sees. `clock` tells the wall time; it is asked once for each request.
    pub fn new(
        config: Config,
        reader: Reader,
        rules: Rules,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        metrics: AgeMetrics,
    ) -> Self {
        Self { config, reader, rules, clock: Arc::new(clock), metrics, selectors: Arc::default() }
    }

    fn values(&self, request: &Request, now: Timestamp) -> Result<Answer, Status> {
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        let ["namespaces", namespace, metric] = *segments else {
            return Err(Status::not_found(
                "external metrics are asked for by namespace: namespaces/NAMESPACE/METRIC",
            ));
        };
        let selector = self.selectors.of(&request.query, "labelSelector")?;
        let elements = match self.rules.external(metric) {
            Some(found) => {
                let conditions = conditions(&selector)?;
                let is_namespaced = found.rule().is_some_and(podgauge_rules::Rule::is_namespaced);
                let namespace = Some(namespace).filter(|_| is_namespaced);
                let ask = Ask { series: &found.series, objects: None, namespace, conditions: &conditions };
                self.rules.answer(&found, &ask, self.config.max_age, now)
            }
            None => {
                let wanted = Wanted { metric, selector: &selector, max_age: self.config.max_age, now };
                scraped(&self.reader.pods(namespace, |_| true), wanted)
            }
        };
        let nothing = |why: &str| {
            let labels = request.query.value("labelSelector").unwrap_or_default();
            let with = if labels.is_empty() { String::new() } else { format!(" with labels {labels:?}") };
            Status::not_found(format!(
                "no value of external metric {metric:?} in namespace {namespace:?}{with}: {why}"
            ))
        };
        let elements = elements.map_err(|why| nothing(&why))?;
        let mut said = Vec::new();
        for element in &elements {
            // A number that no quantity can say would be missing from the HPA's sum.
            let quantity =
                Quantity::new(element.value.number).ok_or_else(|| nothing("a value is no finite number"))?;
            self.metrics.served(now.since(element.value.at));
            said.push((element, quantity));
        }
        Ok(match request.representation {
            Representation::Object => Answer::Json(document(metric, &said)),
            Representation::Table => Answer::Table(table(metric, &said, now)),
        })
    }

    /// Names in lower case: those of the rules, or without any those on the pages.
    fn names(&self) -> BTreeSet<String> {
        let limit = self.config.discovery_metrics.max(1);
        let ruled = self.rules.external_names().into_iter();
        let mut names: BTreeSet<String> = ruled.filter(|name| is_addressable(name)).take(limit).collect();
        if names.is_empty() {
            let mut layouts = self.reader.layouts();
            layouts.sort_unstable_by_key(|layout| layout.id());
            for layout in layouts {
                let left = limit.saturating_sub(names.len());
                let more = layout.names().map(|name| name.text.to_lowercase());
                names.extend(more.filter(|name| is_addressable(name)).take(left));
            }
        }
        if names.is_empty() {
            names.insert(PLACEHOLDER.to_owned());
        }
        names
    }
}

impl Api for ExternalMetrics {
    fn group_version(&self) -> GroupVersion {
        GroupVersion { group: "external.metrics.k8s.io", version: "v1beta1" }
    }

    fn resources(&self) -> Vec<ApiResource> {
        let names = self.names().into_iter();
        names
            .map(|name| ApiResource {
                name,
                singular_name: String::new(),
                namespaced: true,
                kind: "ExternalMetricValueList",
                verbs: &["get"],
            })
            .collect()
    }

    fn definitions(&self) -> Vec<Definition> {
        schema::external_definitions()
    }

    fn message(&self) -> Option<&'static Message> {
        Some(&messages::EXTERNAL_METRIC_VALUES)
    }

    fn get(&self, request: &Request) -> Result<Answer, Status> {
        let (api, request) = (self.clone(), request.clone());
        // With a rule or without, there may be many series to go through.
        Ok(Answer::later(move || {
            let answer = api.values(&request, (api.clock)());
            if answer.as_ref().is_err_and(|status| status.code == 404) {
                api.metrics.unavailable();
            }
            answer
        }))
    }
}

impl fmt::Debug for ExternalMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalMetrics").finish_non_exhaustive()
    }
}

/// The labels that a value has in an answer: all but the metric's name.
fn shown(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().filter(|(name, _)| *name != METRIC_NAME)
}

fn document(metric: &str, said: &[(&Element, Quantity)]) -> Vec<u8> {
    let items = said.iter().map(|(Element { labels, value }, quantity)| {
        let labels: Map<_, _> = shown(labels).map(|(name, value)| (name.to_owned(), json!(value))).collect();
        let mut item = json!({
            "metricName": metric,
            "metricLabels": labels,
            "timestamp": rfc3339(value.at),
            "value": quantity.to_string(),
        });
        if let (Some(window), Some(members)) = (value.window, item.as_object_mut()) {
            members.insert("window".to_owned(), json!(whole_seconds(window)));
        }
        item
    });
    let list = json!({
        "kind": "ExternalMetricValueList",
        "apiVersion": "external.metrics.k8s.io/v1beta1",
        "metadata": {},
        "items": items.collect::<Vec<_>>(),
    });
    list.to_string().into_bytes()
}

fn table(metric: &str, said: &[(&Element, Quantity)], now: Timestamp) -> Table {
    let column = |name, description| Column { name, kind: "string", format: "", description, priority: 0 };
    let rows = said.iter().map(|(Element { labels, value }, quantity)| {
        let labels: Vec<String> = shown(labels).map(|(name, value)| format!("{name}={value}")).collect();
        let age = format!("{}s", now.since(value.at).as_secs());
        Row {
            cells: vec![json!(metric), json!(labels.join(",")), json!(quantity.to_string()), json!(age)],
            object: json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": metric}}),
        }
    });
    Table {
        column_definitions: vec![
            column("Metric", "The metric's name"),
            column("Labels", "What tells the series from the others"),
            column("Value", "The value, a quantity"),
            column("Age", "How long ago the value was taken"),
        ],
        rows: rows.collect(),
    }
}
