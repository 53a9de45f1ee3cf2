//! The probes of a running container: which results mean that it is started, ready, or to be ended.

use super::probe::{Probe, Tally};
use super::spec::Plan;
use super::status::Board;
use crate::local_client::{EventKind, LocalClient};
use serde_json::Value;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval_at};

/// Probes one run of a container.
pub(super) struct Prober<'a> {
    pub(super) plan: &'a Plan,
    pub(super) pod_ip: Ipv4Addr,
    /// The earliest that a first attempt comes after the start: see the node's `Config`.
    pub(super) first_probe_after: Duration,
    pub(super) board: &'a Board,
    /// Its place on the board.
    pub(super) container: usize,
    pub(super) client: &'a LocalClient,
    /// What events are about.
    pub(super) pod: &'a Value,
    pub(super) field: &'a str,
}

/// Why a container is to be ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unhealthy {
    /// Which probe says so: `startup` or `liveness`.
    pub(super) probe: &'static str,
    /// The grace period that the probe itself names.
    pub(super) grace: Option<Duration>,
}

// === impl Prober ===

impl Prober<'_> {
    /// Keeps the board up to date; ends only when the container is to be ended.
    pub(super) async fn until_unhealthy(&self) -> Unhealthy {
        if let Some(startup) = &self.plan.startup {
            if !self.next_verdict("Startup", startup, startup.initial_delay, &mut Tally::default()).await {
                return Unhealthy { probe: "startup", grace: startup.grace };
            }
            self.board.update(self.container, |state| state.started = true);
        }
        tokio::select! {
            unhealthy = self.liveness() => unhealthy,
            never = self.readiness() => match never {},
        }
    }

    /// Keeps what the board says of readiness up to date.
    pub(super) async fn readiness(&self) -> Infallible {
        let Some(probe) = &self.plan.readiness else { return std::future::pending().await };
        let mut tally = Tally::default();
        let mut delay = probe.initial_delay;
        loop {
            let ready = self.next_verdict("Readiness", probe, delay, &mut tally).await;
            self.board.update(self.container, |state| state.ready = ready);
            delay = probe.period;
        }
    }

    async fn liveness(&self) -> Unhealthy {
        let Some(probe) = &self.plan.liveness else { return std::future::pending().await };
        let mut tally = Tally::default();
        let mut delay = probe.initial_delay;
        while self.next_verdict("Liveness", probe, delay, &mut tally).await {
            delay = probe.period;
        }
        Unhealthy { probe: "liveness", grace: probe.grace }
    }

    /// Probes until the thresholds decide whether the container is well.
    async fn next_verdict(&self, kind: &str, probe: &Probe, delay: Duration, tally: &mut Tally) -> bool {
        let first = tokio::time::Instant::now() + delay.max(self.first_probe_after);
        let mut ticks = interval_at(first, probe.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let result = probe.attempt(self.pod_ip).await;
            if let Err(why) = &result {
                let message = format!("{kind} probe failed: {why}");
                self.client.record(
                    "kubelet",
                    self.pod,
                    self.field,
                    EventKind::Warning,
                    "Unhealthy",
                    &message,
                );
            }
            if let Some(verdict) = tally.count(probe, result.is_ok()) {
                return verdict;
            }
        }
    }
}
