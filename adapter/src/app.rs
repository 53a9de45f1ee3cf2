//! The wiring: which part is given to which, and the order in which they start and stop.

use std::{
    net::{IpAddr, SocketAddr},
    process::ExitCode,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use podgauge_api::{Audience, CustomMetrics, ExternalMetrics, Question, Rules};
use podgauge_apiserver::{
    Api, AuthenticationConfig, AuthorizationConfig, GroupVersion, LimitsConfig, Parts, Readiness, Server,
    ServingConfig, TlsVersion, probes,
};
use podgauge_objects::Follower;
use podgauge_scrape::{Health, Readers, Scraper};
use podgauge_store::{Objects, Pod};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    admin::{self, Admin, Check},
    certificates::{Caretaker, Certificate, CertificateError},
    clock, cluster,
    process::Process,
    prometheus::{self, Lister},
    rules_file::{self, RulesFile},
    totals::StoreTotals,
};

/// Everything that the flags say.
#[derive(Debug)]
pub(crate) struct Config {
    /// How pods are found and read.
    pub(crate) scrape: podgauge_scrape::Config,
    /// Which objects stand for pods.
    pub(crate) objects: podgauge_objects::Config,
    /// Whose names win over those that need no rule, if there are any.
    pub(crate) rules: Option<rules_file::Config>,
    /// Whom those rules ask that do not look at pods' pages.
    pub(crate) prometheus: Option<prometheus::Config>,
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
    pub(crate) certificate: Certificate,
    /// The APIServices that are told of its CA; without, those of the APIs that are served.
    pub(crate) api_services: Option<Vec<String>>,
    pub(crate) min_tls_version: TlsVersion,
    pub(crate) cipher_suites: Vec<String>,
    pub(crate) http2: bool,
    pub(crate) shutdown_delay: Duration,
    pub(crate) drain_deadline: Duration,
}

/// podgauge, bound to its ports and not yet running.
pub(crate) struct App {
    scraper: Scraper,
    follower: Follower,
    rules_file: Option<RulesFile>,
    lister: Option<Lister>,
    server: Server,
    admin: Admin,
    caretaker: Caretaker,
    /// Cancelled when draining begins, and known to the probes before.
    draining: CancellationToken,
}

/// Tells the scraper what is read, so that it scrapes just before the next time.
struct Listener(Readers);

/// Why podgauge did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error(transparent)]
    Cluster(#[from] cluster::ClusterError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("{0}")]
    Rules(String),
    #[error(transparent)]
    Prometheus(#[from] prometheus::TransportError),
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
        let follower = Follower::build(config.objects, clients.pods.clone());
        let scraper = Scraper::build(
            config.scrape,
            clients.pods.clone(),
            writer,
            podgauge_scrape::Clock::new(clock::now),
            registry.sub_registry_with_prefix("podgauge"),
        )?;
        let (objects, listener) = (follower.objects(), Listener(scraper.readers()));
        let listed = objects_listed(objects.clone());
        let asked = match &config.prometheus {
            Some(prometheus) => {
                let registry = registry.sub_registry_with_prefix("podgauge_prometheus");
                Some((prometheus, prometheus::client(prometheus, registry).await?))
            }
            None => None,
        };
        let upstream = asked.as_ref().map(|(_, client)| prometheus::upstream(client.clone()));
        let rules = Rules::new(reader.clone(), upstream);
        let lister = asked.map(|(prometheus, client)| Lister::new(prometheus, client, rules.clone()));
        let api = registry.sub_registry_with_prefix("podgauge_api");
        let (age, seen) = (config.api.clone(), reader.clone());
        let versions = CustomMetrics::both(
            config.api,
            reader.clone(),
            objects,
            rules.clone(),
            clock::now,
            listener,
            api,
        );
        let [first, _] = &versions;
        let external = ExternalMetrics::new(age, seen, rules.clone(), clock::now, first.age_metrics());
        let mut apis: Vec<Arc<dyn Api>> = vec![Arc::new(external)];
        apis.extend(versions.into_iter().map(|version| Arc::new(version) as Arc<dyn Api>));
        let group_versions: Vec<GroupVersion> = apis.iter().map(|api| api.group_version()).collect();
        let own = registry.sub_registry_with_prefix("podgauge");
        let rules_file = config.rules.map(|file| RulesFile::build(file, rules, own));
        let rules_file = rules_file.transpose().map_err(BuildError::Rules)?;

        let draining = CancellationToken::new();
        let live = live(scraper.health());
        let pods = pods(scraper.health());
        let ruled = rules_applied(rules_file.as_ref());
        let series = series_listed(lister.as_ref());

        let api_services = config.serving.api_services.unwrap_or_else(|| {
            let name =
                |group_version: GroupVersion| format!("{}.{}", group_version.version, group_version.group);
            group_versions.into_iter().map(name).collect()
        });
        let (certificate, caretaker) = config.serving.certificate.build(
            api_services,
            clients.pods,
            registry.sub_registry_with_prefix("podgauge"),
        )?;
        let certified = caretaker.check();
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
                apis,
                authentication: Some(clients.authentication),
                authorization: Some(clients.authorization),
                probes: probes::Probes {
                    live: vec![as_check("loops", &live)],
                    ready: vec![
                        as_check("certificate", &certified),
                        as_check("pods", &pods),
                        as_check("objects", &listed),
                        as_check("rules", &ruled),
                        as_check("prometheus", &series),
                    ],
                },
                // podgauge's own metrics have a port of their own.
                metrics_page: None,
                clock: Arc::new(clock::wall),
            },
            registry.sub_registry_with_prefix("podgauge"),
        )?;
        let ready = ready(vec![certified, pods, listed, ruled, series], server.readiness(), draining.clone());

        registry.register_collector(Box::new(StoreTotals(reader)));
        registry.register_collector(Box::new(Process));
        let admin = admin::Config { address: config.admin, live, ready, metrics: registry };
        let admin = Admin::build(admin)
            .await
            .map_err(|source| BuildError::Admin { address: config.admin, source })?;
        Ok(Self { scraper, follower, rules_file, lister, server, admin, caretaker, draining })
    }

    /// Runs until `stop`, then drains: readiness goes first, then the API finishes what is under way, and last go
    /// the scraper, whose values it served, and the probes.
    pub(crate) async fn run(self, stop: CancellationToken) -> ExitCode {
        let Self { scraper, follower, rules_file, lister, server, admin, caretaker, draining } = self;
        info!(address = %server.local_addr(), "serving custom.metrics.k8s.io and external.metrics.k8s.io");
        let rest = CancellationToken::new();
        let mut admin = tokio::spawn(admin.run(rest.clone()));
        let health = scraper.health();
        let is_warm = move || health.is_synced() && health.is_warm();
        let mut scraping = tokio::spawn({
            let rest = rest.clone();
            async move {
                if let Err(error) = scraper.run(rest).await {
                    error!(%error, "there is no thread for scrapes");
                }
            }
        });
        let mut caring = tokio::spawn(caretaker.run(rest.clone()));
        let mut following = tokio::spawn(follower.run(rest.clone()));
        let mut ruling = tokio::spawn({
            let rest = rest.clone();
            async move {
                match rules_file {
                    Some(file) => file.run(is_warm, rest).await,
                    None => rest.cancelled().await,
                }
            }
        });
        let mut listing = tokio::spawn({
            let rest = rest.clone();
            async move {
                match lister {
                    Some(lister) => lister.run(rest).await,
                    None => rest.cancelled().await,
                }
            }
        });
        let api_stop = CancellationToken::new();
        let mut serving = tokio::spawn(server.run(api_stop.clone()));

        // A part that ends by itself is a bug; what is left of podgauge would only look healthy.
        let code = tokio::select! {
            () = stop.cancelled() => ExitCode::SUCCESS,
            ended = &mut scraping => failed("the scraper", ended.err()),
            ended = &mut caring => failed("the certificates' keeper", ended.err()),
            ended = &mut following => failed("the follower of objects", ended.err()),
            ended = &mut ruling => failed("the reader of rules", ended.err()),
            ended = &mut listing => failed("the lister of Prometheus' series", ended.err()),
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

// === impl Listener ===

impl Audience for Listener {
    fn answered(&self, question: &Question<'_>, pods: &[Arc<Pod>]) {
        self.0.answered(question, pods, Instant::now());
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

/// Objects that have not been asked for. Those that cannot be had hold nothing up: requests for them say why.
fn objects_listed(objects: Objects) -> Check {
    Arc::new(move || {
        objects
            .unsettled()
            .map(|resource| format!("{resource} have not been listed yet (--object-resources)"))
    })
}

/// Rules that have not seen the first pages: the names that they make would be missing, or mean something else.
fn rules_applied(file: Option<&RulesFile>) -> Check {
    let is_applied = file.map(RulesFile::is_applied);
    Arc::new(move || {
        let is_owed = is_applied.as_ref().is_some_and(|applied| !applied.load(Ordering::Relaxed));
        is_owed.then(|| "the rules of --config are being applied to the first pages".to_owned())
    })
}

/// Series that Prometheus was not asked for yet. One that does not answer holds nothing up: its metrics say why.
fn series_listed(lister: Option<&Lister>) -> Check {
    let is_tried = lister.map(Lister::is_tried);
    Arc::new(move || {
        let is_owed = is_tried.as_ref().is_some_and(|tried| !tried.load(Ordering::Relaxed));
        is_owed.then(|| "Prometheus is being asked for its series (--prometheus-url)".to_owned())
    })
}

/// All that is missing before requests should come, one thing at a time.
fn ready(owed: Vec<Check>, server: Readiness, draining: CancellationToken) -> Check {
    Arc::new(move || {
        if draining.is_cancelled() {
            return Some("podgauge is shutting down".to_owned());
        }
        server.check().err().or_else(|| owed.iter().find_map(|check| check()))
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
