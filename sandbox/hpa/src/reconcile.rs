//! One turn of the controller over one HPA (`horizontal.go`, `reconcileAutoscaler`).
//!
//! A turn has three parts, because two of its steps talk to the API server and that is the caller's:
//!
//! 1. Read the scale. If [`needs_metrics`] and it has a selector ([`Selector::of_scale`]) without
//!    [`rivals_for`] it, make the requests of [`crate::metrics::requests`] and decode the answers.
//! 2. [`reconcile`] decides. It is done ([`Turn::Done`]), or wants the scale changed ([`Turn::Rescale`]).
//! 3. Change the scale, and tell [`Rescale::finish`] how that went.
//!
//! The [`Outcome`] says what status to write and which events to record, in their order.
//!
//! ```
//! use sandbox_hpa::normalize::History;
//! use sandbox_hpa::reconcile::{Config, Inputs, Scale, reconcile};
//! use sandbox_hpa::spec::HorizontalPodAutoscaler;
//! use sandbox_hpa::time::Time;
//!
//! let mut hpa = HorizontalPodAutoscaler::default();
//! hpa.spec.max_replicas = 3;
//! hpa.apply_defaults();
//! let mut history = History::default();
//! let inputs = Inputs {
//!     hpa: &hpa,
//!     scale: Ok(Scale { replicas: 5, status_replicas: 5, selector: "app=web".into() }),
//!     pods: &[],
//!     rivals: &[],
//!     metrics: &[],
//!     now: Time::from_seconds(1_800_000_000),
//!     config: &Config::default(),
//! };
//! let outcome = reconcile(&mut history, &inputs).apply(&mut history, |replicas| {
//!     assert_eq!(replicas, 3, "above the maximum");
//!     Ok(())
//! });
//! assert_eq!(outcome.events[0].reason, "SuccessfulRescale");
//! ```

use std::time::Duration;

use crate::conditions::{self, ABLE_TO_SCALE, SCALED_TO_ZERO, SCALING_ACTIVE, Verdict};
use crate::metrics::Samples;
use crate::normalize::{History, Proposed, with_behavior, without_behavior};
use crate::pod::Pod;
use crate::replicas::Tolerances;
use crate::selector::Selector;
use crate::spec::{HorizontalPodAutoscaler, MetricStatus, Status};
use crate::time::Time;

use self::evaluate::{Evaluation, evaluate};

mod evaluate;
mod metric;

/// The controller's settings, with the names and defaults of kube-controller-manager's flags.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// `--horizontal-pod-autoscaler-tolerance`: how far a ratio may be from 1 without effect. 0.1.
    pub tolerance: f64,
    /// `--horizontal-pod-autoscaler-downscale-stabilization`: how long recommendations hold back shrinking
    /// when the HPA does not say. 5 minutes.
    pub downscale_stabilization: Duration,
    /// `--horizontal-pod-autoscaler-cpu-initialization-period`: how long a pod starts up. 5 minutes.
    pub cpu_initialization_period: Duration,
    /// `--horizontal-pod-autoscaler-initial-readiness-delay`: how long after its start a change of a pod's
    /// readiness is part of starting up. 30 seconds.
    pub initial_readiness_delay: Duration,
}

/// The scale of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scale {
    /// `spec.replicas`: how many are wanted now.
    pub replicas: i32,
    /// `status.replicas`: how many there are.
    pub status_replicas: i32,
    /// `status.selector`, as text.
    pub selector: String,
}

/// Another HPA of the same namespace whose selector the controller has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Its name.
    pub name: String,
    /// The selector of its scale, when it was last read.
    pub selector: Selector,
}

/// What a turn reads.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    /// The HPA with defaults applied.
    pub hpa: &'a HorizontalPodAutoscaler,
    /// The scale, or why it could not be read.
    pub scale: Result<Scale, String>,
    /// The pods of the HPA's namespace; the selector is applied here.
    pub pods: &'a [Pod],
    /// The other HPAs of the namespace.
    pub rivals: &'a [Rival],
    /// What was read for each metric of the spec, in its order, or why it was not. Not looked at unless
    /// [`needs_metrics`].
    pub metrics: &'a [Result<Samples, String>],
    /// The time of the turn.
    pub now: Time,
    /// The controller's settings.
    pub config: &'a Config,
}

/// Where a turn ends or waits.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Turn {
    /// The scale stays as it is.
    Done(Outcome),
    /// The scale is to be changed before the turn can end.
    Rescale(Box<Rescale>),
}

/// A turn that waits for the scale to be changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Rescale {
    draft: Draft,
    replicas: i32,
    reason: String,
    longest_period: Option<i32>,
}

/// What came of a turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The HPA's new status.
    pub status: Status,
    /// Whether the status differs from the old one and is to be written.
    pub status_changed: bool,
    /// Events on the HPA, in their order.
    pub events: Vec<Event>,
    /// What upstream logs and counts as an error of the turn, if anything.
    pub error: Option<String>,
}

/// An event to be recorded on the HPA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `Warning`, else `Normal`.
    pub warning: bool,
    /// Upstream's identifier.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

/// What of the turn stands so far.
#[derive(Clone, Debug, PartialEq)]
struct Draft {
    before: Status,
    status: Status,
    target: String,
    current: i32,
    current_metrics: Vec<MetricStatus>,
    events: Vec<Event>,
    error: Option<String>,
    now: Time,
}

/// Whether the controller reads metrics at this scale: not at zero replicas, and not outside the spec's
/// bounds.
#[must_use]
pub fn needs_metrics(hpa: &HorizontalPodAutoscaler, scale: &Scale) -> bool {
    scale.replicas != 0 && scale.replicas <= hpa.spec.max_replicas && scale.replicas >= minimum(hpa)
}

/// The names of the HPAs among `rivals` that select some of the pods which `selector` matches. With any, the
/// controller reads no metric and refuses to scale.
#[must_use]
pub fn rivals_for<'a>(selector: &Selector, pods: &[Pod], rivals: &'a [Rival]) -> Vec<&'a str> {
    let own: Vec<_> = pods.iter().filter(|pod| selector.matches(&pod.metadata.labels)).collect();
    let shares = |rival: &&Rival| own.iter().any(|pod| rival.selector.matches(&pod.metadata.labels));
    rivals.iter().filter(shares).map(|rival| rival.name.as_str()).collect()
}

/// Decides. See the module for what comes before and after.
pub fn reconcile(history: &mut History, inputs: &Inputs<'_>) -> Turn {
    let hpa = inputs.hpa;
    let mut draft = Draft::new(hpa, inputs.now);
    let scale = match &inputs.scale {
        Ok(scale) => scale,
        Err(error) => return Turn::Done(draft.without_scale(error)),
    };
    // The client that reads the scale parses it, so what cannot be parsed was not read.
    let selector = match Selector::of_scale(&scale.selector) {
        Ok(selector) => selector,
        Err(error) => return Turn::Done(draft.without_scale(&error.to_string())),
    };
    draft.set(Verdict::holds(ABLE_TO_SCALE, "SucceededGetScale", "the scale of the target was read"));
    draft.current = scale.replicas;
    history.begin(scale.replicas, inputs.now);

    let (current, min, max) = (scale.replicas, minimum(hpa), hpa.spec.max_replicas);
    if current == 0 {
        let message = "the target has no replicas: scaling is off until something else gives it some";
        draft.set(Verdict::fails(SCALING_ACTIVE, "ScalingDisabled", message));
        conditions::remove(&mut draft.status.conditions, SCALED_TO_ZERO);
        return Turn::Done(draft.finish(current, false));
    }
    if !needs_metrics(hpa, scale) {
        let (replicas, reason) = match current > max {
            true => (max, "more replicas than spec.maxReplicas"),
            false => (min, "fewer replicas than spec.minReplicas"),
        };
        return Turn::Rescale(Box::new(Rescale::new(draft, hpa, replicas, reason.to_owned())));
    }

    let Evaluation { proposal, current_metrics, events, verdict, error } =
        evaluate(inputs, scale, selector.as_ref());
    draft.events.extend(events);
    draft.current_metrics = current_metrics;
    draft.set(verdict);
    let Some(proposal) = proposal else {
        return Turn::Done(draft.without_proposal(&error.unwrap_or_default()));
    };
    // Some metrics may have failed and the rest be enough: the turn goes on, but ends with that error.
    draft.error = error;
    let proposed = Proposed { current, desired: proposal.replicas.max(0), min, max };
    let reason = match proposed.desired.cmp(&current) {
        std::cmp::Ordering::Greater => format!("{} above target", proposal.metric),
        std::cmp::Ordering::Less => "all metrics below target".to_owned(),
        std::cmp::Ordering::Equal => String::new(),
    };
    let window = inputs.config.downscale_stabilization;
    let normalized = match &hpa.spec.behavior {
        None => without_behavior(history, proposed, window, inputs.now),
        Some(behavior) => with_behavior(history, proposed, behavior, window, inputs.now),
    };
    draft.set(normalized.stabilized);
    draft.set(normalized.limited);
    if normalized.replicas == current {
        return Turn::Done(draft.finish(current, false));
    }
    Turn::Rescale(Box::new(Rescale::new(draft, hpa, normalized.replicas, reason)))
}

/// The event for a status that could not be written.
#[must_use]
pub fn status_not_written(error: &str) -> Event {
    Event::warning("FailedUpdateStatus", error)
}

fn minimum(hpa: &HorizontalPodAutoscaler) -> i32 {
    hpa.spec.min_replicas.unwrap_or(1)
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            tolerance: 0.1,
            downscale_stabilization: Duration::from_secs(300),
            cpu_initialization_period: Duration::from_secs(300),
            initial_readiness_delay: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// How far from 1 ratios may be for this HPA: what its `behavior` says, else the controller's setting.
    #[must_use]
    pub fn tolerances(&self, hpa: &HorizontalPodAutoscaler) -> Tolerances {
        let behavior = hpa.spec.behavior.as_ref();
        let rules = behavior.map(|behavior| (behavior.scale_down.as_ref(), behavior.scale_up.as_ref()));
        let (down, up) = rules.unwrap_or_default();
        let tolerance = |rules: Option<&crate::spec::ScalingRules>| {
            let own = rules.and_then(|rules| rules.tolerance.as_ref());
            own.map_or(self.tolerance, crate::quantity::Quantity::approximate)
        };
        Tolerances { down: tolerance(down), up: tolerance(up) }
    }
}

// === impl Turn ===

impl Turn {
    /// Ends the turn, changing the scale with `update` if it is to be changed.
    pub fn apply(self, history: &mut History, update: impl FnOnce(i32) -> Result<(), String>) -> Outcome {
        match self {
            Self::Done(outcome) => outcome,
            Self::Rescale(rescale) => {
                let result = update(rescale.replicas());
                rescale.finish(history, result)
            }
        }
    }
}

// === impl Rescale ===

impl Rescale {
    fn new(draft: Draft, hpa: &HorizontalPodAutoscaler, replicas: i32, reason: String) -> Self {
        let up = replicas > draft.current;
        let longest_period = hpa.spec.behavior.as_ref().map(|behavior| {
            let behavior = behavior.defaulted();
            let rules = if up { behavior.scale_up } else { behavior.scale_down };
            let policies = rules.and_then(|rules| rules.policies).unwrap_or_default();
            policies.iter().map(|policy| policy.period_seconds).max().unwrap_or(0)
        });
        Self { draft, replicas, reason, longest_period }
    }

    /// What the scale's `spec.replicas` is to become.
    #[must_use]
    pub fn replicas(&self) -> i32 {
        self.replicas
    }

    /// Ends the turn with how changing the scale went.
    pub fn finish(self, history: &mut History, result: Result<(), String>) -> Outcome {
        let Self { mut draft, replicas, reason, longest_period } = self;
        if let Err(error) = result {
            let message = format!("New size: {replicas}; reason: {reason}; error: {error}");
            draft.events.push(Event::warning("FailedRescale", &message));
            let message = format!("the scale of the target could not be changed: {error}");
            draft.set(Verdict::fails(ABLE_TO_SCALE, "FailedUpdateScale", message));
            draft.error = Some(format!("failed to rescale {}: {error}", draft.target));
            let desired = draft.before.desired_replicas;
            return draft.finish(desired, false);
        }
        let message = format!("the scale of the target was set to {replicas}");
        draft.set(Verdict::holds(ABLE_TO_SCALE, "SucceededRescale", message));
        let message = format!("New size: {replicas}; reason: {reason}");
        draft.events.push(Event { warning: false, reason: "SuccessfulRescale", message });
        if let Some(longest_period) = longest_period {
            history.changed(draft.current, replicas, longest_period, draft.now);
        }
        conditions::remove(&mut draft.status.conditions, SCALED_TO_ZERO);
        draft.finish(replicas, true)
    }
}

// === impl Draft ===

impl Draft {
    fn new(hpa: &HorizontalPodAutoscaler, now: Time) -> Self {
        let target = &hpa.spec.scale_target_ref;
        Self {
            before: hpa.status.clone(),
            status: hpa.status.clone(),
            target: format!("{}/{}/{}", target.kind, hpa.metadata.namespace, target.name),
            current: 0,
            current_metrics: Vec::new(),
            events: Vec::new(),
            error: None,
            now,
        }
    }

    fn set(&mut self, verdict: Verdict) {
        conditions::set(&mut self.status.conditions, verdict, self.now);
    }

    /// The turn ends before there is anything to say of replicas and metrics: the status keeps what it said.
    fn without_scale(mut self, error: &str) -> Outcome {
        self.events.push(Event::warning("FailedGetScale", error));
        let message = format!("the scale of the target could not be read: {error}");
        self.set(Verdict::fails(ABLE_TO_SCALE, "FailedGetScale", message));
        let error = format!("failed to read the scale of {}: {error}", self.target);
        Outcome {
            status_changed: self.status != self.before,
            status: self.status,
            events: self.events,
            error: Some(error),
        }
    }

    /// The turn ends because too many metrics failed.
    fn without_proposal(mut self, error: &str) -> Outcome {
        self.events.push(Event::warning("FailedComputeMetricsReplicas", error));
        self.error = Some(format!("failed to compute the replicas of {}: {error}", self.target));
        let desired = self.before.desired_replicas;
        self.finish(desired, false)
    }

    fn finish(self, desired: i32, rescaled: bool) -> Outcome {
        let status = Status {
            last_scale_time: if rescaled { Some(self.now) } else { self.before.last_scale_time },
            current_replicas: self.current,
            desired_replicas: desired,
            current_metrics: self.current_metrics,
            conditions: self.status.conditions,
        };
        Outcome { status_changed: status != self.before, status, events: self.events, error: self.error }
    }
}

// === impl Event ===

impl Event {
    fn warning(reason: &'static str, message: &str) -> Self {
        Self { warning: true, reason, message: message.to_owned() }
    }
}
