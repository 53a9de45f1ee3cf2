//! The requests that the controller makes for metrics, and what it reads in the answers.
//!
//! [`requests`] says, per metric of the spec, which path and query are asked; [`MetricRequest::decode`] turns
//! an answer into [`Samples`] or into the text that ends up in conditions and events. Making the request is
//! the caller's.
//!
//! | metric | path | query |
//! |---|---|---|
//! | Pods | `C/namespaces/NS/pods/%2A/METRIC` | `labelSelector`, `metricLabelSelector` |
//! | Object | `C/namespaces/NS/RESOURCE[.GROUP]/NAME/METRIC` | `metricLabelSelector` |
//! | Object of kind Namespace | `C/namespaces/NS/metrics/METRIC` | `metricLabelSelector` |
//! | External | `/apis/external.metrics.k8s.io/v1beta1/namespaces/NS/metric` | `labelSelector` |
//! | Resource, ContainerResource | `/apis/metrics.k8s.io/v1beta1/namespaces/NS/pods` | `labelSelector` |
//!
//! C is `/apis/custom.metrics.k8s.io/` and a version; a selector that is empty is not sent; the name of an
//! external metric is lower-cased, because the client takes it for a resource.

use std::collections::BTreeMap;
use std::time::Duration;

use self::decode::DecodeError;
use crate::selector::{LabelSelector, Selector};
use crate::spec::{
    ContainerResourceMetricSource, HorizontalPodAutoscaler, MetricSpec, ObjectMetricSource,
    ResourceMetricSource,
};
use crate::time::Time;

mod decode;
mod encode;

/// One request: `GET path?query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricRequest {
    /// The path, percent-encoded.
    pub path: String,
    /// The query, form-encoded; may be empty.
    pub query: String,
    source: Source,
}

/// What an API said about a metric. Numbers are thousandths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Samples {
    /// A number per pod, by the pod's name.
    Pods(BTreeMap<String, PodMetric>),
    /// The number of an object.
    Object(i64),
    /// The numbers of the series of an external metric.
    External(Vec<i64>),
}

/// The number of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodMetric {
    /// Thousandths.
    pub value: i64,
    /// When it was measured. Only CPU is compared with it.
    pub timestamp: Time,
    /// Over how long it was measured; 60 s for custom metrics that do not say. Only CPU is compared with it.
    pub window: Duration,
}

/// What the cluster's discovery tells the controller.
#[derive(Clone, Copy)]
pub struct Discovery<'a> {
    /// The version of `custom.metrics.k8s.io` to ask: `v1beta1` or `v1beta2`.
    pub custom_version: &'a str,
    /// The plural resource name of a group (empty: core) and kind, if the cluster has it.
    pub resource_of: &'a dyn Fn(&str, &str) -> Option<String>,
}

/// What answers a request, and so how to read the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    CustomOfPods,
    CustomOfObject,
    External,
    Resource { name: String, container: Option<String> },
}

// === impl Discovery ===

impl Default for Discovery<'_> {
    /// The newest version, and the kinds that every cluster has.
    fn default() -> Self {
        Self { custom_version: "v1beta2", resource_of: &well_known_resource }
    }
}

/// The plural resource name of a kind that every cluster has.
#[must_use]
pub fn well_known_resource(group: &str, kind: &str) -> Option<String> {
    let resource = match (group, kind) {
        ("", "Pod") => "pods",
        ("", "Service") => "services",
        ("", "Node") => "nodes",
        ("", "ConfigMap") => "configmaps",
        ("", "ReplicationController") => "replicationcontrollers",
        ("", "PersistentVolumeClaim") => "persistentvolumeclaims",
        ("apps", "Deployment") => "deployments",
        ("apps", "ReplicaSet") => "replicasets",
        ("apps", "StatefulSet") => "statefulsets",
        ("apps", "DaemonSet") => "daemonsets",
        ("batch", "Job") => "jobs",
        ("batch", "CronJob") => "cronjobs",
        ("networking.k8s.io", "Ingress") => "ingresses",
        _ => return None,
    };
    Some(resource.to_owned())
}

/// What to ask for each metric of the HPA, in the order of its spec; for a metric that cannot be asked for,
/// why.
#[must_use]
pub fn requests(
    hpa: &HorizontalPodAutoscaler,
    selector: &Selector,
    discovery: &Discovery<'_>,
) -> Vec<Result<MetricRequest, String>> {
    let namespace = &hpa.metadata.namespace;
    let one = |metric| match has_target(metric) {
        true => request(namespace, metric, selector, discovery),
        false => Err(format!("the metric of type {} has no target of its kind", metric.kind)),
    };
    hpa.spec.metrics.iter().map(one).collect()
}

/// Whether there is anything to compare the metric with. Without, it is not asked for.
fn has_target(metric: &MetricSpec) -> bool {
    match metric {
        MetricSpec { object: Some(source), .. } => match source.target.kind.as_str() {
            "Value" => source.target.value.is_some(),
            "AverageValue" => source.target.average_value.is_some(),
            _ => false,
        },
        MetricSpec { external: Some(source), .. } => {
            source.target.average_value.is_some() || source.target.value.is_some()
        }
        MetricSpec { resource: Some(ResourceMetricSource { target, .. }), .. }
        | MetricSpec { container_resource: Some(ContainerResourceMetricSource { target, .. }), .. } => {
            target.average_value.is_some() || target.average_utilization.is_some()
        }
        _ => true,
    }
}

fn request(
    namespace: &str,
    metric: &MetricSpec,
    selector: &Selector,
    discovery: &Discovery<'_>,
) -> Result<MetricRequest, String> {
    let pods = ("labelSelector", selector.to_string());
    let custom = |segments: &[&str]| {
        let prefix = ["custom.metrics.k8s.io", discovery.custom_version, "namespaces", namespace];
        encode::path(&[prefix.as_slice(), segments].concat()).map_err(custom_failed)
    };
    match (metric.kind.as_str(), &metric.pods, &metric.object, &metric.external) {
        ("Pods", Some(source), ..) => Ok(MetricRequest {
            path: custom(&["pods", "*", &source.metric.name])?,
            query: encode::query(&[pods, series(source.metric.selector.as_ref())?]),
            source: Source::CustomOfPods,
        }),
        ("Object", _, Some(source), _) => Ok(MetricRequest {
            path: match resource_of(source, discovery)? {
                None => custom(&["metrics", &source.metric.name])?,
                Some(resource) => custom(&[&resource, &source.described_object.name, &source.metric.name])?,
            },
            query: encode::query(&[series(source.metric.selector.as_ref())?]),
            source: Source::CustomOfObject,
        }),
        ("External", _, _, Some(source)) => {
            let name = source.metric.name.to_lowercase();
            let path = encode::path(&["external.metrics.k8s.io", "v1beta1", "namespaces", namespace, &name]);
            let (_, selector) = series(source.metric.selector.as_ref())?;
            Ok(MetricRequest {
                path: path
                    .map_err(|error| format!("unable to fetch metrics from external metrics API: {error}"))?,
                query: encode::query(&[("labelSelector", selector)]),
                source: Source::External,
            })
        }
        ("Resource" | "ContainerResource", ..) => {
            let path = encode::path(&["metrics.k8s.io", "v1beta1", "namespaces", namespace, "pods"]);
            let (name, container) = match (&metric.container_resource, &metric.resource) {
                (Some(source), _) => (source.name.clone(), Some(source.container.clone())),
                (None, Some(source)) => (source.name.clone(), None),
                (None, None) => {
                    return Err(format!("the metric of type {} says nothing of its source", metric.kind));
                }
            };
            Ok(MetricRequest {
                path: path
                    .map_err(|error| format!("unable to fetch metrics from resource metrics API: {error}"))?,
                query: encode::query(&[pods]),
                source: Source::Resource { name, container },
            })
        }
        (kind, ..) => {
            Err(format!("the metric of type {kind:?} is of no known type or says nothing of its source"))
        }
    }
}

/// The resource in the path of an object; none for a namespace, which has a path of its own.
fn resource_of(source: &ObjectMetricSource, discovery: &Discovery<'_>) -> Result<Option<String>, String> {
    let (group, kind) = (source.described_object.group(), source.described_object.kind.as_str());
    if group.is_empty() && kind == "Namespace" {
        return Ok(None);
    }
    match (discovery.resource_of)(group, kind) {
        Some(resource) if group.is_empty() => Ok(Some(resource)),
        Some(resource) => Ok(Some(format!("{resource}.{group}"))),
        None => {
            let api_version = &source.described_object.api_version;
            Err(custom_failed(format!(
                "unable to map kind {kind} of apiVersion {api_version:?} to a resource"
            )))
        }
    }
}

fn series(selector: Option<&LabelSelector>) -> Result<(&'static str, String), String> {
    let selector = Selector::from_object(selector).map_err(|error| error.to_string())?;
    Ok(("metricLabelSelector", selector.to_string()))
}

fn custom_failed(error: String) -> String {
    format!("unable to fetch metrics from custom metrics API: {error}")
}

// === impl MetricRequest ===

impl MetricRequest {
    /// Path and query, as they stand in the request line.
    #[must_use]
    pub fn url(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// What conditions and events say of it: the API, and the message of its `Status`.
    pub fn decode(&self, code: u16, body: &[u8]) -> Result<Samples, String> {
        if !(200..300).contains(&code) {
            return Err(self.failed(&decode::status_message(code, body)));
        }
        let samples = match &self.source {
            Source::CustomOfPods => decode::of_pods(body),
            Source::CustomOfObject => decode::of_object(body),
            Source::External => decode::external(body),
            Source::Resource { name, container } => decode::resource(body, name, container.as_deref()),
        };
        samples.map_err(|error| match error {
            DecodeError::Empty => format!("no metrics returned from {} metrics API", self.api()),
            DecodeError::Unreadable(error) => self.failed(&error),
        })
    }

    /// What conditions and events say when there is no answer at all, from what the connection says.
    #[must_use]
    pub fn failed(&self, error: &str) -> String {
        format!("unable to fetch metrics from {} metrics API: {error}", self.api())
    }

    fn api(&self) -> &'static str {
        match self.source {
            Source::CustomOfPods | Source::CustomOfObject => "custom",
            Source::External => "external",
            Source::Resource { .. } => "resource",
        }
    }
}

#[cfg(test)]
mod tests;
