//! The wiring: which part is given to which, and the order in which they start and stop.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use podgauge_api::CustomMetrics;
use podgauge_apiserver::{
    Api, AuthenticationConfig, AuthorizationConfig, CertificateSource, LimitsConfig, Parts, Readiness,
    Server, ServingConfig, TlsVersion, probes,
};
use podgauge_scrape::{Health, Scraper};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    admin::{self, Admin, Check},
    clock, cluster, own_certificate,
    process::Process,
    totals::StoreTotals,
};

/// Everything that the flags say.
#[derive(Debug)]
pub(crate) struct Config {
    /// How pods are found and read.
    pub(crate) scrape: podgauge_scrape::Config,
    /// What is kept.
    pub(crate) store: podgauge_store::Config,
    /// What is served of it.
    pub(crate) api: podgauge_api::Config,
    /// Where the API is served.
    pub(crate) serving: Serving,
    /// What a client may use up.
    pub(crate) limits: LimitsConfig,
    /// How a caller is told.
    pub(crate) authentication: AuthenticationConfig,
    /// How a caller is let in.
    pub(crate) authorization: AuthorizationConfig,
    /// How the cluster is reached.
    pub(crate) cluster: cluster::Config,
    /// Where probes and podgauge's own metrics are served.
    pub(crate) admin: SocketAddr,
}

/// Where the API is served.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) bind_address: IpAddr,
    pub(crate) secure_port: u16,
    /// Certificate and key; a self-made one without.
    pub(crate) certificate: Option<(PathBuf, PathBuf)>,
    pub(crate) min_tls_version: TlsVersion,
    pub(crate) cipher_suites: Vec<String>,
    pub(crate) http2: bool,
    pub(crate) shutdown_delay: Duration,
    pub(crate) drain_deadline: Duration,
}

/// podgauge, bound to its ports and not yet running.
pub(crate) struct App {
    scraper: Scraper,
    server: Server,
    admin: Admin,
    /// Cancelled when draining begins, and known to the probes before.
    draining: CancellationToken,
}

/// Why podgauge did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error(transparent)]
    Cluster(#[from] cluster::ClusterError),
    #[error("cannot make a serving certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error(transparent)]
    Scraper(#[from] podgauge_scrape::ConfigError),
    #[error(transparent)]
    Server(#[from] podgauge_apiserver::BuildError),
    #[error("listening on {address} (--admin-bind-address): {source}")]
    Admin { address: SocketAddr, source: std::io::Error },
}

/// The scraper's loops come round every second; ten times that is a loop that stands still.
const PATIENCE: Duration = Duration::from_secs(10);

// === impl App ===

impl App {
    /// Builds every part and binds both ports. Connects to nothing yet.
    pub(crate) async fn build(config: Config) -> Result<Self, BuildError> {
        let clients = cluster::Clients::build(&config.cluster).await?;
        let mut registry = Registry::default();

        let (writer, reader) = podgauge_store::open(config.store);
        let scraper = Scraper::build(
            config.scrape,
            clients.pods,
            writer,
            podgauge_scrape::Clock::new(clock::now),
            registry.sub_registry_with_prefix("podgauge"),
        )?;
        let api = registry.sub_registry_with_prefix("podgauge_api");
        let versions = CustomMetrics::both(config.api, reader.clone(), clock::now, api);

        let draining = CancellationToken::new();
        let live = live(scraper.health());
        let pods = pods(scraper.health());

        let certificate = match config.serving.certificate {
            Some((certificate, key)) => CertificateSource::Files { certificate, key },
            None => {
                warn!(
                    "serving with a self-made certificate, which no client can verify: set --tls-cert-file"
                );
                CertificateSource::fixed(own_certificate::make()?)
            }
        };
        let serving = ServingConfig {
            bind_address: config.serving.bind_address,
            secure_port: config.serving.secure_port,
            min_tls_version: config.serving.min_tls_version,
            cipher_suites: config.serving.cipher_suites,
            http2: config.serving.http2,
            shutdown_delay: config.serving.shutdown_delay,
            drain_deadline: config.serving.drain_deadline,
            ..podgauge_apiserver::Config::new(certificate.clone()).serving
        };
        let server = Server::build(
            podgauge_apiserver::Config {
                serving,
                limits: config.limits,
                authentication: config.authentication,
                authorization: config.authorization,
                title: "podgauge".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            Parts {
                apis: versions.into_iter().map(|version| Arc::new(version) as Arc<dyn Api>).collect(),
                authentication: Some(clients.authentication),
                authorization: Some(clients.authorization),
                probes: probes::Probes {
                    live: vec![as_check("loops", &live)],
                    ready: vec![as_check("pods", &pods)],
                },
                // podgauge's own metrics have a port of their own.
                metrics_page: None,
                clock: Arc::new(|| {
                    SystemTime::UNIX_EPOCH + Duration::from_millis(clock::now().millis().unsigned_abs())
                }),
            },
            registry.sub_registry_with_prefix("podgauge"),
        )?;
        let ready = ready(pods, server.readiness(), draining.clone());

        registry.register_collector(Box::new(StoreTotals(reader)));
        registry.register_collector(Box::new(Process));
        let admin = admin::Config { address: config.admin, live, ready, metrics: registry };
        let admin = Admin::build(admin)
            .await
            .map_err(|source| BuildError::Admin { address: config.admin, source })?;
        Ok(Self { scraper, server, admin, draining })
    }

    /// Runs until `stop`, then drains: readiness goes first, then the API finishes what is under way, and last go
    /// the scraper, whose values it served, and the probes.
    pub(crate) async fn run(self, stop: CancellationToken) -> ExitCode {
        let Self { scraper, server, admin, draining } = self;
        info!(address = %server.local_addr(), "serving custom.metrics.k8s.io");
        let rest = CancellationToken::new();
        let mut admin = tokio::spawn(admin.run(rest.clone()));
        let mut scraping = tokio::spawn(scraper.run(rest.clone()));
        let api_stop = CancellationToken::new();
        let mut serving = tokio::spawn(server.run(api_stop.clone()));

        // A part that ends by itself is a bug; what is left of podgauge would only look healthy.
        let code = tokio::select! {
            () = stop.cancelled() => ExitCode::SUCCESS,
            ended = &mut scraping => failed("the scraper", ended.err()),
            ended = &mut admin => failed("the admin server", ended.err()),
            ended = &mut serving => return failed("the API server", ended.err()),
        };
        draining.cancel();
        api_stop.cancel();
        match serving.await {
            Ok(Ok(drained)) => info!(cut = drained.cut, "drained"),
            Ok(Err(error)) => error!(%error, "the API server failed"),
            Err(error) => error!(%error, "the API server panicked"),
        }
        rest.cancel();
        code
    }
}

/// What is wrong such that only a restart helps.
fn live(scraper: Health) -> Check {
    Arc::new(move || scraper.stalled(PATIENCE).map(|name| format!("the {name} loop stands still")))
}

/// What pods still owe before requests should come: to be listed, and to be asked once.
fn pods(scraper: Health) -> Check {
    Arc::new(move || {
        if !scraper.is_synced() {
            Some("pods have not been listed yet; the log has what the API server said".to_owned())
        } else if !scraper.is_warm() {
            Some("the first round of scrapes is not over yet".to_owned())
        } else {
            None
        }
    })
}

/// All that is missing before requests should come, one thing at a time.
fn ready(pods: Check, server: Readiness, draining: CancellationToken) -> Check {
    Arc::new(move || {
        if draining.is_cancelled() {
            return Some("podgauge is shutting down".to_owned());
        }
        server.check().err().or_else(|| pods())
    })
}

fn as_check(name: &'static str, check: &Check) -> probes::Check {
    let check = Arc::clone(check);
    probes::Check::new(name, move || check().map_or(Ok(()), Err))
}

fn failed(part: &str, error: Option<tokio::task::JoinError>) -> ExitCode {
    match error {
        Some(error) => error!(%error, "{part} panicked"),
        None => error!("{part} ended by itself"),
    }
    ExitCode::FAILURE
}
