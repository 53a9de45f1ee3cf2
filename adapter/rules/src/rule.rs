//! A rule that was read: which series it takes, what it calls them, and which objects they describe.

use std::time::Duration;

use podgauge_promql::{Labels, METRIC_NAME, MatchOp, Matcher, Re2, Reach};

use crate::{Ask, Config, GroupResource, query, resource::Mapping, template::Template};

/// The rules of a file that work, in the file's order.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// Of custom.metrics.k8s.io.
    pub custom: Vec<Rule>,
    /// Of external.metrics.k8s.io.
    pub external: Vec<Rule>,
}

/// Which API a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// custom.metrics.k8s.io
    Custom,
    /// external.metrics.k8s.io
    External,
}

/// Where the series of a rule come from: `source` of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Pods' pages.
    #[default]
    Scrape,
    /// A Prometheus, which evaluates the rule's query as well.
    Prometheus,
}

/// A rule that works.
#[derive(Debug)]
pub struct Rule {
    /// Where it stands: `rules[2]`.
    pub place: String,
    /// Its line in the file.
    pub line: u64,
    pub(crate) serves: Serves,
    pub(crate) origin: Origin,
    /// `seriesQuery` as it is written.
    pub(crate) series_query: String,
    pub(crate) series: Vec<Matcher>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) mapping: Mapping,
    pub(crate) namespaced: bool,
    pub(crate) matches: Option<Re2>,
    /// What `name.as` says; `None` for the series' own name.
    pub(crate) named: Option<String>,
    pub(crate) name_bytes: usize,
    pub(crate) template: Template,
    pub(crate) promql: podgauge_promql::Config,
    /// What its query looks at on pods' pages, with [`SERIES`] for the series' name.
    pub(crate) reaches: Vec<Reach>,
    /// The longest span that its query looks back by itself, if it does.
    pub(crate) window: Option<Duration>,
}

/// An entry of `seriesFilters`.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) pattern: Re2,
    pub(crate) must_match: bool,
}

/// Stands for the series' name while a rule is checked.
pub(crate) const SERIES: &str = "podgauge_any_series";

// === impl RuleSet ===

impl RuleSet {
    /// How long the samples of series with this name must be kept for the rules' queries; zero when their newest ones
    /// are enough.
    #[must_use]
    pub fn history(&self, name: &str) -> Duration {
        self.custom.iter().chain(&self.external).map(|rule| rule.history(name)).max().unwrap_or_default()
    }

    /// Whether any query needs more than newest samples.
    #[must_use]
    pub fn has_history(&self) -> bool {
        self.custom
            .iter()
            .chain(&self.external)
            .any(|rule| rule.reaches.iter().any(|reach| !reach.newest_alone))
    }
}

// === impl Rule ===

impl Rule {
    /// Whether `seriesQuery` and the filters take a series of these labels.
    #[must_use]
    pub fn selects(&self, labels: &Labels) -> bool {
        podgauge_promql::all_match(&self.series, labels) && self.takes(labels.metric_name())
    }

    /// The matchers of `seriesQuery`.
    #[must_use]
    pub fn series(&self) -> &[Matcher] {
        &self.series
    }

    /// Whether the rule takes series of this name, as far as names decide.
    #[must_use]
    pub fn takes_name(&self, name: &str) -> bool {
        let about_name = |matcher: &&Matcher| matcher.name() == METRIC_NAME;
        self.series.iter().filter(about_name).all(|matcher| matcher.matches(name)) && self.takes(name)
    }

    /// What the metric of a series of this name is called; `None` if it would be called nothing, or by too long a name.
    #[must_use]
    pub fn metric_name(&self, series: &str) -> Option<String> {
        let name = match (&self.matches, &self.named) {
            (Some(pattern), Some(named)) => pattern.expand(series, named, self.name_bytes)?,
            (Some(pattern), None) => pattern.expand(series, "$0", self.name_bytes)?,
            (None, Some(named)) => any().expand(series, named, self.name_bytes)?,
            (None, None) => series.to_owned(),
        };
        (!name.is_empty()).then_some(name)
    }

    /// The resource that a label of the rule's series names an object of.
    #[must_use]
    pub fn resource(&self, label: &str) -> Option<&GroupResource> {
        self.mapping.resource(label)
    }

    /// The label that names objects of a resource.
    #[must_use]
    pub fn label(&self, resource: &GroupResource) -> Option<String> {
        self.mapping.label(resource)
    }

    /// Where its series come from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// `seriesQuery`, for whoever lists series by it.
    #[must_use]
    pub fn series_query(&self) -> &str {
        &self.series_query
    }

    /// Which API it is for.
    #[must_use]
    pub fn serves(&self) -> Serves {
        self.serves
    }

    /// Whether its series belong to namespaces: `resources.namespaced`.
    #[must_use]
    pub fn is_namespaced(&self) -> bool {
        self.namespaced
    }

    /// The longest span that its query looks back, if it looks at more than newest samples.
    #[must_use]
    pub fn window(&self) -> Option<Duration> {
        self.window
    }

    /// How its queries are read and evaluated.
    #[must_use]
    pub fn promql(&self) -> &podgauge_promql::Config {
        &self.promql
    }

    /// The query for `ask`, to be evaluated here.
    ///
    /// # Errors
    /// Why there is none: it has no label for what is asked, or what comes out is no expression.
    pub fn query(&self, ask: &Ask<'_>) -> Result<podgauge_promql::Query, String> {
        query::query(self, ask)
    }

    /// The text of the query for `ask`, to be evaluated by somebody else.
    ///
    /// # Errors
    /// It has no label for what is asked.
    pub fn query_text(&self, ask: &Ask<'_>) -> Result<String, String> {
        query::text(self, ask)
    }

    fn takes(&self, name: &str) -> bool {
        let filtered = self.filters.iter().all(|filter| filter.pattern.is_match(name) == filter.must_match);
        filtered && self.matches.as_ref().is_none_or(|pattern| pattern.is_match(name))
    }

    fn history(&self, name: &str) -> Duration {
        let concerns = |reach: &&Reach| {
            let about_name = |matcher: &&Matcher| matcher.name() == METRIC_NAME;
            let mut names = reach.matchers.iter().filter(about_name).peekable();
            // A pattern may hold the series' name in any way.
            let any = names.peek().is_none()
                || names.any(|matcher| matcher.value().contains(SERIES) || matcher.op() != MatchOp::Equal);
            match &reach.metric_name {
                Some(metric) if metric == SERIES => self.takes_name(name),
                Some(metric) => metric == name,
                None => {
                    any && self.takes_name(name)
                        || reach.matchers.iter().filter(about_name).all(|m| m.matches(name))
                }
            }
        };
        let reaches = self.reaches.iter().filter(|reach| !reach.newest_alone);
        reaches.filter(concerns).map(|reach| reach.back).max().unwrap_or_default()
    }
}

/// `name.matches` where there is none.
fn any() -> Re2 {
    Re2::new(".*", Config::default().regex_bytes).expect("a pattern that is known to compile")
}
