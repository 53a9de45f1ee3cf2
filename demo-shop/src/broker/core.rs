//! The broker without I/O: connections, queues, and what is to be written to whom.
//!
//! One [`Core`] is owned by one lock in [`server`](super::server). Frames come in through [`Core::handle`], bytes go
//! out through [`Core::output`]; whoever has something new to write is named by [`Core::woken`]. What waits for a
//! connection is bounded: deliveries by the prefetch of its subscriptions, replies by the requests that the server
//! hands in before it writes again; browsing is pulled, one message at a time.

use super::Config;
use super::queue::{ConsumerId, Delivery, Message, Queue, SessionId};
use crate::stomp::heartbeat::Agreement;
use crate::stomp::{Command, Frame};
use bytes::BytesMut;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// All connections and queues.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) config: Config,
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) sessions: HashMap<SessionId, Session>,
    pub(super) usage: Usage,
    /// Tells this broker's message ids from those of its earlier lives.
    pub(super) nonce: u64,
    pub(super) messages_named: u64,
    sessions_opened: u64,
    woken: BTreeSet<SessionId>,
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
    /// An ERROR or the answer to DISCONNECT is the last that will be written.
    pub(super) closing: bool,
    pub(super) beats: Agreement,
    pub(super) subscriptions: BTreeMap<String, Subscription>,
    pub(super) transactions: BTreeMap<String, Vec<(String, Arc<Message>)>>,
    /// Deliveries that wait for ACK or NACK, by the `ack` header that they carried.
    pub(super) unacked: HashMap<u64, Unacked>,
    deliveries: u64,
    outbox: VecDeque<Out>,
}

#[derive(Debug)]
pub(super) enum Subscription {
    /// Takes messages out of a queue; `auto` ones are settled as they are written.
    Consumer { queue: String, auto: bool },
    /// Looks at a queue's messages between two numbers, the first exclusive.
    Browser { queue: String, after: u64, until: u64 },
    /// Gets the answers to this connection's questions.
    Answers { name: String },
}

/// A message in a client's hand.
#[derive(Debug)]
pub(super) struct Unacked {
    pub(super) queue: String,
    pub(super) subscription: String,
    pub(super) sequence: u64,
}

#[derive(Debug)]
enum Out {
    Reply(Frame),
    Delivery { queue: String, delivery: Delivery },
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
            sessions_opened: 0,
            woken: BTreeSet::new(),
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
        let Some(session) = self.sessions.remove(&id) else { return };
        for (subscription, kind) in session.subscriptions {
            if let Subscription::Consumer { queue, .. } = kind {
                self.remove_consumer(&queue, &ConsumerId { session: id, subscription });
            }
        }
        for message in session.transactions.into_values().flatten().map(|(_, message)| message) {
            self.usage.release(&message);
        }
        self.woken.remove(&id);
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

    /// Queues a frame for a connection.
    pub(super) fn reply(&mut self, id: SessionId, frame: Frame) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.outbox.push_back(Out::Reply(frame));
            self.woken.insert(id);
        }
    }

    /// Hands out what waits in a queue to those who have a hand free.
    pub(super) fn dispatch(&mut self, queue: &str) {
        let Some(open) = self.queues.get_mut(queue) else { return };
        while let Some(delivery) = open.dispatch() {
            let id = delivery.to.session;
            if let Some(session) = self.sessions.get_mut(&id) {
                session.outbox.push_back(Out::Delivery { queue: queue.to_owned(), delivery });
                self.woken.insert(id);
            }
        }
    }

    /// Ends a consumer, and hands what it had to others.
    pub(super) fn remove_consumer(&mut self, queue: &str, consumer: &ConsumerId) {
        if let Some(session) = self.sessions.get_mut(&consumer.session) {
            session.unacked.retain(|_, unacked| unacked.subscription != consumer.subscription);
            session
                .outbox
                .retain(|out| !matches!(out, Out::Delivery { delivery, .. } if delivery.to == *consumer));
        }
        if let Some(open) = self.queues.get_mut(queue) {
            open.unsubscribe(consumer);
        }
        self.dispatch(queue);
    }

    /// Takes a message out of its queue for good.
    pub(super) fn settle(
        &mut self,
        queue: &str,
        consumer: &ConsumerId,
        sequence: u64,
    ) -> Option<Arc<Message>> {
        let message = self.queues.get_mut(queue)?.settle(consumer, sequence)?;
        self.usage.release(&message);
        self.dispatch(queue);
        Some(message)
    }

    /// Puts a message into a queue, and makes the queue if there is none.
    pub(super) fn enqueue(&mut self, queue: &str, message: Arc<Message>) {
        self.queues.entry(queue.to_owned()).or_default().push(message);
        self.dispatch(queue);
    }

    /// The frame of a delivery that is being written now.
    fn deliver(&mut self, queue: &str, delivery: &Delivery) -> Frame {
        let frame = message_frame(queue, &delivery.to.subscription, &delivery.message);
        let frame = if delivery.redelivered { frame.with("redelivered", "true") } else { frame };
        let Some(session) = self.sessions.get_mut(&delivery.to.session) else { return frame };
        let subscription = &delivery.to.subscription;
        if matches!(session.subscriptions.get(subscription), Some(Subscription::Consumer { auto: true, .. }))
        {
            self.settle(queue, &delivery.to, delivery.sequence);
            return frame;
        }
        session.deliveries += 1;
        let ack = session.deliveries;
        let unacked = Unacked {
            queue: queue.to_owned(),
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
            let found = self.queues.get(queue.as_str()).and_then(|open| open.browse(*after, *until));
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
