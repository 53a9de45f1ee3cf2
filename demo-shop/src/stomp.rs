//! STOMP 1.2, as much of it as a shop and its queue need.
//!
//! [`frame`] and [`decode`] are the codec: bytes to frames and back, without I/O, with limits, never panicking on
//! what a peer sends. [`connection`] is the client's side of one connection: handshake, receipts, heart-beats,
//! deadlines. [`url`] reads the broker's address. The server's side is [`crate::broker`], on the same codec.
//!
//! Source of every rule here: the STOMP 1.2 specification (stomp.github.io/stomp-specification-1.2.html). What
//! ActiveMQ does differently is said where it matters.

pub mod connection;
pub mod decode;
pub mod frame;
pub mod heartbeat;
pub mod url;

pub use connection::Connection;
pub use decode::{DecodeError, Decoder, Limits};
pub use frame::{Command, Frame, Headers};
pub use heartbeat::HeartBeat;
pub use url::BrokerUrl;
