//! The file of `--config`: read at the start, read again when it changes, with the last good one kept. Its rules look from
//! time to time which names the pages have, out of the way of everything else.

use std::{
    fmt::Display,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use podgauge_api::Rules;
use podgauge_rules::{Problem, RuleSet, Severity};
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};
use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock;

/// A file and how it is read.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) path: PathBuf,
    pub(crate) rules: podgauge_rules::Config,
}

/// Keeps the rules in force those of the file.
#[derive(Debug)]
pub(crate) struct RulesFile {
    config: Config,
    rules: Rules,
    metrics: Metrics,
    /// What was read last, whether it was good or not.
    text: String,
    last_failure: String,
    /// Whether the rules have looked at the pages of all pods that there were at the start.
    is_applied: Arc<AtomicBool>,
}

#[derive(Clone, Debug, Default)]
struct Metrics {
    working: Gauge<u64, AtomicU64>,
    problems: Gauge<u64, AtomicU64>,
    failures: Counter,
}

/// Rules, and what is wrong with others.
type Loaded = (RuleSet, Vec<Problem>);

/// How often the file is looked at, and the pages.
const POLL: Duration = Duration::from_secs(5);
/// The same at the start, when the pod is not ready before its rules are applied.
const FIRST_POLL: Duration = Duration::from_millis(250);

// === impl RulesFile ===

impl RulesFile {
    /// Reads the file, and puts its rules in force.
    ///
    /// # Errors
    /// Nothing of it can be read.
    pub(crate) fn build(config: Config, rules: Rules, registry: &mut Registry) -> Result<Self, String> {
        let metrics = Metrics::register(registry);
        let named = |why: &dyn Display| format!("--config {}: {why}", config.path.display());
        let text = config.read().map_err(|why| named(&why))?;
        let loaded = podgauge_rules::load(&text, &config.rules).map_err(|problem| named(&problem))?;
        let file =
            Self { config, rules, metrics, text, last_failure: String::new(), is_applied: Arc::default() };
        file.put(loaded);
        Ok(file)
    }

    /// Whether the rules are applied to the first pages: before, names may be missing, or mean what they do without rules.
    pub(crate) fn is_applied(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_applied)
    }

    /// Follows the file, and the pages, until `stop`. `is_warm` says whether every pod has been asked once.
    pub(crate) async fn run(mut self, is_warm: impl Fn() -> bool, stop: CancellationToken) {
        loop {
            let was_warm = is_warm();
            // Files, regular expressions and many pages take their time.
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            // Looking neither panics nor is it cancelled.
            let Ok(file) = looked.await else { return };
            self = file;
            self.is_applied.fetch_or(was_warm, Ordering::Relaxed);
            let pause = if was_warm { POLL } else { FIRST_POLL };
            tokio::select! {
                () = stop.cancelled() => return,
                () = time::sleep(pause) => {}
            }
        }
    }

    /// Reads the file again if it has changed, and lets the rules look at the pages.
    fn look(&mut self) {
        match self.read() {
            Ok(Some(loaded)) => self.put(loaded),
            Ok(None) => self.last_failure.clear(),
            Err(why) if why == self.last_failure => {}
            Err(why) => {
                self.metrics.failures.inc();
                let file = self.config.path.display();
                warn!(%file, "the rules were not read again, the last good ones stay: {why}");
                self.last_failure = why;
            }
        }
        self.rules.refresh(clock::now());
    }

    /// What the file says; nothing if it is what it said before.
    fn read(&mut self) -> Result<Option<Loaded>, String> {
        let text = self.config.read()?;
        if text == self.text {
            return Ok(None);
        }
        let loaded = podgauge_rules::load(&text, &self.config.rules);
        self.text = text;
        loaded.map(Some).map_err(|problem| problem.to_string())
    }

    fn put(&self, (set, problems): Loaded) {
        let file = self.config.path.display();
        for problem in &problems {
            match problem.severity {
                Severity::Error => warn!("{file}:{problem}"),
                Severity::Note => info!("{file}:{problem}"),
            }
        }
        let working = set.custom.len() + set.external.len();
        let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
        self.metrics.working.set(working as u64);
        self.metrics.problems.set(errors as u64);
        self.rules.replace(set, clock::now());
        info!(%file, working, errors, "rules are in force");
    }
}

// === impl Config ===

impl Config {
    fn read(&self) -> Result<String, String> {
        read(&self.path, &self.rules)
    }
}

/// Reads a file of rules, as far as it may be one.
///
/// # Errors
/// What happened, and what to do if that is not plain.
pub(crate) fn read(path: &Path, rules: &podgauge_rules::Config) -> Result<String, String> {
    let most = rules.file_bytes;
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| error.to_string())?;
    if bytes.len() > most {
        return Err(format!("the file has more than the {most} bytes of --rules-file-limit"));
    }
    String::from_utf8(bytes).map_err(|_| "the file is not text in UTF-8".to_owned())
}

// === impl Metrics ===

impl Metrics {
    fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("rules", "Rules of --config that work", metrics.working.clone());
        let help = "What is wrong with the file of --config";
        registry.register("rules_problems", help, metrics.problems.clone());
        let help = "Changes of the file of --config that could not be read, so that the rules before stayed";
        registry.register("rules_reload_failures", help, metrics.failures.clone());
        metrics
    }
}
