//! How many orders are in the queue.
//!
//! [`Depth::read`] asks the broker at most once a second however many ask, answers from that reading in between,
//! and never keeps its caller longer than [`Config::timeout`]: then the answer is none, which is not 0. Nothing is
//! asked while nobody wants to know.
//!
//! **What is counted**: every message that no worker has acknowledged, those in workers' hands included. Both of
//! ActiveMQ's ways (the statistics plugin's `size`, and browsing) count so, and so did the demo that this one
//! follows. An order in hand is work that is still to be done; when the queue is drained the count is 0 either way.
//!
//! **How**: the broker's statistics plugin answers at once whatever the length. A broker that does not answer
//! (no plugin, or a queue that does not exist yet) or that drops the connection (Debian's ActiveMQ without its
//! optional libraries) is browsed instead, up to [`Config::browse_limit`] messages, and asked again a minute later;
//! the first time that it does not answer, at the next reading, because browsing makes the queue known.
//! This uses a connection of its own, so that neither orders nor the worker suffer from such a drop.

mod query;
mod statistics;

use crate::clock::Clock;
use crate::dial::Dialer;
use crate::stomp::connection::{self, ConnectionError};
use query::Session;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// How the depth is read.
#[derive(Clone, Debug)]
pub struct Config {
    /// The queue's name.
    pub queue: String,
    /// Longest wait of a caller and longest time for one reading. Default 2 s.
    pub timeout: Duration,
    /// How long a reading, or the failure to get one, answers further callers. Default 1 s.
    pub fresh_for: Duration,
    /// Longest wait for the statistics plugin before the queue is browsed; zero never asks it. Default 500 ms.
    pub statistics_timeout: Duration,
    /// How long a broker that never answered for statistics over its connection is not asked again. Default 60 s.
    pub statistics_retry: Duration,
    /// Most messages that are browsed. Default 10,000.
    pub browse_limit: u64,
    /// The connection.
    pub connection: connection::Config,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Messages that no worker has acknowledged yet; a lower bound when [`Reading::capped`].
    pub messages: u64,
    /// Browsing stopped at its limit.
    pub capped: bool,
    /// What only the statistics plugin knows.
    pub details: Option<Details>,
}

/// The statistics plugin's numbers about the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Messages in workers' hands.
    pub in_flight: u64,
    /// Consumers of the queue: workers of all instances.
    pub consumers: u64,
    /// Messages ever put into the queue, since the broker started.
    pub enqueued: u64,
    /// Messages ever taken out of it for good, since the broker started.
    pub dequeued: u64,
}

/// Reads the depth. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Depth {
    callers: mpsc::Sender<oneshot::Sender<Option<Reading>>>,
    latest: Arc<Mutex<Option<Latest>>>,
    fresh_for: Duration,
    timeout: Duration,
}

/// The part that talks to the broker. It ends when it is told to.
pub struct Task {
    config: Config,
    dialer: Dialer,
    clock: Clock,
    callers: mpsc::Receiver<oneshot::Sender<Option<Reading>>>,
    latest: Arc<Mutex<Option<Latest>>>,
    session: Option<Session>,
    /// Statistics are not asked for before then.
    statistics_from: Option<Instant>,
    /// The broker did not answer when it was asked last.
    silent: bool,
    /// It has answered over this connection: so it can, and a late answer is only that.
    has_answered: bool,
}

/// The newest reading, or that there was none, and when.
#[derive(Clone, Copy, Debug)]
struct Latest {
    at: Instant,
    reading: Option<Reading>,
}

/// Callers that may wait at once; more are told "unknown".
const CALLERS: usize = 256;

// === impl Config ===

impl Config {
    /// The defaults for that queue.
    pub fn new(queue: impl Into<String>, connection: connection::Config) -> Self {
        Self {
            queue: queue.into(),
            timeout: Duration::from_secs(2),
            fresh_for: Duration::from_secs(1),
            statistics_timeout: Duration::from_millis(500),
            statistics_retry: Duration::from_secs(60),
            browse_limit: 10_000,
            connection,
        }
    }

    /// The handle and the task behind it.
    pub fn build(self, dialer: Dialer, clock: Clock) -> (Depth, Task) {
        let (sender, callers) = mpsc::channel(CALLERS);
        let latest = Arc::default();
        let depth = Depth {
            callers: sender,
            latest: Arc::clone(&latest),
            fresh_for: self.fresh_for,
            timeout: self.timeout,
        };
        let task = Task {
            config: self,
            dialer,
            clock,
            callers,
            latest,
            session: None,
            statistics_from: None,
            silent: false,
            has_answered: false,
        };
        (depth, task)
    }
}

// === impl Depth ===

impl Depth {
    /// The depth, at most a second old; none when it cannot be known in time.
    pub async fn read(&self) -> Option<Reading> {
        if let Some(latest) = lock(&self.latest).filter(|latest| latest.at.elapsed() < self.fresh_for) {
            return latest.reading;
        }
        let (answer, answered) = oneshot::channel();
        self.callers.try_send(answer).ok()?;
        timeout(self.timeout, answered).await.ok()?.ok()?
    }
}

// === impl Task ===

impl Task {
    /// Answers callers until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = idle(&mut self.session) => {}
                caller = self.callers.recv() => match caller {
                    Some(caller) => self.answer(caller).await,
                    None => return,
                },
            }
        }
    }

    async fn answer(&mut self, caller: oneshot::Sender<Option<Reading>>) {
        let reading = match timeout(self.config.timeout, self.measure()).await {
            Ok(Ok(reading)) => Some(reading),
            Ok(Err(error)) => {
                warn!(%error, "cannot read the queue's depth");
                None
            }
            Err(_) => {
                warn!(timeout = ?self.config.timeout, "the broker did not tell the queue's depth in time");
                if self.has_answered {
                    self.statistics_from = None;
                }
                None
            }
        };
        if reading.is_none() {
            self.session = None;
        }
        *lock(&self.latest) = Some(Latest { at: Instant::now(), reading });
        // Whoever asked meanwhile gets the same answer. All of them are taken before the first is told: who has heard it
        // and asks anew wants another.
        let mut callers = vec![caller];
        while let Ok(caller) = self.callers.try_recv() {
            callers.push(caller);
        }
        for caller in callers {
            // A caller that went away is no error.
            let _ = caller.send(reading);
        }
    }

    async fn measure(&mut self) -> Result<Reading, ConnectionError> {
        let patience = self.config.statistics_timeout;
        if !patience.is_zero() && self.statistics_from.is_none_or(|from| Instant::now() >= from) {
            // Set first: when the whole reading runs out of time, the next one browses.
            self.statistics_from = Some(Instant::now() + self.config.statistics_retry);
            let now = (self.clock)();
            let session = self.session().await?;
            match timeout(patience, session.statistics(now)).await {
                Ok(Ok(reading)) => {
                    (self.statistics_from, self.silent, self.has_answered) = (None, false, true);
                    return Ok(reading);
                }
                Ok(Err(error)) => {
                    debug!(%error, "the broker does not take questions for statistics");
                    self.session = None;
                }
                Err(_) => {
                    debug!("no answer for statistics; browsing");
                    // It may be that the queue does not exist yet. Browsing makes it known: so once more.
                    if !std::mem::replace(&mut self.silent, true) || self.has_answered {
                        self.statistics_from = None;
                    }
                }
            }
        }
        let limit = self.config.browse_limit;
        self.session().await?.browse(limit).await
    }

    async fn session(&mut self) -> Result<&mut Session, ConnectionError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => {
                // It may be another broker.
                self.has_answered = false;
                Session::open(&self.dialer, &self.config).await?
            }
        };
        Ok(self.session.insert(session))
    }
}

/// Keeps the heart-beats of an idle connection, and drops it when it breaks.
async fn idle(session: &mut Option<Session>) {
    match session {
        Some(open) => {
            if let Err(error) = open.idle().await {
                debug!(%error, "the idle connection for the queue's depth is gone");
                *session = None;
            }
        }
        None => std::future::pending().await,
    }
}

fn lock(latest: &Mutex<Option<Latest>>) -> std::sync::MutexGuard<'_, Option<Latest>> {
    latest.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
