//! Flags about finding and reading pods.

use std::{fs, path::PathBuf, time::Duration};

use podgauge_exposition::Limits;
use podgauge_scrape::{Config, Source};

use super::units::{bytes, duration};

/// How pods are found and read.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Scraping")]
pub(super) struct ScrapingArgs {
    /// How often each target is scraped.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "15s")]
    metric_resolution: Duration,
    /// The deadline of one scrape, from connecting to the last byte; at most --metric-resolution [default: 10s, or
    /// --metric-resolution if that is shorter].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    scrape_timeout: Option<Duration>,
    /// The longest pause between two scrapes of a target that keeps failing [default: 4 times --metric-resolution].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    scrape_backoff_limit: Option<Duration>,
    /// Scrapes under way at one time.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    scrape_concurrency: usize,
    /// The largest page, as sent and after inflating, each.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "16Mi")]
    scrape_body_limit: usize,
    /// The memory for all pages that are being read at one time; at least twice --scrape-body-limit.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "128Mi")]
    scrape_memory_limit: usize,
    /// The largest head of a pod's response, from 1Ki to 64Ki.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "16Ki")]
    scrape_header_limit: usize,
    /// The most series on a page; a page with more is refused.
    #[arg(long, value_name = "COUNT", default_value_t = 50_000)]
    scrape_series_limit: usize,
    /// The most labels of a series; a line with more is skipped.
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    scrape_label_limit: usize,
    /// The longest name of a label; a line with a longer one is skipped.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "256")]
    scrape_label_name_limit: usize,
    /// The longest value of a label; a line with a longer one is skipped.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "4Ki")]
    scrape_label_value_limit: usize,
    /// The longest line of a page; a longer one is skipped.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "64Ki")]
    scrape_line_limit: usize,
    /// What may have pods scraped, separated by commas: annotations prometheus.io/* of pods, and of Services for the pods
    /// that their EndpointSlices name; PodMonitors and ServiceMonitors, as far as the cluster has them.
    #[arg(
        long,
        value_name = "SOURCES",
        value_delimiter = ',',
        default_value = "pods,services,podmonitors,servicemonitors"
    )]
    target_sources: Vec<Source>,
    /// The namespaces whose PodMonitors and ServiceMonitors may select in others, separated by commas, `*` for all; monitors
    /// of other namespaces are heard in their own alone.
    #[arg(long, value_name = "NAMESPACES", value_delimiter = ',')]
    monitor_namespaces: Vec<String>,
    /// The most PodMonitors, and the most ServiceMonitors, a quarter of them in one namespace unless it is of
    /// --monitor-namespaces; those beyond are passed over.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    monitor_limit: usize,
    /// The most metricRelabelings of an endpoint of a monitor; those beyond are left out.
    #[arg(long, value_name = "COUNT", default_value_t = 32)]
    monitor_relabelings_limit: usize,
    /// The memory for one regular expression of a monitor; a rule that needs more is left out.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "256Ki")]
    monitor_regex_limit: usize,
    /// The memory for all regular expressions of PodMonitors, and of ServiceMonitors, a quarter of it for those of one
    /// namespace unless it is of --monitor-namespaces; rules that need more are left out until their monitor changes.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "32Mi")]
    monitor_regexes_limit: usize,
    /// The most targets of a pod: one for each port that is asked for, or without prometheus.io/port for each TCP port that
    /// it declares.
    #[arg(long, value_name = "COUNT", default_value_t = 16)]
    scrape_ports_limit: usize,
    /// The most scrapes of a target in one --metric-resolution that may be put right before the reads that are expected
    /// of it: 1 moves scrapes and adds none, more serve readers who come at different times (and make as many samples fit
    /// in --metrics-window, which takes memory), 0 moves none.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    scrapes_for_readers: u32,
    /// The most questions whose rhythm is remembered, some 400 bytes each.
    #[arg(long, value_name = "COUNT", default_value_t = 4_096)]
    read_rhythm_limit: usize,
    /// Certificates (PEM) that must have signed those of pods scraped over HTTPS [default: they are not verified, as
    /// in Prometheus' pod jobs].
    #[arg(long, value_name = "FILE")]
    scrape_ca_file: Option<PathBuf>,
    /// Scrape pods on the host network too. Whoever may create one can point podgauge at anything on that node.
    #[arg(long)]
    scrape_host_network: bool,
    /// Scrape pods on loopback addresses too; only a sandbox has such.
    #[arg(long)]
    scrape_loopback: bool,
    /// Watch the pods of this namespace alone [default: of all].
    #[arg(long, value_name = "NAMESPACE")]
    watch_namespace: Option<String>,
    /// The kinds of object that stand for their pods, as services or rollouts.argoproj.io, separated by commas: one can be
    /// asked for by name, and answers for the pods that its selector picks. `none` for none.
    #[arg(
        long,
        value_name = "RESOURCES",
        value_delimiter = ',',
        default_value = "services,daemonsets.apps,deployments.apps,replicasets.apps,statefulsets.apps,jobs.batch"
    )]
    object_resources: Vec<String>,
}

// === impl ScrapingArgs ===

impl ScrapingArgs {
    /// The kinds of object that are followed, as they were named.
    pub(super) fn object_resources(&self) -> &[String] {
        if self.object_resources.iter().any(|name| name == "none") { &[] } else { &self.object_resources }
    }

    /// Which objects are followed.
    pub(super) fn objects(&self) -> Result<podgauge_objects::Config, String> {
        let named = self.object_resources.iter().filter(|name| *name != "none");
        let resources =
            named.map(|name| name.parse().map_err(|error| format!("--object-resources: {error}")));
        let resources = resources.collect::<Result<_, _>>()?;
        Ok(podgauge_objects::Config { resources, namespace: self.watch_namespace.clone() })
    }

    /// The scraper's configuration.
    pub(super) fn config(&self) -> Result<Config, String> {
        let ca_pem = match &self.scrape_ca_file {
            Some(file) => Some(
                fs::read(file).map_err(|error| format!("--scrape-ca-file {}: {error}", file.display()))?,
            ),
            None => None,
        };
        let interval = self.metric_resolution;
        let config = Config {
            interval,
            timeout: self.scrape_timeout.unwrap_or(Duration::from_secs(10).min(interval)),
            backoff_limit: self.scrape_backoff_limit.unwrap_or(interval * 4),
            concurrency: self.scrape_concurrency,
            body_limit: self.scrape_body_limit,
            memory_limit: self.scrape_memory_limit,
            header_limit: self.scrape_header_limit,
            page: Limits {
                series: self.scrape_series_limit,
                labels: self.scrape_label_limit,
                label_name_bytes: self.scrape_label_name_limit,
                label_value_bytes: self.scrape_label_value_limit,
                line_bytes: self.scrape_line_limit,
                ..Limits::default()
            },
            sources: self.target_sources.clone(),
            monitors: self.monitor_limit,
            monitor_namespaces: self.monitor_namespaces.clone(),
            relabelings: self.monitor_relabelings_limit,
            relabeling_regex_bytes: self.monitor_regex_limit,
            relabeling_regexes_bytes: self.monitor_regexes_limit,
            longest_interval: interval,
            targets_per_pod: self.scrape_ports_limit,
            scrapes_for_readers: self.scrapes_for_readers,
            questions: self.read_rhythm_limit,
            namespace: self.watch_namespace.clone(),
            allow_node_addresses: self.scrape_host_network,
            allow_loopback: self.scrape_loopback,
            ca_pem,
        };
        config.validate().map_err(|error| error.to_string())?;
        Ok(config)
    }
}
