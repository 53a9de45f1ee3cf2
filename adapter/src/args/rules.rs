//! Flags about prometheus-adapter's rules.

use std::{path::PathBuf, time::Duration};

use super::units::duration;
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
    /// Understood and without effect: names come with the pages that have them.
    #[arg(long, value_name = "DURATION", value_parser = duration, hide = true)]
    metrics_relist_interval: Option<Duration>,
}

// === impl RulesArgs ===

impl RulesArgs {
    /// The file and how it is read, if there is one. `max_age` is how old a sample may be that is served; `more` are
    /// resources beyond Kubernetes' own.
    pub(super) fn config(
        &self,
        max_age: Duration,
        more: &[String],
    ) -> Result<Option<rules_file::Config>, String> {
        let Some(path) = self.config.clone() else { return Ok(None) };
        let mut rules = podgauge_rules::Config { history: self.rules_history_limit, ..Default::default() };
        rules.promql.lookback = max_age;
        // A second of one processor at most, for one answer.
        rules.promql.bounds.samples = 1_000_000;
        rules.promql.bounds.regex_bytes = rules.regex_bytes;
        let more = more.iter().map(|segment| podgauge_rules::GroupResource::of_segment(segment));
        rules.resources =
            more.collect::<Result<_, _>>().map_err(|error| format!("--object-resources: {error}"))?;
        Ok(Some(rules_file::Config { path, rules }))
    }
}
