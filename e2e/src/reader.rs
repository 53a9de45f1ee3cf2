//! Somebody who reads a metric ten times a second and forgives nothing.

use crate::Outcome;
use crate::cluster::Cluster;
use crate::wait::ensure;
use jiff::Timestamp;
use serde_json::Value;
use std::fmt;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

const INTERVAL: Duration = Duration::from_millis(100);
/// As many as are told in full.
const TOLD: usize = 10;

/// A reader at work.
pub(crate) struct Reader {
    stop: CancellationToken,
    task: JoinHandle<Report>,
}

/// What a reader saw.
#[derive(Default)]
pub(crate) struct Report {
    reads: usize,
    failed: Vec<String>,
    slowest: Duration,
    oldest: Duration,
}

// === impl Reader ===

impl Reader {
    /// Reads `path` each 100 ms from now on. A good answer has at least `pods` values.
    pub(crate) fn start(cluster: &Cluster, path: String, pods: usize) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(read(cluster.clone(), path, pods, stop.clone()));
        Self { stop, task }
    }

    /// Ends the reading; fails if any read did.
    pub(crate) async fn finish(self) -> Outcome<Report> {
        self.stop.cancel();
        let report = self.task.await?;
        ensure(report.failed.is_empty() && report.reads > 0, || report.to_string())?;
        Ok(report)
    }
}

async fn read(cluster: Cluster, path: String, pods: usize, stop: CancellationToken) -> Report {
    let mut report = Report::default();
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let begun = Instant::now();
        let answer = cluster.get(&path).await.and_then(|answer| answer.json());
        report.reads += 1;
        report.slowest = report.slowest.max(begun.elapsed());
        match answer.and_then(|list| age(&list, pods)) {
            Ok(age) => report.oldest = report.oldest.max(age),
            Err(error) => report.failed.push(format!("{} {error}", Timestamp::now())),
        }
    }
    report
}

/// The age of the oldest value of a list, if it has enough of them.
fn age(list: &Value, pods: usize) -> Outcome<Duration> {
    let items = list["items"].as_array().cloned().unwrap_or_default();
    ensure(items.len() >= pods, || format!("{} values instead of {pods}: {list}", items.len()))?;
    let now = Timestamp::now();
    let mut oldest = Duration::ZERO;
    for item in items {
        let taken: Timestamp = item["timestamp"].as_str().unwrap_or_default().parse()?;
        oldest = oldest.max(Duration::try_from(now.duration_since(taken)).unwrap_or_default());
    }
    Ok(oldest)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reads, failed, slowest, oldest } = self;
        let (slowest, oldest) = (slowest.as_millis(), oldest.as_secs_f64());
        write!(f, "{reads} reads, {} failed; the slowest took {slowest} ms; ", failed.len())?;
        write!(f, "the oldest value was {oldest:.1} s old")?;
        for failure in failed.iter().take(TOLD) {
            write!(f, "\n    {failure}")?;
        }
        Ok(())
    }
}
