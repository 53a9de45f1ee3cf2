//! The embedded queue's sockets: accepts connections and moves bytes between them and `Core`.
//!
//! One task a connection. It writes all there is to write before it reads on, so a client that does not read is not
//! read from either, and one that does not read for [`Config::write_timeout`] is disconnected. With a directory, one
//! thread takes what all connections have changed since it looked last and flushes it together.

mod committer;
mod connection;

use super::Config;
use super::core::Core;
use super::journal::disk::{Directory, Disk};
use super::journal::{Journal, RecoverError};
use super::queue::SessionId;
use crate::clock::Clock;
use crate::dial::{Dialer, Stream};
use crate::random::Random;
use crate::stomp::connection::PIECE;
use crate::stomp::{Command, Frame};
use bytes::BytesMut;
use committer::EndsCommitting;
use connection::{Incoming, Reason};
use std::collections::HashMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::io::duplex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

/// The queue itself, wherever its connections come from. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    shared: Arc<Mutex<Shared>>,
    /// Rings when something waits for the disk, or nothing more will.
    to_commit: Arc<Condvar>,
    config: Arc<Config>,
    clock: Clock,
}

/// The queue's listener. It ends when it is told to.
pub struct Task {
    broker: Broker,
    listener: TcpListener,
    address: SocketAddr,
    journal: Option<Journal>,
}

/// The queue cannot start.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The port cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// What is on disk cannot be read or written.
    #[error("cannot open the queue in {}: {reason}", directory.display())]
    Open {
        /// The directory that was asked for.
        directory: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
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
    /// The thread that writes to the disk ends when nothing waits any more.
    stopping: bool,
}

// === impl Config ===

impl Config {
    /// Binds the port and reads what the directory holds.
    ///
    /// # Errors
    /// [`BuildError`], which says what to do.
    pub async fn build(self, clock: Clock) -> Result<Task, BuildError> {
        let listen = self.listen;
        let bind = async {
            let listener = TcpListener::bind(listen).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bind.await.map_err(|source| BindError { listen, source })?;
        let directory = self.directory.clone();
        let segment_bytes = self.segment_bytes;
        let broker = Broker::new(self, clock);
        let Some(directory) = directory else {
            return Ok(Task { broker, listener, address, journal: None });
        };
        let open = {
            let directory = directory.clone();
            move || Journal::open(Box::new(Directory::open(&directory)?) as Box<dyn Disk>, segment_bytes)
        };
        let (journal, recovered) = spawn_blocking(open)
            .await
            .map_err(|error| error.to_string())
            .and_then(|opened| opened.map_err(|error: RecoverError| error.to_string()))
            .map_err(|reason| BuildError::Open { directory: directory.clone(), reason })?;
        let (messages, torn) = (recovered.messages.len(), recovered.torn);
        info!(directory = %directory.display(), messages, torn, "the queue has read its directory");
        broker.lock().core.recover(recovered);
        Ok(Task { broker, listener, address, journal: Some(journal) })
    }
}

// === impl Task ===

impl Task {
    /// Where the queue listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections until `stop`, then ends them. Ends earlier when the disk fails: what is on it can only be
    /// told by opening it anew.
    pub async fn run(self, stop: CancellationToken) {
        let Self { broker, listener, journal, .. } = self;
        let stop = stop.child_token();
        let committer = journal.map(|journal| {
            let (broker, failed) = (broker.clone(), stop.clone().drop_guard());
            spawn_blocking(move || {
                let _ends_with_this = failed;
                broker.commit_until_stopped(journal);
            })
        });
        let ends_committing = EndsCommitting(broker.clone());
        accept(&broker, listener, &stop).await;
        drop(ends_committing);
        if let Some(committer) = committer
            && let Err(error) = committer.await
        {
            error!(%error, "the queue's log has failed");
        }
    }
}

// === impl Broker ===

impl Broker {
    /// An empty queue without a port.
    pub fn new(config: Config, clock: Clock) -> Self {
        let core = Core::new(config.clone(), Random::from_entropy().next_u64());
        let shared = Shared { core, wakers: HashMap::new(), stopping: false };
        let shared = Arc::new(Mutex::new(shared));
        Self { shared, to_commit: Arc::default(), config: Arc::new(config), clock }
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
        let served = tokio::select! {
            served = self.exchange(id, stream, Incoming::new(self.config.max_frame_bytes), &wake) => served,
            () = stop.cancelled() => Ok(()),
        };
        let mut shared = self.lock();
        shared.wakers.remove(&id);
        shared.core.close(id);
        self.wake_others(&mut shared);
        served
    }

    fn wake_others(&self, shared: &mut Shared) {
        shared.wake_others();
        if shared.core.has_staged() {
            self.to_commit.notify_one();
        }
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

/// Serves connections until `stop`, then ends them.
async fn accept(broker: &Broker, listener: TcpListener, stop: &CancellationToken) {
    let connections = TaskTracker::new();
    let slots = Arc::new(Semaphore::new(broker.config.max_connections));
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
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
            warn!(%peer, most = broker.config.max_connections, "too many connections to the queue");
            turn_away(stream);
            continue;
        };
        // Without it a receipt may wait for the client's delayed acknowledgement of the packet before.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "cannot set TCP_NODELAY");
        }
        let (broker, stop) = (broker.clone(), stop.clone());
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
