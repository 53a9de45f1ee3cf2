//! The client's side of one connection.
//!
//! [`Connection`] is driven by whoever awaits [`Connection::recv`]: that call, and only that call, reads, answers
//! the clock with heart-beats and notices a silent broker. It may be cancelled at any point without losing bytes,
//! so a worker selects it against its work. Any error is final; the owner drops the connection and dials again.

use super::decode::{DecodeError, Decoder, Limits};
use super::frame::{Command, Frame};
use super::heartbeat::{Agreement, HeartBeat};
use super::url::Credentials;
use crate::dial::{Dialer, Stream};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

/// How to talk to the broker.
#[derive(Clone, Debug)]
pub struct Config {
    /// The `host` header: the broker's name, or `/` for its only one.
    pub host: String,
    /// Who we are; none for a broker that does not ask.
    pub credentials: Option<Credentials>,
    /// How often we promise to send and wish to hear. Default 10 s.
    pub heart_beat: Duration,
    /// Longest wait for a connection and its CONNECTED frame. Default 5 s.
    pub connect_timeout: Duration,
    /// Longest wait for the network to take a piece of at most [`PIECE`] bytes. Default 10 s.
    pub write_timeout: Duration,
    /// How large the broker's frames may be.
    pub limits: Limits,
}

/// An open connection after its handshake.
pub struct Connection {
    stream: Box<dyn Stream>,
    decoder: Decoder,
    outgoing: BytesMut,
    beats: Agreement,
    write_timeout: Duration,
    last_sent: Instant,
    last_heard: Instant,
    /// Frames that came while something else was awaited.
    inbox: VecDeque<Frame>,
    receipts: u64,
}

/// Why a connection could not be made or is over.
#[derive(Debug, Error)]
pub enum ConnectionError {
    /// The transport failed.
    #[error("connection to the broker failed: {0}")]
    Io(#[from] io::Error),
    /// The broker closed the connection.
    #[error("the broker closed the connection")]
    Closed,
    /// No CONNECTED frame in time.
    #[error("the broker did not answer within {0:?}")]
    ConnectTimeout(Duration),
    /// The network took no bytes for too long.
    #[error("the broker read nothing for {0:?}")]
    WriteTimeout(Duration),
    /// Heart-beats stopped.
    #[error("the broker was silent for {0:?}")]
    Silent(Duration),
    /// No receipt in time.
    #[error("the broker sent no receipt in time")]
    ReceiptTimeout,
    /// The broker sent ERROR.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// The broker does not speak STOMP 1.2.
    #[error("the broker answered the handshake with {0}; is this a STOMP 1.2 port (usually 61613)?")]
    Handshake(String),
    /// What came is no STOMP.
    #[error("the broker sent something that is not STOMP ({0}); is this a STOMP port (usually 61613)?")]
    Decode(#[from] DecodeError),
    /// More unexpected frames than this side keeps.
    #[error("the broker sent more frames than were asked for; does it honour activemq.prefetchSize?")]
    Flooded,
}

/// Bytes that are written at once.
pub const PIECE: usize = 64 << 10;

/// Longest wait for an ERROR that the broker may have sent before it stopped reading.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Frames kept until [`Connection::recv`] is called again. A worker's prefetch is 1, so one is expected.
const INBOX: usize = 16;

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            host: "/".into(),
            credentials: None,
            heart_beat: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }
}

// === impl Connection ===

impl Connection {
    /// Dials and shakes hands.
    ///
    /// # Errors
    /// Any of [`ConnectionError`] but those of receipts.
    pub async fn open(dialer: &Dialer, config: &Config) -> Result<Self, ConnectionError> {
        timeout(config.connect_timeout, async {
            let mut connection = Self::new(dialer.dial().await?, config);
            connection.shake_hands(config).await?;
            Ok(connection)
        })
        .await
        .unwrap_or(Err(ConnectionError::ConnectTimeout(config.connect_timeout)))
    }

    /// Writes one frame.
    ///
    /// # Errors
    /// The transport failed or took nothing for too long.
    pub async fn send(&mut self, frame: &Frame) -> Result<(), ConnectionError> {
        self.queue(frame).await?;
        self.flush().await
    }

    /// Takes one frame and writes when a [`PIECE`] has come together. [`Connection::flush`] writes the rest.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn queue(&mut self, frame: &Frame) -> Result<(), ConnectionError> {
        frame.encode(&mut self.outgoing);
        if self.outgoing.len() >= PIECE { self.flush().await } else { Ok(()) }
    }

    /// Writes what was queued.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn flush(&mut self) -> Result<(), ConnectionError> {
        while !self.outgoing.is_empty() {
            let piece = self.outgoing.split_to(self.outgoing.len().min(PIECE));
            timeout(self.write_timeout, self.stream.write_all(&piece))
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                .map_err(|error| match error.kind() {
                    io::ErrorKind::TimedOut => ConnectionError::WriteTimeout(self.write_timeout),
                    _ => error.into(),
                })?;
            self.last_sent = Instant::now();
        }
        self.stream.flush().await?;
        Ok(())
    }

    /// Waits for the next frame; keeps the heart-beats meanwhile. Cancel safe.
    ///
    /// # Errors
    /// The connection is over, or the broker sent ERROR.
    pub async fn recv(&mut self) -> Result<Frame, ConnectionError> {
        match self.inbox.pop_front() {
            Some(frame) => Ok(frame),
            None => self.read_frame().await,
        }
    }

    /// A receipt id that was not used on this connection yet.
    pub fn next_receipt(&mut self) -> String {
        self.receipts += 1;
        format!("r{}", self.receipts)
    }

    /// Waits for the receipt. Other frames that come first are kept for [`Connection::recv`].
    ///
    /// # Errors
    /// As [`Connection::recv`], and [`ConnectionError::ReceiptTimeout`].
    pub async fn receipt(&mut self, id: &str, deadline: Instant) -> Result<(), ConnectionError> {
        loop {
            let frame = timeout_at(deadline, self.read_frame())
                .await
                .unwrap_or(Err(ConnectionError::ReceiptTimeout))?;
            if frame.command == Command::Receipt && frame.header("receipt-id") == Some(id) {
                return Ok(());
            }
            self.keep(frame)?;
        }
    }

    /// Waits until the connection is over, and keeps the heart-beats meanwhile. Frames that come are kept for
    /// [`Connection::recv`]. Cancel safe.
    pub async fn broken(&mut self) -> ConnectionError {
        loop {
            match self.read_frame().await.and_then(|frame| self.keep(frame)) {
                Ok(()) => {}
                Err(error) => return error,
            }
        }
    }

    /// Why the connection is over, once writing has failed: the broker's own word, when it left an ERROR before it
    /// closed, tells more than the transport.
    pub async fn last_word(&mut self, error: ConnectionError) -> ConnectionError {
        match timeout(LAST_WORD, self.broken()).await {
            Ok(refused @ ConnectionError::Refused(_)) => refused,
            _ => error,
        }
    }

    /// Says good-bye and waits, at most until `deadline`, for the broker to have heard all before it.
    ///
    /// # Errors
    /// As [`Connection::receipt`]; the connection is gone either way.
    pub async fn disconnect(mut self, deadline: Instant) -> Result<(), ConnectionError> {
        let id = self.next_receipt();
        self.send(&Frame::new(Command::Disconnect).with("receipt", &id)).await?;
        self.receipt(&id, deadline).await
    }

    fn new(stream: Box<dyn Stream>, config: &Config) -> Self {
        let now = Instant::now();
        Self {
            stream,
            decoder: Decoder::new(config.limits),
            outgoing: BytesMut::new(),
            beats: Agreement::default(),
            write_timeout: config.write_timeout,
            last_sent: now,
            last_heard: now,
            inbox: VecDeque::new(),
            receipts: 0,
        }
    }

    fn keep(&mut self, frame: Frame) -> Result<(), ConnectionError> {
        if self.inbox.len() >= INBOX {
            return Err(ConnectionError::Flooded);
        }
        self.inbox.push_back(frame);
        Ok(())
    }

    async fn shake_hands(&mut self, config: &Config) -> Result<(), ConnectionError> {
        let offer = HeartBeat::both(config.heart_beat);
        let mut connect = Frame::new(Command::Connect)
            .with("accept-version", "1.2")
            .with("host", &config.host)
            .with("heart-beat", offer.header());
        if let Some(credentials) = &config.credentials {
            connect = connect.with("login", &credentials.user).with("passcode", &credentials.password);
        }
        self.send(&connect).await?;
        let connected = self.read_frame().await?;
        if connected.command != Command::Connected {
            return Err(ConnectionError::Handshake(format!("{} in place of CONNECTED", connected.command)));
        }
        if connected.header("version") != Some("1.2") {
            let version = connected.header("version").unwrap_or("1.0");
            return Err(ConnectionError::Handshake(format!("version {version:.20}")));
        }
        let theirs = HeartBeat::parse(connected.header("heart-beat"))
            .ok_or_else(|| ConnectionError::Handshake("a malformed heart-beat header".into()))?;
        self.beats = offer.agree(theirs);
        Ok(())
    }

    async fn read_frame(&mut self) -> Result<Frame, ConnectionError> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return match frame.command {
                    Command::Error => Err(ConnectionError::Refused(reason(&frame))),
                    _ => Ok(frame),
                };
            }
            let beat = self.beats.send.map(|interval| self.last_sent + interval);
            let give_up = self.beats.give_up.map(|silence| self.last_heard + silence);
            tokio::select! {
                read = self.stream.read_buf(self.decoder.buffer()) => match read? {
                    0 => return Err(ConnectionError::Closed),
                    _ => self.last_heard = Instant::now(),
                },
                () = sleep_until_some(give_up) => {
                    return Err(ConnectionError::Silent(self.last_heard.elapsed()));
                }
                () = sleep_until_some(beat) => {
                    self.outgoing.extend_from_slice(b"\n");
                    self.flush().await?;
                }
            }
        }
    }
}

/// Sleeps until then, or for ever when there is no then.
pub(crate) async fn sleep_until_some(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

/// What an ERROR frame says, short enough for a log line. ActiveMQ's body is a stack trace, so the header counts.
fn reason(error: &Frame) -> String {
    const LONGEST: usize = 300;
    let body = String::from_utf8_lossy(&error.body);
    let first_line = || body.lines().next().unwrap_or("without a reason");
    error.header("message").unwrap_or_else(first_line).chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests;
