//! The aggregation layer: other servers' APIs under one address.
//!
//! An APIService with a Service is probed, discovered and proxied to; what its parts do follows
//! `kube-aggregator/pkg/{apiserver,controllers}`. Groups that the sandbox serves itself are APIServices too, but local.

mod availability;
mod backend;
mod discover;
mod identity;
mod order;
mod proxy;

pub(crate) use availability::supervise;
pub(crate) use order::GroupVersions;

use super::resources::{Resource, known};
use crate::client::Client;
use crate::pki::Identity;
use backend::Backend;
use discover::Discovered;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What the aggregator knows of its backends.
pub(crate) struct Aggregator {
    /// The client certificate by which backends know the front proxy.
    identity: Identity,
    state: Mutex<State>,
    /// Goes up when a backend may have moved.
    kicks: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// Services that are reached elsewhere than their EndpointSlices say, by namespace and name.
    routes: HashMap<(String, String), SocketAddr>,
    clients: HashMap<Backend, Client>,
    /// By group and version.
    discovered: HashMap<(String, String), Discovered>,
}

// === impl Aggregator ===

impl Aggregator {
    pub(crate) fn new(identity: Identity) -> Self {
        Self { identity, state: Mutex::default(), kicks: watch::Sender::new(0) }
    }

    /// Reaches a Service at `address` from now on, whatever objects say.
    pub(crate) fn route(&self, namespace: &str, service: &str, address: SocketAddr) {
        self.lock().routes.insert((namespace.to_owned(), service.to_owned()), address);
        self.kick();
    }

    /// Looks at every backend again now.
    pub(crate) fn kick(&self) {
        self.kicks.send_modify(|kicks| *kicks += 1);
    }

    /// The aggregated discovery entry of a group that backends serve.
    pub(crate) fn discovered(&self, group: &GroupVersions) -> Value {
        let state = self.lock();
        let version = |version: &str| match state.discovered.get(&(group.name.clone(), version.to_owned())) {
            Some(known) => {
                let freshness = if known.fresh { "Current" } else { "Stale" };
                json!({"version": version, "resources": known.resources, "freshness": freshness})
            }
            None => json!({"version": version, "freshness": "Stale"}),
        };
        let versions: Vec<Value> = group.version_names().into_iter().map(version).collect();
        json!({"metadata": {"name": group.name}, "versions": versions})
    }

    /// The entries that backends add to the OpenAPI v3 root.
    pub(crate) fn openapi_v3_paths(&self) -> Vec<(String, Value)> {
        let state = self.lock();
        state.discovered.values().filter_map(|known| known.openapi_v3.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn api_services() -> &'static Resource {
    known("apiregistration.k8s.io", "apiservices")
}

fn is_available(api_service: &Value) -> bool {
    let conditions = api_service["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == "Available" && c["status"] == "True")
}
