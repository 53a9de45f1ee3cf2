//! A run: everything from the kubeconfig to the totals.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kube::{Client, Config};
use sandbox_hpa::reconcile;
use sandbox_hpa::scenario::{Clock, Scenario, from_yaml};
use sandbox_hpa::spec::HorizontalPodAutoscaler;
use serde_json::json;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::args::Args;
use crate::certificate::{Certificate, CertificateError};
use crate::cluster::{Cluster, RequestError};
use crate::registration::{self, NAMESPACE, RegistrationError};
use crate::report::{Totals, Verdict};
use crate::server::{self, Stages};
use crate::stage::Stage;
use crate::{clock, manifests};

/// The latest step of a scenario that is played without `--long`.
const SHORT: u32 = 120;
/// How far apart scenarios begin. All at once, the stock controller's own limit of 20 requests a second would
/// stretch its turns.
const SPACING: Duration = Duration::from_millis(150);
/// How long the controller may leave an HPA alone: four times its period, and some.
const PATIENCE: Duration = Duration::from_secs(75);

/// A run that cannot be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The scenarios cannot be read.
    #[error("the scenarios: {0}")]
    Scenarios(String),
    /// There is no kubeconfig, or it cannot be used.
    #[error("no way to a cluster was found (set KUBECONFIG): {0}")]
    Kubeconfig(String),
    /// No address is known.
    #[error(
        "the address at which kube-apiserver reaches this machine is not clear; say it with --address: {0}"
    )]
    Address(String),
    /// No certificate could be made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The cluster cannot be made to ask this program.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// A request failed.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// Plays all scenarios; whether all that were played agree.
#[expect(clippy::print_stdout, reason = "this is what the program is for")]
pub(crate) async fn run(args: &Args) -> Result<bool, RunError> {
    let scenarios = scenarios(&args.scenarios).map_err(RunError::Scenarios)?;
    let config = Config::infer().await.map_err(|error| RunError::Kubeconfig(error.to_string()))?;
    let url = config.cluster_url.clone();
    let cluster = cluster(config)?;
    let version = cluster.get("/version").await?;
    println!(
        "Kubernetes {}, {}, {} scenarios",
        version["gitVersion"].as_str().unwrap_or("of no version"),
        clock::now(),
        scenarios.len()
    );
    registration::remove(&cluster).await?;

    let address = match args.address {
        Some(address) => address,
        None => own_address(&url).await?,
    };
    let listener = TcpListener::bind((address, 0)).await;
    let listener = listener.map_err(|error| RunError::Address(format!("{address}: {error}")))?;
    let bound = listener.local_addr().map_err(|error| RunError::Address(error.to_string()))?;
    let certificate = Certificate::make(&registration::server_name())?;
    let stages = Stages::default();
    tokio::spawn(server::serve(listener, TlsAcceptor::from(certificate.tls), stages.clone()));
    registration::register(&cluster, bound, &certificate.pem).await?;

    let mut totals = Totals::default();
    let mut tell = |name: &str, verdict: &Verdict| {
        totals.add(verdict);
        println!("{:<8} {name}: {verdict}", verdict.word());
    };
    let mut plays = JoinSet::new();
    for scenario in scenarios {
        let name = scenario.name.clone();
        if !args.only.is_empty() && !args.only.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        if let Some(why) = skipped(&scenario, args) {
            tell(&name, &Verdict::Skipped(why));
            continue;
        }
        let (cluster, stages, config) = (cluster.clone(), stages.clone(), args.controller());
        let begin = tokio::time::Instant::now() + SPACING * u32::try_from(plays.len()).unwrap_or(u32::MAX);
        plays.spawn(async move {
            tokio::time::sleep_until(begin).await;
            let verdict = play(&cluster, &stages, config, scenario).await;
            (name, verdict.unwrap_or_else(Verdict::Broken))
        });
    }
    while let Some(played) = plays.join_next().await {
        match played {
            Ok((name, verdict)) => tell(&name, &verdict),
            Err(error) => tell("a scenario", &Verdict::Broken(error.to_string())),
        }
    }
    println!("{totals}");
    Ok(totals.all_agree())
}

/// Removes from the cluster whatever a run made.
pub(crate) async fn clean_up() -> Result<(), RunError> {
    let config = Config::infer().await.map_err(|error| RunError::Kubeconfig(error.to_string()))?;
    Ok(registration::remove(&cluster(config)?).await?)
}

fn cluster(config: Config) -> Result<Cluster, RunError> {
    let client = Client::try_from(config).map_err(|error| RunError::Kubeconfig(error.to_string()))?;
    Ok(Cluster::new(client))
}

/// All scenarios of a folder, in the order of its files.
fn scenarios(folder: &Path) -> Result<Vec<Scenario>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        files.push(entry.map_err(failed)?.path());
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let mut scenarios = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(failed)?;
        scenarios.extend(from_yaml(&text).map_err(|error| format!("{}: {error}", file.display()))?);
    }
    Ok(scenarios)
}

/// Why a scenario cannot be played to this cluster, if it cannot.
fn skipped(scenario: &Scenario, args: &Args) -> Option<String> {
    let config = args.controller();
    let last = scenario.steps.last().map_or(0, |step| step.at);
    let needs = &scenario.controller;
    if scenario.clock == Clock::Exact {
        return Some("an age must be exactly as long as a window, which cannot be arranged".into());
    }
    if scenario.steps.iter().any(|step| step.restart) {
        return Some("it wants the controller restarted".into());
    }
    if let Some(tolerance) = needs.tolerance.filter(|tolerance| *tolerance != config.tolerance) {
        return Some(format!("it wants a controller with --horizontal-pod-autoscaler-tolerance={tolerance}"));
    }
    if let Some(seconds) = needs.downscale_stabilization_seconds
        && Duration::from_secs(seconds) != config.downscale_stabilization
    {
        return Some(format!(
            "it wants a controller with --horizontal-pod-autoscaler-downscale-stabilization={seconds}s"
        ));
    }
    (last > SHORT && !args.long).then(|| format!("it takes {last} s: play it with --long"))
}

async fn play(
    cluster: &Cluster,
    stages: &Stages,
    config: reconcile::Config,
    scenario: Scenario,
) -> Result<Verdict, String> {
    let text = |error: RequestError| error.to_string();
    let namespace = format!("{NAMESPACE}-{}", scenario.name);
    cluster.create("/api/v1/namespaces", &registration::namespace(&namespace)).await.map_err(text)?;
    // Pods cannot be made without one, and the cluster takes its time to make it.
    let account = json!({"metadata": {"name": "default"}});
    cluster
        .ensure(&format!("/api/v1/namespaces/{namespace}/serviceaccounts"), &account)
        .await
        .map_err(text)?;

    let hpas = format!("/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers");
    let last = scenario.steps.last().map_or(0, |step| step.at);
    let patience = Duration::from_secs(last.into())
        + PATIENCE * (2 + u32::try_from(scenario.steps.len()).unwrap_or(u32::MAX));
    let stage = Arc::new(Stage::new(cluster.clone(), config, namespace.clone(), scenario.clone())?);
    stages.insert(&namespace, stage.clone());
    stage.make_pods().await?;

    for rival in scenario.other_hpas.keys() {
        cluster.create(&hpas, &manifests::hpa(rival, &manifests::rival())).await.map_err(text)?;
    }
    if tokio::time::timeout(PATIENCE, stage.rivals_are_known()).await.is_err() {
        return Err("the controller takes no interest in the other HPAs".into());
    }

    let wanted = manifests::hpa(manifests::NAME, &scenario.hpa);
    let object = cluster.create(&hpas, &wanted).await.map_err(text)?;
    if let Some(difference) = unlike_defaults(&wanted, &object) {
        return Ok(Verdict::Differs { at: 0, turn: 0, differences: vec![difference] });
    }
    stage.meet(&object).await?;
    match tokio::time::timeout(patience, stage.verdict()).await {
        Ok(verdict) => {
            cluster.delete(&format!("{hpas}/{}", manifests::NAME)).await.map_err(text)?;
            Ok(verdict)
        }
        Err(_) => Err(format!("the controller took no further turn ({})", stage.progress().await)),
    }
}

/// Where the API server's defaults are not ours.
fn unlike_defaults(wanted: &serde_json::Value, made: &serde_json::Value) -> Option<String> {
    let read = |object: &serde_json::Value| {
        serde_json::from_value::<HorizontalPodAutoscaler>(json!({"spec": object["spec"]}))
            .map_err(|error| format!("the HPA cannot be read: {error}"))
    };
    match (read(wanted), read(made)) {
        (Ok(mut ours), Ok(theirs)) => {
            ours.apply_defaults();
            (ours.spec != theirs.spec).then(|| {
                format!(
                    "spec with defaults: ours {}, the API server's {}",
                    json!(ours.spec),
                    json!(theirs.spec)
                )
            })
        }
        (Err(error), _) | (_, Err(error)) => Some(error),
    }
}

/// The address from which this machine reaches kube-apiserver: most often also where kube-apiserver reaches
/// this machine.
async fn own_address(url: &http::Uri) -> Result<IpAddr, RunError> {
    let failed = |error: std::io::Error| RunError::Address(error.to_string());
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_u16().unwrap_or(443);
    let mut peers = tokio::net::lookup_host((host, port)).await.map_err(failed)?;
    let peer = peers.next().ok_or_else(|| RunError::Address(format!("{url} has no address")))?;
    let any: SocketAddr = if peer.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    // Nothing is sent: connecting a UDP socket only picks a route.
    let socket = UdpSocket::bind(any).await.map_err(failed)?;
    socket.connect(peer).await.map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?.ip();
    if address.is_loopback() {
        return Err(RunError::Address(format!(
            "{url} is on this machine's loopback, which no Service may name"
        )));
    }
    Ok(address)
}
