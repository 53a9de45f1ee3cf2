//! Flags about reaching the cluster.

use std::path::PathBuf;

use crate::cluster;

/// How the cluster is reached.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct ClusterArgs {
    /// The kubeconfig for watching pods [default: $KUBECONFIG, ~/.kube/config, or the pod's service account].
    #[arg(long, value_name = "FILE", alias = "lister-kubeconfig")]
    kubeconfig: Option<PathBuf>,
    /// The kubeconfig for reviewing tokens and reading the authentication configuration [default: as --kubeconfig].
    #[arg(long, value_name = "FILE")]
    authentication_kubeconfig: Option<PathBuf>,
    /// The kubeconfig for reviewing access [default: as --kubeconfig].
    #[arg(long, value_name = "FILE")]
    authorization_kubeconfig: Option<PathBuf>,
}

// === impl ClusterArgs ===

impl ClusterArgs {
    /// Whether the pod's service account is the only way to the cluster that is left.
    pub(super) fn is_in_pod(&self) -> bool {
        self.kubeconfig.is_none()
    }

    /// Which credentials are used for what.
    pub(super) fn config(&self) -> cluster::Config {
        cluster::Config {
            pods: self.kubeconfig.clone(),
            authentication: self.authentication_kubeconfig.clone().or_else(|| self.kubeconfig.clone()),
            authorization: self.authorization_kubeconfig.clone().or_else(|| self.kubeconfig.clone()),
        }
    }
}
