//! One connection: its bytes become frames, its session's replies become bytes, each in its time.

use super::Broker;
use crate::broker::protocol::Handled;
use crate::broker::queue::SessionId;
use crate::dial::Stream;
use crate::stomp::Frame;
use crate::stomp::connection::{PIECE, sleep_until_some};
use crate::stomp::decode::{DecodeError, Decoder, Limits};
use crate::stomp::heartbeat::Agreement;
use bytes::BytesMut;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// What a client sent and what was not handled yet.
pub(super) struct Incoming {
    decoder: Decoder,
    frames: VecDeque<Frame>,
    /// What came after those frames is none.
    malformed: Option<DecodeError>,
}

/// Frames that are handled before their replies are written.
const BATCH: usize = 256;

/// Bytes of command and headers that a client may send. Less than what clients take, because a delivered message
/// has a few headers more.
const HEAD_BYTES: usize = 8 << 10;

/// What a connection's task needs to know of its session.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    connected: bool,
    deaf: bool,
    closing: bool,
    beats: Agreement,
}

/// Why a connection ended other than by the client's wish.
#[derive(Debug, Error)]
pub(super) enum Reason {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the client sent nothing for too long")]
    Silent,
    #[error("the client does not read")]
    NotReading,
    #[error("the client did not close")]
    Lingering,
}

// === impl Broker ===

impl Broker {
    /// Reads, handles and writes until the peer ends the connection, or one of its deadlines does.
    pub(super) async fn exchange(
        &self,
        id: SessionId,
        mut stream: impl Stream,
        mut incoming: Incoming,
        wake: &Notify,
    ) -> Result<(), Reason> {
        let opened = Instant::now();
        let (mut last_sent, mut last_heard) = (opened, opened);
        let mut bytes = BytesMut::with_capacity(PIECE);
        loop {
            let state = self.output(id, &mut bytes);
            if !bytes.is_empty() {
                self.write(&mut stream, &bytes).await?;
                bytes.clear();
                last_sent = Instant::now();
                continue;
            }
            if state.closing {
                // The peer may still be sending; a close with unread bytes would reset the connection and take the
                // ERROR frame with it.
                stream.shutdown().await?;
                let drained = timeout(Duration::from_secs(1), drain(&mut stream)).await;
                return drained.map_err(|_| Reason::Lingering)?.map_err(Reason::Io);
            }
            if !state.deaf && self.handle_buffered(id, &mut incoming) > 0 {
                continue;
            }
            let reads = !state.deaf && incoming.has_room();
            let beat = state.beats.send.map(|interval| last_sent + interval);
            let give_up = match state.connected {
                true => state.beats.give_up.filter(|_| reads).map(|silence| last_heard + silence),
                false => Some(opened + self.config.connect_timeout),
            };
            tokio::select! {
                read = stream.read_buf(incoming.decoder.buffer()), if reads => match read? {
                    0 => return Ok(()),
                    _ => last_heard = Instant::now(),
                },
                () = wake.notified() => {}
                () = sleep_until_some(give_up) => return Err(Reason::Silent),
                () = sleep_until_some(beat) => {
                    self.write(&mut stream, b"\n").await?;
                    last_sent = Instant::now();
                }
            }
        }
    }

    /// Fills `bytes` with what is to be written next.
    fn output(&self, id: SessionId, bytes: &mut BytesMut) -> State {
        let mut shared = self.lock();
        shared.core.output(id, PIECE, bytes);
        // Messages of automatic acknowledgement are settled as they are written, which may free others.
        self.wake_others(&mut shared);
        let session = shared.core.sessions.get(&id);
        session.map_or(State { closing: true, ..State::default() }, |session| State {
            connected: session.connected,
            deaf: session.deaf,
            closing: session.closing,
            beats: session.beats,
        })
    }

    /// Handles whole frames that were read already; how many, an erroneous one included. 0 when there is none, or
    /// when the next one has to wait.
    fn handle_buffered(&self, id: SessionId, incoming: &mut Incoming) -> usize {
        incoming.decode();
        if incoming.is_empty() {
            return 0;
        }
        let now = (self.clock)();
        let mut shared = self.lock();
        let mut count = 0;
        while let Some(frame) = incoming.frames.front()
            && shared.core.handle(id, frame, now) == Handled::Done
        {
            incoming.frames.pop_front();
            count += 1;
        }
        if incoming.frames.is_empty()
            && let Some(error) = incoming.malformed.take()
        {
            shared.core.refuse(id, &error.to_string(), None);
            count += 1;
        }
        self.wake_others(&mut shared);
        count
    }

    async fn write(&self, stream: &mut impl Stream, bytes: &[u8]) -> Result<(), Reason> {
        let write = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        timeout(self.config.write_timeout, write).await.map_err(|_| Reason::NotReading)?.map_err(Reason::Io)
    }
}

// === impl Incoming ===

impl Incoming {
    pub(super) fn new(max_frame_bytes: usize) -> Self {
        let limits = Limits {
            head_bytes: HEAD_BYTES,
            headers: Limits::default().headers / 2,
            body_bytes: max_frame_bytes,
        };
        Self { decoder: Decoder::new(limits), frames: VecDeque::new(), malformed: None }
    }

    fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.malformed.is_none()
    }

    /// Whether more may be read: what cannot be handled now is not collected without end.
    fn has_room(&mut self) -> bool {
        self.is_empty() || self.decoder.buffer().len() < PIECE
    }

    fn decode(&mut self) {
        while self.frames.len() < BATCH && self.malformed.is_none() {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => self.frames.push_back(frame),
                Ok(None) => break,
                Err(error) => self.malformed = Some(error),
            }
        }
    }
}

async fn drain(stream: &mut impl Stream) -> io::Result<()> {
    let mut scrap = [0; 4096];
    while stream.read(&mut scrap).await? > 0 {}
    Ok(())
}
