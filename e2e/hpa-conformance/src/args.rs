//! The flags.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use sandbox_hpa::reconcile::Config;

/// Plays the scenarios of the sandbox's autoscaler to a real kube-controller-manager.
///
/// Exits with 0 when the two agree wherever they were compared, 1 when they differ, 2 when they could not be
/// compared. The cluster is the one that KUBECONFIG names. It needs no node, and must have no metrics adapter
/// of its own.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Where the scenarios are.
    #[arg(long, default_value = "sandbox/hpa/scenarios", value_name = "FOLDER")]
    pub(crate) scenarios: PathBuf,

    /// Play only scenarios whose name contains this; may be repeated.
    #[arg(long, value_name = "PART")]
    pub(crate) only: Vec<String>,

    /// Play scenarios that take longer than two minutes, too.
    #[arg(long)]
    pub(crate) long: bool,

    /// The address at which kube-apiserver reaches this machine; by default the one from which this machine
    /// reaches kube-apiserver.
    #[arg(long, value_name = "IP")]
    pub(crate) address: Option<IpAddr>,

    /// What the controller was started with as --horizontal-pod-autoscaler-tolerance.
    #[arg(long, value_name = "NUMBER")]
    tolerance: Option<f64>,

    /// What the controller was started with as --horizontal-pod-autoscaler-downscale-stabilization, in
    /// seconds.
    #[arg(long, value_name = "SECONDS")]
    downscale_stabilization: Option<u64>,
}

// === impl Args ===

impl Args {
    /// The settings of the cluster's controller.
    pub(crate) fn controller(&self) -> Config {
        let default = Config::default();
        Config {
            tolerance: self.tolerance.unwrap_or(default.tolerance),
            downscale_stabilization: self
                .downscale_stabilization
                .map_or(default.downscale_stabilization, Duration::from_secs),
            ..default
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }

    #[test]
    fn settings_of_the_controller_have_upstreams_defaults() {
        let args = Args::parse_from(["hpa-conformance"]);
        assert_eq!(args.controller(), Config::default());
        let args = Args::parse_from(["hpa-conformance", "--tolerance=0.25", "--downscale-stabilization=60"]);
        assert_eq!(args.controller().tolerance, 0.25);
        assert_eq!(args.controller().downscale_stabilization, Duration::from_secs(60));
    }
}
