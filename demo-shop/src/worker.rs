//! The worker: takes orders, works on them, and only then tells the broker that they are done.
//!
//! The broker sends as many orders as the worker does at once, one by default, and the next one after an
//! acknowledgement (`client-individual`). An order leaves the queue when the broker has the acknowledgement, so
//! a crash repeats the orders in hand and loses none.
//!
//! Work that fails is tried again after a pause. An order that failed [`Config::max_tries`] times, connections that
//! broke over it included where the broker counts those, is put aside with NACK into the broker's dead-letter queue.
//! What cannot be finished before the end is handed back with a good-bye, which does not count against it.

mod shift;
mod work;

pub use work::Work;

use crate::backoff::Backoff;
use crate::dial::Dialer;
use crate::health::Link;
use crate::metrics::Metrics;
use crate::stomp::connection::{self, Connection, ConnectionError};
use crate::trace::Tracer;
use shift::{End, Shift};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How the worker works.
#[derive(Clone, Debug)]
pub struct Config {
    /// The queue's name.
    pub queue: String,
    /// What is done for an order. Default: wait 5 s.
    pub work: Work,
    /// Orders at once. Default 1.
    pub concurrency: u32,
    /// How often an order is tried, at least once, before it is put aside. Default 5.
    pub max_tries: u32,
    /// How long the worker may go on with the orders in hand once it is told to stop. Default 25 s, which leaves
    /// five of the 30 s that Kubernetes gives.
    pub grace: Duration,
    /// Longest wait for the broker to confirm an acknowledgement. Default 20 s.
    pub receipt_timeout: Duration,
    /// The connection.
    pub connection: connection::Config,
}

/// The running worker. It ends when it is told to.
pub struct Task {
    config: Config,
    dialer: Dialer,
    link: Link,
    metrics: Metrics,
    tracer: Tracer,
}

// === impl Config ===

impl Config {
    /// The defaults for that queue.
    pub fn new(queue: impl Into<String>, connection: connection::Config) -> Self {
        Self {
            queue: queue.into(),
            work: Work::Wait(Duration::from_secs(5)),
            concurrency: 1,
            max_tries: 5,
            grace: Duration::from_secs(25),
            receipt_timeout: Duration::from_secs(20),
            connection,
        }
    }

    /// The worker, not yet connected.
    pub fn build(self, dialer: Dialer, link: Link, metrics: Metrics) -> Task {
        Task { config: self, dialer, link, metrics, tracer: Tracer::default() }
    }
}

// === impl Task ===

impl Task {
    /// The same worker, whose work on each order is a span of this tracer's, and which tells the time by it.
    #[must_use]
    pub fn traced(self, tracer: Tracer) -> Self {
        Self { tracer, ..self }
    }

    /// Works until `stop`, and then at most [`Config::grace`] longer.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::for_broker();
        loop {
            let error = match self.work(&stop, &mut backoff).await {
                Ok(End::Stopped) => return info!("the worker has stopped"),
                Ok(End::HandedBack(orders)) => {
                    return warn!(orders, "the worker has stopped and handed back what it had in hand");
                }
                Err(error) => error,
            };
            self.link.down(&error);
            let delay = backoff.next_delay();
            warn!(%error, ?delay, "the worker is not connected to the broker; trying again");
            tokio::select! {
                () = stop.cancelled() => return info!("the worker has stopped"),
                () = sleep(delay) => {}
            }
        }
    }

    /// Works over one connection.
    async fn work(&self, stop: &CancellationToken, backoff: &mut Backoff) -> Result<End, ConnectionError> {
        let connection = tokio::select! {
            () = stop.cancelled() => return Ok(End::Stopped),
            opened = Connection::open(&self.dialer, &self.config.connection) => opened?,
        };
        Shift::begin(self, connection).await?.run(stop, backoff).await
    }
}

#[cfg(test)]
mod tests;
