//! The wiring: which parts run, how they find each other, and in which order they end.
//!
//! On SIGTERM: not ready any more, the worker finishes its order (or hands it back) while `/metrics` goes on being
//! served, then open requests finish, then the last spans are sent, then the connections to the broker end, and the
//! embedded queue, which all the others talk to, comes last.

use crate::broker;
use crate::clock::Clock;
use crate::depth;
use crate::dial::Dialer;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::orders;
use crate::stomp::BrokerUrl;
use crate::trace;
use crate::web;
use crate::worker;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// What runs, and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// HTTP; always served.
    pub web: web::Config,
    /// The store's side of the queue, when there is a store.
    pub store: Option<orders::Config>,
    /// The worker, when there is one.
    pub worker: Option<worker::Config>,
    /// Reads the queue's length; always.
    pub depth: depth::Config,
    /// Reads the length of the queue of orders that no worker could finish, for the panel.
    pub put_aside: depth::Config,
    /// Where spans go.
    pub trace: trace::Config,
    /// Where the broker is.
    pub broker: BrokerAt,
    /// How long the worker's order and open requests may take together once the shop is told to stop; each part has
    /// at most a second more for its good-byes. Default 25 s, which leaves five of the 30 s that Kubernetes gives.
    pub grace: Duration,
}

/// Where the broker is.
#[derive(Clone, Debug)]
pub enum BrokerAt {
    /// In this process.
    Here(broker::Config),
    /// Elsewhere.
    Url(BrokerUrl),
}

/// All parts, bound to their ports.
pub struct App {
    web: web::Task,
    orders: Option<orders::Task>,
    worker: Option<worker::Task>,
    depth: depth::Task,
    put_aside: depth::Task,
    broker: Option<broker::Task>,
    trace: Option<trace::Task>,
    health: Health,
    grace: Duration,
}

/// What a part may take for its good-byes after the grace period.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A port, or the queue's directory, could not be had.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The embedded queue's.
    #[error(transparent)]
    Queue(#[from] broker::BuildError),
    /// HTTP's.
    #[error(transparent)]
    Http(#[from] web::BindError),
}

/// A part ended that should not have.
#[derive(Debug, Error)]
pub enum RunError {
    /// By a panic, which is a bug of ours.
    #[error("the {0} has failed: {1}")]
    Failed(&'static str, JoinError),
    /// On its own.
    #[error("the {0} has ended by itself")]
    Ended(&'static str),
}

// === impl App ===

impl App {
    /// Binds the ports and connects the parts with each other.
    ///
    /// # Errors
    /// [`BuildError`].
    pub async fn build(config: Config, clock: Clock) -> Result<Self, BuildError> {
        let (broker, url) = match config.broker {
            BrokerAt::Here(config) => {
                let task = config.build(clock).await?;
                let url = reachable(task.address());
                (Some(task), url)
            }
            BrokerAt::Url(url) => (None, url),
        };
        let dialer = Dialer::tcp(&url);
        let (health, metrics) = (Health::default(), Metrics::default());
        let (tracer, trace) = config.trace.build(metrics.clone(), clock);
        let (orders, orders_task) = config
            .store
            .map(|config| config.build(dialer.clone(), health.register("store"), metrics.clone()))
            .unzip();
        let worker = config.worker.map(|config| {
            config.build(dialer.clone(), health.register("worker"), metrics.clone()).traced(tracer.clone())
        });
        let (depth, depth_task) = config.depth.build(dialer.clone(), clock);
        let (put_aside, put_aside_task) = config.put_aside.build(dialer, clock);
        let broker_name = url.to_string();
        let shop = web::Shop {
            orders,
            depth,
            put_aside,
            metrics,
            health: health.clone(),
            tracer,
            broker: broker_name,
        };
        let web = config.web.build(shop).await?;
        let grace = config.grace;
        Ok(Self {
            web,
            orders: orders_task,
            worker,
            depth: depth_task,
            put_aside: put_aside_task,
            broker,
            trace,
            health,
            grace,
        })
    }

    /// Where HTTP is served.
    pub fn http_address(&self) -> SocketAddr {
        self.web.address()
    }

    /// Where the embedded queue is served, if it is.
    pub fn queue_address(&self) -> Option<SocketAddr> {
        self.broker.as_ref().map(broker::Task::address)
    }

    /// Runs all parts until `stop`, then ends them in order.
    ///
    /// # Errors
    /// A part ended by itself; the process should end and be restarted.
    pub async fn run(self, stop: CancellationToken) -> Result<(), RunError> {
        let mut broker = self.broker.map(|task| Part::start("queue", |stop| task.run(stop)));
        let mut depth = Part::start("depth reader", |stop| self.depth.run(stop));
        let mut put_aside = Part::start("reader of failed orders", |stop| self.put_aside.run(stop));
        let mut orders = self.orders.map(|task| Part::start("store", |stop| task.run(stop)));
        let mut worker = self.worker.map(|task| Part::start("worker", |stop| task.run(stop)));
        let mut web = Part::start("web server", |stop| self.web.run(stop));
        let mut trace = self.trace.map(|task| Part::start("span exporter", |stop| task.run(stop)));
        tokio::select! {
            () = stop.cancelled() => {}
            error = ended(&mut broker) => return Err(error),
            error = depth.ended() => return Err(error),
            error = put_aside.ended() => return Err(error),
            error = ended(&mut orders) => return Err(error),
            error = ended(&mut worker) => return Err(error),
            error = web.ended() => return Err(error),
            error = ended(&mut trace) => return Err(error),
        }
        info!("stopping");
        self.health.begin_shutdown();
        let deadline = Instant::now() + self.grace;
        for part in
            [worker, Some(web), trace, orders, Some(depth), Some(put_aside), broker].into_iter().flatten()
        {
            part.stop(deadline).await?;
        }
        Ok(())
    }
}

/// Cancels `stop` on the first SIGTERM or SIGINT; a second one ends the process at once.
///
/// # Errors
/// The system does not let us listen for signals.
pub fn cancel_on_signal(stop: CancellationToken) -> io::Result<impl Future<Output = ()> + Send> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        for attempt in 0.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if attempt > 0 {
                std::process::exit(130);
            }
            stop.cancel();
        }
    })
}

/// A running part and how to stop it.
struct Part {
    name: &'static str,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

// === impl Part ===

impl Part {
    fn start<F>(name: &'static str, run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(stop.clone()));
        Self { name, stop, task }
    }

    /// Waits until the part ends although nobody stopped it.
    async fn ended(&mut self) -> RunError {
        match (&mut self.task).await {
            Ok(()) => RunError::Ended(self.name),
            Err(error) => RunError::Failed(self.name, error),
        }
    }

    /// Asks the part to end, and ends it when it does not.
    async fn stop(mut self, deadline: Instant) -> Result<(), RunError> {
        self.stop.cancel();
        match timeout_at(deadline.max(Instant::now()) + LAST_WORDS, &mut self.task).await {
            Ok(ended) => ended.map_err(|error| RunError::Failed(self.name, error)),
            Err(_) => {
                warn!("the {} did not stop in time", self.name);
                self.task.abort();
                Ok(())
            }
        }
    }
}

async fn ended(part: &mut Option<Part>) -> RunError {
    match part {
        Some(part) => part.ended().await,
        None => std::future::pending().await,
    }
}

/// How this process reaches a port that it listens on: one that is bound to every address is reached by loopback.
fn reachable(bound: SocketAddr) -> BrokerUrl {
    let host = match bound.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    };
    BrokerUrl { host: host.to_string(), port: bound.port(), credentials: None }
}
