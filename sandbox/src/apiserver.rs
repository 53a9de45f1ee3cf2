//! The API server: Kubernetes' own APIs in memory, over TLS.
//!
//! [`ApiServer::start`] takes a [`Config`] and gives a [`Handle`], through which the one who started it makes credentials,
//! writes objects without HTTP, counts requests and injects faults. Everyone else uses the network.
//!
//! The way of a request: [`serve`](self) accepts it, authentication names its user, RBAC lets it pass, `route` finds who
//! answers: the object store (`read`, `watch`, `write`), discovery, a review, or the aggregator and through it another server.

mod aggregator;
mod apply;
mod authn;
mod authz;
mod bootstrap;
mod call;
mod config;
mod decoding;
mod defaults;
mod discovery;
mod faults;
mod handle;
mod impersonate;
mod logs;
mod namespaces;
mod objects;
mod openapi;
mod patch;
mod rbac;
mod read;
mod registry;
mod representation;
mod request_info;
mod requests;
mod resources;
mod respond;
mod reviews;
mod route;
mod scale;
mod schema;
mod selector;
mod serve;
mod status;
mod store;
mod table;
mod user;
mod validation;
mod watch;
mod write;

pub use config::Config;
pub use faults::{Effect, Injector};
pub use handle::{Handle, StartError};
pub(crate) use logs::LogFiles;
pub use objects::Objects;
pub(crate) use registry::{DeleteOptions, Part};
pub use requests::{RequestPattern, Requests, SeenRequest};
pub(crate) use resources::known;
pub use resources::{RESOURCES, Resource};
pub(crate) use selector::LabelSelector;
pub use status::Status;
pub(crate) use store::Key;
pub use user::User;

use crate::pki::Authority;
use aggregator::Aggregator;
use authn::Authenticator;
use faults::Faults;
use registry::Registry;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The common name of the front proxy's certificate, as kubeadm has it.
const FRONT_PROXY_NAME: &str = "front-proxy-client";
/// Names under which the server may be addressed.
const SERVER_NAMES: [&str; 5] = ["127.0.0.1", "::1", "localhost", "kubernetes", "kubernetes.default.svc"];

/// Starts API servers.
pub struct ApiServer;

/// What all parts of one running server share.
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) address: SocketAddr,
    pub(crate) registry: Registry,
    pub(crate) authenticator: Authenticator,
    pub(crate) aggregator: Aggregator,
    pub(crate) requests: Requests,
    pub(crate) faults: Faults,
    pub(crate) logs: logs::Logs,
    pub(crate) stop: CancellationToken,
}

// === impl ApiServer ===

impl ApiServer {
    /// Binds the address, makes the certificates, fills the store and serves until [`Handle::shutdown`].
    pub async fn start(config: Config) -> Result<Handle, StartError> {
        let now = config.clock.now();
        let cluster_ca = Authority::new("sandbox-ca", now)?;
        let front_proxy_ca = Authority::new("sandbox-front-proxy-ca", now)?;
        let serving = cluster_ca.server("sandbox-apiserver", &SERVER_NAMES)?;
        let front_proxy = front_proxy_ca.client(FRONT_PROXY_NAME, &[])?;
        let tls = TlsAcceptor::from(Arc::new(crate::tls::server(&serving)?));
        let roots = crate::tls::roots(cluster_ca.pem())?;
        let authenticator = Authenticator::new(roots, config.anonymous).map_err(StartError::ClientCa)?;
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|error| StartError::Bind { address: config.listen, error })?;
        let address =
            listener.local_addr().map_err(|error| StartError::Bind { address: config.listen, error })?;
        let random = rustls::crypto::ring::default_provider().secure_random;
        let registry = Registry::new(store::Store::new(config.history_events), config.clock.clone(), random);
        let trust = bootstrap::Trust {
            client_ca: cluster_ca.pem(),
            front_proxy_ca: front_proxy_ca.pem(),
            front_proxy_name: FRONT_PROXY_NAME,
        };
        bootstrap::populate(&registry, &trust)?;
        let core = Arc::new(Core {
            address,
            registry,
            authenticator,
            aggregator: Aggregator::new(front_proxy.clone()),
            requests: Requests::new(config.request_log),
            faults: Faults::new(),
            logs: logs::Logs::default(),
            stop: CancellationToken::new(),
            config,
        });
        let tasks = TaskTracker::new();
        tasks.spawn(serve::accept(core.clone(), listener, tls, tasks.clone()));
        tasks.spawn(aggregator::supervise(core.clone()));
        tasks.spawn(namespaces::control(core.clone()));
        Ok(Handle::new(core, tasks, cluster_ca, front_proxy_ca, front_proxy))
    }
}

// === impl Core ===

impl Core {
    /// A new bearer token for `user`.
    pub(crate) fn issue_token(&self, mut user: User) -> String {
        let token = format!("sandbox-{}", self.registry.uuid());
        let credential = format!("JTI={}", self.registry.uuid());
        user.extra.insert("authentication.kubernetes.io/credential-id".to_owned(), vec![credential]);
        self.authenticator.add_token(token.clone(), user);
        token
    }
}
