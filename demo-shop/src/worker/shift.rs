//! One connection's work, from SUBSCRIBE to the connection's end.
//!
//! One loop reads the connection, and so keeps the heart-beats and notices a broker that is gone before more work is
//! wasted; the work on each order runs beside it and is dropped with it.

use super::Task;
use super::work::{Work, WorkError};
use crate::backoff::Backoff;
use crate::envelope::{ORDER_ID, Origin};
use crate::stomp::connection::{Connection, ConnectionError, sleep_until_some};
use crate::stomp::{Command, Frame};
use crate::trace::{Kind, Span};
use std::collections::HashMap;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error, info, warn};

/// How a shift ended that did not break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Told to stop, with nothing in hand.
    Stopped,
    /// Told to stop, and that many orders did not get done in time.
    HandedBack(usize),
}

/// One connection's work.
pub(super) struct Shift<'a> {
    task: &'a Task,
    connection: Connection,
    works: JoinSet<(u64, Result<(), WorkError>)>,
    in_hand: HashMap<u64, InHand>,
    taken: u64,
    /// What the broker was told and has not confirmed, by receipt: orders, or the subscription.
    unconfirmed: HashMap<String, (Instant, Option<u64>)>,
    /// The orders in hand must be done by then.
    deadline: Option<Instant>,
}

/// An order that the broker has given out and not heard of since.
struct InHand {
    id: String,
    ack: String,
    redelivered: bool,
    started: Instant,
    /// Put aside rather than done.
    failed: bool,
    span: Span,
}

// === impl Shift ===

impl<'a> Shift<'a> {
    /// Subscribes.
    pub(super) async fn begin(task: &'a Task, connection: Connection) -> Result<Self, ConnectionError> {
        let mut shift = Self {
            task,
            connection,
            works: JoinSet::new(),
            in_hand: HashMap::new(),
            taken: 0,
            unconfirmed: HashMap::new(),
            deadline: None,
        };
        let subscribe = Frame::new(Command::Subscribe)
            .with("id", "worker")
            .with("destination", format!("/queue/{}", task.config.queue))
            .with("ack", "client-individual")
            .with("activemq.prefetchSize", task.config.concurrency.to_string());
        shift.tell(subscribe, None).await?;
        Ok(shift)
    }

    /// Works until told to stop, or until the connection breaks.
    pub(super) async fn run(
        mut self,
        stop: &CancellationToken,
        backoff: &mut Backoff,
    ) -> Result<End, ConnectionError> {
        let ended = self.work(stop, backoff).await;
        match &ended {
            Ok(End::Stopped) => {}
            Ok(End::HandedBack(_)) => self.let_go("handed back: no time was left to finish it"),
            Err(error) => {
                self.task.metrics.failed.add(self.in_hand.len() as u64);
                self.let_go(error);
            }
        }
        if ended.is_ok() {
            // A courtesy: what was done is confirmed already. But what goes back with a good-bye is not blamed.
            let _ = self.connection.disconnect(Instant::now() + Duration::from_secs(1)).await;
        }
        ended
    }

    async fn work(
        &mut self,
        stop: &CancellationToken,
        backoff: &mut Backoff,
    ) -> Result<End, ConnectionError> {
        loop {
            if self.deadline.is_some() && self.in_hand.is_empty() {
                return Ok(End::Stopped);
            }
            let confirmed_by = self.unconfirmed.values().map(|(deadline, _)| *deadline).min();
            tokio::select! {
                biased;
                () = stop.cancelled(), if self.deadline.is_none() => {
                    self.deadline = Some(Instant::now() + self.task.config.grace);
                }
                frame = self.connection.recv() => self.hear(&frame?, backoff),
                Some(done) = self.works.join_next() => {
                    // Work does not panic, and nobody aborts it while this waits for it.
                    if let Ok((order, result)) = done {
                        self.settle(order, result).await?;
                    }
                }
                () = sleep_until_some(confirmed_by) => return Err(ConnectionError::ReceiptTimeout),
                () = sleep_until_some(self.deadline) => return Ok(End::HandedBack(self.in_hand.len())),
            }
        }
    }

    /// Takes in what the broker says.
    fn hear(&mut self, frame: &Frame, backoff: &mut Backoff) {
        match frame.command {
            // What comes after the order to stop stays untouched and goes back with the good-bye.
            Command::Message if self.deadline.is_none() => self.take(frame.clone()),
            Command::Receipt => {
                let receipt = frame.header("receipt-id").unwrap_or_default();
                match self.unconfirmed.remove(receipt) {
                    Some((_, Some(order))) => self.confirmed(order),
                    Some((_, None)) => {
                        info!("the worker is connected to the broker");
                        backoff.reset();
                        self.task.link.up();
                    }
                    None => {}
                }
            }
            _ => {}
        }
    }

    /// Begins to work on an order.
    fn take(&mut self, frame: Frame) {
        let Task { config, metrics, tracer, .. } = self.task;
        let origin = Origin::read(&frame);
        let header = |name| frame.header(name).unwrap_or_default().to_owned();
        let redelivered = frame.header("redelivered") == Some("true");
        let losses = frame.header("delivery-count").and_then(|count| count.parse().ok()).unwrap_or(0);
        metrics.redelivered.add(u64::from(redelivered));
        if let Some(waited) = origin.waited(tracer.now_ms()) {
            metrics.wait.observe(waited);
        }
        let mut span = tracer.begin("process order", Kind::Consumer, origin.trace);
        let id = frame.header(ORDER_ID).or(frame.header("message-id")).unwrap_or("unnamed").to_owned();
        span.set("messaging.system", "activemq");
        span.set("messaging.destination.name", &*config.queue);
        span.set("messaging.message.id", &*id);
        metrics.busy.add(1);
        self.taken += 1;
        let number = self.taken;
        debug!(order = id, redelivered, losses, "working");
        let order =
            InHand { id, ack: header("ack"), redelivered, started: Instant::now(), failed: false, span };
        let (work, max_tries, log) = (config.work, config.max_tries, order.span.log());
        self.in_hand.insert(number, order);
        self.works
            .spawn(async move { (number, persist(work, &frame, losses, max_tries).await) }.instrument(log));
    }

    /// Tells the broker what became of an order.
    async fn settle(&mut self, number: u64, result: Result<(), WorkError>) -> Result<(), ConnectionError> {
        let Some(order) = self.in_hand.get_mut(&number) else { return Ok(()) };
        let command = match result {
            Ok(()) => {
                self.task.metrics.processing.observe(order.started.elapsed());
                Command::Ack
            }
            Err(reason) => {
                order.failed = true;
                order.span.fail(&reason);
                order.span.log().in_scope(|| {
                    error!(order = order.id, %reason, "the order cannot be worked off; it goes to the dead letters");
                });
                Command::Nack
            }
        };
        let frame = Frame::new(command).with("id", &order.ack);
        self.tell(frame, Some(number)).await
    }

    /// The broker has heard what became of an order.
    fn confirmed(&mut self, number: u64) {
        let Some(InHand { id, redelivered, failed, span, .. }) = self.in_hand.remove(&number) else { return };
        let metrics = &self.task.metrics;
        metrics.busy.sub(1);
        match failed {
            true => metrics.dead_lettered.add(1),
            false => {
                metrics.completed.add(1);
                span.log().in_scope(|| info!(order = id, redelivered, "worked off"));
            }
        }
    }

    /// What is in hand goes back to the queue.
    fn let_go(&mut self, why: impl ToString) {
        let why = why.to_string();
        self.task.metrics.busy.sub(self.in_hand.len() as u64);
        for (_, mut order) in self.in_hand.drain() {
            order.span.fail(&why);
        }
    }

    /// Sends a frame whose receipt tells about that order, or about the subscription.
    async fn tell(&mut self, frame: Frame, about: Option<u64>) -> Result<(), ConnectionError> {
        let receipt = self.connection.next_receipt();
        self.connection.send(&frame.with("receipt", &receipt)).await?;
        let deadline = Instant::now() + self.task.config.receipt_timeout;
        self.unconfirmed.insert(receipt, (deadline, about));
        Ok(())
    }
}

/// Works on an order until it is done or was tried often enough. Broken connections over it are tries as well.
async fn persist(work: Work, order: &Frame, losses: u32, max_tries: u32) -> Result<(), WorkError> {
    let mut backoff = Backoff::for_broker();
    let mut tries = losses;
    if tries >= max_tries {
        let lost = format!("{losses} connections broke while it was worked on");
        return Err(WorkError::Crashed(lost));
    }
    loop {
        let Err(reason) = work.on(order).await else { return Ok(()) };
        tries += 1;
        if tries >= max_tries {
            return Err(reason);
        }
        let delay = backoff.next_delay();
        warn!(%reason, tries, ?delay, "work on an order has failed; trying again");
        sleep(delay).await;
    }
}
