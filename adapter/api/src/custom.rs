//! `custom.metrics.k8s.io`: its paths, its selectors, and which pods a request is about.
//!
//! | path below the version | answers |
//! |---|---|
//! | `namespaces/NS/pods/NAME/METRIC` | one pod's value |
//! | `namespaces/NS/pods/*/METRIC` | a value for each pod that `labelSelector` picks and that has one |
//! | `namespaces/NS/metrics/METRIC` | one value for the namespace, put together from its pods |
//! | `namespaces/NS/RESOURCE/NAME/METRIC` | one value for a Service, a Deployment or another object that selects pods |
//! | `nodes/NAME/METRIC` | one value for a node, put together from the pods on it |
//!
//! `metricLabelSelector` picks series on the pods' pages; `fieldSelector` knows `metadata.name` and
//! `metadata.namespace`. A request that no pod can answer is a 404 whose message says why.

use std::{fmt, sync::Arc, time::Duration};

use podgauge_apiserver::{
    Answer, Api, ApiResource, Definition, GroupVersion, Representation, Request, Selector, Status, Table,
};
use podgauge_store::{NoPodSet, Objects, Pod, PodSet, Reader, Timestamp};
use prometheus_client::registry::Registry;

use crate::{
    AgeMetrics, Audience, Quantity, audience,
    discovery::Discovery,
    document::{Document, Object},
    explain::{Subject, Unavailable},
    fields::FieldSelector,
    names::{Across, Metric, split_across},
    rules::Rules,
    schema,
    selectors::Selectors,
    table,
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
#[derive(Clone)]
pub struct CustomMetrics {
    pub(crate) version: Version,
    pub(crate) shared: Arc<Shared>,
}

/// The versions of `custom.metrics.k8s.io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `v1beta1`.
    V1Beta1,
    /// `v1beta2`.
    V1Beta2,
}

pub(crate) type Clock = dyn Fn() -> Timestamp + Send + Sync;

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) reader: Reader,
    objects: Objects,
    pub(crate) rules: Rules,
    pub(crate) clock: Box<Clock>,
    pub(crate) metrics: AgeMetrics,
    discovery: Discovery,
    audience: Box<dyn Audience>,
    pub(crate) selectors: Selectors,
}

/// What a path asks for.
enum Route<'a> {
    Pods { namespace: &'a str, name: &'a str, metric: &'a str },
    Namespace { name: &'a str, metric: &'a str },
    Node { name: &'a str, metric: &'a str },
    Owner { namespace: &'a str, resource: &'a str, name: &'a str, metric: &'a str },
}

/// The answer that is being put together.
pub(crate) enum Draft<'a> {
    List(Document<'a>),
    Table(Table),
}

// === impl CustomMetrics ===

impl CustomMetrics {
    /// The counters that are shared with other APIs over the same store.
    #[must_use]
    pub fn age_metrics(&self) -> AgeMetrics {
        self.shared.metrics.clone()
    }

    /// Both versions over one store. `rules` win over the names that pages have by themselves. `clock` tells the wall time; it is asked once for each request. `audience` is told
    /// what was answered.
    pub fn both(
        config: Config,
        reader: Reader,
        objects: Objects,
        rules: Rules,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        audience: impl Audience,
        registry: &mut Registry,
    ) -> [Self; 2] {
        let discovery = Discovery::new(config.discovery_metrics);
        let metrics = AgeMetrics::register(registry);
        let (clock, audience) = (Box::new(clock), Box::new(audience));
        let shared = Arc::new(Shared {
            config,
            reader,
            objects,
            rules,
            clock,
            metrics,
            discovery,
            audience,
            selectors: Selectors::default(),
        });
        [Version::V1Beta1, Version::V1Beta2].map(|version| Self { version, shared: Arc::clone(&shared) })
    }
}

impl Api for CustomMetrics {
    fn group_version(&self) -> GroupVersion {
        GroupVersion { group: "custom.metrics.k8s.io", version: self.version.as_str() }
    }

    fn resources(&self) -> Vec<ApiResource> {
        let mut resources = self.shared.discovery.resources(&self.shared.reader).to_vec();
        self.add_ruled(&mut resources);
        resources
    }

    fn definitions(&self) -> Vec<Definition> {
        schema::definitions(self.version)
    }

    fn get(&self, request: &Request) -> Result<Answer, Status> {
        if let Some(answer) = self.ruled(request) {
            return answer;
        }
        let now = (self.shared.clock)();
        let answer = match Route::of(&request.segments)? {
            Route::Pods { namespace, name, metric } => self.pods(request, namespace, name, metric, now),
            Route::Namespace { name, metric } => {
                let pods = self.shared.reader.pods(name, |_| true);
                self.together(request, Whole::namespace(name), &pods, metric, now)
            }
            Route::Node { name, metric } => {
                let pods = self.shared.reader.all_pods(|pod| pod.node.as_deref() == Some(name));
                self.together(request, Whole::node(name), &pods, metric, now)
            }
            Route::Owner { namespace, resource, name, metric } => {
                self.owner(request, [namespace, resource, name], metric, now)
            }
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
        let series = self.shared.selectors.of(query, "metricLabelSelector")?;
        let (subject, pods) = if name == "*" {
            let selected = self.shared.selectors.of(query, "labelSelector")?;
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
        let asked = Metric::new(metric);
        let question = self.question(&asked, &series, now);
        let mut draft = Draft::new(self.version, request, metric, &series, pods.len());
        let mut lacking = Vec::new();
        let mut any = false;
        for pod in &pods {
            match tally_pod(pod, &question).and_then(|tally| tally.value()) {
                Ok(value) => {
                    let (namespace, name) = (&*pod.key.namespace, &*pod.key.name);
                    any |= self.push(&mut draft, Object::Pod { namespace, name }, metric, &value, now);
                }
                Err(lack) => lacking.push((Arc::clone(pod), Some(lack))),
            }
        }
        if !any {
            return Err(self.unavailable(subject, request, &question, &lacking));
        }
        self.tell(request, [namespace, "pods", name], metric, &pods);
        Ok(draft.finish())
    }

    fn owner(
        &self,
        request: &Request,
        [namespace, resource, name]: [&str; 3],
        metric: &str,
        now: Timestamp,
    ) -> Result<Answer, Status> {
        let found = self.shared.objects.find(resource, namespace, name);
        let PodSet { kind, selector } =
            found.map_err(|why| no_pod_set(&why, &format!("{resource} {namespace}/{name}"), resource))?;
        let picks = self.shared.selectors.parse(&selector).map_err(|error| {
            Status::not_found(format!(
                "{resource} {namespace}/{name} has a selector that cannot be read: {error}"
            ))
        })?;
        let pods = self.shared.reader.pods(namespace, |pod| picks.matches(|key| pod.labels.get(key)));
        let whole = Whole {
            named: [namespace, resource, name],
            subject: Subject::Owner { kind: &kind, namespace, name, selector: &selector },
            object: Object::Owner { kind: &kind, namespace, name },
        };
        self.together(request, whole, &pods, metric, now)
    }

    /// One value from the pods of a whole.
    fn together(
        &self,
        request: &Request,
        whole: Whole<'_>,
        pods: &[Arc<Pod>],
        metric: &str,
        now: Timestamp,
    ) -> Result<Answer, Status> {
        let series = self.shared.selectors.of(&request.query, "metricLabelSelector")?;
        let asked = Metric::new(metric);
        let question = self.question(&asked, &series, now);
        let merged = merged(pods, &question).or_else(|lacking| {
            let is_unknown =
                lacking.iter().all(|(_, lack)| lack.is_some_and(|lack| lack <= Lack::NoSuchName));
            match split_across(metric).filter(|_| is_unknown) {
                Some((base, across)) => {
                    let base = Metric::new(base);
                    across_pods(pods, &Question { metric: &base, ..question }, across)
                }
                None => Err(lacking),
            }
        });
        let mut draft = Draft::new(self.version, request, metric, &series, 1);
        match merged {
            Ok(value) if self.push(&mut draft, whole.object, metric, &value, now) => {
                self.tell(request, whole.named, metric, pods);
                Ok(draft.finish())
            }
            Ok(_) => Err(self.unavailable(whole.subject, request, &question, &[])),
            Err(lacking) => Err(self.unavailable(whole.subject, request, &question, &lacking)),
        }
    }

    /// Tells the audience what was answered.
    pub(crate) fn tell(&self, request: &Request, named: [&str; 3], metric: &str, pods: &[Arc<Pod>]) {
        let value = |parameter| request.query.value(parameter).unwrap_or_default();
        let [namespace, resource, name] = named;
        // A name says all that selectors could.
        let selector = |parameter| if name == "*" { value(parameter) } else { "" };
        let question = audience::Question {
            namespace,
            resource,
            name,
            labels: selector("labelSelector"),
            fields: selector("fieldSelector"),
            metric,
            series: value("metricLabelSelector"),
        };
        self.shared.audience.answered(&question, pods);
    }

    fn question<'a>(&self, metric: &'a Metric<'a>, series: &'a Selector, now: Timestamp) -> Question<'a> {
        let window = self.shared.reader.window();
        Question { metric, series, now, max_age: self.shared.config.max_age, window }
    }

    /// Adds a value to the answer; false if it cannot be said as a quantity.
    pub(crate) fn push(
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
        Unavailable { subject, metric: metric.name, series, pods, now, max_age, window }.status()
    }
}

/// Something that stands for many pods: what the answer calls it, and what a message does.
#[derive(Clone, Copy)]
struct Whole<'a> {
    /// Namespace, resource and name; what there is none of is empty.
    named: [&'a str; 3],
    subject: Subject<'a>,
    object: Object<'a>,
}

// === impl Whole ===

impl<'a> Whole<'a> {
    fn namespace(name: &'a str) -> Self {
        let named = ["", "namespaces", name];
        Self { named, subject: Subject::Namespace { name }, object: Object::Namespace { name } }
    }

    fn node(name: &'a str) -> Self {
        let named = ["", "nodes", name];
        Self { named, subject: Subject::Node { name }, object: Object::Node { name } }
    }
}

/// Why an object has no pods to ask, for its reader.
fn no_pod_set(why: &NoPodSet, object: &str, resource: &str) -> Status {
    let message = match why {
        NoPodSet::Resource { known } => format!(
            "podgauge has no metrics for {resource:?}: it answers for pods, namespaces, nodes and {} \
             (--object-resources names more)",
            known.join(", ")
        ),
        NoPodSet::NotListed => format!("{resource} have not been listed yet; ask again in a moment"),
        NoPodSet::Unavailable(why) => format!("{object} is not known: {why}"),
        NoPodSet::Missing => format!("there is no {object}"),
        NoPodSet::SelectsNothing => format!("{object} selects no pods by labels, so there is nobody to ask"),
    };
    Status::not_found(message)
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
            ["namespaces", _, _, "*", _] => Err(Status::bad_request(
                "only pods can be asked for all at once; name one object: \
                 namespaces/NAMESPACE/RESOURCE/NAME/METRIC",
            )),
            ["namespaces", namespace, resource, name, metric] => {
                Ok(Self::Owner { namespace, resource, name, metric })
            }
            ["nodes", name, metric] => Ok(Self::Node { name, metric }),
            [resource, _, _] if !matches!(resource, "namespaces" | "pods") => {
                Err(Status::not_found(format!(
                    "podgauge has no metrics for {resource:?} outside namespaces: it answers for \
                     nodes/NAME/METRIC and namespaces/NAMESPACE/RESOURCE/NAME/METRIC"
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
    pub(crate) fn new(
        version: Version,
        request: &Request,
        metric: &'a str,
        series: &Selector,
        items: usize,
    ) -> Self {
        match request.representation {
            Representation::Object => Self::List(Document::new(version, metric, series, items)),
            Representation::Table => Self::Table(table::new()),
        }
    }

    pub(crate) fn finish(self) -> Answer {
        match self {
            Self::List(document) => Answer::Json(document.finish()),
            Self::Table(table) => Answer::Table(table),
        }
    }
}
