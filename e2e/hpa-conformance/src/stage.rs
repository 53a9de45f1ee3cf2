//! One scenario in its namespace: what the controller meets there, turn by turn.
//!
//! A turn begins when the controller reads the scale of the target, and it is over when it reads it again: a
//! controller never works on one HPA twice at a time. So when that request arrives, the turn before it is
//! compared, the next step's changes are made if it is due, and only then is the request answered. The one
//! thing that cannot wait for that is the HPA's own spec, which the controller has read already: it is
//! changed while no turn is under way.

use std::sync::Arc;
use std::time::Duration;

use sandbox_hpa::normalize::History;
use sandbox_hpa::pod::Pod;
use sandbox_hpa::reconcile::{Config, Rival, Scale};
use sandbox_hpa::scenario::{Scenario, Step, World};
use sandbox_hpa::spec::{HorizontalPodAutoscaler, Status};
use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use crate::clock;
use crate::cluster::Cluster;
use crate::events::Ledger;
use crate::manifests::{NAME, RIVAL_METRIC};
use crate::pods;
use crate::registration::TARGET_GROUP;
use crate::report::Verdict;
use crate::route::plain;
use crate::server::{Answer, status};
use crate::turn::{Ours, Turn};

/// How long the controller's caches may take to hear of changed pods and HPAs.
const CACHES: Duration = Duration::from_millis(500);
/// How long after its last request a turn is surely over.
const QUIET: Duration = Duration::from_millis(1500);
/// When a change of the scale is refused, the controller reads the scale once more within the same turn, at
/// once.
const AGAIN: Duration = Duration::from_millis(500);
/// How long events may take to arrive.
const EVENTS: Duration = Duration::from_secs(4);

/// A scenario that is being played.
pub(crate) struct Stage {
    cluster: Cluster,
    config: Config,
    namespace: String,
    scenario: Scenario,
    rivals: Vec<Rival>,
    state: Mutex<State>,
    finished: Notify,
    rivals_seen: Notify,
}

struct State {
    world: World,
    /// The HPA with the spec that the cluster has.
    hpa: HorizontalPodAutoscaler,
    /// The pods that the cluster has.
    pods: Vec<Pod>,
    /// The index of the step whose changes are made.
    step: usize,
    /// The spec of the step after it is in the cluster.
    spec_is_ahead: bool,
    /// How many turns of the step were compared.
    turns_of_step: u32,
    /// How many turns were compared.
    turns: u32,
    /// When the first turn began.
    first: Option<Instant>,
    open: Option<Turn>,
    /// When something of the open turn was last asked for.
    touched: Instant,
    /// When a change of the scale was last refused.
    refused: Option<Instant>,
    /// What our algorithm remembers.
    history: History,
    /// The HPA's status as our algorithm leaves it.
    ours: Status,
    /// The HPA's status as the controller leaves it, as JSON.
    theirs: Value,
    ledger: Ledger,
    /// Every step came out as the scenario says, too.
    as_written: bool,
    verdict: Option<Verdict>,
}

// === impl Stage ===

impl Stage {
    /// Prepares a scenario of the namespace `namespace`; its first step's changes are made to the world and
    /// not yet to the cluster.
    pub(crate) fn new(
        cluster: Cluster,
        config: Config,
        namespace: String,
        scenario: Scenario,
    ) -> Result<Self, String> {
        let rival = |(name, selector): (&String, &String)| match selector.parse() {
            Ok(selector) => Ok(Rival { name: name.clone(), selector }),
            Err(error) => Err(format!("otherHpas.{name}: {error}")),
        };
        let rivals = scenario.other_hpas.iter().map(rival).collect::<Result<_, String>>()?;
        let mut world = World::new(clock::now());
        world.change(scenario.steps.first().ok_or("there are no steps")?);
        let state = State {
            world,
            hpa: HorizontalPodAutoscaler::default(),
            pods: Vec::new(),
            step: 0,
            spec_is_ahead: false,
            turns_of_step: 0,
            turns: 0,
            first: None,
            open: None,
            touched: Instant::now(),
            refused: None,
            history: History::default(),
            ours: Status::default(),
            theirs: json!({}),
            ledger: Ledger::default(),
            as_written: true,
            verdict: None,
        };
        Ok(Self {
            cluster,
            config,
            namespace,
            scenario,
            rivals,
            state: Mutex::new(state),
            finished: Notify::new(),
            rivals_seen: Notify::new(),
        })
    }

    /// Makes the first step's pods.
    pub(crate) async fn make_pods(&self) -> Result<(), String> {
        let mut state = self.state.lock().await;
        let wanted = state.world.pods();
        let made = pods::change(&self.cluster, &self.namespace, &[], &wanted).await;
        made.map_err(|error| error.to_string())?;
        state.pods = pods::list(&self.cluster, &self.namespace).await?;
        Ok(())
    }

    /// Takes note of the HPA that the cluster has made of a spec, `object`.
    pub(crate) async fn meet(&self, object: &Value) -> Result<(), String> {
        self.state.lock().await.meet(&self.namespace, object)
    }

    /// Waits until the controller has seen the selectors of the other HPAs.
    pub(crate) async fn rivals_are_known(&self) {
        for _ in &self.rivals {
            self.rivals_seen.notified().await;
        }
    }

    /// Waits until the scenario is played, or differs.
    pub(crate) async fn verdict(&self) -> Verdict {
        loop {
            if let Some(verdict) = self.state.lock().await.verdict.clone() {
                return verdict;
            }
            self.finished.notified().await;
        }
    }

    /// How far the play came, for when it comes no further.
    pub(crate) async fn progress(&self) -> String {
        let state = self.state.lock().await;
        format!("{} turns, in step {} of {}", state.turns, state.step + 1, self.scenario.steps.len())
    }

    /// Answers a read of the scale: the turn before this one is over.
    pub(crate) async fn read_scale(self: Arc<Self>, target: &str) -> Answer {
        if let Some(rival) = self.rivals.iter().find(|rival| rival.name == target) {
            let selector = rival.selector.to_string();
            return self.scale(target, &Scale { replicas: 1, status_replicas: 1, selector });
        }
        let mut state = self.state.lock().await;
        if state.refused.is_some_and(|refused| refused.elapsed() < AGAIN) {
            state.refused = None;
            return self.scale(target, &state.world.scale);
        }
        if state.verdict.is_none() {
            let result = self.next_turn(&mut state).await;
            if let Err(error) = result {
                state.verdict = Some(Verdict::Broken(error));
            }
        }
        if state.verdict.is_some() {
            self.finished.notify_one();
        } else if let Some(spec) = self.next_step(&state).and_then(|step| step.hpa.clone())
            && !state.spec_is_ahead
            && state.turns_of_step == 0
        {
            let due = state.first.unwrap_or_else(Instant::now) + self.due(state.step + 1);
            let stage = self.clone();
            tokio::spawn(async move { stage.change_spec(&spec, due).await });
        }
        let step = self.scenario.steps.get(state.step);
        match step.and_then(|step| step.scale.read_error.as_ref()) {
            Some(error) => status(404, error),
            None => self.scale(target, &state.world.scale),
        }
    }

    /// Answers a change of the scale.
    pub(crate) async fn write_scale(&self, target: &str, replicas: i32) -> Answer {
        let mut state = self.state.lock().await;
        state.touched = Instant::now();
        let step = self.scenario.steps.get(state.step);
        let error = step.and_then(|step| step.scale.update_error.as_ref());
        if let Some(turn) = &mut state.open {
            turn.wanted = Some(replicas);
        }
        match error {
            Some(error) => {
                state.refused = Some(Instant::now());
                status(403, error)
            }
            None => {
                state.world.scale.replicas = replicas;
                self.scale(target, &state.world.scale)
            }
        }
    }

    /// Answers a request for a metric.
    pub(crate) async fn metric(&self, path: &str, query: &str) -> Answer {
        if path.ends_with(RIVAL_METRIC) {
            self.rivals_seen.notify_one();
            return status(404, "this HPA is only there to have a selector");
        }
        let mut state = self.state.lock().await;
        state.touched = Instant::now();
        match &mut state.open {
            Some(turn) => {
                let query = if query.is_empty() { String::new() } else { format!("?{query}") };
                turn.requests.push(plain(&format!("{path}{query}")));
                turn.world.answer(path)
            }
            None => status(404, "no turn is under way"),
        }
    }

    async fn next_turn(&self, state: &mut State) -> Result<(), String> {
        if let Some(turn) = state.open.take() {
            self.compare(state, &turn).await?;
            if state.verdict.is_some() {
                return Ok(());
            }
        }
        let first = *state.first.get_or_insert_with(Instant::now);
        if state.turns_of_step > 0 {
            match self.next_step(state) {
                None => {
                    state.verdict =
                        Some(Verdict::Agrees { turns: state.turns, as_written: state.as_written });
                    return Ok(());
                }
                Some(step)
                    if Instant::now() >= first + self.due(state.step + 1)
                        && (step.hpa.is_none() || state.spec_is_ahead) =>
                {
                    self.make(state, step).await?;
                }
                Some(_) => {}
            }
        }
        let step = self.scenario.steps.get(state.step);
        let change = step.map(|step| step.scale.clone()).unwrap_or_default();
        state.touched = Instant::now();
        state.open = Some(Turn {
            at: clock::now(),
            hpa: state.hpa.clone(),
            scale: change.read_error.map_or_else(|| Ok(state.world.scale.clone()), Err),
            update_error: change.update_error,
            pods: state.pods.clone(),
            world: state.world.clone(),
            wanted: None,
            requests: Vec::new(),
        });
        Ok(())
    }

    /// Makes a step's changes.
    async fn make(&self, state: &mut State, step: &Step) -> Result<(), String> {
        let before = state.world.pods();
        state.world.change(step);
        let after = state.world.pods();
        let changed = pods::change(&self.cluster, &self.namespace, &before, &after).await;
        if changed.map_err(|error| error.to_string())? {
            state.pods = pods::list(&self.cluster, &self.namespace).await?;
            tokio::time::sleep(CACHES).await;
        }
        state.step += 1;
        state.turns_of_step = 0;
        state.spec_is_ahead = false;
        Ok(())
    }

    /// Compares a turn that is over.
    async fn compare(&self, state: &mut State, turn: &Turn) -> Result<(), String> {
        let ours = turn.ours(&state.history, &state.ours, &self.rivals, &self.config);
        let deadline = Instant::now() + EVENTS;
        loop {
            let path = self.hpa_path();
            let object = self.cluster.get(&path).await.map_err(|error| error.to_string())?;
            let news = state.ledger.news(&self.cluster, &self.namespace).await;
            let (events, ledger) = news.map_err(|error| error.to_string())?;
            let theirs = turn.theirs(&state.theirs, &object["status"], events);
            let same = |ours: &&Ours| {
                let with_events = !state.ledger.is_full(ours.picture.events.len());
                ours.picture.differences(&theirs, with_events).is_empty()
            };
            let found = ours.iter().find(same).cloned();
            let is_late = Instant::now() > deadline;
            if found.is_none() && !is_late {
                tokio::time::sleep(Duration::from_millis(250)).await;
                continue;
            }
            let step = self.scenario.steps.get(state.step);
            let mut differences = Vec::new();
            if let Some(step) = step.filter(|_| state.turns_of_step == 0) {
                let replicas = match (&turn.scale, turn.wanted) {
                    (Ok(_), Some(wanted)) if turn.update_error.is_none() => wanted,
                    _ => turn.world.scale.replicas,
                };
                let unlike = theirs.unlike(&step.expect, replicas);
                state.as_written &= !unlike;
                if unlike && state.turns == 0 {
                    // No turn came in between: the file is wrong.
                    differences
                        .push("the controller's first turn is not what the scenario expects".to_owned());
                }
                differences.extend(unlike_messages(step, &object["status"]));
            }
            match found {
                Some(ours) => {
                    state.history = ours.history;
                    state.ours = ours.status;
                }
                None => {
                    let with_events = !state.ledger.is_full(0);
                    differences.extend(ours[0].picture.differences(&theirs, with_events));
                }
            }
            if !differences.is_empty() {
                let at = step.map_or(0, |step| step.at);
                state.verdict = Some(Verdict::Differs { at, turn: state.turns + 1, differences });
            }
            state.ledger = ledger;
            state.theirs = object["status"].clone();
            state.turns += 1;
            state.turns_of_step += 1;
            return Ok(());
        }
    }

    /// Changes the HPA's spec, not before `due` and while no turn is under way.
    async fn change_spec(&self, spec: &sandbox_hpa::spec::Spec, due: Instant) {
        tokio::time::sleep_until(due).await;
        loop {
            let mut state = self.state.lock().await;
            if state.verdict.is_some() {
                return;
            }
            if state.touched.elapsed() > QUIET {
                let path = self.hpa_path();
                let mut wanted = crate::manifests::hpa(NAME, spec);
                let patch = json!([{"op": "replace", "path": "/spec", "value": wanted["spec"].take()}]);
                let result = match self.cluster.patch(&path, &patch).await {
                    Ok(object) => state.meet(&self.namespace, &object),
                    Err(error) => Err(error.to_string()),
                };
                state.spec_is_ahead = true;
                if let Err(error) = result {
                    state.verdict = Some(Verdict::Broken(error));
                    self.finished.notify_one();
                }
                return;
            }
            drop(state);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn next_step(&self, state: &State) -> Option<&Step> {
        self.scenario.steps.get(state.step + 1)
    }

    /// When a step is due, after the first turn.
    fn due(&self, step: usize) -> Duration {
        let at = |index: usize| self.scenario.steps.get(index).map_or(0, |step| step.at);
        Duration::from_secs(at(step).saturating_sub(at(0)).into())
    }

    fn hpa_path(&self) -> String {
        format!("/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers/{NAME}", self.namespace)
    }

    fn scale(&self, target: &str, scale: &Scale) -> Answer {
        let Scale { replicas, status_replicas, selector } = scale;
        (
            200,
            json!({
                "kind": "Scale", "apiVersion": "autoscaling/v1",
                "metadata": {"name": target, "namespace": self.namespace, "resourceVersion": "1", "uid": format!("{TARGET_GROUP}-{target}")},
                "spec": {"replicas": replicas},
                "status": {"replicas": status_replicas, "selector": selector},
            }),
        )
    }
}

// === impl State ===

impl State {
    /// The HPA with the defaults that the cluster's API server gave it must have those that we would give.
    fn meet(&mut self, namespace: &str, object: &Value) -> Result<(), String> {
        let read = json!({"metadata": {"name": NAME, "namespace": namespace}, "spec": object["spec"]});
        let hpa: HorizontalPodAutoscaler =
            serde_json::from_value(read).map_err(|error| format!("the HPA cannot be read: {error}"))?;
        self.hpa = hpa;
        Ok(())
    }
}

/// Which texts that come from elsewhere did not get into the conditions.
fn unlike_messages(step: &Step, status: &Value) -> Vec<String> {
    let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let message = |kind: &str| {
        let known = conditions.iter().find(|condition| condition["type"] == kind);
        known.and_then(|condition| condition["message"].as_str()).unwrap_or_default()
    };
    let unlike = step.expect.messages.iter().filter(|(kind, want)| !message(kind).contains(want.as_str()));
    unlike
        .map(|(kind, want)| {
            format!("message of {kind}: {want:?} is not in the controller's {:?}", message(kind))
        })
        .collect()
}
