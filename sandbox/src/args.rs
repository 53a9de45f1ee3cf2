//! The flags of the binary.

use clap::{Parser, Subcommand, ValueEnum};
use sandbox::demo;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;

/// A cluster-shaped stand-in for one machine.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Which log lines to write, such as `info` or `sandbox=debug`: to standard error; with `demo`, to logs/sandbox.log.
    #[arg(long, global = true, env = "SANDBOX_LOG", default_value = "info", value_name = "FILTER")]
    log: tracing_subscriber::EnvFilter,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve Kubernetes' APIs from memory until a signal arrives.
    Apiserver(ApiServerArgs),
    /// Show the whole loop: podgauge, a shop, an autoscaler; run it at the top of the repository.
    Demo(DemoArgs),
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

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Whose cluster: a sandbox that is made for it on this machine, or the one that KUBECONFIG names.
    #[arg(long, env = "CLUSTER", value_enum, default_value_t = Cluster::Sandbox)]
    cluster: Cluster,

    /// End when the loop has closed: with 0 if the worker went 1 -> more -> 1 and every order was processed as often as it
    /// should be, with 1 otherwise. At the usual pace that takes a minute on a machine that is not busy.
    #[arg(long)]
    once: bool,

    /// How many seconds of a cluster pass in one second: the work on an order, scrapes, and the autoscaler's periods and
    /// windows shrink together. 1 is real time. [default: 5; on a real cluster 1]
    #[arg(long, env = "PACE", value_parser = clap::value_parser!(u32).range(1..=15), value_name = "FACTOR")]
    pace: Option<u32>,

    /// Where the shop is served on localhost.
    #[arg(long, env = "PORT", default_value_t = 32_000)]
    port: u16,

    /// How many items to order.
    #[arg(long, env = "QUANTITY", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000), value_name = "COUNT")]
    quantity: u32,

    /// The folder for report.html, run.json, kubeconfig and logs/; while another run has it, the next of the same name.
    #[arg(long, default_value = "target/demo", value_name = "FOLDER")]
    pub(crate) out: PathBuf,

    /// The program podgauge [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    podgauge: Option<PathBuf>,

    /// The program demo-shop [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    shop: Option<PathBuf>,

    /// Whether to run hack/deploy first, on a real cluster: yes or no.
    #[arg(long, env = "DEPLOY", default_value = "yes", value_parser = ["yes", "no"], value_name = "YES")]
    deploy: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Cluster {
    /// One that is made for the demo, on this machine.
    Sandbox,
    /// The one that KUBECONFIG names.
    Current,
}

// === impl Args ===

impl Args {
    /// Sends log lines to standard error, where they do not mix with a kubeconfig on standard output.
    pub(crate) fn start_logging(&self) {
        tracing_subscriber::fmt().with_env_filter(self.log.clone()).with_writer(std::io::stderr).init();
    }

    /// Sends log lines to a file, where they do not mix with what people are shown.
    pub(crate) fn start_logging_to(&self, file: File) {
        let lines = tracing_subscriber::fmt().with_env_filter(self.log.clone()).with_ansi(false);
        lines.with_writer(Mutex::new(file)).init();
    }
}

// === impl DemoArgs ===

impl DemoArgs {
    /// What the flags mean together.
    ///
    /// # Errors
    /// One line that says which of them do not go together.
    pub(crate) fn config(&self) -> Result<demo::Config, String> {
        let cluster = match self.cluster {
            Cluster::Sandbox => demo::Cluster::Sandbox,
            Cluster::Current => demo::Cluster::Current,
        };
        let pace = match (self.cluster, self.pace) {
            (Cluster::Sandbox, pace) => pace.unwrap_or(5),
            (Cluster::Current, None | Some(1)) => 1,
            (Cluster::Current, Some(pace)) => {
                return Err(format!(
                    "PACE={pace}: a real cluster's autoscaler goes at its own pace; leave PACE out"
                ));
            }
        };
        let program = |given: &Option<PathBuf>, name: &str| {
            let program = given.clone().unwrap_or_else(|| demo::beside(name));
            std::path::absolute(&program).unwrap_or(program)
        };
        Ok(demo::Config {
            cluster,
            once: self.once,
            pace,
            port: self.port,
            items: self.quantity,
            repository: PathBuf::from("."),
            podgauge: program(&self.podgauge, "podgauge"),
            shop: program(&self.shop, "demo-shop"),
            deploy: self.deploy == "yes",
        })
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
    fn time_passes_faster_in_a_sandbox_alone() {
        let check = |flags: &[&str], expected: Result<u32, &str>| {
            let args = Args::try_parse_from(["sandbox", "demo"].iter().chain(flags)).unwrap();
            let Command::Demo(demo) = args.command else { panic!("another command") };
            let found = demo.config().map(|config| config.pace);
            assert_eq!(
                found.as_ref().map_err(|error| error.split(':').next().unwrap_or_default()),
                expected.as_ref().map_err(|error| *error)
            );
        };
        check(&["--cluster=sandbox", "--pace=1"], Ok(1));
        check(&["--cluster=sandbox", "--pace=15"], Ok(15));
        check(&["--cluster=current", "--pace=1"], Ok(1));
        check(&["--cluster=current", "--pace=5"], Err("PACE=5"));
    }
}
