//! The store's side of the queue: takes orders and answers when the broker has them.
//!
//! An order for N items becomes N messages in one transaction: after the receipt for its commit all of them are in
//! the queue, before it none is. So a failed order can be repeated without buying twice, except in one case that
//! has a name: [`SubmitError::Unconfirmed`], when the connection broke between commit and receipt.
//!
//! Orders that come while one is being confirmed share the next transaction, and so its receipt: a broker that flushes
//! to disk is waited for once and not once for each. When it refuses a shared transaction, each order is sent again
//! alone, because it may have been another that did not fit.
//!
//! One task owns one connection and keeps it open; orders that come while it is down are refused at once rather
//! than kept, because their buyer is waiting.

use crate::backoff::Backoff;
use crate::dial::Dialer;
use crate::envelope::{ORDER_ID, Origin};
use crate::health::Link;
use crate::metrics::Metrics;
use crate::random::Random;
use crate::stomp::connection::{self, Connection, ConnectionError};
use crate::stomp::{Command, Frame};
use std::collections::VecDeque;
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
    /// Orders that may wait for those before them. Default 64.
    pub waiting: usize,
    /// Most items of orders that share a transaction; a larger order has one for itself. Default 10,000.
    pub shared_items: u32,
    /// The connection.
    pub connection: connection::Config,
}

/// Takes orders. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Orders(mpsc::Sender<Request>);

/// What is ordered. A bare number is an order of unknown origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// Items, one message each.
    pub quantity: NonZeroU32,
    /// Where the order comes from; every item carries it.
    pub origin: Origin,
}

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
    /// Orders of a transaction that was refused; each is to have one for itself.
    alone: VecDeque<Request>,
    /// Names this process' orders apart from those of others.
    prefix: String,
    orders: u64,
}

#[derive(Debug)]
struct Request {
    order: NewOrder,
    answer: oneshot::Sender<Result<Confirmation, SubmitError>>,
}

// === impl Config ===

impl Config {
    /// The defaults for that queue.
    pub fn new(queue: impl Into<String>, connection: connection::Config) -> Self {
        Self {
            queue: queue.into(),
            receipt_timeout: Duration::from_secs(20),
            waiting: 64,
            shared_items: 10_000,
            connection,
        }
    }

    /// The handle and the task behind it.
    pub fn build(self, dialer: Dialer, link: Link, metrics: Metrics) -> (Orders, Task) {
        let (sender, requests) = mpsc::channel(self.waiting);
        let prefix = format!("{:016x}", Random::from_entropy().next_u64());
        let alone = VecDeque::new();
        (Orders(sender), Task { config: self, dialer, link, metrics, requests, alone, prefix, orders: 0 })
    }
}

// === impl Request ===

impl Request {
    fn answer(self, answer: Result<Confirmation, SubmitError>) {
        // A buyer who went away is no error.
        let _ = self.answer.send(answer);
    }
}

// === impl Orders ===

impl Orders {
    /// Orders.
    ///
    /// # Errors
    /// [`SubmitError`], of which only [`SubmitError::Unconfirmed`] leaves a doubt.
    pub async fn submit(&self, order: impl Into<NewOrder>) -> Result<Confirmation, SubmitError> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Request { order: order.into(), answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SubmitError::Busy,
            mpsc::error::TrySendError::Closed(_) => SubmitError::Unavailable("shutting down".into()),
        })?;
        answered.await.unwrap_or_else(|_| Err(SubmitError::Unconfirmed("shutting down".into())))
    }
}

// === impl NewOrder ===

impl From<NonZeroU32> for NewOrder {
    fn from(quantity: NonZeroU32) -> Self {
        Self { quantity, origin: Origin::default() }
    }
}

// === impl Task ===

impl Task {
    /// Takes orders until `stop`; orders that were begun are finished first.
    pub async fn run(mut self, stop: CancellationToken) {
        self.serve_until(&stop).await;
        self.requests.close();
        while let Ok(request) = self.requests.try_recv() {
            self.alone.push_back(request);
        }
        self.refuse_waiting("shutting down");
    }

    async fn serve_until(&mut self, stop: &CancellationToken) {
        let mut backoff = Backoff::for_broker();
        let mut why = "connecting".to_owned();
        loop {
            let Some(opened) = self.or_refusing(&why, stop, |task| task.open()).await else { return };
            let error = match opened {
                Ok(connection) => {
                    info!("the store is connected to the broker");
                    backoff.reset();
                    self.link.up();
                    match self.serve(connection, stop).await {
                        // The broker has ended the connection with its refusal. It is not away.
                        Some(ConnectionError::Refused(reason)) => {
                            warn!(reason, "the broker has refused an order");
                            continue;
                        }
                        Some(error) => error,
                        None => return,
                    }
                }
                Err(error) => error,
            };
            why = error.to_string();
            self.link.down(&why);
            self.refuse_waiting(&why);
            let delay = backoff.next_delay();
            warn!(%error, ?delay, "the store is not connected to the broker; trying again");
            if self.or_refusing(&why, stop, |_| Box::pin(sleep(delay))).await.is_none() {
                return;
            }
        }
    }

    /// Nothing of these was ordered, and nothing will be.
    fn refuse_waiting(&mut self, why: &str) {
        for request in self.alone.drain(..) {
            request.answer(Err(SubmitError::Unavailable(why.to_owned())));
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
                    request?.answer(Err(SubmitError::Unavailable(why.to_owned())));
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
            if let Some(request) = self.alone.pop_front() {
                if let Err(error) = self.send(&mut connection, vec![request]).await {
                    return Some(error);
                }
                continue;
            }
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
                    let requests = self.share(request?);
                    if let Err(error) = self.send(&mut connection, requests).await {
                        return Some(error);
                    }
                }
            }
        }
    }

    /// Those that wait already and fit into one transaction with the first.
    fn share(&mut self, first: Request) -> Vec<Request> {
        let mut items = first.order.quantity.get();
        let mut requests = vec![first];
        while let Ok(request) = self.requests.try_recv() {
            items = items.saturating_add(request.order.quantity.get());
            if items > self.config.shared_items {
                self.alone.push_back(request);
                break;
            }
            requests.push(request);
        }
        requests
    }

    /// Sends orders in one transaction, waits for its receipt and answers them. On failure: what broke.
    async fn send(
        &mut self,
        connection: &mut Connection,
        mut requests: Vec<Request>,
    ) -> Result<(), ConnectionError> {
        requests.retain(|request| !request.answer.is_closed());
        let named: Vec<_> = requests.iter().map(|request| (self.next_name(), request.order)).collect();
        let Some((transaction, _)) = named.first() else { return Ok(()) };
        match self.transact(connection, transaction, &named).await {
            Ok(()) => {
                for (request, (order, new)) in requests.into_iter().zip(named) {
                    self.metrics.submitted.add(new.quantity.get().into());
                    request.answer(Ok(Confirmation { order, quantity: new.quantity }));
                }
                Ok(())
            }
            Err((SubmitError::Refused(_), error)) if requests.len() > 1 => {
                self.alone.extend(requests);
                Err(error)
            }
            Err((told, error)) => {
                requests.into_iter().for_each(|request| request.answer(Err(told.clone())));
                Err(error)
            }
        }
    }

    fn next_name(&mut self) -> String {
        self.orders += 1;
        format!("{}-{}", self.prefix, self.orders)
    }

    /// One transaction, up to its receipt. On failure: what the buyers are told, and what broke.
    async fn transact(
        &self,
        connection: &mut Connection,
        transaction: &str,
        orders: &[(String, NewOrder)],
    ) -> Result<(), (SubmitError, ConnectionError)> {
        if let Err(error) = self.send_items(connection, transaction, orders).await {
            return Err(match connection.last_word(error).await {
                ConnectionError::Refused(reason) => {
                    (SubmitError::Refused(reason.clone()), ConnectionError::Refused(reason))
                }
                other => (SubmitError::Unavailable(other.to_string()), other),
            });
        }
        // From here on the broker may have the orders even if we never hear so.
        let receipt = connection.next_receipt();
        let commit = Frame::new(Command::Commit).with("transaction", transaction).with("receipt", &receipt);
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
        transaction: &str,
        orders: &[(String, NewOrder)],
    ) -> Result<(), ConnectionError> {
        connection.queue(&Frame::new(Command::Begin).with("transaction", transaction)).await?;
        for (order, new) in orders {
            for item in 1..=new.quantity.get() {
                connection.queue(&new.origin.stamp(self.item(transaction, order, item))).await?;
            }
        }
        connection.flush().await
    }

    fn item(&self, transaction: &str, order: &str, item: u32) -> Frame {
        Frame::new(Command::Send)
            .with("destination", format!("/queue/{}", self.config.queue))
            .with("transaction", transaction)
            .with("persistent", "true")
            // With a content-length ActiveMQ makes a message of bytes, which its consoles cannot show.
            .with("amq-msg-type", "text")
            .with("content-type", "application/json")
            .with(ORDER_ID, format!("{order}-{item}"))
            .body(format!("{{\"order\":\"{order}\",\"item\":{item}}}"))
    }
}

#[cfg(test)]
mod tests;
