//! What podgauge does beside serving: commands that read, print and end.

mod check_config;
mod compare;
mod page;
mod promql;

use std::process::ExitCode;

/// What to do in place of serving.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Say what is wrong with a configuration file of prometheus-adapter's rules, and what its rules yield.
    ///
    /// Prints FILE:LINE:COLUMN: and what to write instead for everything that does not work, and how many rules work.
    /// Exits with 1 if any does not, with 2 if a file or a page could not be read.
    CheckConfig(check_config::CheckConfigArgs),
    /// Compare what podgauge and another adapter answer, for every metric that autoscalers of the cluster use.
    ///
    /// Prints a line for each object: both values, and whether they are the same, apart, or missing on one side. Exits
    /// with 0 if all are the same, with 1 if some differ, with 2 if something could not be compared.
    Compare(compare::CompareArgs),
    /// PromQL, as podgauge evaluates it.
    #[command(subcommand)]
    Promql(promql::PromqlCommand),
}

// === impl Command ===

impl Command {
    /// Does it; what went wrong was printed.
    pub(crate) fn run(&self) -> ExitCode {
        match self {
            Self::CheckConfig(args) => args.run(),
            Self::Compare(args) => args.run(),
            Self::Promql(command) => command.run(),
        }
    }
}
