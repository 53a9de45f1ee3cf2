//! The demo's cluster on this machine: a sandbox, podgauge as a process beside it, the shop's pods as processes.

use super::api::Api;
use super::folder::{Folder, shown};
use super::manifests::{self, is};
use super::podgauge::{self, Podgauge};
use super::run::Waiter;
use super::screen::Screen;
use super::watch::SHOP;
use super::{Config, DemoError};
use crate::apiserver::{self, ApiServer, Handle};
use crate::controllers::{self, Controllers, autoscaler};
use crate::kubeconfig;
use crate::node::guard::Guard;
use crate::node::{self, Image, Images, Node};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often podgauge scrapes on a cluster, in the manifest of `monitoring/`.
const RESOLUTION: Duration = Duration::from_secs(15);
/// How long the pods may take to end. An order takes a second or less at the usual pace.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(4);
/// podgauge's namespace, Service and service account in `monitoring/`.
const PODGAUGE: &str = "podgauge";

/// A running sandbox.
pub(super) struct Local {
    cluster: Handle,
    /// The way in, as for everybody: through a kubeconfig.
    pub(super) api: Api,
    /// Where that kubeconfig is.
    pub(super) kubeconfig: PathBuf,
    node_ip: Ipv4Addr,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

// === impl Local ===

impl Local {
    /// Starts API server, node and controllers. Nothing is installed yet.
    pub(super) async fn start(
        config: &Config,
        folder: &Folder,
        screen: &mut Screen,
    ) -> Result<Self, DemoError> {
        // Before anything runs: a demo without its programs is over at once.
        for (program, package) in [(&config.shop, "demo-shop"), (&config.podgauge, "podgauge")] {
            if !program.is_file() {
                let program = shown(program);
                let error =
                    format!("there is no {package} at {program}; build it first: cargo build -p {package}");
                return Err(DemoError::Usage(error));
            }
        }
        let failed = |error: &dyn std::fmt::Display| DemoError::Failed(error.to_string());
        let cluster = ApiServer::start(apiserver::Config::default()).await.map_err(|error| failed(&error))?;
        screen.done("API server", &cluster.url());
        let shop =
            Image::new(&config.shop).listen("ADDRESS", "$(POD_IP)").listen("QUEUE_LISTEN", "$(POD_IP):61613");
        let images = Images::from([("localhost/demo-shop".to_owned(), shop)]);
        let node = node::Config {
            // The shop has a port of its own on localhost, and two sandboxes shall not meet on others.
            node_port_ips: Vec::new(),
            shutdown_grace: SHUTDOWN_GRACE,
            // Every worker's log is needed until the orders have been counted.
            max_deleted_pod_logs: 500,
            ..node::Config::new(images, folder.logs())
        };
        let node = Node::build(&cluster, node).map_err(|error| failed(&error))?;
        let controllers = controllers::Config {
            autoscaler: autoscaler::Config {
                pace: autoscaler::Pace::new(config.pace),
                ..autoscaler::Config::default()
            },
            ..controllers::Config::new(node.service_ips())
        };
        let controllers = Controllers::build(&cluster, controllers).map_err(|error| failed(&error))?;
        let text = cluster.kubeconfig_for("admin", &["system:masters"]).map_err(|error| failed(&error))?;
        let kubeconfig = folder.write_private("kubeconfig", &text).map_err(|error| failed(&error))?;
        let access = kubeconfig::read(&text).map_err(|error| failed(&error))?;
        let api = Api::new(&access).await.map_err(|error| failed(&error))?;
        let (node_ip, stop) = (node.ip(), CancellationToken::new());
        let tasks = vec![tokio::spawn(node.run(stop.clone())), tokio::spawn(controllers.run(stop.clone()))];
        screen.done("node", &format!("{node_ip}, logs in {}", shown(&folder.logs())));
        Ok(Self { cluster, api, kubeconfig, node_ip, stop, tasks })
    }

    /// Where the shop's front serves: its node port, at the node's own address.
    pub(super) async fn front(&self, config: &Config) -> Result<SocketAddr, DemoError> {
        let shop = read(manifests::kustomization(&config.repository.join("demo-shop/deploy")))?;
        let front = shop.iter().find(|object| is(object, "Service", "frontend"));
        let port =
            front.and_then(|front| u16::try_from(front["spec"]["ports"][0]["nodePort"].as_u64()?).ok());
        let port =
            port.ok_or_else(|| DemoError::Failed("the Service frontend has no nodePort".to_owned()))?;
        Ok(SocketAddr::from((self.node_ip, port)))
    }

    /// Applies `monitoring/` and starts podgauge, in place of the pod that its Deployment would make.
    pub(super) async fn install_podgauge(
        &self,
        config: &Config,
        folder: &Folder,
        waiter: &mut Waiter<'_>,
    ) -> Result<Podgauge, DemoError> {
        let objects = read(manifests::kustomization(&config.repository.join("monitoring")))?;
        for object in objects.iter().filter(|object| !is(object, "Deployment", PODGAUGE)) {
            self.apply(object).await?;
        }
        waiter
            .screen
            .done("podgauge's rights", "as in monitoring/: it may read pods, and ask who may do what");

        let account = self.cluster.kubeconfig_for_service_account(PODGAUGE, PODGAUGE);
        let own_kubeconfig = folder.write_private("podgauge.kubeconfig", &account);
        let own_kubeconfig = own_kubeconfig.map_err(|error| DemoError::Failed(error.to_string()))?;
        let resolution = RESOLUTION / config.pace;
        let guard =
            Guard::start().map_err(|error| DemoError::Failed(format!("cannot start /bin/sh: {error}")))?;
        let start = podgauge::Config {
            program: &config.podgauge,
            kubeconfig: &own_kubeconfig,
            namespace: PODGAUGE,
            ip: self.node_ip,
            resolution,
            log: folder.logs().join("podgauge.log"),
        };
        let podgauge = Podgauge::start(start, Arc::new(guard)).await;
        let podgauge = podgauge.map_err(|error| DemoError::Failed(error.to_string()))?;
        let detail = format!("its own process, https://{}, scrapes every {resolution:?}", podgauge.address);
        waiter.screen.done("podgauge", &detail);

        self.cluster.route_service(PODGAUGE, PODGAUGE, podgauge.address);
        self.cluster.probe_now();
        for object in objects.iter().filter(|object| object["kind"] == "APIService") {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/{name}");
            waiter
                .until(&self.api, &path, &format!("APIService {name} to be Available"), |object| {
                    let conditions = object["status"]["conditions"].as_array();
                    conditions
                        .into_iter()
                        .flatten()
                        .any(|c| c["type"] == "Available" && c["status"] == "True")
                })
                .await?;
        }
        waiter.screen.done(
            "metrics API",
            "custom.metrics.k8s.io, registered as in monitoring/; podgauge made the certificate",
        );
        Ok(podgauge)
    }

    /// Applies the shop and its autoscaler, and waits for the shop.
    pub(super) async fn install_shop(
        &self,
        config: &Config,
        waiter: &mut Waiter<'_>,
    ) -> Result<(), DemoError> {
        let mut objects = read(manifests::kustomization(&config.repository.join("demo-shop/deploy")))?;
        for name in SHOP {
            for object in objects.iter_mut().filter(|object| object["metadata"]["name"] == name) {
                manifests::quicken(object, config.pace);
                self.apply(object).await?;
            }
            waiter.until_ready(&self.api, name).await?;
        }
        waiter.screen.done("shop", "queue, frontend and backend are processes of this machine");
        for object in read(manifests::file(&config.repository.join("hpa.yaml")))? {
            self.apply(&object).await?;
        }
        waiter.screen.done("autoscaler", "hpa.yaml: ten orders for each backend, 1 to 10 of them");
        Ok(())
    }

    /// Ends everything.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            // A task that failed has ended.
            let _ = task.await;
        }
        self.cluster.shutdown().await;
    }

    async fn apply(&self, object: &Value) -> Result<(), DemoError> {
        let name = |field: &Value| field.as_str().unwrap_or_default().to_owned();
        self.api.apply(object).await.map_err(|error| {
            let (kind, name) = (name(&object["kind"]), name(&object["metadata"]["name"]));
            DemoError::Failed(format!("cannot apply {kind} {name}: {error}"))
        })
    }
}

fn read(objects: Result<Vec<Value>, manifests::ManifestError>) -> Result<Vec<Value>, DemoError> {
    objects.map_err(|error| DemoError::Failed(format!("{error} (run the demo at the top of the repository)")))
}

/// The program of this name beside the one that runs.
pub fn beside(name: &str) -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.parent().unwrap_or(Path::new(".")).join(name)
}
