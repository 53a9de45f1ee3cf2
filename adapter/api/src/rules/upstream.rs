//! Rules whose series are with somebody else, who evaluates their queries as well: a Prometheus.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use podgauge_promql::Point;
use podgauge_rules::{Origin, Rule, RuleSet};

/// Who is asked for rules of `source: prometheus`.
pub trait Upstream: Send + Sync + 'static {
    /// What `query` gives now, within the time that is left.
    fn instant(&self, query: String, left: Duration) -> Evaluation;
}

/// An evaluation under way.
pub type Evaluation = Pin<Box<dyn Future<Output = Result<Arc<[Point]>, UpstreamError>> + Send>>;

/// Names of series, and of each the names of the labels that any of its series has.
pub type SeriesNames = BTreeMap<String, BTreeSet<String>>;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamError {
    /// Nothing can be asked at present.
    Unavailable(String),
    /// This cannot be asked.
    Refused(String),
}

/// Which series there are upstream, by the `seriesQuery` that they were listed for. What was known stays when they cannot
/// be listed again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    generation: u64,
    listed: BTreeMap<String, Listed>,
}

/// The newest names, or why there are none so far.
type Listed = Result<Arc<SeriesNames>, String>;

// === impl Listing ===

impl Listing {
    /// Changes with every change of names.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// What came of listing the series of a `seriesQuery`.
    pub(super) fn put(&mut self, query: &str, result: Result<SeriesNames, String>) {
        let known = self.listed.get(query);
        match (&result, known) {
            (Err(_), Some(Ok(_))) => return,
            (Ok(names), Some(Ok(known))) if *names == **known => return,
            (Ok(_), _) => self.generation += 1,
            // Why there are none makes no other names.
            (Err(_), _) => {}
        }
        self.listed.insert(query.to_owned(), result.map(Arc::new));
    }

    /// Forgets what no rule asks for any more, and notes what was never listed.
    pub(super) fn keep(&mut self, wanted: BTreeSet<String>) {
        self.listed.retain(|query, _| wanted.contains(query));
        for query in wanted {
            self.listed.entry(query).or_insert_with(|| Err("it is being asked".to_owned()));
        }
    }

    /// The series of a rule by their names, with the names of their labels; none if it is about pods' pages.
    pub(super) fn of(&self, rule: &Rule) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        let names = self.listed.get(rule.series_query()).and_then(|listed| listed.as_ref().ok());
        let names =
            names.filter(|_| rule.origin() == Origin::Prometheus).into_iter().flat_map(|names| names.iter());
        names.map(|(name, labels)| (&**name, labels)).filter(|(name, _)| rule.takes_name(name))
    }

    /// Why the names of some rule are not known yet.
    pub(super) fn missing(&self) -> Option<&str> {
        self.listed.values().find_map(|listed| listed.as_ref().err()).map(String::as_str)
    }
}

/// The `seriesQuery` of each rule that asks upstream.
pub(super) fn wanted(set: &RuleSet) -> BTreeSet<String> {
    let rules = set.custom.iter().chain(&set.external);
    rules
        .filter(|rule| rule.origin() == Origin::Prometheus)
        .map(|rule| rule.series_query().to_owned())
        .collect()
}
