//! One turn of the controller, seen twice: as the cluster shows it and as our algorithm takes it.

use std::time::Duration;

use sandbox_hpa::metrics::{Discovery, Samples, requests};
use sandbox_hpa::normalize::History;
use sandbox_hpa::pod::Pod;
use sandbox_hpa::reconcile::{Config, Inputs, Rival, Scale, needs_metrics, reconcile, rivals_for};
use sandbox_hpa::scenario::{Expect, World};
use sandbox_hpa::selector::Selector;
use sandbox_hpa::spec::{HorizontalPodAutoscaler, Status};
use sandbox_hpa::time::Time;
use serde_json::{Value, json};

use crate::route::plain;

/// How exactly the instant of a turn is known: the controller reads its clock several times within one.
const BLUR: Duration = Duration::from_millis(500);

/// What a turn met and did.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    /// When the scale was answered.
    pub(crate) at: Time,
    /// The HPA's spec; its status is not looked at.
    pub(crate) hpa: HorizontalPodAutoscaler,
    /// What the scale was answered with.
    pub(crate) scale: Result<Scale, String>,
    /// What a change of the scale is answered with, if that fails.
    pub(crate) update_error: Option<String>,
    /// The pods of the namespace.
    pub(crate) pods: Vec<Pod>,
    /// What metrics are answered from.
    pub(crate) world: World,
    /// The replicas that the controller wanted.
    pub(crate) wanted: Option<i32>,
    /// The requests for metrics, in their order.
    pub(crate) requests: Vec<String>,
}

/// Everything of a turn that is compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Picture {
    /// What the scale was to be changed to.
    pub(crate) wanted: Option<i32>,
    /// `status.currentReplicas` and `status.desiredReplicas`.
    pub(crate) replicas: (i64, i64),
    /// The turn changed `status.lastScaleTime`.
    pub(crate) rescaled: bool,
    /// In their order: type, status, reason, and whether the turn changed the time of transition.
    pub(crate) conditions: Vec<(String, String, String, bool)>,
    /// `status.currentMetrics`, as JSON.
    pub(crate) metrics: Value,
    /// Reasons, in their order.
    pub(crate) events: Vec<String>,
    /// Paths and queries, unescaped, in their order.
    pub(crate) requests: Vec<String>,
}

/// A turn as our algorithm takes it.
#[derive(Clone, Debug)]
pub(crate) struct Ours {
    pub(crate) picture: Picture,
    /// What the algorithm remembers afterwards.
    pub(crate) history: History,
    /// The HPA's status afterwards.
    pub(crate) status: Status,
}

// === impl Turn ===

impl Turn {
    /// Takes the turn with our algorithm: at the instant of the turn, and as much before and after as that
    /// instant is uncertain, which matters where an age is next to a window's length.
    pub(crate) fn ours(
        &self,
        history: &History,
        before: &Status,
        rivals: &[Rival],
        config: &Config,
    ) -> [Ours; 3] {
        [self.at, self.at.plus(BLUR), self.at.minus(BLUR)]
            .map(|now| self.taken_at(now, history.clone(), before, rivals, config))
    }

    /// The turn as the cluster shows it, from the HPA's status before and after.
    pub(crate) fn theirs(&self, before: &Value, after: &Value, events: Vec<String>) -> Picture {
        Picture { wanted: self.wanted, requests: self.requests.clone(), events, ..Picture::of(before, after) }
    }

    fn taken_at(
        &self,
        now: Time,
        mut history: History,
        before: &Status,
        rivals: &[Rival],
        config: &Config,
    ) -> Ours {
        let hpa = HorizontalPodAutoscaler { status: before.clone(), ..self.hpa.clone() };
        let (requests, metrics) = self.metrics(rivals);
        let inputs = Inputs {
            hpa: &hpa,
            scale: self.scale.clone(),
            pods: &self.pods,
            rivals,
            metrics: &metrics,
            now,
            config,
        };
        let mut wanted = None;
        let outcome = reconcile(&mut history, &inputs).apply(&mut history, |replicas| {
            wanted = Some(replicas);
            self.update_error.clone().map_or(Ok(()), Err)
        });
        let events = outcome.events.iter().map(|event| event.reason.to_owned()).collect();
        let picture =
            Picture { wanted, requests, events, ..Picture::of(&json!(before), &json!(outcome.status)) };
        Ours { picture, history, status: outcome.status }
    }

    /// The requests that our algorithm makes, and what it reads in the answers.
    fn metrics(&self, rivals: &[Rival]) -> (Vec<String>, Vec<Result<Samples, String>>) {
        let Ok(scale) = &self.scale else {
            return Default::default();
        };
        let selector = Selector::of_scale(&scale.selector).ok().flatten();
        let is_read = |selector: &Selector| {
            needs_metrics(&self.hpa, scale) && rivals_for(selector, &self.pods, rivals).is_empty()
        };
        let Some(selector) = selector.filter(is_read) else {
            return Default::default();
        };
        let mut made = Vec::new();
        let mut read = Vec::new();
        for request in requests(&self.hpa, &selector, &Discovery::default()) {
            read.push(request.and_then(|request| {
                made.push(plain(&request.url()));
                let (code, body) = self.world.answer(&request.path);
                request.decode(code, body.to_string().as_bytes())
            }));
        }
        (made, read)
    }
}

// === impl Picture ===

impl Picture {
    /// Each difference in a line.
    pub(crate) fn differences(&self, theirs: &Self, events: bool) -> Vec<String> {
        let mut differences = Vec::new();
        let mut check = |what: &str, ours: String, theirs: String| {
            if ours != theirs {
                differences.push(format!("{what}: ours {ours}, the controller's {theirs}"));
            }
        };
        let wanted =
            |wanted: Option<i32>| wanted.map_or("left alone".to_owned(), |replicas| replicas.to_string());
        check("scale", wanted(self.wanted), wanted(theirs.wanted));
        check("status.currentReplicas", self.replicas.0.to_string(), theirs.replicas.0.to_string());
        check("status.desiredReplicas", self.replicas.1.to_string(), theirs.replicas.1.to_string());
        check("status.lastScaleTime changed", self.rescaled.to_string(), theirs.rescaled.to_string());
        check("status.conditions", self.conditions_in_words(), theirs.conditions_in_words());
        check("status.currentMetrics", self.metrics.to_string(), theirs.metrics.to_string());
        if events {
            check("events", self.events.join(", "), theirs.events.join(", "));
        }
        check("requests", self.requests.join(" "), theirs.requests.join(" "));
        differences
    }

    /// Where the turn is not what a step of the scenario expects.
    pub(crate) fn unlike(&self, expect: &Expect, replicas: i32) -> bool {
        let desired = i64::from(expect.desired.unwrap_or(expect.replicas));
        let condition = |kind: &String| {
            let known = self.conditions.iter().find(|(known, ..)| known == kind);
            known.map_or("absent".to_owned(), |(_, status, reason, _)| format!("{status} {reason}"))
        };
        replicas != expect.replicas
            || self.replicas.1 != desired
            || self.events != expect.events
            || expect.conditions.iter().any(|(kind, want)| condition(kind) != *want)
    }

    fn of(before: &Value, after: &Value) -> Self {
        let number = |field: &str| after[field].as_i64().unwrap_or(0);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let conditions = list(after, "conditions").iter().map(|condition| {
            let was = list(before, "conditions").iter().find(|was| was["type"] == condition["type"]);
            let moved = was.is_none_or(|was| was["lastTransitionTime"] != condition["lastTransitionTime"]);
            (text(&condition["type"]), text(&condition["status"]), text(&condition["reason"]), moved)
        });
        Self {
            wanted: None,
            replicas: (number("currentReplicas"), number("desiredReplicas")),
            rescaled: before["lastScaleTime"] != after["lastScaleTime"],
            conditions: conditions.collect(),
            metrics: json!(list(after, "currentMetrics")),
            events: Vec::new(),
            requests: Vec::new(),
        }
    }

    fn conditions_in_words(&self) -> String {
        let words = self.conditions.iter().map(|(kind, status, reason, moved)| {
            format!("{kind}={status} {reason}{}", if *moved { " (since now)" } else { "" })
        });
        words.collect::<Vec<_>>().join("; ")
    }
}

fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use sandbox_hpa::scenario::from_yaml;

    use super::*;

    const SCENARIO: &str = r#"
name: n
rule: r
about: a
hpa:
  maxReplicas: 9
  metrics: [{type: Pods, pods: {metric: {name: m}, target: {type: AverageValue, averageValue: "10"}}}]
steps:
  - at: 0
    scale: {replicas: 2}
    pods: 2
    metrics: {m: {pods: {p0: 20, p1: 20}}}
    expect: {replicas: 4, conditions: {ScalingActive: True ValidMetricFound}, events: [SuccessfulRescale]}
"#;

    fn turn() -> Turn {
        let [scenario] = from_yaml(SCENARIO).unwrap().try_into().unwrap();
        let at = Time::from_seconds(1_800_000_000);
        let mut world = World::new(at);
        world.change(&scenario.steps[0]);
        let mut hpa = HorizontalPodAutoscaler { spec: scenario.hpa, ..HorizontalPodAutoscaler::default() };
        hpa.metadata.namespace = "ns".into();
        hpa.apply_defaults();
        Turn {
            at,
            hpa,
            scale: Ok(world.scale.clone()),
            update_error: None,
            pods: world.pods(),
            world,
            wanted: Some(4),
            requests: vec![
                "/apis/custom.metrics.k8s.io/v1beta2/namespaces/ns/pods/*/m?labelSelector=app=web".into(),
            ],
        }
    }

    /// What a cluster shows after that turn.
    fn shown() -> Value {
        let since = "2027-01-15T08:00:01Z";
        let condition = |kind, status, reason| json!({"type": kind, "status": status, "reason": reason, "message": "words", "lastTransitionTime": since});
        json!({
            "currentReplicas": 2, "desiredReplicas": 4, "lastScaleTime": since,
            "currentMetrics": [{"type": "Pods", "pods": {"metric": {"name": "m"}, "current": {"averageValue": "20"}}}],
            "conditions": [
                condition("AbleToScale", "True", "SucceededRescale"),
                condition("ScalingActive", "True", "ValidMetricFound"),
                condition("ScalingLimited", "False", "DesiredWithinRange"),
            ],
        })
    }

    fn differences(turn: &Turn, after: &Value, events: &[&str]) -> Vec<String> {
        let [ours, ..] = turn.ours(&History::default(), &Status::default(), &[], &Config::default());
        let events = events.iter().map(|&event| event.to_owned()).collect();
        ours.picture.differences(&turn.theirs(&json!({}), after, events), true)
    }

    #[test]
    fn the_same_turn_has_no_differences() {
        assert_eq!(differences(&turn(), &shown(), &["SuccessfulRescale"]), Vec::<String>::new());
    }

    #[test]
    fn each_difference_is_told() {
        let check = |turn: Turn, change: &dyn Fn(&mut Value), events: &[&str], want: &str| {
            let mut after = shown();
            change(&mut after);
            let [told] = differences(&turn, &after, events).try_into().unwrap();
            assert_eq!(told, want);
        };
        let same = |_: &mut Value| {};
        let events: &[&str] = &["SuccessfulRescale"];
        check(Turn { wanted: Some(5), ..turn() }, &same, events, "scale: ours 4, the controller's 5");
        check(Turn { wanted: None, ..turn() }, &same, events, "scale: ours 4, the controller's left alone");
        check(turn(), &same, &[], "events: ours SuccessfulRescale, the controller's ");
        let desired = |after: &mut Value| after["desiredReplicas"] = json!(3);
        check(turn(), &desired, events, "status.desiredReplicas: ours 4, the controller's 3");
        let metrics = |after: &mut Value| after["currentMetrics"] = json!([{"type": ""}]);
        let want = r#"status.currentMetrics: ours [{"pods":{"current":{"averageValue":"20"},"metric":{"name":"m"}},"type":"Pods"}], the controller's [{"type":""}]"#;
        check(turn(), &metrics, events, want);
        let condition = |after: &mut Value| {
            after["conditions"].as_array_mut().unwrap().truncate(1);
            after["conditions"][0]["reason"] = json!("ReadyForNewScale");
        };
        let want = "status.conditions: ours AbleToScale=True SucceededRescale (since now); \
            ScalingActive=True ValidMetricFound (since now); ScalingLimited=False DesiredWithinRange (since now), \
            the controller's AbleToScale=True ReadyForNewScale (since now)";
        check(turn(), &condition, events, want);
        let asked = Turn { requests: vec!["/apis".into()], ..turn() };
        let want = "requests: ours /apis/custom.metrics.k8s.io/v1beta2/namespaces/ns/pods/*/m?labelSelector=app=web, the controller's /apis";
        check(asked, &same, events, want);
    }

    #[test]
    fn a_step_is_met_or_not() {
        let [scenario] = from_yaml(SCENARIO).unwrap().try_into().unwrap();
        let expect = &scenario.steps[0].expect;
        let events = vec!["SuccessfulRescale".to_owned()];
        let picture = turn().theirs(&json!({}), &shown(), events);
        assert!(!picture.unlike(expect, 4));
        assert!(picture.unlike(expect, 3));
        assert!(Picture { events: Vec::new(), ..picture.clone() }.unlike(expect, 4));
        assert!(Picture { conditions: Vec::new(), ..picture }.unlike(expect, 4));
    }
}
