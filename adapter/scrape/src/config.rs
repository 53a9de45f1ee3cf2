//! What can be set, with units and defaults.

use std::{str::FromStr, time::Duration};

use podgauge_exposition::Limits;

use crate::{relabel::Bounds, sources::Settings};

/// How pods are found and scraped. Every field is a flag; [`flag`] has their names, because failures name the flag
/// whose limit was hit.
#[derive(Clone, Debug)]
pub struct Config {
    /// How often each target is scraped. Default: 15 s.
    pub interval: Duration,
    /// The deadline of one scrape, from connecting to the last byte; within it, a page of more than 256 KiB must also
    /// have its turn to be read. At most the interval. Default: 10 s.
    pub timeout: Duration,
    /// The longest pause between two scrapes of a target that keeps failing. From the second failure in a row on, the
    /// pause doubles from one interval up to this; a change of the pod ends it. At least the interval. Default: 60 s.
    pub backoff_limit: Duration,
    /// Scrapes under way at one time. At most half of them are of targets whose last scrape failed, so that targets
    /// that hang cannot keep the others waiting. At least 2. Default: 1,000.
    pub concurrency: usize,
    /// Bytes of one page, as sent and after inflating, each. Default: 16 MiB.
    pub body_limit: usize,
    /// Bytes of all the pages that are being read at one time. Scrapes wait for room within their deadline. At least
    /// twice `body_limit`, for a page and its inflated self. What is remembered of pages to read the next ones quickly
    /// may take as much again; without room for it, pages take longer to read. Default: 128 MiB.
    pub memory_limit: usize,
    /// Bytes of one response's status line and headers. From 1 KiB to 64 KiB; there may be 100 headers. Default:
    /// 16 KiB.
    pub header_limit: usize,
    /// What one page may hold: series, labels, lengths.
    pub page: Limits,
    /// What may ask for pods to be scraped. Default: all of [`Source::ALL`].
    pub sources: Vec<Source>,
    /// PodMonitors, and ServiceMonitors, that are heard, a quarter of them in one namespace unless it is of
    /// [`monitor_namespaces`](Self::monitor_namespaces); those beyond are passed over. Default: 1,000.
    pub monitors: usize,
    /// Namespaces whose monitors may select in others, `*` for all. Others are heard in their own alone. Default: none.
    pub monitor_namespaces: Vec<String>,
    /// `metricRelabelings` of one endpoint of a monitor; those beyond are left out. Default: 32.
    pub relabelings: usize,
    /// Bytes of memory of one regular expression of a monitor. Default: 256 KiB.
    pub relabeling_regex_bytes: usize,
    /// Bytes of memory of all regular expressions of PodMonitors, and of ServiceMonitors; a quarter for those of one
    /// namespace, unless it is of [`monitor_namespaces`](Self::monitor_namespaces). Default: 32 MiB.
    pub relabeling_regexes_bytes: usize,
    /// The longest interval that a monitor may ask for: what is older is not served. At least the interval. Default: 30 s.
    pub longest_interval: Duration,
    /// Targets of one pod: one for each port that is asked for; without a port annotation that is each declared TCP port. A
    /// pod with more is not scraped until it has the annotation. Default: 16.
    pub targets_per_pod: usize,
    /// The most scrapes of a target in an interval, over time, that may be put before the reads that are expected of it:
    /// 1 moves scrapes and adds none; more serve readers who come at different times; 0 leaves every target at its own
    /// place in the interval. A 64th more is allowed, to follow readers who come a little more often. Default: 1.
    pub scrapes_for_readers: u32,
    /// Questions whose rhythm is remembered; some 400 bytes each. Default: 4,096.
    pub questions: usize,
    /// The one namespace whose pods are watched; all if `None`. Default: all.
    pub namespace: Option<String>,
    /// Scrape pods that share their node's network. Whoever may create such a pod could point us at whatever listens
    /// on the node. Default: no.
    pub allow_node_addresses: bool,
    /// Scrape pods on loopback addresses; only a sandbox has such. Default: no.
    pub allow_loopback: bool,
    /// Certificates, as PEM, of the authorities that must have signed the certificates of pods scraped over HTTPS.
    /// Without any, pods' certificates are not verified, as in Prometheus' pod jobs. Names are not compared either
    /// way: pods have addresses, and certificates rarely name those. Default: none.
    pub ca_pem: Option<Vec<u8>>,
}

/// What may ask for pods to be scraped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Pods, by their annotations `prometheus.io/*`.
    Pods,
    /// Services, by theirs, for the pods that their EndpointSlices name.
    Services,
    /// PodMonitors of `monitoring.coreos.com`.
    PodMonitors,
    /// ServiceMonitors of `monitoring.coreos.com`, for the pods that the EndpointSlices of the Services name.
    ServiceMonitors,
}

/// The flags' names, as messages give them.
pub mod flag {
    /// [`Config::interval`](super::Config::interval)
    pub const INTERVAL: &str = "--metric-resolution";
    /// [`Config::timeout`](super::Config::timeout)
    pub const TIMEOUT: &str = "--scrape-timeout";
    /// [`Config::backoff_limit`](super::Config::backoff_limit)
    pub const BACKOFF_LIMIT: &str = "--scrape-backoff-limit";
    /// [`Config::concurrency`](super::Config::concurrency)
    pub const CONCURRENCY: &str = "--scrape-concurrency";
    /// [`Config::body_limit`](super::Config::body_limit)
    pub const BODY_LIMIT: &str = "--scrape-body-limit";
    /// [`Config::memory_limit`](super::Config::memory_limit)
    pub const MEMORY_LIMIT: &str = "--scrape-memory-limit";
    /// [`Config::header_limit`](super::Config::header_limit)
    pub const HEADER_LIMIT: &str = "--scrape-header-limit";
    /// [`Limits::series`](podgauge_exposition::Limits::series)
    pub const PAGE_SERIES: &str = "--scrape-series-limit";
    /// [`Limits::labels`](podgauge_exposition::Limits::labels)
    pub const PAGE_LABELS: &str = "--scrape-label-limit";
    /// [`Limits::label_name_bytes`](podgauge_exposition::Limits::label_name_bytes)
    pub const PAGE_LABEL_NAME_BYTES: &str = "--scrape-label-name-limit";
    /// [`Limits::label_value_bytes`](podgauge_exposition::Limits::label_value_bytes)
    pub const PAGE_LABEL_VALUE_BYTES: &str = "--scrape-label-value-limit";
    /// [`Limits::line_bytes`](podgauge_exposition::Limits::line_bytes)
    pub const PAGE_LINE_BYTES: &str = "--scrape-line-limit";
    /// [`Config::sources`](super::Config::sources)
    pub const SOURCES: &str = "--target-sources";
    /// [`Config::targets_per_pod`](super::Config::targets_per_pod)
    pub const TARGETS_PER_POD: &str = "--scrape-ports-limit";
    /// [`Config::scrapes_for_readers`](super::Config::scrapes_for_readers)
    pub const SCRAPES_FOR_READERS: &str = "--scrapes-for-readers";
    /// [`Config::questions`](super::Config::questions)
    pub const QUESTIONS: &str = "--read-rhythm-limit";
    /// [`Config::namespace`](super::Config::namespace)
    pub const NAMESPACE: &str = "--watch-namespace";
    /// [`Config::allow_node_addresses`](super::Config::allow_node_addresses)
    pub const ALLOW_NODE_ADDRESSES: &str = "--scrape-host-network";
    /// [`Config::allow_loopback`](super::Config::allow_loopback)
    pub const ALLOW_LOOPBACK: &str = "--scrape-loopback";
    /// [`Config::ca_pem`](super::Config::ca_pem)
    pub const CA_FILE: &str = "--scrape-ca-file";
    /// The store's limit on series over all targets.
    pub const STORE_SERIES: &str = "--series-limit";
    /// The store's limit on bytes of all pages and layouts.
    pub const STORE_BYTES: &str = "--store-memory-limit";
}

/// Why a [`Config`] cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value is out of its range.
    #[error("{flag} {problem}")]
    Range {
        /// The flag.
        flag: &'static str,
        /// What is wrong with its value.
        problem: &'static str,
    },
    /// There are no usable certificates in [`Config::ca_pem`].
    #[error("{}: {problem}", flag::CA_FILE)]
    Ca {
        /// What is wrong with them.
        problem: String,
    },
}

// === impl Config ===

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let checks = [
            (!self.interval.is_zero(), flag::INTERVAL, "must be longer than 0"),
            (!self.timeout.is_zero(), flag::TIMEOUT, "must be longer than 0"),
            (self.timeout <= self.interval, flag::TIMEOUT, "must not be longer than --metric-resolution"),
            (
                self.backoff_limit >= self.interval,
                flag::BACKOFF_LIMIT,
                "must not be shorter than --metric-resolution",
            ),
            (self.concurrency >= 2, flag::CONCURRENCY, "must be at least 2"),
            (self.body_limit > 0, flag::BODY_LIMIT, "must be more than 0"),
            (
                self.memory_limit / 2 >= self.body_limit,
                flag::MEMORY_LIMIT,
                "must be at least twice --scrape-body-limit",
            ),
            (
                (1 << 10..=64 << 10).contains(&self.header_limit),
                flag::HEADER_LIMIT,
                "must be from 1 KiB to 64 KiB",
            ),
            (self.page.series > 0, flag::PAGE_SERIES, "must be more than 0"),
            (!self.sources.is_empty(), flag::SOURCES, "must name at least one"),
            (self.targets_per_pod > 0, flag::TARGETS_PER_POD, "must be more than 0"),
            (self.scrapes_for_readers <= 16, flag::SCRAPES_FOR_READERS, "must be at most 16"),
        ];
        match checks.into_iter().find(|(holds, ..)| !holds) {
            Some((_, flag, problem)) => Err(ConfigError::Range { flag, problem }),
            None => Ok(()),
        }
    }

    /// What monitors may ask for.
    pub(crate) fn monitor_settings(&self) -> Settings {
        Settings {
            monitors: self.monitors,
            endpoints: self.targets_per_pod,
            trusted: self.monitor_namespaces.clone(),
            interval: (self.interval, self.longest_interval.max(self.interval)),
            timeout: self.timeout,
            relabeling: Bounds {
                rules: self.relabelings,
                labels: self.page.labels,
                label_name_bytes: self.page.label_name_bytes,
                label_value_bytes: self.page.label_value_bytes,
                page_bytes: self.body_limit,
            },
            regex_bytes: self.relabeling_regex_bytes,
            regexes_bytes: self.relabeling_regexes_bytes,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(10),
            backoff_limit: Duration::from_secs(60),
            concurrency: 1_000,
            body_limit: 16 << 20,
            memory_limit: 128 << 20,
            header_limit: 16 << 10,
            page: Limits::default(),
            sources: Source::ALL.to_vec(),
            monitors: 1_000,
            monitor_namespaces: Vec::new(),
            relabelings: 32,
            relabeling_regex_bytes: 256 << 10,
            relabeling_regexes_bytes: 32 << 20,
            longest_interval: Duration::from_secs(30),
            targets_per_pod: 16,
            scrapes_for_readers: 1,
            questions: 4_096,
            namespace: None,
            allow_node_addresses: false,
            allow_loopback: false,
            ca_pem: None,
        }
    }
}

// === impl Source ===

impl Source {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Pods, Self::Services, Self::PodMonitors, Self::ServiceMonitors];

    /// As the flag names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Services => "services",
            Self::PodMonitors => "podmonitors",
            Self::ServiceMonitors => "servicemonitors",
        }
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|source| source.as_str() == text)
            .ok_or_else(|| format!("expected {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_range_is_named() {
        let check = |change: fn(&mut Config), expected: Option<&str>| {
            let mut config = Config::default();
            change(&mut config);
            let error = config.validate().err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), expected);
        };
        check(|_| {}, None);
        check(|c| c.interval = Duration::ZERO, Some("--metric-resolution must be longer than 0"));
        check(|c| c.timeout = Duration::ZERO, Some("--scrape-timeout must be longer than 0"));
        check(
            |c| c.timeout = Duration::from_secs(16),
            Some("--scrape-timeout must not be longer than --metric-resolution"),
        );
        check(
            |c| c.backoff_limit = Duration::from_secs(14),
            Some("--scrape-backoff-limit must not be shorter than --metric-resolution"),
        );
        check(|c| c.concurrency = 1, Some("--scrape-concurrency must be at least 2"));
        check(|c| c.body_limit = 0, Some("--scrape-body-limit must be more than 0"));
        check(
            |c| c.memory_limit = c.body_limit,
            Some("--scrape-memory-limit must be at least twice --scrape-body-limit"),
        );
        check(|c| c.header_limit = 1 << 20, Some("--scrape-header-limit must be from 1 KiB to 64 KiB"));
        check(|c| c.page.series = 0, Some("--scrape-series-limit must be more than 0"));
        check(|c| c.scrapes_for_readers = 17, Some("--scrapes-for-readers must be at most 16"));
        check(|c| c.sources.clear(), Some("--target-sources must name at least one"));
        check(|c| c.targets_per_pod = 0, Some("--scrape-ports-limit must be more than 0"));
    }
}
