//! podgauge as a child process: the binary that is installed on clusters, with a kubeconfig of its own identity.

use crate::node::guard::Guard;
use crate::node::process::{Exit, Process};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

/// How long it may take until it says where it serves.
const START: Duration = Duration::from_secs(300);
/// How long it may take to end once it is asked to.
const GRACE: Duration = Duration::from_secs(3);
/// How many lines of its log are kept for messages.
const LAST_LINES: usize = 3;

/// What it is started with.
pub(super) struct Config<'a> {
    /// The program, an absolute path.
    pub(super) program: &'a Path,
    /// Its kubeconfig.
    pub(super) kubeconfig: &'a Path,
    /// The namespace that its Service and the Secret with its certificate are in.
    pub(super) namespace: &'a str,
    /// Where it serves, on ports that the system chooses.
    pub(super) ip: Ipv4Addr,
    /// How often it scrapes.
    pub(super) resolution: Duration,
    /// Where its log goes.
    pub(super) log: PathBuf,
}

/// A running podgauge. Dropping it kills it.
pub(super) struct Podgauge {
    process: Process,
    /// Where the API is served.
    pub(super) address: SocketAddr,
    last_lines: LastLines,
}

type LastLines = Arc<Mutex<VecDeque<String>>>;

/// It did not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error("there is no podgauge at {0}; build it first: cargo build -p podgauge")]
    Missing(String),
    #[error("cannot start podgauge: {0}")]
    Io(#[from] io::Error),
    #[error("podgauge ended at its start: {0}")]
    Ended(String),
}

// === impl Podgauge ===

impl Podgauge {
    /// Starts it and waits until it has its port.
    pub(super) async fn start(config: Config<'_>, guard: Arc<Guard>) -> Result<Self, StartError> {
        let log = tokio::fs::File::create(&config.log).await?;
        let (mut process, output) =
            match Process::start(config.program, &arguments(&config), &BTreeMap::new(), guard) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(StartError::Missing(config.program.display().to_string()));
                }
                other => other?,
            };
        let last_lines = LastLines::default();
        let (found, address) = oneshot::channel();
        let copying = tokio::spawn(copy(output, log, found, last_lines.clone()));
        if let Ok(Ok(address)) = tokio::time::timeout(START, address).await {
            return Ok(Self { process, address, last_lines });
        }
        // Its output has ended, and so has it; or it does not come to a point.
        process.kill();
        let _ = process.wait().await;
        let _ = copying.await;
        Err(StartError::Ended(lines(&last_lines)))
    }

    /// Waits until it ends by itself, and says how.
    pub(super) async fn ended(&mut self) -> String {
        let exit = self.process.wait().await.unwrap_or(Exit { code: 255, signal: None });
        format!("podgauge ended with code {}: {}", exit.code, lines(&self.last_lines))
    }

    /// Ends it.
    pub(super) async fn stop(mut self) {
        self.process.terminate();
        if tokio::time::timeout(GRACE, self.process.wait()).await.is_err() {
            self.process.kill();
            let _ = self.process.wait().await;
        }
    }
}

fn arguments(config: &Config<'_>) -> Vec<String> {
    let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
    vec![
        file("kubeconfig", config.kubeconfig),
        format!("--namespace={}", config.namespace),
        format!("--bind-address={}", config.ip),
        "--secure-port=0".to_owned(),
        format!("--admin-bind-address={}:0", config.ip),
        format!("--metric-resolution={}ms", config.resolution.as_millis()),
        // The pods of a sandbox are on loopback.
        "--scrape-loopback".to_owned(),
        "--logging-format=json".to_owned(),
    ]
}

/// Copies the log to its file, and says where the API is served when the log does.
async fn copy(
    output: pipe::Receiver,
    mut log: tokio::fs::File,
    found: oneshot::Sender<SocketAddr>,
    last_lines: LastLines,
) {
    let mut found = Some(found);
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(address) = api_address(&line)
            && let Some(found) = found.take()
        {
            // Whoever started it may have given up.
            let _ = found.send(address);
        }
        {
            let mut last = last_lines.lock().unwrap_or_else(PoisonError::into_inner);
            last.push_back(readable(&line));
            if last.len() > LAST_LINES {
                last.pop_front();
            }
        }
        // A full disk costs the log and nothing else.
        let _ = log.write_all(format!("{line}\n").as_bytes()).await;
    }
    let _ = log.flush().await;
}

/// The address in the line in which podgauge says where it serves the API, rather than its probes.
fn api_address(line: &str) -> Option<SocketAddr> {
    let event: Value = serde_json::from_str(line).ok()?;
    let message = event["message"].as_str()?;
    event["address"].as_str()?.parse().ok().filter(|_| !message.contains("probes"))
}

/// What a log line says, without its frame.
fn readable(line: &str) -> String {
    let event: Value = serde_json::from_str(line).unwrap_or_default();
    let Some(message) = event["message"].as_str() else { return line.to_owned() };
    let error = event["error"].as_str().map(|error| format!(": {error}")).unwrap_or_default();
    format!("{message}{error}")
}

fn lines(last_lines: &LastLines) -> String {
    let last = last_lines.lock().unwrap_or_else(PoisonError::into_inner);
    last.iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
}
