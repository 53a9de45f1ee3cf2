//! What pages, events and JSON tell: the facts of one moment, gathered once.

use super::markup::{known, thousands};
use super::routes::Context;
use crate::depth::Reading;
use serde_json::{Value, json};

/// The facts.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) store: bool,
    pub(super) worker: bool,
    pub(super) hostname: String,
    pub(super) queue: String,
    pub(super) broker: String,
    /// Why this instance is not ready; empty when it is.
    pub(super) complaints: Vec<String>,
    pub(super) depth: Option<Reading>,
    /// Orders that were put aside because no worker could finish them.
    pub(super) put_aside: Option<u64>,
    pub(super) own: Own,
}

/// What this instance did since it started.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Own {
    pub(super) submitted: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) busy: u64,
}

/// A number and what it is called: its key for the script, its text, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) key: &'static str,
    pub(super) label: &'static str,
    pub(super) meaning: &'static str,
    pub(super) text: String,
}

// === impl View ===

impl View {
    /// The facts now; the queue's numbers are at most a second old.
    pub(super) async fn now(context: &Context) -> Self {
        let Context { config, shop, .. } = context;
        let (depth, put_aside) = tokio::join!(shop.depth.read(), shop.put_aside.read());
        Self {
            store: config.store,
            worker: config.worker,
            hostname: config.hostname.clone(),
            queue: config.queue.clone(),
            broker: shop.broker.clone(),
            complaints: shop.health.complaints(),
            depth,
            put_aside: put_aside.map(|reading| reading.messages),
            own: Own {
                submitted: shop.metrics.submitted.get(),
                completed: shop.metrics.completed.get(),
                failed: shop.metrics.failed.get(),
                busy: shop.metrics.busy.get(),
            },
        }
    }

    /// The facts for programs.
    pub(super) fn to_json(&self) -> Value {
        let details = self.depth.and_then(|depth| depth.details);
        json!({
            "instance": self.hostname,
            "parts": {"store": self.store, "worker": self.worker},
            "broker": {"address": self.broker, "ready": self.connected(), "complaints": self.complaints},
            "queue": {
                "name": self.queue,
                "messages": self.depth.map(|depth| depth.messages),
                "capped": self.depth.is_some_and(|depth| depth.capped),
                "in_flight": details.map(|details| details.in_flight),
                "workers": details.map(|details| details.consumers),
                "completed": details.map(|details| details.dequeued),
                "failed": self.put_aside,
            },
            "own": {
                "submitted": self.own.submitted,
                "completed": self.own.completed,
                "failed": self.own.failed,
                "busy": self.own.busy > 0,
            },
        })
    }

    /// Whether every part here is connected to the broker.
    pub(super) fn connected(&self) -> bool {
        self.complaints.is_empty()
    }

    /// The connection in a few words.
    pub(super) fn connection(&self) -> String {
        match self.complaints.as_slice() {
            [] => "Connected to the queue".into(),
            complaints => format!("Not ready: {}", complaints.join("; ")),
        }
    }

    /// What this process runs.
    pub(super) fn parts(&self) -> &'static str {
        match (self.store, self.worker) {
            (true, true) => "store and worker",
            (true, false) => "store",
            (false, true) => "worker",
            (false, false) => "queue",
        }
    }

    /// The whole shop's numbers.
    pub(super) fn shop_tiles(&self) -> [Tile; 6] {
        let details = self.depth.and_then(|depth| depth.details);
        let detail = |number: fn(crate::depth::Details) -> u64| known(details.map(number));
        let pending = self.depth.map(|depth| {
            let more = if depth.capped { "+" } else { "" };
            format!("{}{more}", thousands(depth.messages))
        });
        let tile = |key, label, meaning, text| Tile { key, label, meaning, text };
        [
            tile(
                "pending",
                "Pending",
                "Orders that are not done yet. The autoscaler looks at this number.",
                pending.unwrap_or_else(|| known(None)),
            ),
            tile(
                "in-hand",
                "In hand",
                "Orders that a worker is busy with right now.",
                detail(|it| it.in_flight),
            ),
            tile("completed", "Completed", "Orders done since the queue started.", detail(|it| it.dequeued)),
            tile(
                "failed",
                "Failed",
                "Orders put aside because no worker could finish them.",
                known(self.put_aside),
            ),
            tile("workers", "Workers", "Workers that are connected to the queue.", detail(|it| it.consumers)),
            tile(
                "broker",
                "Broker",
                "Whether this instance is connected to the queue.",
                if self.connected() { "Connected" } else { "Away" }.into(),
            ),
        ]
    }

    /// This instance's own numbers.
    pub(super) fn own_tiles(&self) -> Vec<Tile> {
        let tile = |key, label, meaning, text| Tile { key, label, meaning, text };
        let mut tiles = Vec::new();
        if self.store {
            let text = thousands(self.own.submitted);
            tiles.push(tile("sold", "Sold here", "Orders that this instance took.", text));
        }
        if self.worker {
            let text = thousands(self.own.completed);
            tiles.push(tile("made", "Made here", "Orders that this instance worked off.", text));
            let meaning = "Orders that this instance had in hand and could not finish; others got them.";
            tiles.push(tile("lost", "Let go here", meaning, thousands(self.own.failed)));
            let text = match self.own.busy {
                0 => "Idle".into(),
                1 => "Busy".into(),
                many => format!("Busy with {}", thousands(many)),
            };
            tiles.push(tile("worker", "Worker here", "What this instance's worker does right now.", text));
        }
        tiles
    }
}
