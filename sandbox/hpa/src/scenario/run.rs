//! Plays a scenario to the functions of this crate and compares.

use std::fmt;
use std::time::Duration;

use super::{Controller, Expect, Scenario, Step, World};
use crate::metrics::{Discovery, Samples, requests};
use crate::normalize::History;
use crate::reconcile::{Config, Inputs, Outcome, Rival, needs_metrics, reconcile, rivals_for};
use crate::selector::Selector;
use crate::spec::{HorizontalPodAutoscaler, MetricStatus, MetricValueStatus, ObjectReference, Spec, Status};
use crate::time::Time;

/// Second 0 of every scenario: 2027-01-15T08:00:00Z.
const START: Time = Time::from_seconds(1_800_000_000);

/// Where a scenario and the algorithm differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mismatch {
    /// The scenario's name.
    pub scenario: String,
    /// The second of the step, if the scenario is playable at all.
    pub at: Option<u32>,
    /// Each difference in a line.
    pub differences: Vec<String>,
    /// What happened up to there, a line per step.
    pub story: Vec<String>,
}

/// Plays a scenario.
///
/// # Errors
/// The first step after which something differs, with all that differs.
pub fn run(scenario: &Scenario) -> Result<(), Mismatch> {
    let mut story = Vec::new();
    let mut play = Play::new(scenario).map_err(|difference| Mismatch {
        scenario: scenario.name.clone(),
        at: None,
        differences: vec![difference],
        story: Vec::new(),
    })?;
    for step in &scenario.steps {
        let differences = match play.turn(step) {
            Ok(seen) => {
                story.push(seen.to_string());
                compare(&step.expect, &seen)
            }
            Err(difference) => vec![difference],
        };
        if !differences.is_empty() {
            let scenario = scenario.name.clone();
            return Err(Mismatch { scenario, at: Some(step.at), differences, story });
        }
    }
    Ok(())
}

// === impl Mismatch ===

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.scenario)?;
        if let Some(at) = self.at {
            write!(f, " at {at} s")?;
        }
        for difference in &self.differences {
            write!(f, "\n  {difference}")?;
        }
        if !self.story.is_empty() {
            f.write_str("\n  what happened:")?;
        }
        for line in &self.story {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

/// A scenario that is being played.
struct Play {
    config: Config,
    history: History,
    hpa: HorizontalPodAutoscaler,
    rivals: Vec<Rival>,
    world: World,
    last: Option<u32>,
}

/// What can be seen after a turn.
struct Seen {
    at: Time,
    second: u32,
    replicas: i32,
    requests: Vec<String>,
    outcome: Outcome,
}

// === impl Play ===

impl Play {
    fn new(scenario: &Scenario) -> Result<Self, String> {
        let rival = |(name, selector): (&String, &String)| {
            let selector: Selector =
                selector.parse().map_err(|error| format!("otherHpas.{name}: {error}"))?;
            Ok(Rival { name: name.clone(), selector })
        };
        let rivals = scenario.other_hpas.iter().map(rival).collect::<Result<_, String>>()?;
        if scenario.steps.is_empty() {
            return Err("there are no steps".into());
        }
        Ok(Self {
            config: config(&scenario.controller),
            history: History::default(),
            hpa: object(&scenario.hpa, Status::default())?,
            rivals,
            world: World::new(START),
            last: None,
        })
    }

    fn turn(&mut self, step: &Step) -> Result<Seen, String> {
        if self.last.is_some_and(|last| last >= step.at) {
            return Err(format!("the step at {} is not after the one before it", step.at));
        }
        self.last = Some(step.at);
        if step.restart {
            self.history = History::default();
        }
        if let Some(spec) = &step.hpa {
            self.hpa = object(spec, std::mem::take(&mut self.hpa.status))?;
        }
        self.world.change(step);
        let at = self.world.time(i32::try_from(step.at).unwrap_or(i32::MAX));

        let (requests, metrics) = self.metrics();
        let pods = self.world.pods();
        let inputs = Inputs {
            hpa: &self.hpa,
            scale: match &step.scale.read_error {
                None => Ok(self.world.scale.clone()),
                Some(error) => Err(error.clone()),
            },
            pods: &pods,
            rivals: &self.rivals,
            metrics: &metrics,
            now: at,
            config: &self.config,
        };
        let turn = reconcile(&mut self.history, &inputs);
        let scale = &mut self.world.scale;
        let outcome = turn.apply(&mut self.history, |replicas| match &step.scale.update_error {
            Some(error) => Err(error.clone()),
            None => {
                scale.replicas = replicas;
                Ok(())
            }
        });
        self.hpa.status = outcome.status.clone();
        Ok(Seen { at, second: step.at, replicas: self.world.scale.replicas, requests, outcome })
    }

    /// The requests that the controller makes, and what it reads in the answers.
    fn metrics(&self) -> (Vec<String>, Vec<Result<Samples, String>>) {
        let selector = Selector::of_scale(&self.world.scale.selector).ok().flatten();
        let is_read = |selector: &Selector| {
            needs_metrics(&self.hpa, &self.world.scale)
                && rivals_for(selector, &self.world.pods(), &self.rivals).is_empty()
        };
        let Some(selector) = selector.filter(is_read) else {
            return (Vec::new(), Vec::new());
        };
        let mut made = Vec::new();
        let mut read = Vec::new();
        for request in requests(&self.hpa, &selector, &Discovery::default()) {
            read.push(request.and_then(|request| {
                made.push(request.url());
                let (code, body) = self.world.answer(&request.path);
                request.decode(code, body.to_string().as_bytes())
            }));
        }
        (made, read)
    }
}

fn object(spec: &Spec, status: Status) -> Result<HorizontalPodAutoscaler, String> {
    let mut hpa =
        HorizontalPodAutoscaler { spec: spec.clone(), status, ..HorizontalPodAutoscaler::default() };
    hpa.metadata.name = "web".into();
    hpa.metadata.namespace = "default".into();
    if hpa.spec.scale_target_ref == ObjectReference::default() {
        let (api_version, kind) = ("apps/v1".into(), "Deployment".into());
        hpa.spec.scale_target_ref = ObjectReference { api_version, kind, name: "web".into() };
    }
    hpa.apply_defaults();
    hpa.validate().map_err(|invalid| invalid.to_string())?;
    Ok(hpa)
}

fn config(controller: &Controller) -> Config {
    let default = Config::default();
    Config {
        tolerance: controller.tolerance.unwrap_or(default.tolerance),
        downscale_stabilization: controller
            .downscale_stabilization_seconds
            .map_or(default.downscale_stabilization, Duration::from_secs),
        ..default
    }
}

// === impl Seen ===

impl Seen {
    fn events(&self) -> Vec<String> {
        self.outcome.events.iter().map(|event| event.reason.to_owned()).collect()
    }

    fn condition(&self, kind: &str) -> Option<&crate::spec::Condition> {
        self.outcome.status.conditions.iter().find(|condition| condition.kind == kind)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = &self.outcome.status;
        write!(f, "{} s: replicas {}, desired {}", self.second, self.replicas, status.desired_replicas)?;
        for condition in &status.conditions {
            write!(f, "; {}={} {}", condition.kind, condition.status, condition.reason)?;
        }
        for metric in &status.current_metrics {
            write!(f, "; metric {}", numbers(metric))?;
        }
        for event in &self.outcome.events {
            write!(f, "; {}: {}", event.reason, event.message)?;
        }
        Ok(())
    }
}

fn compare(expect: &Expect, seen: &Seen) -> Vec<String> {
    let mut differences = Vec::new();
    let mut check = |what: String, want: String, got: String| {
        if want != got {
            differences.push(format!("{what}: expected {want}, got {got}"));
        }
    };
    let status = &seen.outcome.status;
    check("replicas".into(), expect.replicas.to_string(), seen.replicas.to_string());
    let desired = expect.desired.unwrap_or(expect.replicas);
    check("status.desiredReplicas".into(), desired.to_string(), status.desired_replicas.to_string());
    for (kind, want) in &expect.conditions {
        let got = seen.condition(kind).map(|condition| format!("{} {}", condition.status, condition.reason));
        check(kind.clone(), want.clone(), got.unwrap_or_else(|| "absent".into()));
    }
    for (kind, want) in &expect.messages {
        let got = seen.condition(kind).map_or("absent", |condition| &condition.message);
        let got = if got.contains(want.as_str()) { want } else { got };
        check(format!("message of {kind}"), want.clone(), got.to_owned());
    }
    if let Some(want) = &expect.transitioned {
        let now =
            status.conditions.iter().filter(|condition| condition.last_transition_time == Some(seen.at));
        let now: Vec<_> = now.map(|condition| condition.kind.as_str()).collect();
        check("conditions that changed status".into(), want.join(", "), now.join(", "));
    }
    check("events".into(), expect.events.join(", "), seen.events().join(", "));
    if let Some(want) = &expect.current {
        let got: Vec<_> = status.current_metrics.iter().map(numbers).collect();
        check("status.currentMetrics".into(), want.join(", "), got.join(", "));
    }
    if let Some(want) = &expect.requests {
        check("requests".into(), want.join("\n    "), seen.requests.join("\n    "));
    }
    if let Some(want) = expect.fails {
        check("the turn fails".into(), want.to_string(), seen.outcome.error.is_some().to_string());
    }
    differences
}

/// The numbers of a metric's status.
fn numbers(metric: &MetricStatus) -> String {
    let current: Option<&MetricValueStatus> = None
        .or(metric.pods.as_ref().map(|status| &status.current))
        .or(metric.object.as_ref().map(|status| &status.current))
        .or(metric.external.as_ref().map(|status| &status.current))
        .or(metric.resource.as_ref().map(|status| &status.current))
        .or(metric.container_resource.as_ref().map(|status| &status.current));
    let Some(current) = current else {
        return "empty".into();
    };
    let quantities = [&current.value, &current.average_value].into_iter().flatten().map(ToString::to_string);
    let percent = current.average_utilization.map(|percent| format!("{percent}%"));
    quantities.chain(percent).collect::<Vec<_>>().join(" ")
}
