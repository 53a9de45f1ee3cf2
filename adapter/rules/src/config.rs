//! What a configuration file may cost.

use std::time::Duration;

use crate::{GroupResource, Origin};

/// How configuration files are read.
#[derive(Clone, Debug)]
pub struct Config {
    /// The largest file, in bytes. Default 1 MiB, which is also the most that a ConfigMap holds.
    pub file_bytes: usize,
    /// The most rules of all lists together. Default 1,000.
    pub rules: usize,
    /// The deepest nesting of lists and maps in the file. Default 32.
    pub nesting: usize,
    /// The most entries of one list or map in a rule: filters, overrides. Default 100.
    pub entries: usize,
    /// The longest text of a field, in bytes. Default 16 KiB.
    pub text_bytes: usize,
    /// The memory of one compiled regular expression, in bytes. Default 128 KiB.
    pub regex_bytes: usize,
    /// The most regular expressions of all rules together, those in selectors included. Default 2,000.
    pub regexes: usize,
    /// The longest name of a metric that `name.as` may make, in bytes. Default 256.
    pub name_bytes: usize,
    /// The longest history that a query may ask for. Default 15 min.
    pub history: Duration,
    /// How expressions are read; bounds the evaluation as well. Its look-back is the age at which a sample is no longer
    /// served.
    pub promql: podgauge_promql::Config,
    /// Resources beyond Kubernetes' own that `resources.template` may mean, such as custom ones.
    pub resources: Vec<GroupResource>,
    /// Where the series of rules come from that do not say so. Default [`Origin::Scrape`].
    pub origin: Origin,
    /// Whether there is a Prometheus to ask; without, rules of `source: prometheus` do not work. Default true.
    pub has_prometheus: bool,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            file_bytes: 1 << 20,
            rules: 1_000,
            nesting: 32,
            entries: 100,
            text_bytes: 16 * 1024,
            regex_bytes: 128 * 1024,
            regexes: 2_000,
            name_bytes: 256,
            history: Duration::from_secs(15 * 60),
            promql: podgauge_promql::Config::default(),
            resources: Vec::new(),
            origin: Origin::Scrape,
            has_prometheus: true,
        }
    }
}
