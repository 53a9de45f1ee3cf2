//! Scenarios: what a cluster looks like at given times, and what the controller must then have done.
//!
//! A file holds one or more YAML documents, one scenario each. Whatever a step does not say stays as it was:
//!
//! ```yaml
//! name: pods-up
//! rule: calcPlainMetricReplicas        # where upstream has the rule that this is about
//! about: A ratio of two doubles the pods.
//! hpa:                                 # autoscaling/v2 spec; scaleTargetRef may be left out
//!   maxReplicas: 10
//!   metrics: [{type: Pods, pods: {metric: {name: messages}, target: {type: AverageValue, averageValue: "10"}}}]
//! steps:
//!   - at: 0                            # seconds; the controller takes its turn now
//!     scale: {replicas: 2}             # statusReplicas: as replicas; selector: app=web
//!     pods: 2                          # p0 and p1, Running and Ready; or a map from name to state
//!     metrics: {messages: {pods: {p0: 20, p1: 20}}}
//!     expect:
//!       replicas: 4                    # the scale's spec.replicas afterwards
//!       conditions: {AbleToScale: True SucceededRescale, ScalingActive: True ValidMetricFound}
//!       events: [SuccessfulRescale]    # reasons, all of them, in order; none when left out
//! ```
//!
//! Everything that a step sets is something that can be set in a real cluster: the scale of an object with a
//! scale subresource and no controller, pods and their `status` by patches ([`World::pods`]), and what a
//! metrics API answers ([`World::answer`] is one). So the same steps can be played to a real
//! kube-controller-manager, which then has to take a turn within each step. Three things cannot be set there:
//! an exact age ([`Clock::Exact`]), a scale that cannot be written (`updateError`), and a restart of the
//! controller without restarting it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::quantity::Quantity;
use crate::spec::Spec;

pub use self::run::{Mismatch, run};
pub use self::world::World;

mod run;
mod world;

/// A play of several steps.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// Unique among all scenarios.
    pub name: String,
    /// Where upstream has the rule: a function of `pkg/controller/podautoscaler`, if nothing else is said.
    pub rule: String,
    /// The rule, in a sentence.
    pub about: String,
    /// How exact the times must be.
    #[serde(default)]
    pub clock: Clock,
    /// The HPA's spec; defaults are applied and it must be valid.
    pub hpa: Spec,
    /// Settings of the controller that differ from the defaults.
    #[serde(default)]
    pub controller: Controller,
    /// Other HPAs of the namespace and the selectors of their scales.
    #[serde(default)]
    pub other_hpas: BTreeMap<String, String>,
    /// What happens, in the order of time.
    pub steps: Vec<Step>,
}

/// How exact the times must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Clock {
    /// A few seconds do not matter.
    #[default]
    Loose,
    /// An age is exactly as long as a window: only a caller that says what time it is can play this.
    Exact,
}

/// Settings of the controller.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Controller {
    /// How far a ratio may be from 1.
    pub tolerance: Option<f64>,
    /// Seconds that recommendations hold back shrinking.
    pub downscale_stabilization_seconds: Option<u64>,
}

/// A turn of the controller, what changes before it and what must be true after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// Seconds since the scenario's start.
    pub at: u32,
    /// The controller forgets what it remembers.
    #[serde(default)]
    pub restart: bool,
    /// The HPA's spec from now on.
    #[serde(default)]
    pub hpa: Option<Spec>,
    /// Changes of the scale.
    #[serde(default)]
    pub scale: ScaleChange,
    /// All pods from now on.
    #[serde(default)]
    pub pods: Option<Pods>,
    /// All metrics from now on, by name.
    #[serde(default)]
    pub metrics: Option<BTreeMap<String, Answer>>,
    /// What must be true after the turn.
    pub expect: Expect,
}

/// Changes of the scale before a turn.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ScaleChange {
    /// `spec.replicas`.
    pub replicas: Option<i32>,
    /// `status.replicas`; when not given, it follows `spec.replicas`.
    pub status_replicas: Option<i32>,
    /// `status.selector`.
    pub selector: Option<String>,
    /// In this step reading the scale fails with this.
    pub read_error: Option<String>,
    /// In this step writing the scale fails with this.
    pub update_error: Option<String>,
}

/// The pods of the namespace.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Pods {
    /// So many, `p0` and on, Running and Ready.
    Count(u32),
    /// These.
    Named(BTreeMap<String, PodState>),
}

/// A pod. Times are seconds of the scenario; negative ones are before its start.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PodState {
    /// `Running` when left out.
    pub phase: String,
    /// `True`, `False`, `Unknown`, or `None` for no such condition. `True` when left out.
    pub ready: String,
    /// When `ready` became what it is. Half an hour before the start when left out.
    pub ready_since: i32,
    /// When the pod started, one hour before the start when left out.
    pub started: i32,
    /// It is being deleted.
    pub deleting: bool,
    /// `app: web` when left out.
    pub labels: BTreeMap<String, String>,
    /// What each container requests, by container and resource.
    pub requests: BTreeMap<String, BTreeMap<String, Quantity>>,
}

/// What a metrics API says of a metric.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Custom: a value per pod.
    Pods(BTreeMap<String, Quantity>),
    /// Custom: the value of an object.
    Object(Quantity),
    /// External: a value per series.
    External(Vec<Quantity>),
    /// Resource: usage per pod and container.
    Usage(Usage),
    /// Any: a `Status`.
    Error(Refusal),
}

/// What containers use.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Usage {
    /// By pod and container.
    pub containers: BTreeMap<String, BTreeMap<String, Quantity>>,
    /// When it was measured, in seconds of the scenario; 0 when left out.
    #[serde(default)]
    pub at: i32,
    /// Over how many seconds it was measured.
    #[serde(default)]
    pub window_seconds: u32,
}

/// An answer that is no success.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refusal {
    /// The HTTP code.
    pub code: u16,
    /// The `Status`' message.
    pub message: String,
}

/// What must be true after a turn.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expect {
    /// The scale's `spec.replicas`.
    pub replicas: i32,
    /// The status' `desiredReplicas`; as `replicas` when left out.
    #[serde(default)]
    pub desired: Option<i32>,
    /// By type: status and reason, or `absent`. Others are not looked at.
    #[serde(default)]
    pub conditions: BTreeMap<String, String>,
    /// The types of the conditions whose time of transition is that of this step. Not looked at when left
    /// out.
    #[serde(default)]
    pub transitioned: Option<Vec<String>>,
    /// The reasons of all events, in order.
    #[serde(default)]
    pub events: Vec<String>,
    /// Per metric of the spec what the status says of it: the numbers in the order value, average value,
    /// utilisation, or `empty`. Not looked at when left out.
    #[serde(default)]
    pub current: Option<Vec<String>>,
    /// By type of condition: a part of its message that comes from elsewhere, as from a `Status`.
    #[serde(default)]
    pub messages: BTreeMap<String, String>,
    /// The requests for metrics, all of them, in order. Not looked at when left out.
    #[serde(default)]
    pub requests: Option<Vec<String>>,
    /// The turn ends with an error that the controller logs and counts. Not looked at when left out.
    #[serde(default)]
    pub fails: Option<bool>,
}

/// Reads the scenarios of a file.
///
/// # Errors
/// Where and how the text differs from the format.
pub fn from_yaml(text: &str) -> Result<Vec<Scenario>, String> {
    serde_saphyr::from_multiple(text).map_err(|error| error.to_string())
}

// === impl PodState ===

impl Default for PodState {
    fn default() -> Self {
        Self {
            phase: "Running".into(),
            ready: "True".into(),
            ready_since: -1800,
            started: -3600,
            deleting: false,
            labels: BTreeMap::from([("app".into(), "web".into())]),
            requests: BTreeMap::new(),
        }
    }
}
