//! The command line.
//!
//! Where metrics-server or prometheus-adapter has a flag for the same thing, ours has its name and its
//! default, so that the manifests which people have keep working. Every other flag is a limit or a period
//! of ours. Flags are read here and nowhere else, and leave as the parts' own configurations.

mod authn;
mod certificates;
mod cluster;
mod logging;
mod prometheus;
mod rules;
mod scraping;
mod serving;
mod units;
mod values;

pub(crate) use self::rules::{RulesLimits, Source};

use std::{
    io::{IsTerminal as _, Write as _, stderr, stdout},
    net::SocketAddr,
    process::ExitCode,
};

use clap::{Parser, error::ErrorKind};

use crate::{app, commands::Command};

/// Kubernetes custom metrics straight from the pods.
///
/// Serves the aggregated API custom.metrics.k8s.io by reading the /metrics pages of pods that carry the
/// annotation prometheus.io/scrape: "true", so that a stock HorizontalPodAutoscaler scales on them.
/// Durations are written as in Go (500ms, 15s, 1m30s), sizes in bytes or with Ki, Mi, Gi.
#[derive(Debug, Parser)]
#[command(name = "podgauge", version, max_term_width = 110, disable_help_subcommand = true)]
#[command(args_conflicts_with_subcommands = true, subcommand_help_heading = "Commands, in place of serving")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    scraping: scraping::ScrapingArgs,
    #[command(flatten)]
    values: values::ValueArgs,
    #[command(flatten)]
    rules: rules::RulesArgs,
    #[command(flatten)]
    prometheus: prometheus::PrometheusArgs,
    #[command(flatten)]
    serving: serving::ServingArgs,
    #[command(flatten)]
    certificates: certificates::CertificateArgs,
    #[command(flatten)]
    authn: authn::AuthArgs,
    #[command(flatten)]
    cluster: cluster::ClusterArgs,
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    pub(crate) logging: logging::LoggingArgs,
}

/// The plain port for probes and podgauge's own metrics.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Administration (plain HTTP)")]
struct AdminArgs {
    /// Where /livez, /readyz and podgauge's own /metrics are served; port 0 takes any free one.
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:8080")]
    admin_bind_address: SocketAddr,
}

// === impl Args ===

impl Args {
    /// Reads the command line; on `--help` and on wrong flags says so and tells how to exit.
    pub(crate) fn read() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| complain(&error))
    }

    /// What the flags mean together.
    ///
    /// # Errors
    /// How to exit, after the contradiction has been printed.
    pub(crate) fn config(&self) -> Result<app::Config, ExitCode> {
        self.try_config().map_err(|message| complain(&clap::Error::raw(ErrorKind::ValueValidation, message)))
    }

    fn try_config(&self) -> Result<app::Config, String> {
        let mut scrape = self.scraping.config()?;
        let (store, api) = self.values.config(&scrape)?;
        // A page that is asked for less often would be too old to be served before the next one comes.
        scrape.longest_interval = api.max_age.saturating_sub(scrape.timeout).max(scrape.interval);
        let in_pod = self.cluster.is_in_pod();
        let prometheus = self.prometheus.config(scrape.interval, api.max_age)?;
        let rules = self.rules.config(api.max_age, self.scraping.object_resources(), prometheus.is_some())?;
        if prometheus.is_some() && rules.is_none() {
            return Err("--prometheus-url needs --config: rules say what is asked of it".to_owned());
        }
        let (certificate, api_services) = self.certificates.config(self.serving.files(), in_pod)?;
        Ok(app::Config {
            scrape,
            objects: self.scraping.objects()?,
            rules,
            prometheus,
            store,
            api,
            serving: self.serving.config(certificate, api_services),
            limits: self.serving.limits(),
            authentication: self.authn.authentication()?,
            authorization: self.authn.authorization(),
            cluster: self.cluster.config(),
            admin: self.admin.admin_bind_address,
        })
    }
}

/// Prints help to standard output, or what is wrong with the flags to standard error, in one line.
fn complain(error: &clap::Error) -> ExitCode {
    let text = error.render();
    // Whoever closed the stream has seen enough, so that a failed write is no failure.
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let mut out = stdout();
        let _ = if out.is_terminal() { write!(out, "{}", text.ansi()) } else { write!(out, "{text}") };
        return ExitCode::SUCCESS;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = write!(stderr(), "{text}");
        return ExitCode::from(2);
    }
    let _ = writeln!(stderr(), "podgauge: {} (see podgauge --help)", one_line(&text.to_string()));
    ExitCode::from(2)
}

/// The first line of clap's message, and with it the values or flags that clap lists on lines of their own.
fn one_line(message: &str) -> String {
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or("wrong flags");
    let mut line = first.strip_prefix("error: ").unwrap_or(first).to_owned();
    for more in lines.take_while(|line| line.starts_with(['[', '<', '-'])) {
        line.push(' ');
        line.push_str(more);
    }
    line
}

#[cfg(test)]
mod tests;
