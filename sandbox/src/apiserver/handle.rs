//! What the one who started a server holds of it.

use super::Core;
use super::bootstrap::group_versions;
use super::faults::Injector;
use super::objects::Objects;
use super::requests::Requests;
use super::resources::known;
use super::status::Status;
use super::store::Key;
use super::user::User;
use crate::client::{Client, ClientConfig};
use crate::kubeconfig::{self, Credential};
use crate::pki::{Authority, Identity, PkiError};
use crate::tls::TlsError;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::task::TaskTracker;

/// The server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error(
        "cannot listen on {address}: {error}; choose another address or port, or port 0 for any free one"
    )]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// No certificate could be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The certificates that were made cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The CA that was made verifies no clients.
    #[error("the client CA cannot be used: {0}")]
    ClientCa(String),
    /// An object that every cluster has was refused.
    #[error("cannot create the initial objects: {0}")]
    Bootstrap(#[from] Status),
}

/// A running API server. Dropping it leaves the server running until the runtime ends; see [`Handle::shutdown`].
pub struct Handle {
    core: Arc<Core>,
    tasks: TaskTracker,
    cluster_ca: Authority,
    front_proxy_ca: Authority,
    front_proxy: Identity,
}

// === impl Handle ===

impl Handle {
    pub(crate) fn new(
        core: Arc<Core>,
        tasks: TaskTracker,
        cluster_ca: Authority,
        front_proxy_ca: Authority,
        front_proxy: Identity,
    ) -> Self {
        Self { core, tasks, cluster_ca, front_proxy_ca, front_proxy }
    }

    /// What the cluster's own components share with the server.
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.core.address
    }

    /// Its base URL, such as `https://127.0.0.1:40001`.
    pub fn url(&self) -> String {
        format!("https://{}", self.core.address)
    }

    /// What its certificate is verified against, PEM.
    pub fn ca_pem(&self) -> &str {
        self.cluster_ca.pem()
    }

    /// The CA that signs the server and ordinary clients.
    pub fn cluster_ca(&self) -> &Authority {
        &self.cluster_ca
    }

    /// The CA that signs the front proxy and nobody else.
    pub fn front_proxy_ca(&self) -> &Authority {
        &self.front_proxy_ca
    }

    /// The front proxy's client certificate, with which tests can play the aggregator.
    pub fn front_proxy_identity(&self) -> &Identity {
        &self.front_proxy
    }

    /// A kubeconfig with a client certificate for `user` in `groups`.
    pub fn kubeconfig_for(&self, user: &str, groups: &[&str]) -> Result<String, PkiError> {
        let credential = Credential::ClientCertificate(self.cluster_ca.client(user, groups)?);
        Ok(self.kubeconfig(user, &credential))
    }

    /// A kubeconfig with a new token of a service account.
    pub fn kubeconfig_for_service_account(&self, namespace: &str, name: &str) -> String {
        let token = self.service_account_token(namespace, name);
        self.kubeconfig(&format!("system:serviceaccount:{namespace}:{name}"), &Credential::Token(token))
    }

    /// A kubeconfig with any credential, under the name `user`.
    pub fn kubeconfig(&self, user: &str, credential: &Credential) -> String {
        kubeconfig::write(&self.url(), self.ca_pem(), user, credential)
    }

    /// Makes a token of a service account, which need not exist as an object. Valid until revoked.
    pub fn service_account_token(&self, namespace: &str, name: &str) -> String {
        let mut user = User::service_account(namespace, name);
        let key = Key::new(namespace, name);
        if let Some(account) = self.core.registry.store.get(known("", "serviceaccounts"), &key) {
            user.uid = account["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        }
        self.core.issue_token(user)
    }

    /// Makes `token` stand for `user`.
    pub fn add_token(&self, token: &str, user: User) {
        self.core.authenticator.add_token(token.to_owned(), user);
    }

    /// Ends the validity of a token.
    pub fn revoke_token(&self, token: &str) {
        self.core.authenticator.remove_token(token);
    }

    /// A client of this server.
    pub fn client(&self, credential: Credential) -> Result<Client, TlsError> {
        Client::new(&ClientConfig {
            address: self.core.address,
            server_name: "localhost".to_owned(),
            ca_pem: Some(self.ca_pem().to_owned()),
            credential,
            max_response_bytes: self.core.config.max_backend_document_bytes,
        })
    }

    /// A client with the front proxy's certificate, for direct requests to an extension API server at `address`.
    ///
    /// Its certificate must carry `server_name` and be signed by a CA in `ca_pem`; without one nothing is verified. The
    /// caller sets the `X-Remote-*` headers.
    pub fn front_proxy_client(
        &self,
        address: SocketAddr,
        server_name: &str,
        ca_pem: Option<&str>,
    ) -> Result<Client, TlsError> {
        Client::new(&ClientConfig {
            address,
            server_name: server_name.to_owned(),
            ca_pem: ca_pem.map(str::to_owned),
            credential: Credential::ClientCertificate(self.front_proxy.clone()),
            max_response_bytes: self.core.config.max_backend_document_bytes,
        })
    }

    /// The stored objects, without HTTP.
    pub fn objects(&self) -> Objects<'_> {
        Objects::new(&self.core)
    }

    /// What has been asked so far.
    pub fn requests(&self) -> &Requests {
        &self.core.requests
    }

    /// What is to go wrong.
    pub fn faults(&self) -> Injector<'_> {
        self.core.faults.injector(&self.core.registry.store)
    }

    /// Lets the aggregator reach a Service at `address`; neither the Service nor EndpointSlices need to exist then.
    pub fn route_service(&self, namespace: &str, service: &str, address: SocketAddr) {
        self.core.aggregator.route(namespace, service, address);
    }

    /// Lets the aggregator look at every APIService now.
    pub fn probe_now(&self) {
        self.core.aggregator.kick();
    }

    /// Waits until `done` holds for an object, which is `None` while it does not exist, and answers it.
    ///
    /// Looks at it whenever anything changes; combine with a timeout.
    pub async fn wait_for(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
        mut done: impl FnMut(Option<&Value>) -> bool,
    ) -> Option<Value> {
        let mut changes = self.core.registry.store.changes();
        loop {
            changes.mark_unchanged();
            let object = self.objects().get(api_version, kind, namespace, name);
            if done(object.as_ref()) || changes.changed().await.is_err() {
                return object;
            }
        }
    }

    /// Waits until the condition `Available` of an APIService has `status` (`True` or `False`).
    pub async fn wait_for_api_service(&self, name: &str, status: &str) -> Option<Value> {
        let has = |object: Option<&Value>| {
            let conditions = object.and_then(|object| object["status"]["conditions"].as_array());
            conditions.into_iter().flatten().any(|c| c["type"] == "Available" && c["status"] == status)
        };
        self.wait_for("apiregistration.k8s.io/v1", "APIService", "", name, has).await
    }

    /// Every group and version that the server serves itself.
    pub fn group_versions(&self) -> Vec<(&'static str, &'static str)> {
        group_versions()
    }

    /// Ends every watch, lets open requests finish for a moment, and waits until all tasks have ended.
    pub async fn shutdown(self) {
        self.core.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("address", &self.core.address).finish_non_exhaustive()
    }
}
