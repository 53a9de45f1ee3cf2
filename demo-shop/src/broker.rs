//! The embedded queue: a small STOMP 1.2 broker for a shop that was given no other.
//!
//! It speaks the protocol on a port, so that several processes share it, and behaves towards the shop as ActiveMQ
//! does: queues by name, one message to one consumer, redelivery when a consumer's connection ends before its
//! acknowledgement, NACK to `ActiveMQ.DLQ`, transactions, browsing, receipts, heart-beats, and the statistics
//! plugin's answers. What it does not know it refuses with an ERROR frame rather than ignore: topics, selectors,
//! cumulative acknowledgement (`ack:client`), acknowledgement in transactions, expiry, scheduling.
//!
//! **Bounded**: every limit is a field of [`Config`]. **Kept on disk** when [`Config::directory`] says where (`journal`
//! has the files' format and guarantees); otherwise messages are gone when the process ends.
//!
//! **Receipts tell the truth**: a receipt leaves when its frame is done, which for messages and acknowledgements means
//! on the disk, and never before the receipts of earlier frames. A message is shown to nobody before that either.
//!
//! **Counted**: a message whose consumer's connection broke says so in `delivery-count`, as AMQP 1.0 does; a consumer
//! that says good-bye (UNSUBSCRIBE, DISCONNECT) does not count against what it had in hand.
//!
//! `core`, `protocol` and `staging` are the whole logic without I/O: frames in, frames out. [`server`] moves bytes.

mod core;
mod destination;
mod journal;
mod protocol;
mod queue;
pub mod server;
mod staging;
mod statistics;

pub(crate) use destination::is_queue_name;
pub use server::{BindError, Broker, BuildError, Task};

use crate::stomp::url::Credentials;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where the queue listens and how much it takes.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address and port; port 0 picks a free one. Default 127.0.0.1:61613.
    pub listen: SocketAddr,
    /// Whom to let in; none lets everybody in.
    pub credentials: Option<Credentials>,
    /// Most messages in all queues and open transactions. Default 200,000.
    pub max_messages: usize,
    /// Most bytes of all those messages: bodies, headers and what keeping them takes, by estimate. Default 256 MiB.
    pub max_bytes: usize,
    /// Most bytes of one message's body. Default 64 KiB. Its headers may have 8 KiB.
    pub max_frame_bytes: usize,
    /// What happens to a message that there is no room for within those limits. Default [`WhenFull::Refuse`].
    pub when_full: WhenFull,
    /// Where messages are kept on disk; none keeps them in memory alone. Default none.
    pub directory: Option<PathBuf>,
    /// Bytes of one file of the log, about. A large transaction makes a larger one. Default 16 MiB.
    pub segment_bytes: u64,
    /// Most connections at once. Default 256.
    pub max_connections: usize,
    /// Most queues. Default 64.
    pub max_queues: usize,
    /// Most subscriptions, and most open transactions, of one connection. Default 16.
    pub max_subscriptions: usize,
    /// Most messages that one subscription may have in hand, whatever it asks for. Default 1,000.
    pub max_prefetch: u32,
    /// How often the queue offers and wishes heart-beats. Default 10 s.
    pub heart_beat: Duration,
    /// Longest wait for a new connection's CONNECT. Default 10 s.
    pub connect_timeout: Duration,
    /// Longest wait for a client to read a piece of at most 64 KiB. Default 30 s.
    pub write_timeout: Duration,
}

/// What becomes of a message that there is no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// An ERROR says that the queue is full, and the connection ends.
    #[default]
    Refuse,
    /// The connection is not heard, and its receipt is withheld, until there is room. A message that no room can come
    /// for, because its own transaction takes all, is refused nevertheless.
    Wait,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], crate::stomp::url::DEFAULT_PORT)),
            credentials: None,
            max_messages: 200_000,
            max_bytes: 256 << 20,
            max_frame_bytes: 64 << 10,
            when_full: WhenFull::Refuse,
            directory: None,
            segment_bytes: 16 << 20,
            max_connections: 256,
            max_queues: 64,
            max_subscriptions: 16,
            max_prefetch: 1000,
            heart_beat: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
        }
    }
}
