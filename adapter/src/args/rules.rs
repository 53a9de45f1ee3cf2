//! Flags about prometheus-adapter's rules.

use std::{path::PathBuf, time::Duration};

use podgauge_rules::Origin;

use super::units::{bytes, duration};
use crate::rules_file;

/// prometheus-adapter's rules.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Rules")]
pub(super) struct RulesArgs {
    /// A configuration file of prometheus-adapter: its rules are evaluated over what is scraped, and win over the names
    /// that need no rule. Read again when it changes; podgauge check-config says what is wrong with one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The longest history that a rule's query may ask for; a rule that asks for more does not work.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "15m")]
    rules_history_limit: Duration,
    /// Where the series of rules come from that have no `source`: from pods' pages, or from --prometheus-url.
    #[arg(long, value_name = "SOURCE", value_enum, default_value = "scrape")]
    rules_source: Source,
    #[command(flatten)]
    limits: RulesLimits,
    /// The most samples that one evaluation of a rule may touch; a million take about a second of one processor.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    rules_samples_limit: usize,
    /// The most series that one evaluation of a rule may have in hand.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    rules_series_limit: usize,
}

/// What a file of rules may be.
#[derive(Debug, clap::Args)]
pub(crate) struct RulesLimits {
    /// The largest file of rules; a ConfigMap holds no more than the default.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "1Mi")]
    pub(crate) rules_file_limit: usize,
    /// The most rules of a file, in all its lists together.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    pub(crate) rules_limit: usize,
}

/// `source` of a rule.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Source {
    Scrape,
    Prometheus,
}

// === impl Source ===

impl From<Source> for Origin {
    fn from(source: Source) -> Self {
        match source {
            Source::Scrape => Self::Scrape,
            Source::Prometheus => Self::Prometheus,
        }
    }
}

// === impl RulesLimits ===

impl RulesLimits {
    pub(crate) fn apply(&self, rules: &mut podgauge_rules::Config) {
        rules.file_bytes = self.rules_file_limit;
        rules.rules = self.rules_limit;
    }
}

// === impl RulesArgs ===

impl RulesArgs {
    /// The file and how it is read, if there is one. `max_age` is how old a sample may be that is served; `more` are
    /// resources beyond Kubernetes' own, and `has_prometheus` whether there is one to ask.
    pub(super) fn config(
        &self,
        max_age: Duration,
        more: &[String],
        has_prometheus: bool,
    ) -> Result<Option<rules_file::Config>, String> {
        let Some(path) = self.config.clone() else { return Ok(None) };
        let mut rules = podgauge_rules::Config {
            history: self.rules_history_limit,
            origin: self.rules_source.into(),
            has_prometheus,
            ..Default::default()
        };
        rules.promql.lookback = max_age;
        self.limits.apply(&mut rules);
        rules.promql.bounds.samples = self.rules_samples_limit;
        rules.promql.bounds.series = self.rules_series_limit;
        rules.promql.bounds.regex_bytes = rules.regex_bytes;
        let more = more.iter().map(|segment| podgauge_rules::GroupResource::of_segment(segment));
        rules.resources =
            more.collect::<Result<_, _>>().map_err(|error| format!("--object-resources: {error}"))?;
        Ok(Some(rules_file::Config { path, rules }))
    }
}
