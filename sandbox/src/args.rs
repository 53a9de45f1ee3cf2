//! The flags of the binary.

use clap::{Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A cluster-shaped stand-in for one machine.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Which log lines to write to standard error, such as `info` or `sandbox=debug`.
    #[arg(long, global = true, env = "SANDBOX_LOG", default_value = "info", value_name = "FILTER")]
    log: tracing_subscriber::EnvFilter,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve Kubernetes' APIs from memory until a signal arrives.
    Apiserver(ApiServerArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ApiServerArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,

    /// Where to write an administrator's kubeconfig; without it, to standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

// === impl Args ===

impl Args {
    /// Sends log lines to standard error, where they do not mix with a kubeconfig on standard output.
    pub(crate) fn start_logging(&self) {
        tracing_subscriber::fmt().with_env_filter(self.log.clone()).with_writer(std::io::stderr).init();
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
}
