//! What a pod's status says, from what its containers do. Follows `pkg/kubelet/{kubelet_pods.go,status/generate.go}`.

use super::spec::{PodSpec, RestartPolicy};
use crate::clock::rfc3339;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What one container does at the moment, and did before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ContainerState {
    pub(super) now: Phase,
    /// How the run before this one ended.
    pub(super) last: Option<Termination>,
    /// How often it was started again.
    pub(super) restarts: u64,
    /// Whether its startup probe has succeeded, or it has none and runs.
    pub(super) started: bool,
    /// What its readiness probe says; true without one.
    pub(super) ready: bool,
}

/// The three states of a container.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    Waiting { reason: &'static str, message: String },
    Running { since: Timestamp, id: String },
    Terminated(Termination),
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Termination {
    pub(super) exit_code: i32,
    pub(super) signal: Option<i32>,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) started_at: Timestamp,
    pub(super) finished_at: Timestamp,
    /// Names the run; empty if the program could not be started.
    pub(super) id: String,
}

/// The states of a pod's containers, written by those who run them and read by who reports.
#[derive(Debug)]
pub(super) struct Board {
    states: Mutex<Vec<ContainerState>>,
    changed: Notify,
}

/// What a status says besides the containers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) pod_ip: Ipv4Addr,
    pub(super) host_ip: Ipv4Addr,
    pub(super) started_at: Timestamp,
    /// Whether the pod is being ended and its containers have all ended.
    pub(super) is_over: bool,
}

/// The status to write over `present`.
pub(super) fn pod_status(
    present: &Value,
    spec: &PodSpec,
    states: &[ContainerState],
    place: Place,
    now: Timestamp,
) -> Value {
    let phase = phase(states, spec.restart, place.is_over);
    let unready: Vec<&str> = spec
        .containers
        .iter()
        .zip(states)
        .filter(|(_, state)| !state.is_ready())
        .map(|(container, _)| &*container.name)
        .collect();
    let readiness = match (phase, unready.is_empty()) {
        ("Succeeded", _) => ("False", "PodCompleted", String::new()),
        ("Failed", _) => ("False", "PodFailed", String::new()),
        (_, true) => ("True", "", String::new()),
        (_, false) => {
            let message = format!("containers with unready status: [{}]", unready.join(" "));
            ("False", "ContainersNotReady", message)
        }
    };
    let yes = || ("True", "", String::new());
    let conditions = [
        ("PodReadyToStartContainers", yes()),
        ("Initialized", yes()),
        ("Ready", readiness.clone()),
        ("ContainersReady", readiness),
        ("PodScheduled", yes()),
    ];
    let conditions = conditions.map(|(kind, condition)| renewed(present, kind, condition, now));
    let containers = spec.containers.iter().zip(states).map(|(container, state)| {
        let mut status = state.to_json();
        status["name"] = container.name.as_str().into();
        status["image"] = container.image.as_str().into();
        status["imageID"] = container.image.as_str().into();
        status
    });
    json!({
        "phase": phase,
        "conditions": conditions,
        "hostIP": place.host_ip.to_string(),
        "hostIPs": [{"ip": place.host_ip.to_string()}],
        "podIP": place.pod_ip.to_string(),
        "podIPs": [{"ip": place.pod_ip.to_string()}],
        "startTime": rfc3339(place.started_at),
        "containerStatuses": containers.collect::<Vec<_>>(),
    })
}

/// The phase of a pod. One that crashes again and again is Running, as it is in a cluster.
fn phase(states: &[ContainerState], restart: RestartPolicy, is_over: bool) -> &'static str {
    let mut stopped = states.iter().filter_map(ContainerState::ended);
    if is_over {
        // Containers that never ran did not fail.
        return if stopped.all(|end| end.exit_code == 0) { "Succeeded" } else { "Failed" };
    }
    if states.iter().any(|state| matches!(state.now, Phase::Waiting { .. }) && state.last.is_none()) {
        return "Pending";
    }
    if states.iter().any(|state| matches!(state.now, Phase::Running { .. })) {
        return "Running";
    }
    if stopped.clone().any(|end| restart.restarts(end.exit_code)) {
        return "Running";
    }
    if stopped.all(|end| end.exit_code == 0) { "Succeeded" } else { "Failed" }
}

/// The condition; its time stays while its status does.
fn renewed(
    present: &Value,
    kind: &str,
    (status, reason, message): (&str, &str, String),
    now: Timestamp,
) -> Value {
    let conditions = present["conditions"].as_array();
    let same = conditions.into_iter().flatten().find(|c| c["type"] == kind && c["status"] == status);
    let since = same.map_or_else(|| json!(rfc3339(now)), |same| same["lastTransitionTime"].clone());
    let mut condition =
        json!({"type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": since});
    for (field, text) in [("reason", reason), ("message", &message)] {
        if !text.is_empty() {
            condition[field] = text.into();
        }
    }
    condition
}

// === impl ContainerState ===

impl ContainerState {
    /// A container that has not been started yet.
    pub(super) fn new() -> Self {
        Self {
            now: Phase::Waiting { reason: "ContainerCreating", message: String::new() },
            last: None,
            restarts: 0,
            started: false,
            ready: false,
        }
    }

    /// It cannot run for now.
    pub(super) fn wait(&mut self, reason: &'static str, message: String) {
        self.begin(Phase::Waiting { reason, message });
    }

    /// It runs; `probed` says whether a startup and a readiness probe have yet to say so.
    pub(super) fn run(&mut self, since: Timestamp, id: String, has_startup: bool, has_readiness: bool) {
        self.begin(Phase::Running { since, id });
        self.started = !has_startup;
        self.ready = !has_readiness;
    }

    /// It has ended.
    pub(super) fn end(&mut self, termination: Termination) {
        self.begin(Phase::Terminated(termination));
    }

    /// Whether it counts as ready.
    fn is_ready(&self) -> bool {
        matches!(self.now, Phase::Running { .. }) && self.started && self.ready
    }

    /// Its last end, unless it runs again.
    fn ended(&self) -> Option<&Termination> {
        match &self.now {
            Phase::Terminated(end) => Some(end),
            Phase::Waiting { .. } => self.last.as_ref(),
            Phase::Running { .. } => None,
        }
    }

    fn begin(&mut self, phase: Phase) {
        if let Phase::Terminated(end) = std::mem::replace(&mut self.now, phase) {
            self.last = Some(end);
        }
        self.started = false;
        self.ready = false;
    }

    fn to_json(&self) -> Value {
        let (now, id) = match &self.now {
            Phase::Waiting { reason, message } if message.is_empty() => {
                (json!({"waiting": {"reason": reason}}), "")
            }
            Phase::Waiting { reason, message } => {
                let last = self.last.as_ref().map_or("", |last| &last.id);
                (json!({"waiting": {"reason": reason, "message": message}}), last)
            }
            Phase::Running { since, id } => (json!({"running": {"startedAt": rfc3339(*since)}}), &**id),
            Phase::Terminated(end) => (json!({"terminated": end.to_json()}), &*end.id),
        };
        let mut status = json!({
            "ready": self.is_ready(),
            "started": self.started,
            "restartCount": self.restarts,
            "state": now,
            "lastState": self.last.as_ref().map_or_else(|| json!({}), |last| json!({"terminated": last.to_json()})),
        });
        if !id.is_empty() {
            status["containerID"] = id.into();
        }
        status
    }
}

// === impl Termination ===

impl Termination {
    fn to_json(&self) -> Value {
        let mut end = json!({
            "exitCode": self.exit_code,
            "reason": self.reason,
            "startedAt": rfc3339(self.started_at),
            "finishedAt": rfc3339(self.finished_at),
        });
        if let Some(signal) = self.signal {
            end["signal"] = signal.into();
        }
        for (field, text) in [("message", &self.message), ("containerID", &self.id)] {
            if !text.is_empty() {
                end[field] = text.as_str().into();
            }
        }
        end
    }
}

// === impl Board ===

impl Board {
    /// For this many containers that have not been started yet.
    pub(super) fn new(containers: usize) -> Self {
        Self { states: Mutex::new(vec![ContainerState::new(); containers]), changed: Notify::new() }
    }

    /// Changes the state of a container, and wakes who reports if that made a difference.
    pub(super) fn update(&self, container: usize, change: impl FnOnce(&mut ContainerState)) {
        let mut states = self.lock();
        let Some(state) = states.get_mut(container) else { return };
        let before = state.clone();
        change(state);
        if *state != before {
            self.changed.notify_one();
        }
    }

    pub(super) fn states(&self) -> Vec<ContainerState> {
        self.lock().clone()
    }

    /// Waits until something has changed since the last such wait.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ContainerState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
