//! The demo: the whole loop, from an order at the shop to one worker again, shown and judged.
//!
//! The driver is a client of an API server, with a kubeconfig, like any visitor. Who provides the cluster differs:
//!
//! - `local`: a sandbox in this process, podgauge as a process of its own, the shop's pods as processes. The manifests are
//!   the repository's own. Time passes [`Config::pace`] times as fast for all of them.
//! - `current`: the cluster that KUBECONFIG names, where `hack/deploy` installs everything.
//!
//! All else is the same for both: `watch` takes samples, of which `plan` knows how far the run has come, `table` and
//! `chart` what a terminal shows, and `report` what is left behind; `accounting` counts the orders.
//!
//! What it promises: a run ends with success only if the worker went from one to more and back to one and every order was
//! processed as often as it should be; a run that is to end does, if nothing changes any more; whenever it ends, its
//! processes do. It waits for states, never for a time: on a busy machine it takes longer and ends the same.

pub mod accounting;
mod api;
pub mod chart;
mod current;
mod folder;
mod front;
mod local;
mod logs;
mod manifests;
mod observe;
pub mod plan;
mod podgauge;
pub mod record;
pub mod report;
mod run;
mod screen;
mod shop;
mod stuck;
pub mod table;
mod watch;

pub use folder::{Folder, FolderError};
pub use local::beside;

use api::Api;
use folder::shown;
use front::Front;
use local::Local;
use logs::{Followed, Logs};
use run::{Run, Waiter};
use screen::Screen;
use shop::Shop;
use std::path::PathBuf;
use std::time::Duration;
use stuck::Stuck;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use watch::{NAMESPACE, Watch};

/// What to show, and where.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whose cluster.
    pub cluster: Cluster,
    /// Whether to end when the loop has closed, or at a deadline, rather than go on until told to stop.
    pub once: bool,
    /// How many seconds of a cluster pass in one second; 1 on a real one.
    pub pace: u32,
    /// Where the shop is served on localhost; of a sandbox alone.
    pub port: u16,
    /// How many items to order.
    pub items: u32,
    /// The top of the repository, where the manifests are.
    pub repository: PathBuf,
    /// The program podgauge, an absolute path; of a sandbox alone.
    pub podgauge: PathBuf,
    /// The program demo-shop, an absolute path; of a sandbox alone.
    pub shop: PathBuf,
    /// Whether to install podgauge and the shop first; on a real cluster alone.
    pub deploy: bool,
}

/// Whose cluster the demo runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// One that is made for it, on this machine.
    Sandbox,
    /// The one that KUBECONFIG names.
    Current,
}

/// Why a run ended without success. Each is one line for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DemoError {
    /// It cannot run like this: what to change.
    #[error("{0}")]
    Usage(String),
    /// It ran, and something was not as it should be: what, and where to look.
    #[error("{0}")]
    Failed(String),
    /// It was told to stop.
    #[error("stopped before the loop had closed")]
    Interrupted,
}

/// Runs the demo until it is over or `stop`. Everything that it started has ended when it returns.
///
/// # Errors
/// [`DemoError`].
pub async fn run(config: &Config, folder: &Folder, stop: CancellationToken) -> Result<(), DemoError> {
    let mut screen = Screen::new();
    match config.cluster {
        Cluster::Sandbox => on_sandbox(config, folder, &mut screen, &stop).await,
        Cluster::Current => on_current(config, folder, &mut screen, &stop).await,
    }
}

async fn on_sandbox(
    config: &Config,
    folder: &Folder,
    screen: &mut Screen,
    stop: &CancellationToken,
) -> Result<(), DemoError> {
    let started = Instant::now();
    let front = Front::bind(config.port).await.map_err(|error| {
        let port = config.port;
        DemoError::Usage(format!(
            "port {port} of localhost cannot be had ({error}); choose another: make demo PORT={} (--port)",
            port.checked_add(1).unwrap_or(32_000)
        ))
    })?;
    let pace = match config.pace {
        1 => "in real time".to_owned(),
        pace => format!("{pace} times as fast as in a cluster (PACE=1 for real time)"),
    };
    screen.line(&format!("podgauge's demo: the whole loop on this machine, {pace}\n"));
    let local = Local::start(config, folder, screen).await?;
    let outcome = with_local(&local, config, folder, screen, stop, front, started).await;
    screen.waiting("ending all processes");
    local.stop().await;
    screen.clear();
    outcome
}

async fn with_local(
    local: &Local,
    config: &Config,
    folder: &Folder,
    screen: &mut Screen,
    stop: &CancellationToken,
    front: Front,
    started: Instant,
) -> Result<(), DemoError> {
    let (url, target) = (front.url(), local.front(config).await?);
    let logs = folder.logs();
    let mut waiter = Waiter { screen: &mut *screen, logs: &logs, stuck: Stuck::default() };
    let mut podgauge = or_stopped(stop, local.install_podgauge(config, folder, &mut waiter)).await?;
    let leading = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(front.lead_to(target)));
    let outcome = {
        let loop_closes = async {
            or_stopped(stop, local.install_shop(config, &mut waiter)).await?;
            let watch = Watch::new(local.api.clone(), Shop::At(target), Logs::Folder(folder.logs()));
            let run = Run::new(config, folder, waiter.screen, watch, "a sandbox", started);
            let kubeconfig = format!("export KUBECONFIG={}", local.kubeconfig.display());
            show(run, config, stop, &[("shop", &url), ("kubectl", &kubeconfig)]).await
        };
        tokio::select! {
            outcome = loop_closes => outcome,
            how = podgauge.ended() => {
                Err(DemoError::Failed(format!("{how}; its log: {}/podgauge.log", shown(&folder.logs()))))
            }
        }
    };
    drop(leading);
    podgauge.stop().await;
    outcome
}

async fn on_current(
    config: &Config,
    folder: &Folder,
    screen: &mut Screen,
    stop: &CancellationToken,
) -> Result<(), DemoError> {
    let started = Instant::now();
    let (access, api, shop, url) = or_stopped(stop, async {
        let access = current::access().await?;
        let api = Api::new(&access).await.map_err(|error| DemoError::Usage(error.to_string()))?;
        let version = api.get("/version").await;
        version.map_err(|error| {
            DemoError::Usage(format!("the cluster {} does not answer: {error}", access.server))
        })?;
        screen.line(&format!("podgauge's demo: the whole loop on the cluster {}\n", access.context));
        screen.done("API server", &access.server);
        if config.deploy {
            current::deploy(config, screen).await?;
            screen.done("deployed", "by hack/deploy");
        }
        let (shop, url) = current::shop(&api).await?;
        Ok((access, api, shop, url))
    })
    .await?;
    screen.done("shop", &url);
    let watch = Watch::new(api.clone(), shop, Logs::Followed(Followed::new(api, NAMESPACE)));
    let cluster = format!("the cluster {}", access.context);
    let run = Run::new(config, folder, screen, watch, &cluster, started);
    show(run, config, stop, &[("shop", &url)]).await
}

/// The run itself, with its report; then the table for as long as the visitor likes.
async fn show(
    mut run: Run<'_>,
    config: &Config,
    stop: &CancellationToken,
    places: &[(&str, &str)],
) -> Result<(), DemoError> {
    let outcome = or_stopped(stop, run.close_the_loop()).await;
    run.finish(&outcome);
    if outcome.is_err() || config.once {
        return outcome;
    }
    for (name, place) in places {
        run.screen().line(&format!("  {name:<8} {place}"));
    }
    run.screen().line("\nBuy more and look on, or use kubectl. Ctrl-C ends everything.\n");
    let head = table::head(run.screen().look());
    run.screen().line(&head);
    tokio::select! {
        never = run.go_on() => match never {},
        () = stop.cancelled() => Ok(()),
    }
}

/// Does something, unless it is told to stop.
async fn or_stopped<T>(
    stop: &CancellationToken,
    what: impl Future<Output = Result<T, DemoError>>,
) -> Result<T, DemoError> {
    tokio::select! {
        () = stop.cancelled() => Err(DemoError::Interrupted),
        done = what => done,
    }
}

// === impl Config ===

impl Config {
    fn is_local(&self) -> bool {
        self.cluster == Cluster::Sandbox
    }

    /// How long a run that is to end may take before it is given up. At the usual pace it takes a minute, in real time
    /// five; a machine that is busy, or a cluster that fetches images, takes its time.
    fn patience(&self) -> Option<Duration> {
        self.once.then_some(Duration::from_secs(20 * 60))
    }
}
