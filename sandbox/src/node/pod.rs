//! The life of one pod: an address, its containers, and its status in the API.

use super::Shared;
use super::container::Runner;
use super::log::folder_of;
use super::network::PodIp;
use super::spec::PodSpec;
use super::status::{Board, Place, pod_status};
use crate::apiserver::{Key, Part, known};
use crate::local_client::note;
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A pod that this node runs.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) key: Key,
    /// As it was when the node took it; its spec does not change.
    pub(super) object: Arc<Value>,
    pub(super) spec: PodSpec,
    pub(super) ip: PodIp,
    started_at: Timestamp,
}

/// The end of a pod, as the node orders it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct End {
    /// When it must be over.
    pub(super) deadline: Instant,
    /// Whether the pod is to disappear from the API too, rather than stay because only the node ends.
    pub(super) delete: bool,
}

/// Runs a pod until it is over.
pub(super) async fn run(
    shared: Arc<Shared>,
    key: Key,
    object: Arc<Value>,
    mut end: watch::Receiver<Option<End>>,
) {
    let Some(ip) = shared.network.pod_ip() else {
        tracing::error!(pod = %key.name, "there are no addresses left for pods");
        return remove(&shared, &key, &object, end).await;
    };
    let pod =
        Arc::new(Pod { spec: PodSpec::parse(&object), ip, started_at: shared.client.now(), key, object });
    let board = Arc::new(Board::new(pod.spec.containers.len()));
    let (deadline, observed) = watch::channel(end.borrow_and_update().map(|end| end.deadline));
    let mut containers = JoinSet::new();
    for index in 0..pod.spec.containers.len() {
        let (shared, pod, board) = (shared.clone(), pod.clone(), board.clone());
        containers.spawn(Runner { shared, pod, index, board, deadline: observed.clone() }.run());
    }
    while !containers.is_empty() {
        pod.report(&shared, &board, false);
        tokio::select! {
            () = board.changed() => {}
            Some(ended) = containers.join_next() => if let Err(error) = ended {
                tracing::error!(%error, pod = %pod.key.name, "a container could not be looked after");
            },
            changed = end.changed() => {
                let until = *end.borrow_and_update();
                // A node that is gone wants everything to end now.
                let until = if changed.is_ok() { until.map(|end| end.deadline) } else { Some(Instant::now()) };
                deadline.send_replace(until);
                if changed.is_err() {
                    break;
                }
            }
        }
    }
    // When only the node ends, the pod is not over: it is as it was, without its containers.
    let is_over = end.borrow().is_some_and(|end| end.delete);
    pod.report(&shared, &board, is_over);
    remove(&shared, &pod.key, &pod.object, end).await;
}

/// Waits until a pod that runs nothing any more is to end, and lets go of it.
async fn remove(shared: &Shared, key: &Key, object: &Value, mut end: watch::Receiver<Option<End>>) {
    // Nobody who says so: the node is gone.
    let delete = match end.wait_for(Option::is_some).await {
        Ok(end) => end.is_some_and(|end| end.delete),
        Err(_) => return,
    };
    shared.logs.retire(&folder_of(&key.namespace, &key.name));
    if delete {
        let uid = &object["metadata"]["uid"];
        note("remove a pod that is over", shared.client.delete(known("", "pods"), key, uid, Some(0)));
    }
}

// === impl Pod ===

impl Pod {
    pub(super) fn uid(&self) -> &str {
        self.object["metadata"]["uid"].as_str().unwrap_or_default()
    }

    fn report(&self, shared: &Shared, board: &Board, is_over: bool) {
        let place = Place {
            pod_ip: self.ip.get(),
            host_ip: shared.network.node_ip(),
            started_at: self.started_at,
            is_over,
        };
        let (states, now) = (board.states(), shared.client.now());
        let uid = &self.object["metadata"]["uid"];
        let written = shared.client.update(known("", "pods"), &self.key, uid, Part::Status, |pod| {
            pod["status"] = pod_status(&pod["status"], &self.spec, &states, place, now);
        });
        note("write the status of a pod", written);
    }
}
