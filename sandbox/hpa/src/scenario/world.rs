//! The cluster of a scenario: what steps change and the controller looks at.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, PodState, Pods, Step};
use crate::pod::{Container, Pod, PodCondition, PodMetadata, PodSpec, PodStatus, Resources};
use crate::reconcile::Scale;
use crate::time::Time;

/// Everything that a scenario's steps set, as it is after some of them.
#[derive(Clone, Debug)]
pub struct World {
    /// The instant of second 0.
    pub start: Time,
    /// The scale of the target.
    pub scale: Scale,
    /// `status.replicas` was said and no longer follows `spec.replicas`.
    status_is_said: bool,
    pods: BTreeMap<String, PodState>,
    metrics: BTreeMap<String, Answer>,
}

// === impl World ===

impl World {
    /// A cluster without replicas, pods and metrics.
    #[must_use]
    pub fn new(start: Time) -> Self {
        let scale = Scale { replicas: 0, status_replicas: 0, selector: "app=web".into() };
        Self { start, scale, status_is_said: false, pods: BTreeMap::new(), metrics: BTreeMap::new() }
    }

    /// What a step changes before the controller's turn.
    pub fn change(&mut self, step: &Step) {
        if let Some(replicas) = step.scale.replicas {
            self.scale.replicas = replicas;
        }
        if let Some(replicas) = step.scale.status_replicas {
            self.scale.status_replicas = replicas;
            self.status_is_said = true;
        } else if !self.status_is_said {
            self.scale.status_replicas = self.scale.replicas;
        }
        if let Some(selector) = &step.scale.selector {
            self.scale.selector.clone_from(selector);
        }
        match &step.pods {
            None => {}
            Some(Pods::Count(count)) => {
                self.pods = (0..*count).map(|index| (format!("p{index}"), PodState::default())).collect();
            }
            Some(Pods::Named(pods)) => self.pods.clone_from(pods),
        }
        if let Some(metrics) = &step.metrics {
            self.metrics.clone_from(metrics);
        }
    }

    /// The instant of a second of the scenario.
    #[must_use]
    pub fn time(&self, second: i32) -> Time {
        self.start.minus_seconds(second.saturating_neg())
    }

    /// The pods, in the API's form.
    #[must_use]
    pub fn pods(&self) -> Vec<Pod> {
        self.pods.iter().map(|(name, state)| self.pod(name, state)).collect()
    }

    /// What the metrics APIs answer to `GET path?query`: code and body.
    ///
    /// Selectors do not filter: a scenario says which series there are, also those that a selector would have
    /// left out.
    #[must_use]
    pub fn answer(&self, path: &str) -> (u16, Value) {
        let segments: Vec<_> = path.trim_matches('/').split('/').collect();
        let metric = match segments.as_slice() {
            ["apis", "metrics.k8s.io", "v1beta1", "namespaces", _, "pods"] => return self.usage(),
            ["apis", "custom.metrics.k8s.io", _, "namespaces", _, .., metric] => *metric,
            ["apis", "external.metrics.k8s.io", "v1beta1", "namespaces", _, metric] => *metric,
            _ => return status(404, &format!("there is nothing at {path}")),
        };
        let version = segments.get(2).copied().unwrap_or_default();
        let custom = |items: Vec<Value>| {
            (
                200,
                json!({"kind": "MetricValueList", "apiVersion": format!("custom.metrics.k8s.io/{version}"), "metadata": {}, "items": items}),
            )
        };
        let timestamp = self.start.to_string();
        match self.metrics.get(metric) {
            Some(Answer::Pods(values)) => {
                let item = |(name, value): (&String, _)| {
                    json!({"describedObject": {"kind": "Pod", "name": name, "apiVersion": "v1"},
                        "metric": {"name": metric, "selector": null}, "metricName": metric, "timestamp": timestamp, "value": value})
                };
                custom(values.iter().map(item).collect())
            }
            Some(Answer::Object(value)) => custom(vec![json!({"describedObject": {"name": "main"},
                "metric": {"name": metric, "selector": null}, "metricName": metric, "timestamp": timestamp, "value": value})]),
            Some(Answer::External(values)) => {
                let item = |value| json!({"metricName": metric, "metricLabels": {}, "timestamp": timestamp, "value": value});
                let items: Vec<_> = values.iter().map(item).collect();
                (
                    200,
                    json!({"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": {}, "items": items}),
                )
            }
            Some(Answer::Error(refusal)) => status(refusal.code, &refusal.message),
            Some(Answer::Usage(_)) | None => status(404, &format!("there is no metric {metric}")),
        }
    }

    /// The metrics of all resources together: one item per pod.
    fn usage(&self) -> (u16, Value) {
        let mut items: BTreeMap<&str, Value> = BTreeMap::new();
        for (resource, answer) in &self.metrics {
            match answer {
                Answer::Usage(usage) => {
                    for (pod, containers) in &usage.containers {
                        let item = items.entry(pod).or_insert_with(|| {
                            json!({"metadata": {"name": pod}, "timestamp": self.time(usage.at).to_string(),
                                "window": format!("{}s", usage.window_seconds), "containers": []})
                        });
                        for (container, quantity) in containers {
                            add_usage(item, container, resource, &json!(quantity));
                        }
                    }
                }
                Answer::Error(refusal) if matches!(resource.as_str(), "cpu" | "memory") => {
                    return status(refusal.code, &refusal.message);
                }
                _ => {}
            }
        }
        let items: Vec<_> = items.into_values().collect();
        (
            200,
            json!({"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}),
        )
    }

    fn pod(&self, name: &str, state: &PodState) -> Pod {
        let container = |(name, requests): (&String, &BTreeMap<_, _>)| Container {
            name: name.clone(),
            resources: Resources { requests: requests.clone() },
            ..Container::default()
        };
        let ready = PodCondition {
            kind: "Ready".into(),
            status: state.ready.clone(),
            last_transition_time: Some(self.time(state.ready_since)),
        };
        Pod {
            metadata: PodMetadata {
                name: name.to_owned(),
                labels: state.labels.clone(),
                deletion_timestamp: state.deleting.then_some(self.start),
            },
            spec: PodSpec {
                containers: state.requests.iter().map(container).collect(),
                ..PodSpec::default()
            },
            status: PodStatus {
                phase: state.phase.clone(),
                conditions: if state.ready == "None" { Vec::new() } else { vec![ready] },
                start_time: Some(self.time(state.started)),
            },
        }
    }
}

fn add_usage(item: &mut Value, container: &str, resource: &str, quantity: &Value) {
    let Some(containers) = item.get_mut("containers").and_then(Value::as_array_mut) else {
        return;
    };
    if let Some(known) =
        containers.iter_mut().find(|known| known.get("name").and_then(Value::as_str) == Some(container))
    {
        if let Some(usage) = known.get_mut("usage").and_then(Value::as_object_mut) {
            usage.insert(resource.to_owned(), quantity.clone());
        }
    } else {
        containers.push(json!({"name": container, "usage": {resource: quantity}}));
    }
}

fn status(code: u16, message: &str) -> (u16, Value) {
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "code": code}),
    )
}
