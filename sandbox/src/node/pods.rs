//! Which pods the node has: takes those that the scheduler gives it, and tells them when to end.

use super::Shared;
use super::pod::{self, End};
use crate::apiserver::{Key, known};
use crate::local_client::seconds;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

/// The pods of this node and the tasks that run them.
pub(super) struct Pods {
    shared: Arc<Shared>,
    /// By UID.
    known: HashMap<String, Known>,
    tasks: JoinSet<String>,
}

struct Known {
    end: watch::Sender<Option<End>>,
    /// The grace period under which the pod was told to end, in seconds.
    grace: Option<u64>,
}

// === impl Pods ===

impl Pods {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, known: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Starts the pods that are new, and ends those that are to be.
    pub(super) fn sync(&mut self) {
        let mut present: HashMap<String, (Key, Arc<Value>)> = HashMap::new();
        for (key, pod) in self.shared.client.list(known("", "pods")) {
            if pod["spec"]["nodeName"] == self.shared.config.name.as_str()
                && let Some(uid) = pod["metadata"]["uid"].as_str()
            {
                present.insert(uid.to_owned(), (key, pod));
            }
        }
        for (uid, known) in &mut self.known {
            let grace = match present.get(uid) {
                // Removed by force.
                None => Some(0),
                Some((_, pod)) => grace_of(pod),
            };
            if let Some(grace) = grace
                && known.grace.is_none_or(|before| grace < before)
            {
                known.grace = Some(grace);
                known.end.send_replace(Some(end_in(grace)));
            }
        }
        for (uid, (key, pod)) in present {
            let has_ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
            if has_ended || self.known.contains_key(&uid) {
                continue;
            }
            let grace = grace_of(&pod);
            let (end, ordered) = watch::channel(grace.map(end_in));
            self.known.insert(uid.clone(), Known { end, grace });
            let shared = self.shared.clone();
            self.tasks.spawn(async move {
                pod::run(shared, key, pod, ordered).await;
                uid
            });
        }
    }

    /// Waits until a pod is over, and forgets it; for ever if there is none. Safe to cancel.
    pub(super) async fn one_is_over(&mut self) {
        match self.tasks.join_next().await {
            Some(ended) => self.forget(ended),
            None => std::future::pending().await,
        }
    }

    fn forget(&mut self, ended: Result<String, JoinError>) {
        match ended {
            Ok(uid) => drop(self.known.remove(&uid)),
            Err(error) => tracing::error!(%error, "a pod could not be looked after"),
        }
    }

    /// Ends all pods and waits for them.
    pub(super) async fn end(&mut self) {
        let deadline = Instant::now() + self.shared.config.shutdown_grace;
        for known in self.known.values() {
            known.end.send_modify(|end| {
                let earlier = end.map_or(deadline, |end| end.deadline.min(deadline));
                *end = Some(End { deadline: earlier, delete: end.is_some_and(|end| end.delete) });
            });
        }
        while let Some(ended) = self.tasks.join_next().await {
            self.forget(ended);
        }
    }
}

/// The grace period of a pod that is to end, in seconds.
fn grace_of(pod: &Value) -> Option<u64> {
    let metadata = &pod["metadata"];
    (!metadata["deletionTimestamp"].is_null())
        .then(|| metadata["deletionGracePeriodSeconds"].as_u64().unwrap_or(0))
}

fn end_in(grace: u64) -> End {
    End { deadline: Instant::now() + seconds(grace), delete: true }
}
