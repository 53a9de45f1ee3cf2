//! The node: runs pods as processes of this machine, and leads connections to Services to them.
//!
//! It plays kubelet and kube-proxy. A container image is a program that the [`Config`] names; a pod has a loopback
//! address of its own, so that manifests run as they are: ports, probes, environment, restarts, grace periods.
//!
//! What it promises: phases, conditions, container states, events and exit codes read as a kubelet's. Nothing outlives
//! it: [`Node::run`] ends its processes before it returns; dropping that future kills them; and when the sandbox's own
//! process is killed, a guard kills them. What it leaves out: isolation of any kind, resources, volumes but for empty
//! ones (which are not there), init containers, lifecycle hooks, exec and gRPC probes, `kubectl exec`. A
//! container that needs one of those waits, and its status says why.
//!
//! A whole cluster is an API server, a node and controllers:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use sandbox::apiserver::{self, ApiServer};
//! use sandbox::controllers::{self, Controllers};
//! use sandbox::node::{self, Image, Images, Node};
//! use tokio_util::sync::CancellationToken;
//!
//! let shop = Image::new("target/debug/demo-shop")
//!     .listen("ADDRESS", "$(POD_IP)")
//!     .listen("QUEUE_LISTEN", "$(POD_IP):61613");
//! let images = Images::from([("localhost/demo-shop".to_owned(), shop)]);
//! let api = ApiServer::start(apiserver::Config::default()).await?;
//! let node = Node::build(&api, node::Config::new(images, "target/demo/logs"))?;
//! let controllers = Controllers::build(&api, controllers::Config::new(node.service_ips()))?;
//! let stop = CancellationToken::new();
//! let (node, controllers) = (tokio::spawn(node.run(stop.clone())), tokio::spawn(controllers.run(stop.clone())));
//! // ... and later, before `api.shutdown()`:
//! stop.cancel();
//! tokio::try_join!(node, controllers)?;
//! # Ok(())
//! # }
//! ```
//!
//! Linux only: other systems do not answer on every address of 127.0.0.0/8 without set-up. A program on the machine
//! that listens on every address takes its port from every pod.

mod backoff;
mod cluster_dns;
mod container;
mod environment;
pub(crate) mod guard;
mod image;
mod log;
mod network;
mod pod;
mod pods;
mod probe;
mod prober;
pub(crate) mod process;
mod proxy;
mod registration;
mod spec;
mod status;

pub use backoff::RestartBackoff;
pub use image::{Image, ImageError, Images};
pub use network::ClaimError;

use crate::apiserver::{Handle, Status};
use crate::local_client::LocalClient;
use guard::Guard;
use log::{LogFolder, Logs};
use network::Network;
use pods::Pods;
use proxy::Proxy;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How the node behaves, and its limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of the Node object. Default `sandbox`.
    pub name: String,
    /// Which program stands for which image.
    pub images: Images,
    /// The folder for what containers write: `NAMESPACE_POD/CONTAINER/RUN.log` in it.
    pub log_folder: PathBuf,
    /// The largest log file, of which a run of a container has at most two. Default 4 MiB, in bytes.
    pub max_log_bytes: u64,
    /// Of how many deleted pods the logs are kept. Default 50 pods.
    pub max_deleted_pod_logs: usize,
    /// The most pods that the scheduler gives this node. Default 110 pods, a kubelet's.
    pub max_pods: usize,
    /// Which `127.N.0.0/16` the node may take, by `N`. Default 64 to 127: as many sandboxes fit on a machine.
    pub blocks: RangeInclusive<u8>,
    /// The port of `127.N.0.1` whose binding claims a block. Default 61250.
    pub claim_port: u16,
    /// Where node ports are served besides the node's own address. Default 127.0.0.1 alone.
    ///
    /// A second sandbox on the machine finds those ports taken; its own node's address serves them still.
    pub node_port_ips: Vec<IpAddr>,
    /// How long containers that end again and again wait. Default: a kubelet's waits.
    pub restart_backoff: RestartBackoff,
    /// The earliest that the first probe comes after a container's start. Default 300 ms.
    ///
    /// A program takes a moment until it listens, and a first failure would cost a whole period.
    pub first_probe_after: Duration,
    /// How long pods may take to end when the node ends, however long they ask for. Default 10 s.
    pub shutdown_grace: Duration,
    /// The most connections through Services at once; more wait to be accepted. Default 1024 connections.
    pub max_proxied_connections: usize,
    /// How long connecting to an endpoint may take. Default 2 s.
    pub proxy_connect_timeout: Duration,
    /// How long to wait after a port could not be bound or a connection not accepted. Default 500 ms.
    pub listen_retry: Duration,
}

/// A node, ready to run.
pub struct Node {
    shared: Arc<Shared>,
}

/// What all parts of a node share.
struct Shared {
    client: LocalClient,
    config: Config,
    network: Network,
    guard: Arc<Guard>,
    logs: Logs,
}

/// The node cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A program is missing.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// All blocks of addresses are taken.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The log folder cannot be made.
    #[error("cannot create the log folder {folder}: {error}")]
    LogFolder {
        /// The configured folder.
        folder: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The guard cannot be started.
    #[error("cannot start /bin/sh, which guards the processes: {0}")]
    Guard(std::io::Error),
    /// The API server refused the Node object.
    #[error("cannot register the node: {0}")]
    Register(#[from] Status),
}

// === impl Config ===

impl Config {
    /// The defaults, with these images and this folder for logs.
    pub fn new(images: Images, log_folder: impl Into<PathBuf>) -> Self {
        Self {
            name: "sandbox".to_owned(),
            images,
            log_folder: log_folder.into(),
            max_log_bytes: 4 * 1024 * 1024,
            max_deleted_pod_logs: 50,
            max_pods: 110,
            blocks: 64..=127,
            claim_port: 61_250,
            node_port_ips: vec![Ipv4Addr::LOCALHOST.into()],
            restart_backoff: RestartBackoff::default(),
            first_probe_after: Duration::from_millis(300),
            shutdown_grace: Duration::from_secs(10),
            max_proxied_connections: 1024,
            proxy_connect_timeout: Duration::from_secs(2),
            listen_retry: Duration::from_millis(500),
        }
    }
}

// === impl Node ===

impl Node {
    /// Takes a block of addresses, starts the guard and registers the node; no pod runs yet.
    pub fn build(cluster: &Handle, mut config: Config) -> Result<Self, BuildError> {
        config.images = image::resolve(config.images)?;
        let network = Network::claim(&config.blocks, config.claim_port)?;
        let logs = Logs::new(config.log_folder.clone(), config.max_log_bytes, config.max_deleted_pod_logs)
            .map_err(|error| BuildError::LogFolder { folder: config.log_folder.clone(), error })?;
        let client = LocalClient::new(cluster);
        client.serve_logs(LogFolder(config.log_folder.clone()));
        registration::register(&client, &config, network.node_ip())?;
        let guard = Arc::new(Guard::start().map_err(BuildError::Guard)?);
        Ok(Self { shared: Arc::new(Shared { client, config, network, guard, logs }) })
    }

    /// The node's own address: node ports are served here whatever else runs on the machine.
    pub fn ip(&self) -> Ipv4Addr {
        self.shared.network.node_ip()
    }

    /// The addresses that Services of this cluster may have.
    pub fn service_ips(&self) -> RangeInclusive<Ipv4Addr> {
        self.shared.network.service_ips()
    }

    /// Runs pods and serves Services until `stop`, then ends them all.
    ///
    /// The pods stay in the API as they were last seen: it is the node that ends, not they.
    pub async fn run(self, stop: CancellationToken) {
        let Self { shared } = self;
        let mut changes = shared.client.changes();
        let mut pods = Pods::new(shared.clone());
        let mut proxy = Proxy::new(shared.clone());
        loop {
            changes.mark_unchanged();
            pods.sync();
            proxy.sync();
            tokio::select! {
                () = stop.cancelled() => break,
                changed = changes.changed() => if changed.is_err() { break },
                () = pods.one_is_over() => {}
            }
        }
        // Pods may need each other to end well, so that Services go on until the last of them has.
        pods.end().await;
        proxy.close().await;
        close_guard(shared).await;
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("ip", &self.ip()).finish_non_exhaustive()
    }
}

/// Waits until the guard has ended, so that not even it is left behind.
async fn close_guard(shared: Arc<Shared>) {
    let guard = shared.guard.clone();
    drop(shared);
    if let Some(guard) = Arc::into_inner(guard) {
        let closing = tokio::task::spawn_blocking(move || guard.close());
        if closing.await.is_err() {
            tracing::warn!("cannot wait for the guard; it ends by itself");
        }
    }
}
