//! Reads what a Deployment wishes, with the defaults of `pkg/apis/apps/v1/defaults.go`.

use super::rollout::Share;
use crate::local_client::seconds;
use serde_json::Value;
use std::time::Duration;

/// A Deployment's spec.
#[derive(Debug)]
pub(super) struct Wish<'a> {
    pub(super) replicas: u64,
    pub(super) template: &'a Value,
    pub(super) strategy: Strategy,
    pub(super) paused: bool,
    pub(super) min_ready_seconds: u64,
    /// How long a rollout may go on without progress. Default 600 s.
    pub(super) progress_deadline: Duration,
    /// How many old ReplicaSets are kept. Default 10.
    pub(super) history_limit: u64,
}

/// How pods of one template give way to those of the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Strategy {
    /// All old ones end before the first new one starts.
    Recreate,
    /// Some at a time. Default 25% either way.
    RollingUpdate { max_surge: Share, max_unavailable: Share },
}

// === impl Wish ===

impl<'a> Wish<'a> {
    pub(super) fn parse(deployment: &'a Value) -> Self {
        let spec = &deployment["spec"];
        let number = |field: &str, default: u64| spec[field].as_u64().unwrap_or(default);
        let strategy = match spec["strategy"]["type"].as_str() {
            Some("Recreate") => Strategy::Recreate,
            _ => {
                let rolling = &spec["strategy"]["rollingUpdate"];
                Strategy::RollingUpdate {
                    max_surge: Share::parse(&rolling["maxSurge"]),
                    max_unavailable: Share::parse(&rolling["maxUnavailable"]),
                }
            }
        };
        Self {
            replicas: number("replicas", 1),
            template: &spec["template"],
            strategy,
            paused: spec["paused"] == true,
            min_ready_seconds: number("minReadySeconds", 0),
            progress_deadline: seconds(number("progressDeadlineSeconds", 600)),
            history_limit: number("revisionHistoryLimit", 10),
        }
    }
}
