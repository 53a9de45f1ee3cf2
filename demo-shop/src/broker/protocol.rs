//! What each command does: the rules of STOMP 1.2 for a server, on top of [`Core`].
//!
//! A command is done and its receipt queued, or it is refused with an ERROR frame after which the connection ends,
//! as the specification has it.

use super::core::{Core, Subscription, Unacked};
use super::destination::Destination;
use super::queue::{ConsumerId, Message, SessionId};
use super::statistics;
use crate::stomp::heartbeat::HeartBeat;
use crate::stomp::{Command, Frame, Headers};
use std::sync::Arc;

/// Where NACKed messages go, at once, as on ActiveMQ.
const DEAD_LETTERS: &str = "ActiveMQ.DLQ";

/// The default of `activemq.prefetchSize`. One at a time is what shares work evenly.
const DEFAULT_PREFETCH: u32 = 1;

/// Headers of SEND that are about the sending and not part of the message, or that the broker sets itself.
const NOT_KEPT: [&str; 8] = [
    "destination",
    "transaction",
    "receipt",
    "message-id",
    "subscription",
    "ack",
    "redelivered",
    "timestamp",
];

/// Headers that ask for something that is not done here.
const REFUSED_ON_SEND: [&str; 5] =
    ["expires", "AMQ_SCHEDULED_DELAY", "AMQ_SCHEDULED_PERIOD", "AMQ_SCHEDULED_REPEAT", "AMQ_SCHEDULED_CRON"];

/// Why a frame is refused, for the ERROR's `message` header.
type Refusal = String;

// === impl Core ===

impl Core {
    /// Does what a client's frame asks.
    pub(super) fn handle(&mut self, id: SessionId, frame: &Frame, now_ms: u64) {
        let Some(session) = self.sessions.get(&id).filter(|session| !session.closing) else { return };
        let connecting = matches!(frame.command, Command::Connect | Command::Stomp);
        let done = match (connecting, session.connected) {
            (true, false) => self.connect(id, frame),
            (true, true) => Err("already connected".into()),
            (false, false) => Err("the first frame must be CONNECT or STOMP".into()),
            (false, true) => self.command(id, frame, now_ms),
        };
        match done {
            Err(refusal) => self.refuse(id, &refusal, frame.header("receipt")),
            Ok(()) => {
                if let Some(receipt) = frame.header("receipt").filter(|_| !connecting) {
                    self.reply(id, Frame::new(Command::Receipt).with("receipt-id", receipt));
                }
                if frame.command == Command::Disconnect {
                    self.end(id);
                }
            }
        }
    }

    /// Tells a client why, and lets the connection end.
    pub(super) fn refuse(&mut self, id: SessionId, refusal: &str, receipt: Option<&str>) {
        let mut error = Frame::new(Command::Error).with("message", refusal).with("version", "1.2");
        if let Some(receipt) = receipt {
            error.headers.push("receipt-id", receipt);
        }
        self.reply(id, error);
        self.end(id);
    }

    fn end(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.closing = true;
        }
    }

    fn command(&mut self, id: SessionId, frame: &Frame, now_ms: u64) -> Result<(), Refusal> {
        match frame.command {
            Command::Send => self.send(id, frame, now_ms),
            Command::Subscribe => self.subscribe(id, frame),
            Command::Unsubscribe => self.unsubscribe(id, frame),
            Command::Ack => self.settle_one(id, frame).map(drop),
            Command::Nack => self.nack(id, frame),
            Command::Begin => self.begin(id, frame),
            Command::Commit => self.commit(id, frame),
            Command::Abort => self.abort(id, frame),
            Command::Disconnect => Ok(()),
            other => Err(format!("{other} is not for clients to send")),
        }
    }

    fn connect(&mut self, id: SessionId, frame: &Frame) -> Result<(), Refusal> {
        let versions = frame.header("accept-version").unwrap_or("1.0");
        if !versions.split(',').any(|version| version.trim() == "1.2") {
            return Err("supported protocol versions are 1.2".into());
        }
        if let Some(credentials) = &self.config.credentials
            && (frame.header("login"), frame.header("passcode"))
                != (Some(&credentials.user), Some(&credentials.password))
        {
            return Err("user name or password is wrong".into());
        }
        let theirs = HeartBeat::parse(frame.header("heart-beat")).ok_or("malformed heart-beat header")?;
        let ours = HeartBeat::both(self.config.heart_beat);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.connected = true;
            session.beats = ours.agree(theirs);
        }
        let connected = Frame::new(Command::Connected)
            .with("version", "1.2")
            .with("server", concat!("demo-shop/", env!("CARGO_PKG_VERSION")))
            .with("session", format!("{:x}-{}", self.nonce, id.0))
            .with("heart-beat", ours.header());
        self.reply(id, connected);
        Ok(())
    }

    fn send(&mut self, id: SessionId, frame: &Frame, now_ms: u64) -> Result<(), Refusal> {
        let name = required(frame, "destination")?;
        let queue = match Destination::parse(name).ok_or_else(|| unknown_destination(name))? {
            Destination::Queue(queue) => queue,
            Destination::Statistics(queue) => return self.statistics(id, frame, queue),
            Destination::Answers(_) => return Err("sending to temporary queues is not supported".into()),
        };
        let asked_for = |name: &&&str| frame.header(name).is_some_and(|value| value != "0");
        if let Some(header) = REFUSED_ON_SEND.iter().find(asked_for) {
            return Err(format!("header {header} is not supported"));
        }
        self.ensure_queue(queue)?;
        let message = Arc::new(self.message(frame, now_ms));
        if self.usage.messages >= self.config.max_messages {
            return Err(format!("the queue is full: {} messages", self.config.max_messages));
        }
        if self.usage.bytes + message.cost() > self.config.max_bytes {
            return Err(format!("the queue is full: {} bytes", self.config.max_bytes));
        }
        match frame.header("transaction") {
            None => {
                self.usage.take(&message);
                self.enqueue(queue, message);
            }
            Some(name) => {
                let open = self.sessions.get_mut(&id).and_then(|session| session.transactions.get_mut(name));
                open.ok_or_else(|| unknown_transaction(name))?.push((queue.to_owned(), Arc::clone(&message)));
                self.usage.take(&message);
            }
        }
        Ok(())
    }

    fn message(&mut self, frame: &Frame, now_ms: u64) -> Message {
        self.messages_named += 1;
        let kept = frame.headers.iter().filter(|(name, _)| !NOT_KEPT.contains(name));
        let mut headers: Headers = kept.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        headers.push("message-id", format!("{:x}-{}", self.nonce, self.messages_named));
        headers.push("timestamp", now_ms.to_string());
        Message { headers, body: frame.body.clone() }
    }

    /// Answers as the statistics plugin does, which is not at all when there is no such queue.
    fn statistics(&mut self, id: SessionId, frame: &Frame, name: &str) -> Result<(), Refusal> {
        let reply_to = required(frame, "reply-to")?;
        let subscription = self.sessions.get(&id).and_then(|session| {
            session.subscriptions.iter().find_map(|(subscription, kind)| match kind {
                Subscription::Answers { name } if reply_to.strip_prefix("/temp-queue/") == Some(name) => {
                    Some(subscription.clone())
                }
                _ => None,
            })
        });
        let subscription = subscription.ok_or_else(|| format!("subscribe to {reply_to} before you ask"))?;
        let Some(queue) = self.queues.get(name) else { return Ok(()) };
        let mut answer = Frame::new(Command::Message)
            .with("destination", reply_to)
            .with("subscription", subscription)
            .with("message-id", format!("{:x}-statistics", self.nonce))
            .with("transformation", "jms-map-json");
        if let Some(correlation) = frame.header("correlation-id") {
            answer.headers.push("correlation-id", correlation);
        }
        let answer = answer.body(statistics::answer(name, queue));
        self.reply(id, answer);
        Ok(())
    }

    fn subscribe(&mut self, id: SessionId, frame: &Frame) -> Result<(), Refusal> {
        let subscription = required(frame, "id")?;
        let name = required(frame, "destination")?;
        let browser = frame.header("browser") == Some("true");
        if frame.header("selector").is_some() {
            return Err("selectors are not supported".into());
        }
        let auto = match frame.header("ack").unwrap_or("auto") {
            "auto" => true,
            "client-individual" => false,
            other => return Err(format!("ack:{other} is not supported, only auto and client-individual")),
        };
        let session = self.sessions.get(&id).ok_or("no such session")?;
        if session.subscriptions.contains_key(subscription) {
            return Err(format!("subscription {subscription} exists already"));
        }
        if session.subscriptions.len() >= self.config.max_subscriptions {
            return Err(format!("more than {} subscriptions", self.config.max_subscriptions));
        }
        let kind = match Destination::parse(name).ok_or_else(|| unknown_destination(name))? {
            Destination::Queue(queue) if browser => {
                let until = self.ensure_queue(queue)?;
                Subscription::Browser { queue: queue.to_owned(), after: 0, until }
            }
            Destination::Queue(queue) => {
                self.ensure_queue(queue)?;
                Subscription::Consumer { queue: queue.to_owned(), auto }
            }
            Destination::Statistics(_) => return Err("statistics are asked for with SEND".into()),
            Destination::Answers(_) if frame.header("transformation") != Some("jms-map-json") => {
                return Err("answers come with transformation:jms-map-json only".into());
            }
            Destination::Answers(name) => Subscription::Answers { name: name.to_owned() },
        };
        let consumed = match &kind {
            Subscription::Consumer { queue, .. } => Some(queue.clone()),
            _ => None,
        };
        let prefetch = self.prefetch(frame)?;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.subscriptions.insert(subscription.to_owned(), kind);
        }
        if let Some(queue) = consumed {
            let consumer = ConsumerId { session: id, subscription: subscription.to_owned() };
            self.queues.entry(queue.clone()).or_default().subscribe(consumer, prefetch);
            self.dispatch(&queue);
        }
        Ok(())
    }

    fn prefetch(&self, frame: &Frame) -> Result<u32, Refusal> {
        let Some(text) = frame.header("activemq.prefetchSize") else { return Ok(DEFAULT_PREFETCH) };
        match text.parse() {
            Ok(0) | Err(_) => Err(format!("activemq.prefetchSize {text:.20} is not a number above 0")),
            Ok(prefetch) => Ok(u32::min(prefetch, self.config.max_prefetch)),
        }
    }

    fn unsubscribe(&mut self, id: SessionId, frame: &Frame) -> Result<(), Refusal> {
        let subscription = required(frame, "id")?;
        let removed =
            self.sessions.get_mut(&id).and_then(|session| session.subscriptions.remove(subscription));
        match removed.ok_or_else(|| format!("no subscription {subscription}"))? {
            Subscription::Consumer { queue, .. } => {
                let consumer = ConsumerId { session: id, subscription: subscription.to_owned() };
                self.remove_consumer(&queue, &consumer);
            }
            Subscription::Browser { .. } | Subscription::Answers { .. } => {}
        }
        Ok(())
    }

    fn nack(&mut self, id: SessionId, frame: &Frame) -> Result<(), Refusal> {
        let message = self.settle_one(id, frame)?;
        self.usage.take(&message);
        self.enqueue(DEAD_LETTERS, message);
        Ok(())
    }

    /// Takes the message that the frame's `id` names out of its queue.
    fn settle_one(&mut self, id: SessionId, frame: &Frame) -> Result<Arc<Message>, Refusal> {
        if frame.header("transaction").is_some() {
            return Err("acknowledging in a transaction is not supported".into());
        }
        let ack = required(frame, "id")?;
        let unknown = || format!("nothing to acknowledge under id {ack:.40}");
        let number: u64 = ack.parse().map_err(|_| unknown())?;
        let session = self.sessions.get_mut(&id).ok_or_else(unknown)?;
        let Unacked { queue, subscription, sequence } =
            session.unacked.remove(&number).ok_or_else(unknown)?;
        self.settle(&queue, &ConsumerId { session: id, subscription }, sequence).ok_or_else(unknown)
    }

    fn begin(&mut self, id: SessionId, frame: &Frame) -> Result<(), Refusal> {
        let name = required(frame, "transaction")?;
        let most = self.config.max_subscriptions;
        let session = self.sessions.get_mut(&id).ok_or("no such session")?;
        if session.transactions.len() >= most {
            return Err(format!("more than {most} open transactions"));
        }
        if session.transactions.contains_key(name) {
            return Err(format!("transaction {name} exists already"));
        }
        session.transactions.insert(name.to_owned(), Vec::new());
        Ok(())
    }

    fn commit(&mut self, id: SessionId, frame: &Frame) -> Result<(), Refusal> {
        for (queue, message) in self.take_transaction(id, frame)? {
            self.enqueue(&queue, message);
        }
        Ok(())
    }

    fn abort(&mut self, id: SessionId, frame: &Frame) -> Result<(), Refusal> {
        for (_, message) in self.take_transaction(id, frame)? {
            self.usage.release(&message);
        }
        Ok(())
    }

    fn take_transaction(
        &mut self,
        id: SessionId,
        frame: &Frame,
    ) -> Result<Vec<(String, Arc<Message>)>, Refusal> {
        let name = required(frame, "transaction")?;
        let taken = self.sessions.get_mut(&id).and_then(|session| session.transactions.remove(name));
        taken.ok_or_else(|| unknown_transaction(name))
    }

    /// Makes the queue if there is room for one more; the number of its newest message.
    fn ensure_queue(&mut self, name: &str) -> Result<u64, Refusal> {
        if let Some(queue) = self.queues.get(name) {
            return Ok(queue.last_sequence());
        }
        if self.queues.len() >= self.config.max_queues {
            return Err(format!("more than {} queues", self.config.max_queues));
        }
        self.queues.insert(name.to_owned(), Default::default());
        Ok(0)
    }
}

fn required<'a>(frame: &'a Frame, header: &str) -> Result<&'a str, Refusal> {
    let value = frame.header(header).filter(|value| !value.is_empty());
    value.ok_or_else(|| format!("{} needs the header {header}", frame.command))
}

fn unknown_destination(name: &str) -> Refusal {
    format!("destination {name:.100} is not supported, only /queue/NAME and /temp-queue/NAME")
}

fn unknown_transaction(name: &str) -> Refusal {
    format!("no transaction {name:.40}")
}

#[cfg(test)]
mod tests;
