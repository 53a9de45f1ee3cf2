//! One metric of the spec: how many replicas it asks for, what it is called and what the status says of it.

use super::evaluate::MetricProposal;
use super::{Inputs, Scale};
use crate::metrics::Samples;
use crate::pod::Pod;
use crate::quantity::{Format, Quantity};
use crate::replicas::{self, CpuReadiness, Proposal, ReplicasError, Tolerances};
use crate::selector::{LabelSelector, Selector};
use crate::spec::{
    ContainerResourceMetricStatus, ExternalMetricSource, ExternalMetricStatus, MetricSpec, MetricStatus,
    MetricTarget, MetricValueStatus, ObjectMetricSource, ObjectMetricStatus, PodsMetricSource,
    PodsMetricStatus, ResourceMetricStatus,
};

/// A metric that gave a number.
pub(super) struct Computed {
    pub(super) proposal: MetricProposal,
    pub(super) status: MetricStatus,
}

/// A metric that gave none.
pub(super) struct Failed {
    /// Of the condition and of the event.
    pub(super) reason: &'static str,
    /// Of the condition and of the event: why.
    pub(super) error: String,
    /// The metric, for the turn's error.
    pub(super) what: String,
}

/// What the metrics of one HPA are computed from.
struct Basis<'a> {
    pods: &'a [&'a Pod],
    scale: &'a Scale,
    tolerances: Tolerances,
    cpu: CpuReadiness,
    samples: Result<&'a Samples, &'a str>,
}

pub(super) fn compute(
    inputs: &Inputs<'_>,
    scale: &Scale,
    pods: &[&Pod],
    index: usize,
    spec: &MetricSpec,
) -> Result<Computed, Failed> {
    let basis = Basis {
        pods,
        scale,
        tolerances: inputs.config.tolerances(inputs.hpa),
        cpu: CpuReadiness {
            initialization_period: inputs.config.cpu_initialization_period,
            initial_readiness_delay: inputs.config.initial_readiness_delay,
            now: inputs.now,
        },
        samples: match inputs.metrics.get(index) {
            Some(Ok(samples)) => Ok(samples),
            Some(Err(error)) => Err(error),
            None => Err("the metric was not asked for"),
        },
    };
    let fail = |reason, what: String| move |error| Failed { reason, error, what };
    match (spec.kind.as_str(), spec) {
        ("Pods", MetricSpec { pods: Some(source), .. }) => basis
            .pods(source)
            .map_err(fail("FailedGetPodsMetric", format!("pods metric {}", source.metric.name))),
        ("Object", MetricSpec { object: Some(source), .. }) => basis
            .object(source)
            .map_err(fail("FailedGetObjectMetric", format!("object metric {}", source.metric.name))),
        ("External", MetricSpec { external: Some(source), .. }) => {
            let what = format!("external metric {}", source.metric.name);
            basis.external(source).map_err(fail("FailedGetExternalMetric", what))
        }
        ("Resource", MetricSpec { resource: Some(source), .. }) => {
            let what = format!("{} resource", source.name);
            basis.resource(&source.name, None, &source.target).map_err(fail("FailedGetResourceMetric", what))
        }
        ("ContainerResource", MetricSpec { container_resource: Some(source), .. }) => {
            let what = format!("{} resource of container {}", source.name, source.container);
            basis
                .resource(&source.name, Some(&source.container), &source.target)
                .map_err(fail("FailedGetContainerResourceMetric", what))
        }
        (kind, _) => {
            let error = format!("{kind:?} is no metric source type, or its source is missing");
            Err(Failed { reason: "InvalidMetricSourceType", error, what: format!("metric of index {index}") })
        }
    }
}

// === impl Basis ===

impl Basis<'_> {
    fn pods(&self, source: &PodsMetricSource) -> Result<Computed, String> {
        let name = &source.metric.name;
        let Samples::Pods(samples) = self.samples_of(name)? else {
            return Err(mismatch(name));
        };
        let target = milli(source.target.average_value.as_ref());
        let current = self.scale.replicas;
        let proposal =
            replicas::plain(samples, self.pods, current, target, self.tolerances, None).map_err(text)?;
        let current = average_status(proposal.usage, Format::DecimalSi);
        Ok(Computed {
            proposal: proposed(proposal, format!("pods metric {name}")),
            status: MetricStatus {
                kind: "Pods".into(),
                pods: Some(PodsMetricStatus { metric: source.metric.clone(), current }),
                ..MetricStatus::default()
            },
        })
    }

    fn object(&self, source: &ObjectMetricSource) -> Result<Computed, String> {
        let (name, object) = (&source.metric.name, &source.described_object);
        let target = match (source.target.kind.as_str(), &source.target.value, &source.target.average_value) {
            ("Value", Some(value), _) => Target::Value(value.milli()),
            ("AverageValue", _, Some(value)) => Target::Average(value.milli()),
            _ => {
                return Err(
                    "the object metric has neither a target value nor an average value of its type".into()
                );
            }
        };
        let of_object = |error| format!("{error} on {} {}", object.kind, object.name);
        let Samples::Object(usage) = self.samples_of(name).map_err(of_object)? else {
            return Err(mismatch(name));
        };
        let (proposal, current, described) = match target {
            Target::Value(target) => {
                let current = self.scale.replicas;
                let proposal = replicas::object_value(*usage, self.pods, current, target, self.tolerances);
                let proposal = proposal.map_err(text)?;
                (proposal, value_status(proposal.usage), format!("{} metric {name}", object.kind))
            }
            Target::Average(target) => {
                let replicas = self.scale.status_replicas;
                let proposal = replicas::object_average(*usage, replicas, target, self.tolerances);
                // Upstream calls it external, too.
                let described = external_name(name, source.metric.selector.as_ref());
                (proposal, average_status(proposal.usage, Format::DecimalSi), described)
            }
        };
        let status =
            ObjectMetricStatus { metric: source.metric.clone(), current, described_object: object.clone() };
        Ok(Computed {
            proposal: proposed(proposal, described),
            status: MetricStatus { kind: "Object".into(), object: Some(status), ..MetricStatus::default() },
        })
    }

    fn external(&self, source: &ExternalMetricSource) -> Result<Computed, String> {
        let name = &source.metric.name;
        let target = match (&source.target.average_value, &source.target.value) {
            (Some(value), _) => Target::Average(value.milli()),
            (None, Some(value)) => Target::Value(value.milli()),
            (None, None) => {
                return Err("the external metric has neither a target value nor an average value".into());
            }
        };
        let Samples::External(values) = self.samples_of(name)? else {
            return Err(mismatch(name));
        };
        let (proposal, current) = match target {
            Target::Average(target) => {
                let replicas = self.scale.status_replicas;
                let proposal = replicas::external_average(values, replicas, target, self.tolerances);
                (proposal, average_status(proposal.usage, Format::DecimalSi))
            }
            Target::Value(target) => {
                let current = self.scale.replicas;
                let proposal = replicas::external_value(values, self.pods, current, target, self.tolerances);
                let proposal = proposal.map_err(text)?;
                (proposal, value_status(proposal.usage))
            }
        };
        let status = ExternalMetricStatus { metric: source.metric.clone(), current };
        Ok(Computed {
            proposal: proposed(proposal, external_name(name, source.metric.selector.as_ref())),
            status: MetricStatus {
                kind: "External".into(),
                external: Some(status),
                ..MetricStatus::default()
            },
        })
    }

    fn resource(
        &self,
        name: &str,
        container: Option<&str>,
        target: &MetricTarget,
    ) -> Result<Computed, String> {
        let cpu = (name == "cpu").then_some(self.cpu);
        let format = if name == "memory" { Format::BinarySi } else { Format::DecimalSi };
        let current = self.scale.replicas;
        let samples = || match self.samples {
            Ok(Samples::Pods(samples)) => Ok(samples),
            Ok(_) => Err(mismatch(name)),
            Err(error) => Err(format!("unable to get metrics for resource {name}: {error}")),
        };
        let (proposal, status, described) = if let Some(target) = &target.average_value {
            let proposal = samples().and_then(|samples| {
                replicas::plain(samples, self.pods, current, target.milli(), self.tolerances, cpu)
                    .map_err(text)
            });
            let proposal = proposal.map_err(|error| format!("the {name} usage is not known: {error}"))?;
            (proposal, average_status(proposal.usage, format), format!("{name} resource"))
        } else if let Some(target) = target.average_utilization {
            let used = samples().and_then(|samples| {
                replicas::utilization(
                    samples,
                    self.pods,
                    current,
                    target,
                    name,
                    container,
                    self.tolerances,
                    cpu,
                )
                .map_err(text)
            });
            let used = used.map_err(|error| format!("the {name} utilization is not known: {error}"))?;
            let status = MetricValueStatus {
                average_utilization: Some(used.percent),
                ..average_status(used.proposal.usage, format)
            };
            let of = if container.is_some() { "container resource" } else { "resource" };
            (used.proposal, status, format!("{name} {of} utilization (percentage of request)"))
        } else {
            return Err("the resource metric has neither a target utilization nor an average value".into());
        };
        let name = name.to_owned();
        let status = match container {
            None => MetricStatus {
                kind: "Resource".into(),
                resource: Some(ResourceMetricStatus { name, current: status }),
                ..MetricStatus::default()
            },
            Some(container) => MetricStatus {
                kind: "ContainerResource".into(),
                container_resource: Some(ContainerResourceMetricStatus {
                    name,
                    container: container.to_owned(),
                    current: status,
                }),
                ..MetricStatus::default()
            },
        };
        Ok(Computed { proposal: proposed(proposal, described), status })
    }

    /// What was read, or the text that goes around why it was not.
    fn samples_of(&self, metric: &str) -> Result<&Samples, String> {
        self.samples.map_err(|error| format!("unable to get metric {metric}: {error}"))
    }
}

/// A target in thousandths.
enum Target {
    Value(i64),
    Average(i64),
}

fn proposed(proposal: Proposal, metric: String) -> MetricProposal {
    MetricProposal { replicas: proposal.replicas, metric }
}

fn milli(quantity: Option<&Quantity>) -> i64 {
    quantity.map_or(0, Quantity::milli)
}

fn average_status(milli: i64, format: Format) -> MetricValueStatus {
    MetricValueStatus {
        average_value: Some(Quantity::from_milli(milli, format)),
        ..MetricValueStatus::default()
    }
}

fn value_status(milli: i64) -> MetricValueStatus {
    let value = Quantity::from_milli(milli, Format::DecimalSi);
    MetricValueStatus { value: Some(value), ..MetricValueStatus::default() }
}

fn external_name(name: &str, selector: Option<&LabelSelector>) -> String {
    let selector = Selector::from_object(selector).map(|selector| selector.to_string()).unwrap_or_default();
    format!("external metric {name}({selector})")
}

fn mismatch(metric: &str) -> String {
    format!("what was read for {metric} is of another type of metric")
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(error: ReplicasError) -> String {
    error.to_string()
}
