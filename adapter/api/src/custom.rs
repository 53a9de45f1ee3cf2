//! `custom.metrics.k8s.io`: its paths, its selectors, and which pods a request is about.
//!
//! | path below the version | answers |
//! |---|---|
//! | `namespaces/NS/pods/NAME/METRIC` | one pod's value |
//! | `namespaces/NS/pods/*/METRIC` | a value for each pod that `labelSelector` picks and that has one |
//! | `namespaces/NS/metrics/METRIC` | one value for the namespace, put together from its pods |
//!
//! `metricLabelSelector` picks series on the pods' pages; `fieldSelector` knows `metadata.name` and
//! `metadata.namespace`. A request that no pod can answer is a 404 whose message says why.

use std::{fmt, sync::Arc, time::Duration};

use podgauge_apiserver::{
    Answer, Api, ApiResource, Definition, GroupVersion, Query, Representation, Request, Selector, Status,
    Table,
};
use podgauge_store::{Pod, Reader, Timestamp};
use prometheus_client::registry::Registry;

use crate::{
    AgeMetrics, Quantity,
    discovery::Discovery,
    document::{Document, Object},
    explain::{Subject, Unavailable},
    fields::FieldSelector,
    names::{Across, split_across},
    schema, table,
    tally::{Lack, Question, Tally, Value, tally_pod},
};

/// How `custom.metrics.k8s.io` answers.
#[derive(Clone, Debug)]
pub struct Config {
    /// A sample that is older than this is not served.
    pub max_age: Duration,
    /// The most names of metrics that discovery lists. Others are answered all the same.
    pub discovery_metrics: usize,
}

/// One version of `custom.metrics.k8s.io`.
pub struct CustomMetrics {
    version: Version,
    shared: Arc<Shared>,
}

/// The versions of `custom.metrics.k8s.io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `v1beta1`.
    V1Beta1,
    /// `v1beta2`.
    V1Beta2,
}

type Clock = dyn Fn() -> Timestamp + Send + Sync;

struct Shared {
    config: Config,
    reader: Reader,
    clock: Box<Clock>,
    metrics: AgeMetrics,
    discovery: Discovery,
}

/// What a path asks for.
enum Route<'a> {
    Pods { namespace: &'a str, name: &'a str, metric: &'a str },
    Namespace { name: &'a str, metric: &'a str },
}

/// The answer that is being put together.
enum Draft<'a> {
    List(Document<'a>),
    Table(Table),
}

// === impl CustomMetrics ===

impl CustomMetrics {
    /// Both versions over one store. `clock` tells the wall time; it is asked once for each request.
    pub fn both(
        config: Config,
        reader: Reader,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        registry: &mut Registry,
    ) -> [Self; 2] {
        let discovery = Discovery::new(config.discovery_metrics);
        let metrics = AgeMetrics::register(registry);
        let shared = Arc::new(Shared { config, reader, clock: Box::new(clock), metrics, discovery });
        [Version::V1Beta1, Version::V1Beta2].map(|version| Self { version, shared: Arc::clone(&shared) })
    }
}

impl Api for CustomMetrics {
    fn group_version(&self) -> GroupVersion {
        GroupVersion { group: "custom.metrics.k8s.io", version: self.version.as_str() }
    }

    fn resources(&self) -> Vec<ApiResource> {
        self.shared.discovery.resources(&self.shared.reader).to_vec()
    }

    fn definitions(&self) -> Vec<Definition> {
        schema::definitions(self.version)
    }

    fn get(&self, request: &Request) -> Result<Answer, Status> {
        let now = (self.shared.clock)();
        let answer = match Route::of(&request.segments)? {
            Route::Pods { namespace, name, metric } => self.pods(request, namespace, name, metric, now),
            Route::Namespace { name, metric } => self.namespace(request, name, metric, now),
        };
        if answer.as_ref().is_err_and(|status| status.code == 404) {
            self.shared.metrics.unavailable();
        }
        answer
    }
}

impl fmt::Debug for CustomMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomMetrics").field("version", &self.version).finish_non_exhaustive()
    }
}

impl CustomMetrics {
    fn pods(
        &self,
        request: &Request,
        namespace: &str,
        name: &str,
        metric: &str,
        now: Timestamp,
    ) -> Result<Answer, Status> {
        let query = &request.query;
        let fields = FieldSelector::parse(query.value("fieldSelector").unwrap_or_default())?;
        let series = selector(query, "metricLabelSelector")?;
        let (subject, pods) = if name == "*" {
            let selected = selector(query, "labelSelector")?;
            let wanted = |pod: &Pod| {
                selected.matches(|key| pod.labels.get(key))
                    && fields.matches(&pod.key.namespace, &pod.key.name)
            };
            let labels = query.value("labelSelector").unwrap_or_default();
            let fields = query.value("fieldSelector").unwrap_or_default();
            (Subject::Pods { namespace, labels, fields }, self.shared.reader.pods(namespace, wanted))
        } else {
            if !fields.matches(namespace, name) {
                return Err(Status::bad_request(format!(
                    "the field selector excludes pod {namespace}/{name}"
                )));
            }
            (Subject::Pod { namespace, name }, self.shared.reader.pod(namespace, name).into_iter().collect())
        };
        let question = self.question(metric, &series, now);
        let mut draft = Draft::new(self.version, request, metric, &series, pods.len());
        let mut lacking = Vec::new();
        let mut any = false;
        for pod in pods {
            match tally_pod(&pod, &question).and_then(|tally| tally.value()) {
                Ok(value) => {
                    let (namespace, name) = (&*pod.key.namespace, &*pod.key.name);
                    any |= self.push(&mut draft, Object::Pod { namespace, name }, metric, &value, now);
                }
                Err(lack) => lacking.push((pod, Some(lack))),
            }
        }
        if any { Ok(draft.finish()) } else { Err(self.unavailable(subject, request, &question, &lacking)) }
    }

    fn namespace(
        &self,
        request: &Request,
        name: &str,
        metric: &str,
        now: Timestamp,
    ) -> Result<Answer, Status> {
        let series = selector(&request.query, "metricLabelSelector")?;
        let question = self.question(metric, &series, now);
        let pods = self.shared.reader.pods(name, |_| true);
        let merged = merged(&pods, &question).or_else(|lacking| {
            let is_unknown =
                lacking.iter().all(|(_, lack)| lack.is_some_and(|lack| lack <= Lack::NoSuchName));
            match split_across(metric).filter(|_| is_unknown) {
                Some((base, across)) => across_pods(&pods, &Question { metric: base, ..question }, across),
                None => Err(lacking),
            }
        });
        let mut draft = Draft::new(self.version, request, metric, &series, 1);
        match merged {
            Ok(value) if self.push(&mut draft, Object::Namespace { name }, metric, &value, now) => {
                Ok(draft.finish())
            }
            Ok(_) => Err(self.unavailable(Subject::Namespace { name }, request, &question, &[])),
            Err(lacking) => Err(self.unavailable(Subject::Namespace { name }, request, &question, &lacking)),
        }
    }

    fn question<'a>(&self, metric: &'a str, series: &'a Selector, now: Timestamp) -> Question<'a> {
        let window = self.shared.reader.window();
        Question { metric, series, now, max_age: self.shared.config.max_age, window }
    }

    /// Adds a value to the answer; false if it cannot be said as a quantity.
    fn push(
        &self,
        draft: &mut Draft<'_>,
        object: Object<'_>,
        metric: &str,
        value: &Value,
        now: Timestamp,
    ) -> bool {
        let Some(quantity) = Quantity::new(value.number) else { return false };
        let age = now.since(value.at);
        self.shared.metrics.served(age);
        match draft {
            Draft::List(document) => document.push(object, value, quantity),
            Draft::Table(table) => table.rows.push(table::row(object, metric, value, quantity, age)),
        }
        true
    }

    fn unavailable(
        &self,
        subject: Subject<'_>,
        request: &Request,
        question: &Question<'_>,
        pods: &[(Arc<Pod>, Option<Lack>)],
    ) -> Status {
        let Question { metric, now, max_age, window, .. } = *question;
        let series = request.query.value("metricLabelSelector").unwrap_or_default();
        Unavailable { subject, metric, series, pods, now, max_age, window }.status()
    }
}

/// The pods that were asked, and what each lacks if it does.
type Asked = Vec<(Arc<Pod>, Option<Lack>)>;

/// One value from all pods that have the metric: sums added up, observations taken together.
fn merged(pods: &[Arc<Pod>], question: &Question<'_>) -> Result<Value, Asked> {
    let tallies = tallies(pods, question)?;
    let mut all = Tally::default();
    tallies.iter().for_each(|tally| all.merge(tally));
    all.value().map_err(|lack| pods.iter().map(|pod| (Arc::clone(pod), Some(lack))).collect())
}

/// The smallest, largest or mean value over the pods that have one.
fn across_pods(pods: &[Arc<Pod>], question: &Question<'_>, across: Across) -> Result<Value, Asked> {
    let tallies = tallies(pods, question)?;
    let values: Vec<Value> = tallies.iter().filter_map(|tally| tally.value().ok()).collect();
    let nothing = || pods.iter().map(|pod| (Arc::clone(pod), Some(Lack::NoObservation))).collect::<Asked>();
    let numbers = || values.iter().map(|value| value.number);
    #[expect(clippy::cast_precision_loss, reason = "there are fewer pods than a double can count")]
    let number = match across {
        Across::Min => numbers().reduce(f64::min),
        Across::Max => numbers().reduce(f64::max),
        Across::Avg => numbers().reduce(|sum, number| sum + number).map(|sum| sum / values.len() as f64),
    };
    let (number, at) = number.zip(values.iter().map(|value| value.at).min()).ok_or_else(nothing)?;
    Ok(Value { number, at, window: values.iter().filter_map(|value| value.window).max() })
}

/// The tallies of the pods that have the metric; none without all of them.
///
/// A pod that has the metric but cannot be believed now spoils the whole: what is put together without it would look
/// like a fall, and an autoscaler would follow.
fn tallies(pods: &[Arc<Pod>], question: &Question<'_>) -> Result<Vec<Tally>, Asked> {
    let answers: Vec<Result<Tally, Lack>> = pods.iter().map(|pod| tally_pod(pod, question)).collect();
    let is_spoilt = answers.iter().any(|answer| answer.as_ref().is_err_and(|lack| lack.spoils_a_sum()));
    if is_spoilt || answers.iter().all(Result::is_err) {
        return Err(pods.iter().cloned().zip(answers.into_iter().map(Result::err)).collect());
    }
    Ok(answers.into_iter().filter_map(Result::ok).collect())
}

fn selector(query: &Query, parameter: &str) -> Result<Selector, Status> {
    let text = query.value(parameter).unwrap_or_default();
    Selector::parse(text)
        .map_err(|error| Status::bad_request(format!("invalid {parameter} {text:?}: {error}")))
}

// === impl Version ===

impl Version {
    /// As it stands in a path.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1Beta1 => "v1beta1",
            Self::V1Beta2 => "v1beta2",
        }
    }
}

// === impl Route ===

impl<'a> Route<'a> {
    fn of(segments: &'a [String]) -> Result<Self, Status> {
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match *segments {
            ["namespaces", name, "metrics", metric] => Ok(Self::Namespace { name, metric }),
            ["namespaces", namespace, "pods", name, metric] => Ok(Self::Pods { namespace, name, metric }),
            ["namespaces", _, resource, _, _] | [resource, _, _]
                if !matches!(resource, "namespaces" | "pods") =>
            {
                Err(Status::not_found(format!(
                    "podgauge has no metrics for {resource:?}: it answers for pods, at \
                     namespaces/NAMESPACE/pods/NAME/METRIC, and for namespaces, at \
                     namespaces/NAMESPACE/metrics/METRIC"
                )))
            }
            ["namespaces", _, _] => Err(Status::bad_request(
                "the path has too few parts: ask for namespaces/NAMESPACE/pods/NAME/METRIC or \
                 namespaces/NAMESPACE/metrics/METRIC",
            )),
            ["pods", _, _] => Err(Status::bad_request(
                "pods live in namespaces: ask for namespaces/NAMESPACE/pods/NAME/METRIC",
            )),
            _ => Err(Status::not_found("the server could not find the requested resource")),
        }
    }
}

// === impl Draft ===

impl<'a> Draft<'a> {
    fn new(version: Version, request: &Request, metric: &'a str, series: &Selector, items: usize) -> Self {
        match request.representation {
            Representation::Object => Self::List(Document::new(version, metric, series, items)),
            Representation::Table => Self::Table(table::new()),
        }
    }

    fn finish(self) -> Answer {
        match self {
            Self::List(document) => Answer::Json(document.finish()),
            Self::Table(table) => Answer::Table(table),
        }
    }
}
