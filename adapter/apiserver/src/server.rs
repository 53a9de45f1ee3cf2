//! The server as a whole: build binds and loads, run serves until it has drained.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use prometheus_client::registry::Registry;
use thiserror::Error;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{self, Instant},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Clock,
    api::{Api, GroupVersion},
    authn::{
        Authenticator,
        cluster::LookupError,
        loader::{Loader, Readiness},
        token::Tokens,
        trust::TrustError,
    },
    authz::Authorizer,
    certificate::PemPair,
    config::{Config, ServingConfig},
    connection::{self, Shared},
    handler::Handler,
    metrics::Metrics,
    pools::Pools,
    probes::{Check, Probes},
    reload,
    routes::{MetricsPage, Routes},
    tls::{Tls, TlsError},
};

/// How long to wait after the system had no descriptor for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the server needs of its program.
pub struct Parts {
    /// What is served: one for each group-version.
    pub apis: Vec<Arc<dyn Api>>,
    /// Where tokens are reviewed and the authentication configuration is read
    /// (`--authentication-kubeconfig`); without one, tokens mean nothing.
    pub authentication: Option<kube::Client>,
    /// Where access is reviewed (`--authorization-kubeconfig`); without one, only `system:masters` and
    /// the open paths get in.
    pub authorization: Option<kube::Client>,
    /// The program's own conditions; the server adds its own.
    pub probes: Probes,
    /// What `/metrics` shows, to whom may read it; without one there is no such path.
    pub metrics_page: Option<MetricsPage>,
    /// The wall clock, for the validity of certificates.
    pub clock: Clock,
}

/// A bound server.
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    serving: ServingConfig,
    shared: Arc<Shared>,
    tls: Arc<Tls>,
    first_pair: Option<PemPair>,
    loader: Loader,
    readiness: Readiness,
    is_draining: Arc<AtomicBool>,
    metrics: Metrics,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut because the drain deadline was over.
    pub cut: usize,
}

/// Why a server was not built. The text says what to do.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The address cannot be had.
    #[error("listening on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A CA file does not load.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Two APIs answer for the same group-version.
    #[error("{0} is served twice")]
    Duplicate(GroupVersion),
    /// The system has no randomness.
    #[error("the system's random number generator does not work")]
    Randomness,
}

// === impl Server ===

impl Server {
    /// Binds the socket, loads the certificates and registers the metrics (under `apiserver`).
    ///
    /// # Errors
    /// When any of that fails: a server that cannot serve does not start.
    pub fn build(config: Config, parts: Parts, registry: &mut Registry) -> Result<Self, BuildError> {
        let metrics = Metrics::register(registry);
        let pools = Pools::new(&config);
        if let Some(twice) = duplicate(&parts.apis) {
            return Err(BuildError::Duplicate(twice));
        }
        let first_pair = config.serving.certificate.read().map_err(TlsError::from)?;
        let (tls, not_after) = Tls::new(&config.serving, first_pair.as_ref())?;
        not_after.into_iter().for_each(|not_after| metrics.certificate_until(not_after));

        let tokens = match parts.authentication.clone() {
            None => None,
            Some(client) => Some(
                Tokens::new(client, &config.authentication, metrics.clone())
                    .map_err(|_| BuildError::Randomness)?,
            ),
        };
        let authz = Authorizer::new(parts.authorization, config.authorization, metrics.clone())
            .map_err(|_| BuildError::Randomness)?;
        let loader = Loader::new(
            config.authentication,
            parts.authentication,
            config.serving.file_poll_interval,
            metrics.clone(),
        )?;
        let readiness = loader.readiness();
        let authn = Authenticator::new(loader.trust(), tokens, parts.clock, metrics.clone());

        let is_draining = Arc::new(AtomicBool::new(false));
        let probes = with_own_checks(parts.probes, readiness.clone(), is_draining.clone());
        let routes = Routes::new(&parts.apis, &config.title, &config.version, probes, parts.metrics_page);
        let handler = Handler::new(authn, authz, routes, config.limits.clone(), pools, metrics.clone());

        let address = SocketAddr::new(config.serving.bind_address, config.serving.secure_port);
        let (listener, local_addr) = bind(address).map_err(|source| BuildError::Bind { address, source })?;
        Ok(Self {
            listener,
            local_addr,
            serving: config.serving,
            shared: Arc::new(Shared {
                handler: Arc::new(handler),
                limits: config.limits,
                is_draining: is_draining.clone(),
                leave: CancellationToken::new(),
            }),
            tls: Arc::new(tls),
            first_pair,
            loader,
            readiness,
            is_draining,
            metrics,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Whether callers can be told apart yet.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Reads the cluster's authentication configuration once, as [`run`](Self::run) does again and
    /// again: a self-check for the start.
    ///
    /// # Errors
    /// Why it cannot be read; when a role is missing the text names it.
    pub async fn check_authentication(&mut self) -> Result<(), LookupError> {
        self.loader.refresh_cluster().await
    }

    /// Serves until `shutdown`, then drains: `/readyz` fails for the shutdown delay while everything
    /// is still served, over HTTP/1.1 one last time on each connection, then connections are asked to go, and cut when the drain deadline is over.
    ///
    /// # Errors
    /// When the runtime cannot take the socket.
    pub async fn run(self, shutdown: CancellationToken) -> io::Result<Drained> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let limits = &self.shared.limits;
        let mut background = JoinSet::new();
        background.spawn(self.loader.run());
        background.spawn(reload::certificate(
            self.serving.certificate.clone(),
            self.serving.file_poll_interval,
            self.first_pair,
            self.tls.clone(),
            self.metrics.clone(),
        ));

        let connections = TaskTracker::new();
        let cut = CancellationToken::new();
        let slots = Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS)));
        let mut delay_over = std::pin::pin!(async {
            shutdown.cancelled().await;
            self.is_draining.store(true, Ordering::Relaxed);
            tracing::info!(delay = ?self.serving.shutdown_delay, "shutting down");
            time::sleep(self.serving.shutdown_delay).await;
        });
        loop {
            let slot = match slots.clone().try_acquire_owned() {
                Ok(slot) => slot,
                Err(_) => {
                    self.metrics.connections_at_limit.inc();
                    tokio::select! {
                        () = delay_over.as_mut() => break,
                        // The semaphore is never closed.
                        Ok(slot) = slots.clone().acquire_owned() => slot,
                    }
                }
            };
            let stream = tokio::select! {
                () = delay_over.as_mut() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "accepting a connection failed");
                        time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            let (shared, cut, metrics) = (self.shared.clone(), cut.clone(), self.metrics.clone());
            let Some(acceptor) = self.tls.acceptor() else {
                // There is no certificate yet: closed at once, so that whoever asks elsewhere does so soon.
                self.metrics.handshake_failures.inc();
                continue;
            };
            connections.spawn(async move {
                metrics.connections.inc();
                metrics.connections_accepted.inc();
                tokio::select! {
                    () = cut.cancelled() => {}
                    () = one_connection(stream, acceptor, shared, &metrics) => {}
                }
                metrics.connections.dec();
                drop(slot);
            });
        }

        drop(listener);
        connections.close();
        self.shared.leave.cancel();
        let mut left = 0;
        if time::timeout(self.serving.drain_deadline, connections.wait()).await.is_err() {
            left = connections.len();
            tracing::warn!(connections = left, "drain deadline over; cutting what is left");
            cut.cancel();
            connections.wait().await;
        }
        background.shutdown().await;
        Ok(Drained { cut: left })
    }
}

async fn one_connection(
    stream: tokio::net::TcpStream,
    acceptor: tokio_rustls::TlsAcceptor,
    shared: Arc<Shared>,
    metrics: &Metrics,
) {
    let since = Instant::now();
    // Answers are small and waited for. When this fails the connection is dead, which reading shows.
    let _ = stream.set_nodelay(true);
    let handshake = tokio::select! {
        // Nothing has been asked yet, so nothing is lost.
        () = shared.leave.cancelled() => return,
        handshake = connection::handshake(acceptor, stream, shared.limits.handshake_timeout) => handshake,
    };
    match handshake {
        Ok(stream) => {
            if let Err(error) = connection::serve(stream, since, shared).await {
                tracing::debug!(%error, "connection ended");
            }
        }
        Err(error) => {
            metrics.handshake_failures.inc();
            tracing::debug!(%error, "connection refused");
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let local_addr = listener.local_addr()?;
    Ok((listener, local_addr))
}

fn duplicate(apis: &[Arc<dyn Api>]) -> Option<GroupVersion> {
    let mut seen = std::collections::BTreeSet::new();
    apis.iter().map(|api| api.group_version()).find(|of| !seen.insert(*of))
}

fn with_own_checks(mut probes: Probes, readiness: Readiness, is_draining: Arc<AtomicBool>) -> Probes {
    probes.ready.push(Check::new("authentication", move || readiness.check()));
    probes.ready.push(Check::new("shutdown", move || {
        if is_draining.load(Ordering::Relaxed) { Err("shutting down".to_owned()) } else { Ok(()) }
    }));
    probes
}
