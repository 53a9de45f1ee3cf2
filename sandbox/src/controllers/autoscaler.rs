//! The HorizontalPodAutoscaler controller: when to take a turn, and with what.
//!
//! What a turn decides is [`sandbox_hpa`]'s. Here is what upstream's controller does around it: every HPA waits a full
//! sync period before its first turn and between turns, whatever happens to it meanwhile; at most so many turns run at
//! once; what a turn asks (discovery, scales, metrics) goes to the API server over the network, as the service account
//! `kube-system/horizontal-pod-autoscaler`. HPAs and pods come from the cache that the sandbox's store is.

mod discovery;
mod pace;
mod target;
mod turn;

pub use pace::Pace;

use crate::apiserver::{Handle, Key, known};
use crate::client::Client;
use crate::kubeconfig::Credential;
use crate::local_client::LocalClient;
use crate::tls::TlsError;
use sandbox_hpa::normalize::History;
use sandbox_hpa::reconcile;
use sandbox_hpa::selector::Selector;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// How the controller behaves; names and defaults are those of kube-controller-manager's flags.
#[derive(Clone, Debug)]
pub struct Config {
    /// `--horizontal-pod-autoscaler-sync-period`: the time between two turns of one HPA, in its own time. 15 s.
    pub sync_period: Duration,
    /// `--concurrent-horizontal-pod-autoscaler-syncs`: how many turns run at once, at least 1. 5.
    pub concurrent_syncs: usize,
    /// Tolerance, stabilisation and the rules about starting pods.
    pub rules: reconcile::Config,
    /// How fast the controller's time passes. As fast as everybody's.
    pub pace: Pace,
}

/// The controller, ready to run.
#[derive(Clone)]
pub(super) struct Autoscaler {
    client: LocalClient,
    api: Client,
    config: Arc<Config>,
    syncs: Arc<Semaphore>,
    selectors: Selectors,
}

/// The selector of each HPA's target, when it was last read.
#[derive(Clone, Default)]
struct Selectors(Arc<Mutex<BTreeMap<Key, Selector>>>);

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            sync_period: Duration::from_secs(15),
            concurrent_syncs: 5,
            rules: reconcile::Config::default(),
            pace: Pace::default(),
        }
    }
}

// === impl Autoscaler ===

impl Autoscaler {
    /// Prepares the controller; fails if its own credential cannot be used.
    pub(super) fn build(cluster: &Handle, config: Config) -> Result<Self, TlsError> {
        let token = cluster.service_account_token("kube-system", "horizontal-pod-autoscaler");
        Ok(Self {
            client: LocalClient::new(cluster),
            api: cluster.client(Credential::Token(token))?,
            syncs: Arc::new(Semaphore::new(config.concurrent_syncs.max(1))),
            config: Arc::new(config),
            selectors: Selectors::default(),
        })
    }

    /// Takes turns until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut changes = self.client.changes();
        // Dropping the set ends what is in it.
        let mut tasks = JoinSet::new();
        let mut known: HashMap<Value, (Key, AbortHandle)> = HashMap::new();
        loop {
            changes.mark_unchanged();
            let present = self.client.list(resource());
            known.retain(|uid, (key, task)| {
                let is_present = present.iter().any(|(_, object)| object["metadata"]["uid"] == *uid);
                if !is_present {
                    task.abort();
                    self.selectors.forget(key);
                }
                is_present
            });
            for (key, object) in present {
                let uid = &object["metadata"]["uid"];
                if !known.contains_key(uid) {
                    let task = tasks.spawn(self.clone().control(key.clone(), uid.clone()));
                    known.insert(uid.clone(), (key, task));
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return },
                Some(ended) = tasks.join_next() => if let Err(error) = ended && !error.is_cancelled() {
                    tracing::error!(%error, "an autoscaler failed; the others go on");
                },
            }
        }
    }

    /// Takes the turns of one HPA for as long as it exists.
    async fn control(self, key: Key, uid: Value) {
        let period = self.config.pace.wait(self.config.sync_period);
        let pace = pace::Conversion::new(self.config.pace, self.client.now());
        let mut history = History::default();
        loop {
            tokio::time::sleep(period).await;
            let Ok(_permit) = self.syncs.acquire().await else { return };
            turn::take(&self, &key, &uid, &pace, &mut history).await;
        }
    }
}

fn resource() -> &'static crate::apiserver::Resource {
    known("autoscaling", "horizontalpodautoscalers")
}

// === impl Selectors ===

impl Selectors {
    fn remember(&self, key: &Key, selector: Selector) {
        self.lock().insert(key.clone(), selector);
    }

    fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    /// The other HPAs of the same namespace.
    fn rivals_of(&self, key: &Key) -> Vec<reconcile::Rival> {
        let others = self.lock();
        let others =
            others.iter().filter(|(other, _)| other.namespace == key.namespace && other.name != key.name);
        others
            .map(|(other, selector)| reconcile::Rival {
                name: other.name.clone(),
                selector: selector.clone(),
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Selector>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
