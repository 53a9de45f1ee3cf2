//! The worker: takes one order at a time, works on it, and only then tells the broker that it is done.
//!
//! The broker sends the next order after the acknowledgement of the one before (prefetch 1, `client-individual`).
//! An order leaves the queue when the broker has the acknowledgement, so a crash repeats the order in hand and loses
//! none. An order is never refused with NACK, because ActiveMQ would put it aside into its dead-letter queue at once:
//! what cannot be finished is handed back by closing the connection.

use crate::backoff::Backoff;
use crate::dial::Dialer;
use crate::health::Link;
use crate::metrics::Metrics;
use crate::stomp::connection::{self, Connection, ConnectionError};
use crate::stomp::{Command, Frame};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// How the worker works.
#[derive(Clone, Debug)]
pub struct Config {
    /// The queue's name.
    pub queue: String,
    /// How long an order takes. Default 5 s.
    pub work_duration: Duration,
    /// How long the worker may go on with the order in hand once it is told to stop. Default 25 s, which leaves
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
}

/// How one connection's work ended.
enum End {
    /// Told to stop, with nothing in hand.
    Stopped,
    /// Told to stop, and the order in hand did not get done in time.
    HandedBack,
}

// === impl Config ===

impl Config {
    /// The defaults for that queue.
    pub fn new(queue: impl Into<String>, connection: connection::Config) -> Self {
        Self {
            queue: queue.into(),
            work_duration: Duration::from_secs(5),
            grace: Duration::from_secs(25),
            receipt_timeout: Duration::from_secs(20),
            connection,
        }
    }

    /// The worker, not yet connected.
    pub fn build(self, dialer: Dialer, link: Link, metrics: Metrics) -> Task {
        Task { config: self, dialer, link, metrics }
    }
}

// === impl Task ===

impl Task {
    /// Works until `stop`, and then at most [`Config::grace`] longer.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::for_broker();
        loop {
            let error = match self.work(&stop, &mut backoff).await {
                Ok(End::Stopped) => return info!("the worker has stopped"),
                Ok(End::HandedBack) => return warn!("the worker has stopped and handed its order back"),
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
        let mut connection = tokio::select! {
            () = stop.cancelled() => return Ok(End::Stopped),
            opened = self.subscribe() => opened?,
        };
        info!("the worker is connected to the broker");
        backoff.reset();
        self.link.up();
        loop {
            let frame = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    // The good-bye is a courtesy: nothing is in hand.
                    let _ = connection.disconnect(Instant::now() + Duration::from_secs(1)).await;
                    return Ok(End::Stopped);
                }
                frame = connection.recv() => frame?,
            };
            if frame.command != Command::Message {
                continue;
            }
            self.metrics.busy.set(1);
            let worked_off = self.work_off(&mut connection, &frame, stop).await;
            self.metrics.busy.set(0);
            match worked_off {
                Ok(true) => self.metrics.completed.add(1),
                Ok(false) => return Ok(End::HandedBack),
                Err(error) => {
                    self.metrics.failed.add(1);
                    return Err(error);
                }
            }
        }
    }

    async fn subscribe(&self) -> Result<Connection, ConnectionError> {
        let mut connection = Connection::open(&self.dialer, &self.config.connection).await?;
        let receipt = connection.next_receipt();
        let subscribe = Frame::new(Command::Subscribe)
            .with("id", "worker")
            .with("destination", format!("/queue/{}", self.config.queue))
            .with("ack", "client-individual")
            .with("activemq.prefetchSize", "1")
            .with("receipt", &receipt);
        connection.send(&subscribe).await?;
        connection.receipt(&receipt, Instant::now() + self.config.receipt_timeout).await?;
        Ok(connection)
    }

    /// Works on one order and acknowledges it; false when there was no time left to finish it.
    async fn work_off(
        &self,
        connection: &mut Connection,
        order: &Frame,
        stop: &CancellationToken,
    ) -> Result<bool, ConnectionError> {
        let id = order.header("order-id").or(order.header("message-id")).unwrap_or("unnamed");
        let redelivered = order.header("redelivered") == Some("true");
        debug!(order = id, redelivered, "working");
        let out_of_time = async {
            stop.cancelled().await;
            sleep(self.config.grace).await;
        };
        tokio::select! {
            biased;
            // While the work goes on the connection is read, so that heart-beats flow and a broker that is gone,
            // and will hand the order to somebody else, is noticed before more work is wasted.
            error = connection.broken() => return Err(error),
            () = work(self.config.work_duration) => {}
            () = out_of_time => return Ok(false),
        }
        let receipt = connection.next_receipt();
        let ack = Frame::new(Command::Ack)
            .with("id", order.header("ack").unwrap_or_default())
            .with("receipt", &receipt);
        connection.send(&ack).await?;
        connection.receipt(&receipt, Instant::now() + self.config.receipt_timeout).await?;
        info!(order = id, redelivered, "worked off");
        Ok(true)
    }
}

/// What the shop does with an order: it takes its time.
async fn work(duration: Duration) {
    sleep(duration).await;
}

#[cfg(test)]
mod tests;
