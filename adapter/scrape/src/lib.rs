//! Discovers pods, fetches their pages, keeps the store fresh.
//!
//! ```text
//! API server ──watch──> sources
//!     │                   │asks
//!     └────────watch──> discover ──targets──> schedule ──due──> scrape = fetch ──bytes──> ingest ──> store
//!                                                 │
//! reads of the API ──> readers ──rhythms──────────┘
//! ```
//!
//! [`Config`] says how, [`Scraper::build`] checks it, [`Scraper::run`] does it until it is told to stop. [`Health`]
//! tells probes how it goes.
//!
//! # Promises
//! - A target lives as long as its pod is one: a pod that is gone is let go of in the midst of a scrape.
//! - A pod that is slow, broken or hostile costs its own target only; what it may cost is bounded by [`Config`].
//! - A scrape goes to the pod's own address, follows no redirect and carries no credential.
//! - The time of a page is when it was asked for, so that no value is taken for newer than it is.
//! - Nothing is given up for ever: watches, lists and targets are tried again, with back-off.
//!
//! # Left to others
//! What is too old to be served, rates and sums: the store's readers. The wall clock, the client for the API server
//! and the registry for our own numbers are handed in.

mod ask;
mod buffer;
mod cadence;
mod config;
mod discover;
mod failure;
mod fetch;
mod health;
mod ingest;
mod lenient;
mod metrics;
mod object;
mod offload;
mod own_thread;
mod pace;
mod pod;
mod readers;
mod relabel;
mod schedule;
mod scrape;
mod selection;
mod sources;
mod target_rules;
mod terms;
mod text;

use std::{
    collections::{HashMap, HashSet},
    fmt, io,
    sync::Arc,
};

use kube::Client;
use podgauge_rhythm::Pace;
use podgauge_store::{Timestamp, Writer};
use prometheus_client::registry::Registry;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use self::{
    cadence::Cadence,
    discover::Discovery,
    fetch::Fetcher,
    health::Signs,
    ingest::Shapes,
    metrics::Metrics,
    offload::Offload,
    own_thread::on_own_thread,
    schedule::{ScheduleConfig, Scheduler},
    scrape::PodScrape,
    sources::Sources,
    target_rules::TargetRules,
};
pub use self::{
    config::{Config, ConfigError, Source, flag},
    health::Health,
    readers::Readers,
};

/// Tells the wall clock's time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

/// Keeps a store fresh.
pub struct Scraper {
    client: Client,
    namespace: Option<String>,
    discovery: Discovery,
    commands: mpsc::Receiver<discover::Command>,
    scheduler: Scheduler<PodScrape>,
    readers: Readers,
    health: Health,
}

/// Changes that may wait for the scheduler. It is never busy for long, and discovery waits when this is full.
const COMMANDS: usize = 256;

// === impl Scraper ===

impl Scraper {
    /// A scraper that writes to `writer`, asks `client` for pods and counts in `registry`. Does nothing until it is
    /// [`run`](Self::run).
    ///
    /// # Errors
    /// A field of `config` is out of its range.
    pub fn build(
        config: Config,
        client: Client,
        writer: Writer,
        clock: Clock,
        registry: &mut Registry,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let metrics = Metrics::register(registry);
        let (signs, health) = Signs::new();
        let signs = Arc::new(signs);
        let (sender, commands) = mpsc::channel(COMMANDS);
        let scrape = PodScrape {
            fetcher: Fetcher::new(&config, clock.clone())?,
            limits: config.page.clone(),
            shapes: Shapes::new(config.memory_limit),
            offload: Offload::new(),
            metrics: metrics.clone(),
            clock,
        };
        let cadence =
            Cadence { epoch: Instant::now(), interval: config.interval, backoff_limit: config.backoff_limit };
        let readers = Readers::new(podgauge_rhythm::Config {
            questions: config.questions,
            ..podgauge_rhythm::Config::for_interval(config.interval)
        });
        registry.register_collector(Box::new(readers.clone()));
        let schedule = ScheduleConfig {
            cadence,
            pace: Pace { interval: config.interval, per_interval: config.scrapes_for_readers },
            concurrency: config.concurrency,
            warmup: config.interval + config.timeout,
        };
        let sources = Sources::new(&config.sources, config.monitor_settings());
        registry.register_collector(Box::new(sources.clone()));
        let rules = TargetRules {
            allow_node_addresses: config.allow_node_addresses,
            allow_loopback: config.allow_loopback,
            targets_per_pod: config.targets_per_pod,
        };
        Ok(Self {
            client,
            namespace: config.namespace,
            discovery: Discovery {
                rules,
                sources,
                known: HashMap::new(),
                writer,
                commands: sender,
                metrics: metrics.clone(),
                signs: Arc::clone(&signs),
                ready: HashSet::new(),
                is_listed: false,
            },
            commands,
            scheduler: Scheduler::new(schedule, scrape, readers.clone(), metrics, signs),
            readers,
            health,
        })
    }

    /// Tells how it goes, before, during and after the run.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Takes note of reads, so that scrapes can come before them.
    #[must_use]
    pub fn readers(&self) -> Readers {
        self.readers.clone()
    }

    /// Follows pods and scrapes them until `stop` is cancelled; scrapes that are under way then are dropped.
    ///
    /// # Errors
    /// There is no thread to be had for the scrapes.
    ///
    /// # Panics
    /// When one of its loops has panicked, which is a bug: without it the store would grow old in silence.
    pub async fn run(self, stop: CancellationToken) -> io::Result<()> {
        let Self { client, namespace, discovery, commands, scheduler, readers: _, health: _ } = self;
        // Both loops go on until they are dropped.
        let discovering = discovery.run(client, namespace.as_deref());
        let scraping = on_own_thread("scrapes", scheduler.run(commands));
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            never = discovering => match never {},
            failed = scraping => failed.map(|_ended| ()),
        }
    }
}

impl fmt::Debug for Scraper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scraper").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

// === impl Clock ===

impl Clock {
    /// A clock that asks `now`.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
