//! What a frame is, and how it is written.
//!
//! `content-length` is framing, not content: [`Frame::encode`] writes it and the decoder consumes it, so a frame
//! never carries it among its headers and `decode(encode(f)) == f`.

use bytes::{BufMut, Bytes, BytesMut};
use std::fmt;

/// A frame of the protocol, in either direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the frame asks or tells.
    pub command: Command,
    /// The headers, unescaped, without `content-length`.
    pub headers: Headers,
    /// The body; empty for most commands.
    pub body: Bytes,
}

/// The commands of STOMP 1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum Command {
    Connect,
    Stomp,
    Connected,
    Send,
    Subscribe,
    Unsubscribe,
    Ack,
    Nack,
    Begin,
    Commit,
    Abort,
    Disconnect,
    Message,
    Receipt,
    Error,
}

/// Headers in the order in which they were sent. Of a repeated header the first one counts, as the
/// specification has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

// === impl Frame ===

impl Frame {
    /// A frame without headers and body.
    pub fn new(command: Command) -> Self {
        Self { command, headers: Headers::default(), body: Bytes::new() }
    }

    /// The same frame with one more header.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// The same frame with this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// Appends the frame's bytes to `out`, final NUL included.
    ///
    /// CONNECT and CONNECTED know no escapes, so a line break in their headers is sent as a blank; so is a NUL in
    /// any header, because most peers would take it for the frame's end.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_slice(self.command.as_str().as_bytes());
        out.put_u8(b'\n');
        let escaped = self.command.escapes();
        for (name, value) in self.headers.iter().filter(|(name, _)| *name != "content-length") {
            put_header_part(out, name, escaped);
            out.put_u8(b':');
            put_header_part(out, value, escaped);
            out.put_u8(b'\n');
        }
        if !self.body.is_empty() {
            out.put_slice(format!("content-length:{}\n", self.body.len()).as_bytes());
        }
        out.put_u8(b'\n');
        out.put_slice(&self.body);
        out.put_u8(0);
    }
}

fn put_header_part(out: &mut BytesMut, text: &str, escaped: bool) {
    for &byte in text.as_bytes() {
        match byte {
            0 => out.put_u8(b' '),
            b'\n' if escaped => out.put_slice(b"\\n"),
            b'\r' if escaped => out.put_slice(b"\\r"),
            b':' if escaped => out.put_slice(b"\\c"),
            b'\\' if escaped => out.put_slice(b"\\\\"),
            b'\n' | b'\r' => out.put_u8(b' '),
            other => out.put_u8(other),
        }
    }
}

// === impl Command ===

impl Command {
    /// All commands, for lookups and tests.
    pub const ALL: [Self; 15] = [
        Self::Connect,
        Self::Stomp,
        Self::Connected,
        Self::Send,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Ack,
        Self::Nack,
        Self::Begin,
        Self::Commit,
        Self::Abort,
        Self::Disconnect,
        Self::Message,
        Self::Receipt,
        Self::Error,
    ];

    /// The command's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Stomp => "STOMP",
            Self::Connected => "CONNECTED",
            Self::Send => "SEND",
            Self::Subscribe => "SUBSCRIBE",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::Ack => "ACK",
            Self::Nack => "NACK",
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Abort => "ABORT",
            Self::Disconnect => "DISCONNECT",
            Self::Message => "MESSAGE",
            Self::Receipt => "RECEIPT",
            Self::Error => "ERROR",
        }
    }

    /// The command of that name; names are case-sensitive.
    pub fn parse(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.as_str().as_bytes() == name)
    }

    /// Whether headers of this command are escaped. Those of CONNECT and CONNECTED are not, so that peers that
    /// only know 1.0 can read them.
    pub fn escapes(self) -> bool {
        !matches!(self, Self::Connect | Self::Connected)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Headers ===

impl Headers {
    /// Adds a header after the others.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// The first value of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many headers there are, repeated ones included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no header at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, String)> for Headers {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(headers: I) -> Self {
        Self(headers.into_iter().collect())
    }
}
