//! Follows the cluster's pods: watch events in, changes of the set of targets out.
//!
//! The list comes as a stream (`sendInitialEvents`); where the API server does not know that, as pages. Afterwards
//! the watch resumes where it broke off, helped by bookmarks, and only an expired resource version costs another
//! list. A complete list ends what is not on it. Everything is tried again for ever, with back-off: without the API
//! server, what is known stays known.
//!
//! What asks for pods besides themselves changes independently of them, so the facts of all pods are kept, and those that a
//! change concerns are judged anew.
//!
//! kube's watcher knows the protocol; what is added here is the change of strategy, patience with a list that does
//! not end, and pacing: by itself the watcher asks again at once, and without a word, when a watch ends at once.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::ApiResource,
    runtime::{
        utils::Backoff,
        watcher::{self, DefaultBackoff, Event},
    },
};
use podgauge_store::{Change, Endpoint, PodKey, PodUpdate, Recorder, TargetId, Writer};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

use crate::{
    health::Signs,
    metrics::Metrics,
    pace::paced,
    pod::{Facts, PodObject},
    sources::{Changed, Sources},
    target_rules::TargetRules,
    terms::Terms,
    text::tame,
};

/// How long a list may stand still before it is given up.
const LIST_PATIENCE: Duration = Duration::from_secs(30);
/// Pods in a page of a list. Only one page is in memory at a time.
const LIST_PAGE: u32 = 250;

/// What changed, for the scheduler.
#[derive(Debug)]
pub(crate) enum Command {
    /// Scrape these from now on, each for the first time at once, on terms of its own if it has some.
    Start(Vec<(Recorder, Option<Arc<Terms>>)>),
    /// Let go of these.
    Stop(Vec<TargetId>),
    /// This pod changed, and what failed before may go well now.
    Changed(PodKey),
    /// This pod became ready: what it says from now on is what its readers wait for.
    Ready(PodKey),
    /// The first complete list is through, of pods and of what asks for them.
    Synced,
}

/// Follows pods and owns the store's writer.
#[derive(Debug)]
pub(crate) struct Discovery {
    pub(crate) rules: TargetRules,
    pub(crate) sources: Sources,
    /// The pods as they were last heard of, if anything but themselves may ask for them: they are judged anew then.
    pub(crate) known: HashMap<PodKey, Known>,
    pub(crate) writer: Writer,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) metrics: Metrics,
    pub(crate) signs: Arc<Signs>,
    /// The pods with targets that were ready when they were last heard of.
    pub(crate) ready: HashSet<PodKey>,
    /// A complete list of pods has been taken in.
    pub(crate) is_listed: bool,
}

/// A pod that may be judged anew.
#[derive(Debug)]
pub(crate) struct Known {
    uid: Box<str>,
    facts: Facts,
}

/// How the first list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strategy {
    /// As the beginning of a watch; one pod at a time on both sides.
    Stream,
    /// Page by page; any API server can.
    Pages,
}

/// Why a watcher was given up for a new one.
#[derive(Debug)]
enum Ended {
    /// The API server does not know streaming lists.
    Unsupported,
    /// What it knows is no longer good for resuming, or it stands still.
    Stale,
}

// === impl Discovery ===

impl Discovery {
    /// Follows pods for ever.
    pub(crate) async fn run(mut self, client: Client, namespace: Option<&str>) -> Infallible {
        // Ends with us.
        let _sources = self.sources.spawn(&client, namespace);
        let client = paced(client);
        let resource = ApiResource::erase::<Pod>(&());
        let pods: Api<PodObject> = match namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &resource),
            None => Api::all_with(client, &resource),
        };
        let signs = Arc::clone(&self.signs);
        signs.discovery.beat_while(self.follow(pods)).await
    }

    async fn follow(&mut self, pods: Api<PodObject>) -> Infallible {
        let mut strategy = Strategy::Stream;
        let mut backoff = DefaultBackoff::default();
        loop {
            match self.watch(pods.clone(), strategy, &mut backoff).await {
                Ended::Unsupported => {
                    info!("the API server does not stream lists; listing pods page by page");
                    strategy = Strategy::Pages;
                }
                Ended::Stale => {
                    self.metrics.watch_failures.inc();
                    pause(&mut backoff).await;
                }
            }
        }
    }

    /// Takes in one watcher's events until another one is needed.
    async fn watch(
        &mut self,
        pods: Api<PodObject>,
        strategy: Strategy,
        backoff: &mut DefaultBackoff,
    ) -> Ended {
        let mut events = std::pin::pin!(watcher::watcher(pods, strategy.config()));
        // The pods of the list that is under way. The first event has to come in time, too.
        let mut listed: Option<HashSet<PodKey>> = None;
        let mut is_listing = true;
        loop {
            let event = if is_listing {
                match timeout(LIST_PATIENCE, self.next(&mut events)).await {
                    Ok(event) => event,
                    // A server that takes the unknown parameters in silence never says that its list is complete.
                    Err(_) if strategy == Strategy::Stream && listed.is_some() => return Ended::Unsupported,
                    Err(_) => {
                        warn!(patience = ?LIST_PATIENCE, "the list of pods stands still; asking again");
                        return Ended::Stale;
                    }
                }
            } else {
                self.next(&mut events).await
            };
            let Some(event) = event else { return Ended::Stale };
            match event {
                Ok(Event::Init) => {
                    is_listing = true;
                    if listed.replace(HashSet::new()).is_some() {
                        self.metrics.watch_failures.inc();
                        debug!("a list of pods broke off");
                        pause(backoff).await;
                    }
                }
                Ok(Event::InitApply(pod)) => {
                    let key = self.apply(pod, false).await;
                    if let (Some(listed), Some(key)) = (&mut listed, key) {
                        listed.insert(key);
                    }
                }
                Ok(Event::InitDone) => {
                    is_listing = false;
                    let listed = listed.take().unwrap_or_default();
                    debug!(pods = listed.len(), "listed pods");
                    let change = self.writer.retain(&listed);
                    self.ready.retain(|pod| listed.contains(pod));
                    self.known.retain(|pod, _| listed.contains(pod));
                    self.send(change, &[]).await;
                    self.metrics.lists.inc();
                    self.signs.set_synced();
                    self.is_listed = true;
                    self.tell_if_synced().await;
                    backoff.reset();
                }
                Ok(Event::Apply(pod)) => {
                    self.apply(pod, true).await;
                    backoff.reset();
                }
                Ok(Event::Delete(pod)) => {
                    self.remove(&pod).await;
                    backoff.reset();
                }
                Err(error) => {
                    let code = status_code(&error);
                    // 500 is what an API server says whose etcd is too old for streams (kube-apiserver 1.36 on
                    // etcd 3.4). If it meant anything else, asking for pages costs nothing.
                    if is_listing && strategy == Strategy::Stream && matches!(code, Some(400 | 422 | 500)) {
                        return Ended::Unsupported;
                    }
                    // By itself the watcher would go on with an expired version that is refused when a watch starts.
                    if code == Some(410) {
                        info!(%error, "the watch of pods expired; listing again");
                        return Ended::Stale;
                    }
                    self.metrics.watch_failures.inc();
                    match code {
                        Some(403) => {
                            warn!(%error, "may not list and watch pods; grant both to podgauge's account")
                        }
                        _ => warn!(%error, "the watch of pods failed; trying again"),
                    }
                    pause(backoff).await;
                }
            }
        }
    }

    /// The next event of pods. In the meantime, what asks for pods may change.
    async fn next<S: Stream + Unpin>(&mut self, events: &mut S) -> Option<S::Item> {
        loop {
            tokio::select! {
                event = events.next() => return event,
                () = self.sources.changed() => self.judge_anew().await,
            }
        }
    }

    /// Starts and stops targets as what asks for pods has changed.
    async fn judge_anew(&mut self) {
        let changed = self.sources.take_changed();
        let Changed { everything, namespaces, mut pods } = changed;
        if everything || !namespaces.is_empty() {
            let known = self.known.keys();
            pods.extend(known.filter(|pod| everything || namespaces.contains(&pod.namespace)).cloned());
        }
        for key in pods {
            let Some(known) = self.known.get(&key) else { continue };
            let is_ready = known.facts.is_ready;
            let (update, terms) = self.update(key.clone(), known.uid.clone(), &known.facts);
            self.note_ready(&key, is_ready && update.endpoints.is_ok());
            let change = self.writer.apply(update);
            self.send(change, &terms).await;
        }
        self.tell_if_synced().await;
    }

    /// Said once everything is known that decides what the first targets are.
    async fn tell_if_synced(&mut self) {
        if self.is_listed && self.sources.are_settled() {
            self.tell(Command::Synced).await;
        }
    }

    /// Takes in a pod, and says which one it is.
    async fn apply(&mut self, pod: PodObject, is_change: bool) -> Option<PodKey> {
        let key = key(&pod)?;
        match pod.wanted {
            Ok(facts) => {
                let is_ready = facts.is_ready;
                let uid: Box<str> = pod.metadata.uid.unwrap_or_default().into();
                let (update, terms) = self.update(key.clone(), uid.clone(), &facts);
                if self.sources.is_any_followed() {
                    self.known.insert(key.clone(), Known { uid, facts });
                }
                let has_targets = update.endpoints.is_ok();
                let change = self.writer.apply(update);
                let is_same = change.started.is_empty();
                self.send(change, &terms).await;
                let was_ready = self.note_ready(&key, is_ready && has_targets);
                // A new target is scraped at once as it is.
                if is_change && has_targets && is_same {
                    let command = if is_ready && !was_ready { Command::Ready } else { Command::Changed };
                    self.tell(command(key.clone())).await;
                }
            }
            // It stays what it was: a pod that we cannot read is no less there.
            Err(error) => {
                self.metrics.undecodable_pods.inc();
                warn!(pod = %key, error = tame(&error), "passed over a pod that cannot be decoded");
            }
        }
        Some(key)
    }

    /// Notes whether a pod has targets and is ready, and says whether it was so before.
    fn note_ready(&mut self, pod: &PodKey, is_ready: bool) -> bool {
        if is_ready { !self.ready.insert(pod.clone()) } else { self.ready.remove(pod) }
    }

    /// What a pod is now, and which of its targets have terms of their own.
    fn update(&self, key: PodKey, uid: Box<str>, facts: &Facts) -> (PodUpdate, Vec<Arc<Terms>>) {
        let places = self.rules.endpoints(facts, self.sources.asks(&key, facts));
        if let Err(why) = &places {
            debug!(pod = %key, %why, "not scraped");
        }
        let mut terms = Vec::new();
        let endpoints = places.map(|places| {
            let (endpoints, own): (Vec<Endpoint>, Vec<Option<Arc<Terms>>>) = places.into_iter().unzip();
            terms.extend(own.into_iter().flatten());
            endpoints
        });
        (PodUpdate { key, uid, labels: facts.labels.clone(), node: facts.node.clone(), endpoints }, terms)
    }

    async fn remove(&mut self, pod: &PodObject) {
        let Some(key) = key(pod) else { return };
        self.ready.remove(&key);
        self.known.remove(&key);
        let change = self.writer.remove(&key, pod.metadata.uid.as_deref().unwrap_or_default());
        self.send(change, &[]).await;
    }

    async fn send(&self, change: Change, terms: &[Arc<Terms>]) {
        if !change.stopped.is_empty() {
            self.tell(Command::Stop(change.stopped)).await;
        }
        if !change.started.is_empty() {
            let own = |recorder: &Recorder| {
                let id = recorder.target().endpoint().terms;
                terms.iter().find(|terms| terms.id() == id).cloned()
            };
            let started = change.started.into_iter().map(|recorder| (own(&recorder), recorder));
            self.tell(Command::Start(started.map(|(own, recorder)| (recorder, own)).collect())).await;
        }
    }

    async fn tell(&self, command: Command) {
        // The scheduler ends only together with us.
        drop(self.commands.send(command).await);
    }
}

// === impl Strategy ===

impl Strategy {
    fn config(self) -> watcher::Config {
        let config = watcher::Config::default().page_size(LIST_PAGE);
        match self {
            Self::Stream => config.streaming_lists(),
            Self::Pages => config,
        }
    }
}

async fn pause(backoff: &mut DefaultBackoff) {
    sleep(backoff.next().unwrap_or(LIST_PATIENCE)).await;
}

fn key(pod: &PodObject) -> Option<PodKey> {
    let name = pod.metadata.name.as_deref()?;
    Some(PodKey::new(pod.metadata.namespace.as_deref()?, name))
}

fn status_code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status.code),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
