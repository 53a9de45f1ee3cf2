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
    Answer, Api, ApiResource, Definition, GroupVersion, Request, Selector, Status, protobuf::Message,
};
use podgauge_store::{Objects, Pod, Reader, Timestamp};
use prometheus_client::registry::Registry;

use crate::{
    AgeMetrics, Audience, Quantity, Version, audience,
    discovery::Discovery,
    document::Object,
    draft::Draft,
    explain::{Subject, Unavailable},
    fields::FieldSelector,
    messages,
    names::Metric,
    route::Route,
    rules::Rules,
    schema,
    selectors::Selectors,
    tally::{Lack, Question, Value, tally_pod},
    whole::Whole,
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

pub(crate) type Clock = dyn Fn() -> Timestamp + Send + Sync;

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) reader: Reader,
    pub(crate) objects: Objects,
    pub(crate) rules: Rules,
    pub(crate) clock: Box<Clock>,
    pub(crate) metrics: AgeMetrics,
    discovery: Discovery,
    audience: Box<dyn Audience>,
    pub(crate) selectors: Selectors,
}

// === impl CustomMetrics ===

impl CustomMetrics {
    /// The counters that are shared with other APIs over the same store.
    #[must_use]
    pub fn age_metrics(&self) -> AgeMetrics {
        self.shared.metrics.clone()
    }

    /// Both versions over one store. `rules` win over the names that pages have by themselves. `clock` tells the wall
    /// time; it is asked once for each request. `audience` is told what was answered.
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

    fn message(&self) -> Option<&'static Message> {
        Some(match self.version {
            Version::V1Beta1 => &messages::METRIC_VALUES_V1BETA1,
            Version::V1Beta2 => &messages::METRIC_VALUES_V1BETA2,
        })
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
        let answer = answer.map_err(|status| self.shared.rules.doubted(status));
        self.shared.metrics.answered(&answer);
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
            let pods = self.shared.reader.labelled_pods(namespace, selected.labels(), wanted);
            (Subject::Pods { namespace, labels, fields }, pods)
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

    pub(crate) fn question<'a>(
        &self,
        metric: &'a Metric<'a>,
        series: &'a Selector,
        now: Timestamp,
    ) -> Question<'a> {
        let window = self.shared.reader.window();
        Question { metric, series, now, max_age: self.shared.config.max_age, window }
    }

    /// Adds a value to the answer; false if it cannot be said as a quantity.
    pub(crate) fn push(
        &self,
        draft: &mut Draft,
        object: Object<'_>,
        metric: &str,
        value: &Value,
        now: Timestamp,
    ) -> bool {
        let Some(quantity) = Quantity::new(value.number) else { return false };
        let age = now.since(value.at);
        self.shared.metrics.served(age);
        draft.push(object, metric, value, quantity, age);
        true
    }

    pub(crate) fn unavailable(
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
