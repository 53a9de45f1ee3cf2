//! Flags about what is kept and served.

use std::time::Duration;

use super::units::{bytes, duration};

/// The most samples of a series that a window can hold, whatever the store has room for.
const COLUMNS: usize = 1_000;

/// What is kept and served.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Values")]
pub(super) struct ValueArgs {
    /// The oldest sample that is served; older ones are absent [default: twice --metric-resolution and one
    /// --scrape-timeout].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    metrics_max_age: Option<Duration>,
    /// How far back rates, means and quantiles look; at least twice --metric-resolution [default: 60s, or 4 times
    /// --metric-resolution if that is longer].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    metrics_window: Option<Duration>,
    /// The most series kept over all pods; a page that would go past it is refused.
    #[arg(long, value_name = "COUNT", default_value_t = 5_000_000)]
    series_limit: usize,
    /// The most memory for what is kept of all pages: columns of numbers, and the names and labels of each layout twice.
    /// A page that would go past it is refused.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "1Gi")]
    store_memory_limit: usize,
    /// The most names that discovery lists; others are answered all the same.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    discovery_limit: usize,
}

// === impl ValueArgs ===

impl ValueArgs {
    /// The store's and the API's configuration.
    pub(super) fn config(
        &self,
        scrape: &podgauge_scrape::Config,
    ) -> Result<(podgauge_store::Config, podgauge_api::Config), String> {
        let interval = scrape.interval;
        let max_age = self.metrics_max_age.unwrap_or(interval * 2 + scrape.timeout);
        if max_age < interval {
            return Err("--metrics-max-age must not be shorter than --metric-resolution".to_owned());
        }
        let window = self.metrics_window.unwrap_or(Duration::from_secs(60).max(interval * 4));
        if window < interval * 2 {
            return Err("--metrics-window must be at least twice --metric-resolution".to_owned());
        }
        // The scrape at the window's beginning and those inside it. A window ends at the newest sample, so that is all.
        let scrapes = usize::try_from(scrape.scrapes_for_readers.max(1)).unwrap_or(usize::MAX);
        let intervals = window.as_millis().div_ceil(interval.as_millis().max(1));
        let intervals = usize::try_from(intervals).unwrap_or(usize::MAX);
        let columns = intervals.saturating_mul(scrapes).saturating_add(1);
        if columns > COLUMNS {
            return Err(format!(
                "--metrics-window must be at most {} times --metric-resolution with --scrapes-for-readers={}",
                (COLUMNS - 1) / scrapes,
                scrape.scrapes_for_readers
            ));
        }
        let store = podgauge_store::Config {
            series: self.series_limit,
            bytes: self.store_memory_limit,
            window,
            columns,
        };
        let api = podgauge_api::Config { max_age, discovery_metrics: self.discovery_limit };
        Ok((store, api))
    }
}
