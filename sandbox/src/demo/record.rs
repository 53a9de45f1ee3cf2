//! What a run has shown, as plain data: what is drawn, told and judged is drawn from here alone.
//!
//! It is written as `run.json` beside the report, so that a report can be made again from a run.

use super::accounting::Account;
use serde::{Deserialize, Serialize};

/// One run of the demo.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Where it ran, for people.
    pub cluster: String,
    /// When the order was placed, RFC 3339; empty before that.
    pub ordered_at: String,
    /// How many seconds of a cluster passed in one second of the run.
    pub pace: u32,
    /// How many items were ordered.
    pub items: u32,
    /// What was seen, in the order of time.
    pub samples: Vec<Sample>,
    /// What the autoscaler decided and said, in the order of time.
    pub decisions: Vec<Decision>,
    /// What became of the orders; `None` while they have not been counted.
    pub account: Option<Account>,
    /// What the run lacked; `None` when the loop has closed and every order was processed as often as it should be.
    pub missing: Option<String>,
}

/// What was seen at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds since the order; negative before it.
    pub at: f64,
    /// What the shop's page said of the queue; `None` if it did not answer or did not know.
    pub queue: Option<Queue>,
    /// What the metrics API answered for `messages`; `None` if it had no value.
    pub served: Option<Served>,
    /// The workers.
    pub workers: Workers,
    /// What the autoscaler's status said.
    pub autoscaler: Autoscaler,
    /// What is wrong with pods.
    pub troubles: Vec<Trouble>,
}

/// The shop's queue, as the shop tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Orders that are not done.
    pub messages: u64,
    /// Orders done since the queue started; `None` if the broker does not say.
    pub done: Option<u64>,
}

/// A value of the metrics API.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Served {
    /// The value: the largest of the pods', each of which shows the whole queue.
    pub value: f64,
    /// How old the oldest of the pods' samples was when it was answered, in seconds. The API tells whole seconds, so that
    /// up to one of them may not have passed.
    pub age: f64,
}

/// The worker's Deployment and pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workers {
    /// `spec.replicas`: what the autoscaler last asked for.
    pub wanted: u64,
    /// Pods that are ready and not ending.
    pub ready: u64,
    /// Pods that exist, those that are ending included.
    pub pods: u64,
}

/// The autoscaler's own view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autoscaler {
    /// Whether it can act on its metric: the condition `ScalingActive`.
    pub active: bool,
    /// The reasons of its conditions that say most, separated by commas; empty before its first turn.
    pub reasons: String,
    /// The message that goes with the first of them.
    pub message: String,
}

/// What the autoscaler did or complained about: an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Seconds since the order, when it was first seen.
    pub at: f64,
    /// Whether it is a complaint.
    pub warning: bool,
    /// The event's reason, such as `SuccessfulRescale`.
    pub reason: String,
    /// The event's message.
    pub message: String,
}

/// A container that does not run as it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The pod.
    pub pod: String,
    /// The container in it.
    pub container: String,
    /// Why it waits, such as `CrashLoopBackOff`, or how it ended last.
    pub reason: String,
    /// How often it was started again.
    pub restarts: u64,
    /// Whether it waits now, rather than running again.
    pub waits: bool,
}

// === impl Trouble ===

impl Trouble {
    /// One line for people.
    pub fn text(&self) -> String {
        let times = match self.restarts {
            0 => String::new(),
            1 => ", restarted once".to_owned(),
            more => format!(", restarted {more} times"),
        };
        format!("{}: {}{times}", self.pod, self.reason)
    }
}
