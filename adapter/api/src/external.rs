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

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use podgauge_apiserver::{
    Answer, Api, ApiResource, Definition, GroupVersion, Representation, Request, Status, Table,
    protobuf::Message,
    table::{Column, Row},
};
use podgauge_promql::{Labels, METRIC_NAME};
use podgauge_rules::{Ask, Condition};
use podgauge_store::{Reader, Timestamp};
use serde_json::{Map, json};

use self::scraped::{Wanted, scraped};
use crate::{
    AgeMetrics, Config, Quantity, Rules,
    custom::Clock,
    discovery::is_addressable,
    document::{rfc3339, whole_seconds},
    messages,
    rules::{Element, Found, NoAnswer, conditions},
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

/// What a path asks for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    namespace: &'a str,
    metric: &'a str,
    /// The selector as it was sent.
    labels: &'a str,
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
        let asked @ Asked { namespace, metric, .. } = Asked::of(request)?;
        let selector = self.selectors.of(&request.query, "labelSelector")?;
        let elements = match self.rules.external(metric) {
            Some(found) => {
                let conditions = conditions(&selector)?;
                self.rules.answer(&found, &asked.ask(&found, &conditions), self.config.max_age, now)
            }
            None => {
                let wanted = Wanted { metric, selector: &selector, max_age: self.config.max_age, now };
                scraped(&self.reader.pods(namespace, |_| true), wanted)
            }
        };
        let elements =
            elements.map_err(|why| self.rules.doubted(NoAnswer::Absent(why).status(&asked.what())))?;
        self.said(request, &asked, &elements, now)
    }

    /// The values of a rule that asks upstream.
    async fn asked_upstream(
        &self,
        request: &Request,
        found: &Found,
        left: Duration,
    ) -> Result<Answer, Status> {
        let (asked, now) = (Asked::of(request)?, (self.clock)());
        let selector = self.selectors.of(&request.query, "labelSelector")?;
        let conditions = conditions(&selector)?;
        let query = found.query(&asked.ask(found, &conditions));
        let elements = self.rules.asked(found, query, left, now).await;
        self.said(request, &asked, &elements.map_err(|why| why.status(&asked.what()))?, now)
    }

    fn said(
        &self,
        request: &Request,
        asked: &Asked<'_>,
        elements: &[Element],
        now: Timestamp,
    ) -> Result<Answer, Status> {
        let metric = asked.metric;
        let mut said = Vec::new();
        for element in elements {
            // A number that no quantity can say would be missing from the HPA's sum.
            let quantity = Quantity::new(element.value.number).ok_or_else(|| {
                NoAnswer::Absent("a value is no finite number".to_owned()).status(&asked.what())
            })?;
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
        let found = Asked::of(&request).ok().and_then(|asked| self.rules.external(asked.metric));
        if let Some(found) = found.filter(Found::is_upstream) {
            return Ok(Answer::asked(|left| async move {
                let answer = api.asked_upstream(&request, &found, left).await;
                api.metrics.answered(&answer);
                answer
            }));
        }
        // With a rule or without, there may be many series to go through.
        Ok(Answer::later(move || {
            let answer = api.values(&request, (api.clock)());
            api.metrics.answered(&answer);
            answer
        }))
    }
}

impl fmt::Debug for ExternalMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalMetrics").finish_non_exhaustive()
    }
}

// === impl Asked ===

impl<'a> Asked<'a> {
    fn of(request: &'a Request) -> Result<Self, Status> {
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        let ["namespaces", namespace, metric] = *segments else {
            return Err(Status::not_found(
                "external metrics are asked for by namespace: namespaces/NAMESPACE/METRIC",
            ));
        };
        Ok(Self { namespace, metric, labels: request.query.value("labelSelector").unwrap_or_default() })
    }

    /// What a rule is asked.
    fn ask(&self, found: &'a Found, conditions: &'a [Condition]) -> Ask<'a> {
        let is_namespaced = found.rule().is_some_and(podgauge_rules::Rule::is_namespaced);
        let namespace = Some(self.namespace).filter(|_| is_namespaced);
        Ask { series: &found.series, objects: None, namespace, conditions }
    }

    /// What there may be no value of.
    fn what(&self) -> String {
        let Self { namespace, metric, labels } = self;
        let with = if labels.is_empty() { String::new() } else { format!(" with labels {labels:?}") };
        format!("external metric {metric:?} in namespace {namespace:?}{with}")
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
