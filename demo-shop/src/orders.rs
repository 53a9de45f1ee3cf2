//! The store's side of the queue: takes orders and answers when the broker has them.
//!
//! An order for N items becomes N messages in one transaction: after the receipt for its commit all of them are in
//! the queue, before it none is. So a failed order can be repeated without buying twice, except in one case that
//! has a name: [`SubmitError::Unconfirmed`], when the connection broke between commit and receipt.
//!
//! One task owns one connection and keeps it open; orders that come while it is down are refused at once rather
//! than kept, because their buyer is waiting.

use crate::backoff::Backoff;
use crate::dial::Dialer;
use crate::health::Link;
use crate::metrics::Metrics;
use crate::random::Random;
use crate::stomp::connection::{self, Connection, ConnectionError};
use crate::stomp::{Command, Frame};
use std::num::NonZeroU32;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How orders are sent.
#[derive(Clone, Debug)]
pub struct Config {
    /// The queue's name.
    pub queue: String,
    /// Longest wait for the broker to confirm an order once it was sent. Default 20 s.
    pub receipt_timeout: Duration,
    /// Orders that may wait for the one before them. Default 64.
    pub waiting: usize,
    /// The connection.
    pub connection: connection::Config,
}

/// Takes orders. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Orders(mpsc::Sender<Request>);

/// What the broker confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// Names the order; its items are numbered from 1.
    pub order: String,
    /// Items, one message each.
    pub quantity: NonZeroU32,
}

/// Why an order was not confirmed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SubmitError {
    /// Nothing was bought; try again later.
    #[error("the queue cannot be reached right now ({0}); nothing was ordered")]
    Unavailable(String),
    /// Too many orders wait; nothing was bought.
    #[error("too many orders are waiting to be sent; nothing was ordered")]
    Busy,
    /// The broker said no; nothing was bought.
    #[error("the queue refused the order ({0}); nothing was ordered")]
    Refused(String),
    /// Nobody can tell whether the broker has the order.
    #[error(
        "the queue did not confirm the order ({0}); it may or may not have been taken, look before you repeat it"
    )]
    Unconfirmed(String),
}

/// The part that talks to the broker. It ends when it is told to.
pub struct Task {
    config: Config,
    dialer: Dialer,
    link: Link,
    metrics: Metrics,
    requests: mpsc::Receiver<Request>,
    /// Names this process' orders apart from those of others.
    prefix: String,
    orders: u64,
}

#[derive(Debug)]
struct Request {
    quantity: NonZeroU32,
    answer: oneshot::Sender<Result<Confirmation, SubmitError>>,
}

// === impl Config ===

impl Config {
    /// The defaults for that queue.
    pub fn new(queue: impl Into<String>, connection: connection::Config) -> Self {
        Self { queue: queue.into(), receipt_timeout: Duration::from_secs(20), waiting: 64, connection }
    }

    /// The handle and the task behind it.
    pub fn build(self, dialer: Dialer, link: Link, metrics: Metrics) -> (Orders, Task) {
        let (sender, requests) = mpsc::channel(self.waiting);
        let prefix = format!("{:016x}", Random::from_entropy().next_u64());
        (Orders(sender), Task { config: self, dialer, link, metrics, requests, prefix, orders: 0 })
    }
}

// === impl Orders ===

impl Orders {
    /// Orders that many items.
    ///
    /// # Errors
    /// [`SubmitError`], of which only [`SubmitError::Unconfirmed`] leaves a doubt.
    pub async fn submit(&self, quantity: NonZeroU32) -> Result<Confirmation, SubmitError> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Request { quantity, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SubmitError::Busy,
            mpsc::error::TrySendError::Closed(_) => SubmitError::Unavailable("shutting down".into()),
        })?;
        answered.await.unwrap_or_else(|_| Err(SubmitError::Unconfirmed("shutting down".into())))
    }
}

// === impl Task ===

impl Task {
    /// Takes orders until `stop`; an order that was begun is finished first.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::for_broker();
        let mut why = "connecting".to_owned();
        loop {
            let Some(opened) = self.or_refusing(&why, &stop, |task| task.open()).await else { return };
            let error = match opened {
                Ok(connection) => {
                    info!("the store is connected to the broker");
                    backoff.reset();
                    self.link.up();
                    match self.serve(connection, &stop).await {
                        Some(error) => error,
                        None => return,
                    }
                }
                Err(error) => error,
            };
            why = error.to_string();
            self.link.down(&why);
            let delay = backoff.next_delay();
            warn!(%error, ?delay, "the store is not connected to the broker; trying again");
            if self.or_refusing(&why, &stop, |_| Box::pin(sleep(delay))).await.is_none() {
                return;
            }
        }
    }

    fn open(&self) -> std::pin::Pin<Box<dyn Future<Output = Result<Connection, ConnectionError>> + Send>> {
        let (dialer, config) = (self.dialer.clone(), self.config.connection.clone());
        Box::pin(async move { Connection::open(&dialer, &config).await })
    }

    /// Awaits something while there is no connection, and refuses the orders that come meanwhile. None at `stop`.
    async fn or_refusing<T>(
        &mut self,
        why: &str,
        stop: &CancellationToken,
        start: impl FnOnce(&Self) -> std::pin::Pin<Box<dyn Future<Output = T> + Send>>,
    ) -> Option<T> {
        let mut awaited = start(self);
        loop {
            tokio::select! {
                done = &mut awaited => return Some(done),
                () = stop.cancelled() => return None,
                request = self.requests.recv() => {
                    // A buyer who went away is no error.
                    let _ = request?.answer.send(Err(SubmitError::Unavailable(why.to_owned())));
                }
            }
        }
    }

    /// Sends orders until the connection breaks (then why) or `stop` (then none).
    async fn serve(
        &mut self,
        mut connection: Connection,
        stop: &CancellationToken,
    ) -> Option<ConnectionError> {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    // The good-bye is a courtesy: all that was confirmed is with the broker.
                    let _ = connection.disconnect(Instant::now() + Duration::from_secs(1)).await;
                    return None;
                }
                frame = connection.recv() => match frame {
                    // Nothing but receipts and errors is expected here.
                    Ok(_) => {}
                    Err(error) => return Some(error),
                },
                request = self.requests.recv() => {
                    let Request { quantity, answer } = request?;
                    if answer.is_closed() {
                        continue;
                    }
                    self.orders += 1;
                    let order = format!("{}-{}", self.prefix, self.orders);
                    match self.send(&mut connection, &order, quantity).await {
                        Ok(()) => {
                            self.metrics.submitted.add(quantity.get().into());
                            let _ = answer.send(Ok(Confirmation { order, quantity }));
                        }
                        Err((told, error)) => {
                            let _ = answer.send(Err(told));
                            return Some(error);
                        }
                    }
                }
            }
        }
    }

    /// Sends one order and waits for its receipt. On failure: what the buyer is told, and what broke.
    async fn send(
        &self,
        connection: &mut Connection,
        order: &str,
        quantity: NonZeroU32,
    ) -> Result<(), (SubmitError, ConnectionError)> {
        let not_sent = |error: ConnectionError| (SubmitError::Unavailable(error.to_string()), error);
        self.send_items(connection, order, quantity).await.map_err(not_sent)?;
        // From here on the broker may have the order even if we never hear so.
        let receipt = connection.next_receipt();
        let commit = Frame::new(Command::Commit).with("transaction", order).with("receipt", &receipt);
        let deadline = Instant::now() + self.config.receipt_timeout;
        let confirmed = match connection.send(&commit).await {
            Ok(()) => connection.receipt(&receipt, deadline).await,
            Err(error) => Err(error),
        };
        confirmed.map_err(|error| match &error {
            ConnectionError::Refused(reason) => (SubmitError::Refused(reason.clone()), error),
            other => (SubmitError::Unconfirmed(other.to_string()), error),
        })
    }

    /// Everything but the commit, on the wire.
    async fn send_items(
        &self,
        connection: &mut Connection,
        order: &str,
        quantity: NonZeroU32,
    ) -> Result<(), ConnectionError> {
        connection.queue(&Frame::new(Command::Begin).with("transaction", order)).await?;
        for item in 1..=quantity.get() {
            connection.queue(&self.item(order, item)).await?;
        }
        connection.flush().await
    }

    fn item(&self, order: &str, item: u32) -> Frame {
        Frame::new(Command::Send)
            .with("destination", format!("/queue/{}", self.config.queue))
            .with("transaction", order)
            .with("persistent", "true")
            // With a content-length ActiveMQ makes a message of bytes, which its consoles cannot show.
            .with("amq-msg-type", "text")
            .with("content-type", "application/json")
            .with("order-id", format!("{order}-{item}"))
            .body(format!("{{\"order\":\"{order}\",\"item\":{item}}}"))
    }
}

#[cfg(test)]
mod tests;
