//! What each command does: the rules of STOMP 1.2 for a server, on top of [`Core`].
//!
//! A command is done and its receipt queued, or it is refused with an ERROR frame after which the connection ends,
//! as the specification has it.

use super::WhenFull;
use super::core::{Core, Subscription, Transaction, Unacked};
use super::destination::Destination;
use super::queue::{ConsumerId, Loss, Message, SessionId, Taken};
use super::staging::{Change, Hand, Placed};
use super::statistics;
use crate::stomp::heartbeat::HeartBeat;
use crate::stomp::{Command, Frame, Headers};
use std::sync::Arc;

/// Where NACKed messages go, at once, as on ActiveMQ.
const DEAD_LETTERS: &str = "ActiveMQ.DLQ";

/// The default of `activemq.prefetchSize`. One at a time is what shares work evenly.
const DEFAULT_PREFETCH: u32 = 1;

/// Headers of SEND that are about the sending and not part of the message, or that the broker sets itself.
const NOT_KEPT: [&str; 9] = [
    "delivery-count",
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

/// Why a frame is not done.
#[derive(Debug)]
enum Refusal {
    /// For the ERROR's `message` header.
    Because(String),
    /// There is no room, for the same header; [`WhenFull`] says what follows.
    Full(String),
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handled {
    /// It was done, or refused.
    Done,
    /// It can only be done later: the connection is woken when it should be tried again.
    Later,
}

// === impl Refusal ===

impl<T: Into<String>> From<T> for Refusal {
    fn from(text: T) -> Self {
        Self::Because(text.into())
    }
}

// === impl Core ===

impl Core {
    /// Does what a client's frame asks.
    pub(super) fn handle(&mut self, id: SessionId, frame: &Frame, now_ms: u64) -> Handled {
        let Some(session) = self.sessions.get(&id).filter(|session| !session.deaf) else {
            return Handled::Done;
        };
        if self.is_behind() || (session.staged > 0 && !may_overlap(frame)) {
            self.wait(id);
            return Handled::Later;
        }
        let connecting = matches!(frame.command, Command::Connect | Command::Stomp);
        let done = match (connecting, session.connected) {
            (true, false) => self.connect(id, frame).map(|()| Change::None),
            (true, true) => Err("already connected".into()),
            (false, false) => Err("the first frame must be CONNECT or STOMP".into()),
            (false, true) => self.command(id, frame, now_ms),
        };
        let receipt = frame.header("receipt");
        match done {
            Ok(change) => {
                self.stage(Some(id), change, receipt.filter(|_| !connecting).map(str::to_owned));
                if frame.command == Command::Disconnect {
                    self.end(id);
                }
            }
            Err(Refusal::Full(_)) if self.config.when_full == WhenFull::Wait && self.others_hold(id) => {
                self.wait(id);
                return Handled::Later;
            }
            Err(Refusal::Because(why) | Refusal::Full(why)) => self.refuse(id, &why, receipt),
        }
        Handled::Done
    }

    /// Tells a client why, and lets the connection end.
    pub(super) fn refuse(&mut self, id: SessionId, why: &str, receipt: Option<&str>) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.deaf = true;
        }
        self.stage(Some(id), Change::End(error(why, receipt)), None);
    }

    /// What was replied is the last.
    pub(super) fn end(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.deaf = true;
            session.closing = true;
        }
    }

    /// Whether room can come without this connection's doing.
    fn others_hold(&self, id: SessionId) -> bool {
        let own =
            self.sessions.get(&id).map_or(0, |session| session.transactions.values().map(Vec::len).sum());
        self.usage.messages > own
    }

    fn command(&mut self, id: SessionId, frame: &Frame, now_ms: u64) -> Result<Change, Refusal> {
        match frame.command {
            Command::Send => self.send(id, frame, now_ms),
            Command::Subscribe => self.subscribe(id, frame).map(|()| Change::None),
            Command::Unsubscribe => self.unsubscribe(id, frame).map(|()| Change::None),
            Command::Ack => self.ack(id, frame),
            Command::Nack => self.nack(id, frame),
            Command::Begin => self.begin(id, frame).map(|()| Change::None),
            Command::Commit => self.commit(id, frame),
            Command::Abort => self.abort(id, frame).map(|()| Change::None),
            Command::Disconnect => Ok(Change::None),
            other => Err(format!("{other} is not for clients to send").into()),
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

    fn send(&mut self, id: SessionId, frame: &Frame, now_ms: u64) -> Result<Change, Refusal> {
        let name = required(frame, "destination")?;
        let queue = match Destination::parse(name).ok_or_else(|| unknown_destination(name))? {
            Destination::Queue(queue) => queue,
            Destination::Statistics(queue) => {
                return self.statistics(id, frame, queue).map(|()| Change::None);
            }
            Destination::Answers(_) => return Err("sending to temporary queues is not supported".into()),
        };
        let asked_for = |name: &&&str| frame.header(name).is_some_and(|value| value != "0");
        if let Some(header) = REFUSED_ON_SEND.iter().find(asked_for) {
            return Err(format!("header {header} is not supported").into());
        }
        let (queue, _) = self.ensure_queue(queue)?;
        let message = Arc::new(self.message(frame, now_ms));
        if self.usage.messages >= self.config.max_messages {
            return Err(Refusal::Full(format!("the queue is full: {} messages", self.config.max_messages)));
        }
        if self.usage.bytes + message.cost() > self.config.max_bytes {
            return Err(Refusal::Full(format!("the queue is full: {} bytes", self.config.max_bytes)));
        }
        match frame.header("transaction") {
            None => {
                self.usage.take(&message);
                Ok(Change::Put(vec![Placed { queue, sequence: self.next_sequence(), message }]))
            }
            Some(name) => {
                let open = self.sessions.get_mut(&id).and_then(|session| session.transactions.get_mut(name));
                open.ok_or_else(|| unknown_transaction(name))?.push((queue, Arc::clone(&message)));
                self.usage.take(&message);
                Ok(Change::None)
            }
        }
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
            other => {
                return Err(format!("ack:{other} is not supported, only auto and client-individual").into());
            }
        };
        let session = self.sessions.get(&id).ok_or("no such session")?;
        if session.subscriptions.contains_key(subscription) {
            return Err(format!("subscription {subscription} exists already").into());
        }
        if session.subscriptions.len() >= self.config.max_subscriptions {
            return Err(format!("more than {} subscriptions", self.config.max_subscriptions).into());
        }
        let kind = match Destination::parse(name).ok_or_else(|| unknown_destination(name))? {
            Destination::Queue(queue) if browser => {
                let (queue, until) = self.ensure_queue(queue)?;
                Subscription::Browser { queue, after: 0, until }
            }
            Destination::Queue(queue) => {
                let (queue, _) = self.ensure_queue(queue)?;
                Subscription::Consumer { queue, auto }
            }
            Destination::Statistics(_) => return Err("statistics are asked for with SEND".into()),
            Destination::Answers(_) if frame.header("transformation") != Some("jms-map-json") => {
                return Err("answers come with transformation:jms-map-json only".into());
            }
            Destination::Answers(name) => Subscription::Answers { name: name.to_owned() },
        };
        let consumed = match &kind {
            Subscription::Consumer { queue, .. } => Some(Arc::clone(queue)),
            _ => None,
        };
        let prefetch = self.prefetch(frame)?;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.subscriptions.insert(subscription.to_owned(), kind);
        }
        if let Some(queue) = consumed {
            let consumer = ConsumerId { session: id, subscription: subscription.to_owned() };
            self.queues.entry(Arc::clone(&queue)).or_default().subscribe(consumer, prefetch);
            self.dispatch(&queue);
        }
        Ok(())
    }

    fn prefetch(&self, frame: &Frame) -> Result<u32, Refusal> {
        let Some(text) = frame.header("activemq.prefetchSize") else { return Ok(DEFAULT_PREFETCH) };
        match text.parse() {
            Ok(0) | Err(_) => Err(format!("activemq.prefetchSize {text:.20} is not a number above 0").into()),
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
                self.remove_consumer(&queue, &consumer, Loss::Polite);
            }
            Subscription::Browser { .. } | Subscription::Answers { .. } => {}
        }
        Ok(())
    }

    fn ack(&mut self, id: SessionId, frame: &Frame) -> Result<Change, Refusal> {
        let (hand, taken) = self.take_one(id, frame)?;
        self.usage.release(&taken.message);
        self.wake_waiting();
        Ok(Change::Settle(taken.sequence, hand))
    }

    fn nack(&mut self, id: SessionId, frame: &Frame) -> Result<Change, Refusal> {
        let (hand, taken) = self.take_one(id, frame)?;
        Ok(Change::Move { hand, taken, queue: DEAD_LETTERS.into(), sequence: self.next_sequence() })
    }

    /// Takes the message that the frame's `id` names out of its queue.
    fn take_one(&mut self, id: SessionId, frame: &Frame) -> Result<(Hand, Taken), Refusal> {
        if frame.header("transaction").is_some() {
            return Err("acknowledging in a transaction is not supported".into());
        }
        let ack = required(frame, "id")?;
        let unknown = || format!("nothing to acknowledge under id {ack:.40}");
        let number: u64 = ack.parse().map_err(|_| unknown())?;
        let session = self.sessions.get_mut(&id).ok_or_else(unknown)?;
        let Unacked { queue, subscription, sequence } =
            session.unacked.remove(&number).ok_or_else(unknown)?;
        let consumer = ConsumerId { session: id, subscription };
        let taken = self.take(&queue, &consumer, sequence).ok_or_else(unknown)?;
        Ok((Hand { queue, consumer }, taken))
    }

    fn begin(&mut self, id: SessionId, frame: &Frame) -> Result<(), Refusal> {
        let name = required(frame, "transaction")?;
        let most = self.config.max_subscriptions;
        let session = self.sessions.get_mut(&id).ok_or("no such session")?;
        if session.transactions.len() >= most {
            return Err(format!("more than {most} open transactions").into());
        }
        if session.transactions.contains_key(name) {
            return Err(format!("transaction {name} exists already").into());
        }
        session.transactions.insert(name.to_owned(), Vec::new());
        Ok(())
    }

    fn commit(&mut self, id: SessionId, frame: &Frame) -> Result<Change, Refusal> {
        let messages = self.take_transaction(id, frame)?.into_iter();
        let place = |(queue, message)| Placed { queue, sequence: self.next_sequence(), message };
        Ok(Change::Put(messages.map(place).collect()))
    }

    fn abort(&mut self, id: SessionId, frame: &Frame) -> Result<(), Refusal> {
        for (_, message) in self.take_transaction(id, frame)? {
            self.usage.release(&message);
        }
        self.wake_waiting();
        Ok(())
    }

    fn take_transaction(&mut self, id: SessionId, frame: &Frame) -> Result<Transaction, Refusal> {
        let name = required(frame, "transaction")?;
        let taken = self.sessions.get_mut(&id).and_then(|session| session.transactions.remove(name));
        Ok(taken.ok_or_else(|| unknown_transaction(name))?)
    }

    /// Makes the queue if there is room for one more; its name, and the sequence of its newest message.
    fn ensure_queue(&mut self, name: &str) -> Result<(Arc<str>, u64), Refusal> {
        if let Some((name, queue)) = self.queues.get_key_value(name) {
            return Ok((Arc::clone(name), queue.last_sequence()));
        }
        if self.queues.len() >= self.config.max_queues {
            return Err(format!("more than {} queues", self.config.max_queues).into());
        }
        let name: Arc<str> = name.into();
        self.queues.insert(Arc::clone(&name), Default::default());
        Ok((name, 0))
    }
}

/// An ERROR that says why.
pub(super) fn error(why: &str, receipt: Option<&str>) -> Frame {
    let error = Frame::new(Command::Error).with("message", why).with("version", "1.2");
    match receipt {
        Some(receipt) => error.with("receipt-id", receipt),
        None => error,
    }
}

/// Whether a frame may be handled while those before it wait for the disk. Only what neither answers nor shows
/// anything may: everything else would be ahead of its time.
fn may_overlap(frame: &Frame) -> bool {
    let destination = || frame.header("destination").and_then(Destination::parse);
    match frame.command {
        Command::Send => !matches!(destination(), Some(Destination::Statistics(_))),
        Command::Ack | Command::Nack | Command::Begin | Command::Commit | Command::Abort => true,
        _ => false,
    }
}

fn required<'a>(frame: &'a Frame, header: &str) -> Result<&'a str, Refusal> {
    let value = frame.header(header).filter(|value| !value.is_empty());
    value.ok_or_else(|| format!("{} needs the header {header}", frame.command).into())
}

fn unknown_destination(name: &str) -> String {
    format!("destination {name:.100} is not supported, only /queue/NAME and /temp-queue/NAME")
}

fn unknown_transaction(name: &str) -> String {
    format!("no transaction {name:.40}")
}

#[cfg(test)]
mod tests;
