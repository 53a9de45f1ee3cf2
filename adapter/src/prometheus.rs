//! The Prometheus that rules ask: how it is reached, what is asked of it, and which series it has.

mod lister;
mod transport;

use std::{path::PathBuf, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Uri};
use podgauge_api::{Evaluation, Upstream, UpstreamError};
use podgauge_prometheus::{Client, QueryError};
use prometheus_client::registry::Registry;

pub(crate) use self::{lister::Lister, transport::TransportError};

/// Whom rules of `source: prometheus` ask.
#[derive(Debug)]
pub(crate) struct Config {
    /// What stands before `/api/v1`.
    pub(crate) url: Uri,
    pub(crate) credentials: Credentials,
    pub(crate) ca_file: Option<PathBuf>,
    /// A client certificate and its key.
    pub(crate) certificate: Option<(PathBuf, PathBuf)>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) client: podgauge_prometheus::Config,
    /// How often series are listed.
    pub(crate) relist_interval: Duration,
    /// How far back series are looked for.
    pub(crate) series_max_age: Duration,
}

/// What is sent along with each request.
#[derive(Debug)]
pub(crate) enum Credentials {
    /// A token from a file, or nothing.
    Files { token: Option<PathBuf> },
    /// Whatever a kubeconfig has.
    Kubeconfig(PathBuf),
    /// The token of the pod's service account.
    ServiceAccount,
}

/// Asks for rules.
#[derive(Debug)]
struct Asker(Client);

/// The client, ready to be asked. Connects to nothing yet.
///
/// # Errors
/// A file cannot be read, or what it has cannot be used.
pub(crate) async fn client(config: &Config, registry: &mut Registry) -> Result<Client, TransportError> {
    Ok(Client::new(config.client.clone(), transport::build(config).await?, registry))
}

/// The client, for rules.
pub(crate) fn upstream(client: Client) -> Arc<dyn Upstream> {
    Arc::new(Asker(client))
}

// === impl Asker ===

impl Upstream for Asker {
    fn instant(&self, query: String, left: Duration) -> Evaluation {
        let client = self.0.clone();
        Box::pin(async move { client.instant(&query, left).await.map_err(named) })
    }
}

fn named(error: QueryError) -> UpstreamError {
    if error.is_outage() {
        UpstreamError::Unavailable(error.to_string())
    } else {
        UpstreamError::Refused(error.to_string())
    }
}
