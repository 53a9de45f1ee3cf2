//! What podgauge does beside serving: commands that read files, print and end.

mod check_config;
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
            Self::Promql(command) => command.run(),
        }
    }
}
