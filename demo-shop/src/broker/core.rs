//! The broker without I/O: connections, queues, and what is to be written to whom.
//!
//! One [`Core`] is owned by one lock in [`server`](super::server). Frames come in through [`Core::handle`], bytes go
//! out through [`Core::output`]; whoever has something new to write is named by [`Core::woken`]. What waits for a
//! connection is bounded: deliveries by the prefetch of its subscriptions, replies by the requests that the server
//! hands in before it writes again; browsing is pulled, one message at a time.

use super::Config;
use super::journal::Recovered;
use super::queue::{ConsumerId, Delivery, Loss, Message, Queue, SessionId, Taken};
use super::staging::{Change, Hand, Placed, Staged};
use crate::stomp::heartbeat::Agreement;
use crate::stomp::{Command, Frame};
use bytes::BytesMut;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// All connections and queues.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) config: Config,
    pub(super) queues: BTreeMap<Arc<str>, Queue>,
    pub(super) sessions: HashMap<SessionId, Session>,
    pub(super) usage: Usage,
    /// Tells this broker's message ids from those of its earlier lives.
    pub(super) nonce: u64,
    pub(super) messages_named: u64,
    /// The last sequence that a message got.
    pub(super) last_sequence: u64,
    /// Whether changes wait for the disk.
    pub(super) journaled: bool,
    pub(super) staged: Vec<Staged>,
    pub(super) staged_bytes: usize,
    sessions_opened: u64,
    woken: BTreeSet<SessionId>,
    /// Connections with a frame that can only be handled later.
    waiting: BTreeSet<SessionId>,
}

/// What all kept messages cost together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// CONNECT was accepted.
    pub(super) connected: bool,
    /// Nothing that it sends is heard any more.
    pub(super) deaf: bool,
    /// An ERROR or the answer to DISCONNECT is the last that will be written.
    pub(super) closing: bool,
    /// Changes of its that wait for the disk.
    pub(super) staged: usize,
    pub(super) beats: Agreement,
    pub(super) subscriptions: BTreeMap<String, Subscription>,
    pub(super) transactions: BTreeMap<String, Transaction>,
    /// Deliveries that wait for ACK or NACK, by the `ack` header that they carried.
    pub(super) unacked: HashMap<u64, Unacked>,
    deliveries: u64,
    outbox: VecDeque<Out>,
}

/// Messages and their queues, until COMMIT.
pub(super) type Transaction = Vec<(Arc<str>, Arc<Message>)>;

#[derive(Debug)]
pub(super) enum Subscription {
    /// Takes messages out of a queue; `auto` ones are settled as they are written.
    Consumer { queue: Arc<str>, auto: bool },
    /// Looks at a queue's messages between two numbers, the first exclusive.
    Browser { queue: Arc<str>, after: u64, until: u64 },
    /// Gets the answers to this connection's questions.
    Answers { name: String },
}

/// A message in a client's hand.
#[derive(Debug)]
pub(super) struct Unacked {
    pub(super) queue: Arc<str>,
    pub(super) subscription: String,
    pub(super) sequence: u64,
}

#[derive(Debug)]
enum Out {
    Reply(Frame),
    Delivery { queue: Arc<str>, delivery: Delivery },
}

// === impl Core ===

impl Core {
    pub(super) fn new(config: Config, nonce: u64) -> Self {
        Self {
            config,
            queues: BTreeMap::new(),
            sessions: HashMap::new(),
            usage: Usage::default(),
            nonce,
            messages_named: 0,
            last_sequence: 0,
            journaled: false,
            staged: Vec::new(),
            staged_bytes: 0,
            sessions_opened: 0,
            woken: BTreeSet::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// Begins with what the log holds; from now on changes wait for the disk. Limits count, but nothing is dropped.
    pub(super) fn recover(&mut self, recovered: Recovered) {
        self.journaled = true;
        self.last_sequence = recovered.last_id;
        for (sequence, (queue, message)) in recovered.messages {
            self.usage.take(&message);
            self.enqueue(Placed { queue, sequence, message });
        }
    }

    /// A new connection.
    pub(super) fn open(&mut self) -> SessionId {
        self.sessions_opened += 1;
        let id = SessionId(self.sessions_opened);
        self.sessions.insert(id, Session::default());
        id
    }

    /// A connection is gone. What it had in hand goes to others, its open transactions are undone.
    pub(super) fn close(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let (subscriptions, transactions) =
            (std::mem::take(&mut session.subscriptions), std::mem::take(&mut session.transactions));
        let how = if session.closing { Loss::Polite } else { Loss::Broken };
        for (subscription, kind) in subscriptions {
            if let Subscription::Consumer { queue, .. } = kind {
                self.remove_consumer(&queue, &ConsumerId { session: id, subscription }, how);
            }
        }
        for message in transactions.into_values().flatten().map(|(_, message)| message) {
            self.usage.release(&message);
        }
        self.sessions.remove(&id);
        self.woken.remove(&id);
        self.waiting.remove(&id);
        self.wake_waiting();
    }

    /// Has the connection woken when something has changed that its frame may wait for.
    pub(super) fn wait(&mut self, id: SessionId) {
        self.waiting.insert(id);
    }

    /// There may be room now, or the disk may have caught up.
    pub(super) fn wake_waiting(&mut self) {
        self.woken.append(&mut self.waiting);
    }

    /// Connections that have something new to write, since the last call.
    pub(super) fn woken(&mut self) -> BTreeSet<SessionId> {
        std::mem::take(&mut self.woken)
    }

    /// Appends up to about `budget` bytes that are to be written to the connection. What is appended counts as
    /// written.
    pub(super) fn output(&mut self, id: SessionId, budget: usize, bytes: &mut BytesMut) {
        while bytes.len() < budget {
            let Some(session) = self.sessions.get_mut(&id) else { return };
            match session.outbox.pop_front() {
                Some(Out::Reply(frame)) => frame.encode(bytes),
                Some(Out::Delivery { queue, delivery }) => self.deliver(&queue, &delivery).encode(bytes),
                None => match self.browse(id) {
                    Some(frame) => frame.encode(bytes),
                    None => return,
                },
            }
        }
    }

    /// Queues a frame for a connection. After the last frame there is none.
    pub(super) fn reply(&mut self, id: SessionId, frame: Frame) {
        if let Some(session) = self.sessions.get_mut(&id).filter(|session| !session.closing) {
            session.outbox.push_back(Out::Reply(frame));
            self.woken.insert(id);
        }
    }

    /// Hands out what waits in a queue to those who have a hand free.
    pub(super) fn dispatch(&mut self, queue: &str) {
        let Some((name, _)) = self.queues.get_key_value(queue) else { return };
        let name = Arc::clone(name);
        let Some(open) = self.queues.get_mut(queue) else { return };
        while let Some(delivery) = open.dispatch() {
            let id = delivery.to.session;
            if let Some(session) = self.sessions.get_mut(&id) {
                session.outbox.push_back(Out::Delivery { queue: Arc::clone(&name), delivery });
                self.woken.insert(id);
            }
        }
    }

    /// Ends a consumer, and hands what it had to others.
    pub(super) fn remove_consumer(&mut self, queue: &str, consumer: &ConsumerId, how: Loss) {
        let mut seen = BTreeSet::new();
        if let Some(session) = self.sessions.get_mut(&consumer.session) {
            session.unacked.retain(|_, unacked| {
                let other = unacked.subscription != consumer.subscription;
                if !other {
                    seen.insert(unacked.sequence);
                }
                other
            });
            session
                .outbox
                .retain(|out| !matches!(out, Out::Delivery { delivery, .. } if delivery.to == *consumer));
        }
        if let Some(open) = self.queues.get_mut(queue) {
            open.unsubscribe(consumer, how, |sequence| seen.contains(&sequence));
        }
        self.dispatch(queue);
    }

    /// Takes a message out of its queue for good, unless [`Core::restore`] puts it back.
    pub(super) fn take(&mut self, queue: &str, consumer: &ConsumerId, sequence: u64) -> Option<Taken> {
        self.queues.get_mut(queue)?.settle(consumer, sequence)
    }

    /// A consumer may have another message for one that was taken: a crash can give it that one again no more.
    pub(super) fn free(&mut self, hand: &Hand) {
        if let Some(open) = self.queues.get_mut(&hand.queue) {
            open.free(&hand.consumer);
        }
        self.dispatch(&hand.queue);
    }

    /// Puts back what was taken.
    pub(super) fn restore(&mut self, queue: &str, taken: Taken) {
        if let Some(open) = self.queues.get_mut(queue) {
            open.restore(taken);
        }
        self.dispatch(queue);
    }

    /// Puts a message into a queue, and makes the queue if there is none.
    pub(super) fn enqueue(&mut self, Placed { queue, sequence, message }: Placed) {
        self.queues.entry(Arc::clone(&queue)).or_default().push(sequence, message);
        self.dispatch(&queue);
    }

    /// The sequence of the next message.
    pub(super) fn next_sequence(&mut self) -> u64 {
        self.last_sequence += 1;
        self.last_sequence
    }

    /// The frame of a delivery that is being written now.
    fn deliver(&mut self, queue: &Arc<str>, delivery: &Delivery) -> Frame {
        let mut frame = message_frame(queue, &delivery.to.subscription, &delivery.message);
        if delivery.redelivered {
            frame.headers.push("redelivered", "true");
        }
        if delivery.losses > 0 {
            frame.headers.push("delivery-count", delivery.losses.to_string());
        }
        let Some(session) = self.sessions.get_mut(&delivery.to.session) else { return frame };
        let subscription = &delivery.to.subscription;
        if matches!(session.subscriptions.get(subscription), Some(Subscription::Consumer { auto: true, .. }))
        {
            if let Some(taken) = self.take(queue, &delivery.to, delivery.sequence) {
                self.usage.release(&taken.message);
                self.wake_waiting();
                let hand = Hand { queue: Arc::clone(queue), consumer: delivery.to.clone() };
                self.stage(None, Change::Settle(taken.sequence, hand), None);
            }
            return frame;
        }
        session.deliveries += 1;
        let ack = session.deliveries;
        let unacked = Unacked {
            queue: Arc::clone(queue),
            subscription: subscription.clone(),
            sequence: delivery.sequence,
        };
        session.unacked.insert(ack, unacked);
        frame.with("ack", ack.to_string())
    }

    /// The next frame of the connection's browsers, of which the ones that reached the end become inert.
    fn browse(&mut self, id: SessionId) -> Option<Frame> {
        let session = self.sessions.get_mut(&id)?;
        for (subscription, kind) in &mut session.subscriptions {
            let Subscription::Browser { queue, after, until } = kind else { continue };
            if *after == u64::MAX {
                continue;
            }
            let found = self.queues.get(queue).and_then(|open| open.browse(*after, *until));
            return Some(match found {
                Some((sequence, message)) => {
                    *after = sequence;
                    message_frame(queue, subscription, message)
                }
                None => {
                    *after = u64::MAX;
                    Frame::new(Command::Message)
                        .with("browser", "end")
                        .with("destination", format!("/queue/{queue}"))
                        .with("message-id", "0")
                        .with("subscription", subscription)
                }
            });
        }
        None
    }
}

fn message_frame(queue: &str, subscription: &str, message: &Message) -> Frame {
    let mut frame = Frame::new(Command::Message)
        .with("destination", format!("/queue/{queue}"))
        .with("subscription", subscription);
    for (name, value) in message.headers.iter() {
        frame.headers.push(name, value);
    }
    frame.body(message.body.clone())
}

// === impl Usage ===

impl Usage {
    pub(super) fn take(&mut self, message: &Message) {
        self.messages += 1;
        self.bytes += message.cost();
    }

    pub(super) fn release(&mut self, message: &Message) {
        self.messages -= 1;
        self.bytes -= message.cost();
    }
}
