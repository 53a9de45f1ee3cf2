//! Clients of the cluster's API server.

use std::path::{Path, PathBuf};

use kube::{
    Client,
    config::{KubeConfigOptions, Kubeconfig},
};

/// Which kubeconfig is used for what; `None` finds one as kubectl does, or takes the pod's service account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    /// For watching pods.
    pub(crate) pods: Option<PathBuf>,
    /// For reviewing tokens and reading the authentication configuration.
    pub(crate) authentication: Option<PathBuf>,
    /// For reviewing access.
    pub(crate) authorization: Option<PathBuf>,
}

/// A client for each purpose. Purposes that share a kubeconfig share a client.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) pods: Client,
    pub(crate) authentication: Client,
    pub(crate) authorization: Client,
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// A kubeconfig cannot be used.
    #[error("kubeconfig {}: {source}", path.display())]
    Kubeconfig {
        /// Which.
        path: PathBuf,
        /// Why.
        source: kube::config::KubeconfigError,
    },
    /// There is none to be found.
    #[error("no way to the cluster was found (set --kubeconfig or $KUBECONFIG, or run in a pod): {0}")]
    Infer(#[from] kube::config::InferConfigError),
    /// What it says cannot be used.
    #[error("the cluster's client cannot be made: {0}")]
    Client(#[from] kube::Error),
}

// === impl Clients ===

impl Clients {
    /// Reads the kubeconfigs and makes the clients; connects to nothing yet.
    pub(crate) async fn build(config: &Config) -> Result<Self, ClusterError> {
        let pods = client(config.pods.as_deref()).await?;
        let authentication = match &config.authentication {
            same if *same == config.pods => pods.clone(),
            other => client(other.as_deref()).await?,
        };
        let authorization = match &config.authorization {
            same if *same == config.pods => pods.clone(),
            other => client(other.as_deref()).await?,
        };
        Ok(Self { pods, authentication, authorization })
    }
}

async fn client(kubeconfig: Option<&Path>) -> Result<Client, ClusterError> {
    let config = match kubeconfig {
        Some(path) => of_file(path).await?,
        None => kube::Config::infer().await?,
    };
    Ok(Client::try_from(config)?)
}

/// What a kubeconfig says.
pub(crate) async fn of_file(path: &Path) -> Result<kube::Config, ClusterError> {
    let failed = |source| ClusterError::Kubeconfig { path: path.to_owned(), source };
    let file = Kubeconfig::read_from(path).map_err(failed)?;
    kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(failed)
}
