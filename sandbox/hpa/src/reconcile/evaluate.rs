//! From all metrics of the spec to one number of replicas, or to why there is none.

use super::metric::{Computed, compute};
use super::{Event, Inputs, Scale};
use crate::conditions::{SCALING_ACTIVE, Verdict};
use crate::pod::Pod;
use crate::selector::Selector;
use crate::spec::MetricStatus;

/// What the metrics ask for together.
pub(super) struct Evaluation {
    /// The largest proposal; none when too many metrics failed.
    pub(super) proposal: Option<MetricProposal>,
    /// One entry per metric of the spec; none when metrics were not looked at.
    pub(super) current_metrics: Vec<MetricStatus>,
    pub(super) events: Vec<Event>,
    /// `ScalingActive`.
    pub(super) verdict: Verdict,
    pub(super) error: Option<String>,
}

/// How many replicas a metric asks for.
pub(super) struct MetricProposal {
    pub(super) replicas: i32,
    /// The metric, described.
    pub(super) metric: String,
}

/// Takes the largest proposal. A metric that failed may have asked for more: so what is left may raise the
/// count or leave it, and not lower it.
pub(super) fn evaluate(inputs: &Inputs<'_>, scale: &Scale, selector: Option<&Selector>) -> Evaluation {
    let pods = match selected(inputs, selector) {
        Ok(pods) => pods,
        Err(evaluation) => return *evaluation,
    };
    let metrics = &inputs.hpa.spec.metrics;
    let mut best: Option<MetricProposal> = None;
    let mut current_metrics = Vec::with_capacity(metrics.len());
    let mut events = Vec::new();
    let mut first_failure = None;
    let mut failures = 0;
    for (index, spec) in metrics.iter().enumerate() {
        match compute(inputs, scale, &pods, index, spec) {
            Ok(Computed { proposal, status }) => {
                current_metrics.push(status);
                // What upstream starts with is 0 and no metric, and 0 may always be replaced.
                if best.as_ref().is_none_or(|best| best.replicas == 0 || proposal.replicas > best.replicas) {
                    best = Some(proposal);
                }
            }
            Err(failed) => {
                current_metrics.push(MetricStatus::default());
                events.push(Event::warning(failed.reason, &failed.error));
                failures += 1;
                first_failure.get_or_insert(failed);
            }
        }
    }
    let error = first_failure.as_ref().map(|failed| {
        let total = metrics.len();
        format!("{failures} invalid out of {total} metrics, first the {}: {}", failed.what, failed.error)
    });
    match (best, first_failure) {
        (Some(best), None) => {
            let verdict = valid(&best);
            Evaluation { proposal: Some(best), current_metrics, events, verdict, error }
        }
        (Some(best), Some(_)) if best.replicas >= scale.replicas => {
            let verdict = valid(&best);
            Evaluation { proposal: Some(best), current_metrics, events, verdict, error }
        }
        (_, Some(failed)) => {
            let message = format!("the replica count could not be computed: {}", failed.error);
            let verdict = Verdict::fails(SCALING_ACTIVE, failed.reason, message);
            Evaluation { proposal: None, current_metrics, events, verdict, error }
        }
        (None, None) => {
            // Defaults leave no HPA without metrics; one that has none all the same has nothing to say.
            let error = "the HPA has no metrics: give it some in spec.metrics".to_owned();
            let verdict = Verdict::fails(SCALING_ACTIVE, "InvalidMetricSourceType", error.clone());
            Evaluation { proposal: None, current_metrics, events, verdict, error: Some(error) }
        }
    }
}

fn valid(best: &MetricProposal) -> Verdict {
    let message = format!("a replica count was computed from {}", best.metric);
    Verdict::holds(SCALING_ACTIVE, "ValidMetricFound", message)
}

/// The pods that the scale's selector matches, if there is one and they are this HPA's alone.
fn selected<'a>(inputs: &Inputs<'a>, selector: Option<&Selector>) -> Result<Vec<&'a Pod>, Box<Evaluation>> {
    let refused = |event, reason, message: String, error: String| {
        Box::new(Evaluation {
            proposal: None,
            current_metrics: Vec::new(),
            events: vec![Event::warning(event, &error)],
            verdict: Verdict::fails(SCALING_ACTIVE, reason, message),
            error: Some(error),
        })
    };
    let Some(selector) = selector else {
        let message = "the scale of the target has no selector".to_owned();
        let error = "a selector is required".to_owned();
        return Err(refused("SelectorRequired", "InvalidSelector", message, error));
    };
    let pods: Vec<_> = inputs.pods.iter().filter(|pod| selector.matches(&pod.metadata.labels)).collect();
    let rivals = super::rivals_for(selector, inputs.pods, inputs.rivals);
    if !rivals.is_empty() {
        let own = &inputs.hpa.metadata;
        let error = format!(
            "pods that {} selects are controlled by several HPAs of namespace {}: {}, {}",
            selector,
            own.namespace,
            own.name,
            rivals.join(", ")
        );
        return Err(refused("AmbiguousSelector", "AmbiguousSelector", error.clone(), error));
    }
    Ok(pods)
}
