//! The embedded queue's sockets: accepts connections and moves bytes between them and `Core`.
//!
//! One task a connection. It writes all there is to write before it reads on, so a client that does not read is not
//! read from either, and one that does not read for [`Config::write_timeout`] is disconnected.

use super::Config;
use super::core::Core;
use super::queue::SessionId;
use crate::clock::Clock;
use crate::dial::{Dialer, Stream};
use crate::random::Random;
use crate::stomp::connection::{PIECE, sleep_until_some};
use crate::stomp::decode::{DecodeError, Decoder, Limits};
use crate::stomp::heartbeat::Agreement;
use crate::stomp::{Command, Frame};
use bytes::BytesMut;
use std::collections::HashMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

/// The queue itself, wherever its connections come from. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    shared: Arc<Mutex<Shared>>,
    config: Arc<Config>,
    clock: Clock,
}

/// The queue's listener. It ends when it is told to.
pub struct Task {
    broker: Broker,
    listener: TcpListener,
    address: SocketAddr,
}

/// The port cannot be had.
#[derive(Debug, Error)]
#[error("cannot listen on {listen} for the queue: {source}{}", hint(source))]
pub struct BindError {
    /// The address that was asked for.
    pub listen: SocketAddr,
    /// What the system says.
    pub source: io::Error,
}

struct Shared {
    core: Core,
    wakers: HashMap<SessionId, Arc<Notify>>,
}

/// Frames that are handled before their replies are written.
const BATCH: usize = 256;

/// Bytes of command and headers that a client may send. Less than what clients take, because a delivered message
/// has a few headers more.
const HEAD_BYTES: usize = 8 << 10;

// === impl Config ===

impl Config {
    /// Binds the port.
    ///
    /// # Errors
    /// [`BindError`], which says what to do when the port is taken.
    pub async fn build(self, clock: Clock) -> Result<Task, BindError> {
        let listen = self.listen;
        let bind = async {
            let listener = TcpListener::bind(listen).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bind.await.map_err(|source| BindError { listen, source })?;
        Ok(Task { broker: Broker::new(self, clock), listener, address })
    }
}

// === impl Task ===

impl Task {
    /// Where the queue listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections until `stop`, then ends them.
    pub async fn run(self, stop: CancellationToken) {
        let connections = TaskTracker::new();
        let slots = Arc::new(Semaphore::new(self.broker.config.max_connections));
        loop {
            let (stream, peer) = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        warn!(%error, "the queue cannot accept connections");
                        // Usually out of file descriptors; they come back when connections end.
                        sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                warn!(%peer, most = self.broker.config.max_connections, "too many connections to the queue");
                turn_away(stream);
                continue;
            };
            // Without it a receipt may wait for the client's delayed acknowledgement of the packet before.
            if let Err(error) = stream.set_nodelay(true) {
                debug!(%error, "cannot set TCP_NODELAY");
            }
            let (broker, stop) = (self.broker.clone(), stop.clone());
            connections.spawn(async move {
                match broker.serve(stream, stop).await {
                    Ok(()) => debug!(%peer, "a connection to the queue has ended"),
                    Err(reason) => info!(%peer, %reason, "a connection to the queue has ended"),
                }
                drop(slot);
            });
        }
        connections.close();
        connections.wait().await;
    }
}

// === impl Broker ===

impl Broker {
    /// An empty queue without a port.
    pub fn new(config: Config, clock: Clock) -> Self {
        let core = Core::new(config.clone(), Random::from_entropy().next_u64());
        let shared = Arc::new(Mutex::new(Shared { core, wakers: HashMap::new() }));
        Self { shared, config: Arc::new(config), clock }
    }

    /// Dials the queue within this process, over a pipe in memory. The connections end with `stop`.
    pub fn dialer(&self, stop: &CancellationToken) -> Dialer {
        let (broker, stop) = (self.clone(), stop.clone());
        Dialer::new(move || {
            let (near, far) = duplex(PIECE);
            let (broker, stop) = (broker.clone(), stop.clone());
            tokio::spawn(async move { broker.serve(far, stop).await });
            Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
        })
    }

    /// Messages in a queue, and how many of them are in consumers' hands.
    pub fn depth(&self, queue: &str) -> (usize, usize) {
        let shared = self.lock();
        shared.core.queues.get(queue).map_or((0, 0), |queue| (queue.len(), queue.in_flight()))
    }

    /// Serves one connection until it ends or `stop`.
    async fn serve(&self, stream: impl Stream, stop: CancellationToken) -> Result<(), Reason> {
        let wake = Arc::new(Notify::new());
        let id = {
            let mut shared = self.lock();
            let id = shared.core.open();
            shared.wakers.insert(id, Arc::clone(&wake));
            id
        };
        let limits = Limits {
            head_bytes: HEAD_BYTES,
            headers: Limits::default().headers / 2,
            body_bytes: self.config.max_frame_bytes,
        };
        let served = tokio::select! {
            served = self.exchange(id, stream, Decoder::new(limits), &wake) => served,
            () = stop.cancelled() => Ok(()),
        };
        let mut shared = self.lock();
        shared.wakers.remove(&id);
        shared.core.close(id);
        shared.wake_others();
        served
    }

    async fn exchange(
        &self,
        id: SessionId,
        mut stream: impl Stream,
        mut decoder: Decoder,
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
            if self.handle_buffered(id, &mut decoder) > 0 {
                continue;
            }
            let beat = state.beats.send.map(|interval| last_sent + interval);
            let give_up = match state.connected {
                true => state.beats.give_up.map(|silence| last_heard + silence),
                false => Some(opened + self.config.connect_timeout),
            };
            tokio::select! {
                read = stream.read_buf(decoder.buffer()) => match read? {
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
        shared.wake_others();
        let session = shared.core.sessions.get(&id);
        session.map_or(State { closing: true, ..State::default() }, |session| State {
            connected: session.connected,
            closing: session.closing,
            beats: session.beats,
        })
    }

    /// Handles whole frames that were read already; how many, an erroneous one included.
    fn handle_buffered(&self, id: SessionId, decoder: &mut Decoder) -> usize {
        let mut frames = Vec::new();
        let mut malformed: Option<DecodeError> = None;
        while frames.len() < BATCH {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    malformed = Some(error);
                    break;
                }
            }
        }
        let count = frames.len() + usize::from(malformed.is_some());
        if count > 0 {
            let now = (self.clock)();
            let mut shared = self.lock();
            for frame in &frames {
                shared.core.handle(id, frame, now);
            }
            if let Some(error) = malformed {
                shared.core.refuse(id, &error.to_string(), None);
            }
            shared.wake_others();
        }
        count
    }

    async fn write(&self, stream: &mut impl Stream, bytes: &[u8]) -> Result<(), Reason> {
        let write = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        timeout(self.config.write_timeout, write).await.map_err(|_| Reason::NotReading)?.map_err(Reason::Io)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Shared ===

impl Shared {
    fn wake_others(&mut self) {
        for id in self.core.woken() {
            if let Some(waker) = self.wakers.get(&id) {
                waker.notify_one();
            }
        }
    }
}

/// What a connection's task needs to know of its session.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    connected: bool,
    closing: bool,
    beats: Agreement,
}

/// Why a connection ended other than by the client's wish.
#[derive(Debug, Error)]
enum Reason {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the client sent nothing for too long")]
    Silent,
    #[error("the client does not read")]
    NotReading,
    #[error("the client did not close")]
    Lingering,
}

async fn drain(stream: &mut impl Stream) -> io::Result<()> {
    let mut scrap = [0; 4096];
    while stream.read(&mut scrap).await? > 0 {}
    Ok(())
}

/// Tells a client without waiting for it: a new connection's send buffer is empty, and takes what fits.
fn turn_away(stream: TcpStream) {
    let mut bytes = BytesMut::new();
    Frame::new(Command::Error).with("message", "too many connections").encode(&mut bytes);
    // By way of the standard library, because tokio does not know yet that a new socket is writable.
    if let Err(error) = stream.into_std().and_then(|mut stream| stream.write_all(&bytes)) {
        debug!(%error, "cannot tell a client that there are too many");
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; if another demo-shop serves the queue there, point ACTIVEMQ_BROKER_URL to it, or set QUEUE_LISTEN"
        }
        _ => "",
    }
}
