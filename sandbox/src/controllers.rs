//! The controllers of the cluster: what turns wishes (Deployments, Services) into pods and endpoints.
//!
//! Most are a function from what the cluster holds to the next few writes, run again whenever anything changes:
//!
//! - `deployment`: Deployments -> ReplicaSets, with rolling updates and status.
//! - `replicaset`: ReplicaSets -> pods.
//! - `scheduler`: pods -> a node.
//! - `service`: Services -> cluster IPs and node ports, which a real API server gives out itself.
//! - `endpoints`: Services and pods -> EndpointSlices, and Endpoints for older clients.
//! - [`autoscaler`]: HorizontalPodAutoscalers and what metrics APIs say -> scales. It alone goes by time and asks over
//!   the network.
//!
//! What it promises: names, labels, conditions, reasons, events and the order of steps are those of
//! kube-controller-manager and kube-scheduler. What it leaves out: adoption of orphans, proportional scaling while a
//! rollout is under way (the rollout itself evens it out), StatefulSets, DaemonSets, Jobs; resources are not counted.
//! Garbage collection is the API server's.

pub mod autoscaler;
mod deployment;
mod endpoints;
mod names;
mod owner;
mod pods;
mod replicaset;
mod scheduler;
mod service;

use crate::apiserver::Handle;
use crate::local_client::LocalClient;
use crate::tls::TlsError;
use autoscaler::Autoscaler;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How the controllers behave.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which addresses Services get; [`Node::service_ips`](crate::node::Node::service_ips) knows those that are free.
    pub service_ips: RangeInclusive<Ipv4Addr>,
    /// Which ports Services of type NodePort get that name none. Default 30000 to 32767, as in a cluster.
    pub node_ports: RangeInclusive<u16>,
    /// How HorizontalPodAutoscalers are taken care of.
    pub autoscaler: autoscaler::Config,
}

/// The controllers, ready to run.
pub struct Controllers {
    client: LocalClient,
    autoscaler: Autoscaler,
    config: Config,
}

// === impl Config ===

impl Config {
    /// The defaults, with these addresses for Services.
    pub fn new(service_ips: RangeInclusive<Ipv4Addr>) -> Self {
        Self { service_ips, node_ports: 30_000..=32_767, autoscaler: autoscaler::Config::default() }
    }
}

// === impl Controllers ===

impl Controllers {
    /// Prepares the controllers of one cluster; nothing happens yet.
    ///
    /// # Errors
    /// The credential that the cluster gives its controllers cannot be used.
    pub fn build(cluster: &Handle, config: Config) -> Result<Self, TlsError> {
        let autoscaler = Autoscaler::build(cluster, config.autoscaler.clone())?;
        Ok(Self { client: LocalClient::new(cluster), autoscaler, config })
    }

    /// Controls until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let Self { client, autoscaler, config } = self;
        let mut tasks = JoinSet::new();
        tasks.spawn(autoscaler.run(stop.clone()));
        tasks.spawn(client.clone().control(stop.clone(), deployment::sync));
        tasks.spawn(client.clone().control(stop.clone(), replicaset::sync));
        tasks.spawn(client.clone().control(stop.clone(), scheduler::sync));
        tasks.spawn(client.clone().control(stop.clone(), move |client| service::sync(client, &config)));
        tasks.spawn(client.control(stop, endpoints::sync));
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a controller failed; the cluster goes on without it");
            }
        }
    }
}

impl std::fmt::Debug for Controllers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controllers").field("config", &self.config).finish_non_exhaustive()
    }
}
