//! Keeps the `Available` condition of every APIService true.
//!
//! One task an APIService, so that a backend that hangs delays no other. Each look is five requests at once of which one
//! has to succeed; failures are repeated with growing pauses, success after the probe interval.

use super::backend::Unavailable;
use super::{api_services, discover, identity};
use crate::apiserver::Core;
use crate::apiserver::registry::Part;
use crate::apiserver::resources::known;
use crate::apiserver::status::Status;
use crate::apiserver::store::{Event, Key};
use crate::apiserver::user::{MASTERS, User};
use crate::client::Client;
use crate::clock::rfc3339;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use http::Request;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How many requests one look makes at once.
const ATTEMPTS: usize = 5;
/// The first pause after a failure; each further one is twice as long.
const FIRST_BACKOFF: Duration = Duration::from_millis(5);

/// Runs one task for each APIService that has a Service, until the sandbox stops.
pub(crate) async fn supervise(core: Arc<Core>) {
    let mut changes = core.registry.store.changes();
    let mut position = 0;
    let mut tasks: BTreeMap<String, JoinHandle<()>> = BTreeMap::new();
    loop {
        let revision = core.registry.store.revision();
        if is_concerned(&core, position) {
            let remote: Vec<String> = remote_services(&core);
            tasks.retain(|name, task| {
                let keep = remote.contains(name) && !task.is_finished();
                if !keep {
                    task.abort();
                }
                keep
            });
            for name in remote {
                tasks.entry(name.clone()).or_insert_with(|| tokio::spawn(keep_true(core.clone(), name)));
            }
            core.aggregator.kick();
        }
        position = revision;
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { break },
            () = core.stop.cancelled() => break,
        }
    }
    for task in tasks.into_values() {
        task.abort();
    }
}

fn remote_services(core: &Core) -> Vec<String> {
    let objects = core.registry.store.list(api_services()).objects;
    objects.into_iter().filter(|(_, o)| o["spec"]["service"].is_object()).map(|(key, _)| key.name).collect()
}

/// Whether anything changed since `position` that decides where a backend is.
fn is_concerned(core: &Core, position: u64) -> bool {
    // Our own writes to the status are no news.
    let spec_changed = |event: &Arc<Event>| {
        event.deleted
            || event.previous.as_ref().is_none_or(|previous| previous["spec"] != event.object["spec"])
    };
    let store = &core.registry.store;
    let any = |group: &str, plural: &str| {
        store.events(known(group, plural), position).map_or(true, |(events, _)| !events.is_empty())
    };
    store.events(api_services(), position).map_or(true, |(events, _)| events.iter().any(spec_changed))
        || any("", "services")
        || any("discovery.k8s.io", "endpointslices")
}

/// Looks at one APIService again and again.
async fn keep_true(core: Arc<Core>, name: String) {
    let mut kicks = core.aggregator.kicks.subscribe();
    let mut backoff = FIRST_BACKOFF;
    let mut discovered_at: Option<Instant> = None;
    loop {
        kicks.mark_unchanged();
        let Some(object) = core.registry.store.get(api_services(), &Key::new("", name.as_str())) else {
            return;
        };
        let pause = match look(&core, &object["spec"]).await {
            Ok(client) => {
                let due = discovered_at.is_none_or(|at| at.elapsed() >= core.config.discovery_interval);
                // Clients that see it available are to find it in discovery.
                if due {
                    discover::refresh(&core, &client, &object["spec"]).await;
                    discovered_at = Some(Instant::now());
                }
                set_condition(&core, &name, "True", "Passed", "all checks passed");
                backoff = FIRST_BACKOFF;
                core.config.probe_interval.min(core.config.discovery_interval)
            }
            Err(unavailable) => {
                set_condition(&core, &name, "False", unavailable.reason, &unavailable.message);
                discovered_at = None;
                backoff = (backoff * 2).min(core.config.probe_interval);
                backoff
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            kicked = kicks.changed() => {
                if kicked.is_err() { return }
                backoff = FIRST_BACKOFF;
            }
            () = core.stop.cancelled() => return,
        }
    }
}

async fn look(core: &Core, spec: &Value) -> Result<Client, Unavailable> {
    let client = core.aggregator.client(core, spec)?;
    let text = |field: &str| spec[field].as_str().unwrap_or_default();
    let path = format!("/apis/{}/{}", text("group"), text("version"));
    let mut attempts: FuturesUnordered<_> =
        (0..ATTEMPTS).map(|_| attempt(&client, &path, core.config.probe_timeout)).collect();
    let mut last = String::new();
    while let Some(result) = attempts.next().await {
        match result {
            Ok(()) => return Ok(client.clone()),
            Err(message) => last = message,
        }
    }
    Err(Unavailable::new("FailedDiscoveryCheck", format!("failing or missing response from {path}: {last}")))
}

async fn attempt(client: &Client, path: &str, timeout: Duration) -> Result<(), String> {
    let mut request = Request::builder().uri(path).body(Bytes::new()).map_err(|error| error.to_string())?;
    identity::set(request.headers_mut(), &User::new("system:kube-aggregator", &[MASTERS]));
    let answer = tokio::time::timeout(timeout, client.send(request)).await;
    let answer = answer.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())?;
    match answer.status() {
        code if code.is_success() => Ok(()),
        code => Err(format!("bad status: {}", code.as_u16())),
    }
}

fn set_condition(core: &Core, name: &str, status: &str, reason: &str, message: &str) {
    let now = rfc3339(core.registry.clock.now());
    let key = Key::new("", name);
    let result = core.registry.update(api_services(), &key, Part::Status, false, |current| {
        let mut object = current.clone();
        let old = current["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|c| c["type"] == "Available");
        let since = match old {
            Some(old) if old["status"] == status => old["lastTransitionTime"].clone(),
            _ => now.into(),
        };
        object["status"]["conditions"] = json!([{
            "type": "Available",
            "status": status,
            "lastTransitionTime": since,
            "reason": reason,
            "message": message,
        }]);
        Ok(object)
    });
    // Deleted in the meantime: nothing to say about it.
    if let Err(Status { message, .. }) = result {
        tracing::debug!(api_service = name, %message, "the condition was not written");
    }
}
