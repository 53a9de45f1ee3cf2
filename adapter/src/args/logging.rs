//! Flags about the log.

use std::io::{IsTerminal as _, stderr};

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// How podgauge logs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Logging")]
pub(crate) struct LoggingArgs {
    /// How much is logged: 0 warnings, 1 to 3 also what happens, 4 and 5 also each scrape and request, 6 and more
    /// everything. $RUST_LOG, if set, wins.
    #[arg(short = 'v', long = "v", value_name = "LEVEL", default_value_t = 2)]
    verbosity: u8,
    /// How a line looks.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    logging_format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

// === impl LoggingArgs ===

impl LoggingArgs {
    /// Logs to standard error from now on.
    pub(crate) fn start(&self) {
        let level = match self.verbosity {
            0 => LevelFilter::WARN,
            1..=3 => LevelFilter::INFO,
            4..=5 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
        // Our own crates at that level; the libraries' only when everything is wanted.
        let libraries = if self.verbosity >= 8 { level } else { LevelFilter::WARN };
        let default = format!("{libraries},podgauge={level}");
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
        match self.logging_format {
            LogFormat::Text => log.with_ansi(stderr().is_terminal()).init(),
            LogFormat::Json => log.json().flatten_event(true).init(),
        }
    }
}
