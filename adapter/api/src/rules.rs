//! Rules in force: which of them answers for a name, and what it answers.
//!
//! ```text
//! catalog ── pages and rules -> which names there are, of which resources, by which rule
//! source ── the store's series, with the labels that rules expect
//! upstream ── rules whose series are elsewhere: which there are, and whom to ask
//! this ── a rule's query, asked at an instant -> values
//! ```

mod catalog;
mod source;
mod upstream;

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use podgauge_apiserver::{Reason, Selector, Status, selector};
use podgauge_promql::{Labels, Point, Value as Answer};
use podgauge_rules::{Ask, Condition, GroupResource, Operator, Origin, Rule, RuleSet};
use podgauge_store::{Keeper, Reader, Timestamp};

pub(crate) use self::source::target_labels;
pub use self::upstream::{Evaluation, SeriesNames, Upstream, UpstreamError};
use self::{catalog::Catalog, source::StoreSource, upstream::Listing};
use crate::tally::Value;

/// The rules in force; none at first. Cheap to clone, and all clones are one.
///
/// Which names they make of the pages is found out by [`replace`](Self::replace) and [`refresh`](Self::refresh) alone,
/// which take a while where pages are many. Requests are answered meanwhile, by what was found before.
#[derive(Clone, Debug)]
pub struct Rules(Arc<Shared>);

struct Shared {
    reader: Reader,
    keeper: Keeper,
    upstream: Option<Arc<dyn Upstream>>,
    listing: RwLock<Listing>,
    newest: RwLock<Option<Arc<Catalog>>>,
    /// Held by whoever makes the next catalog.
    making: Mutex<()>,
}

/// A rule that answers for a name, and with which series.
#[derive(Debug)]
pub(crate) struct Found {
    catalog: Arc<Catalog>,
    rule: usize,
    is_external: bool,
    pub(crate) series: String,
}

/// Why a rule answers nothing.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// There is no value.
    Absent(String),
    /// Whoever would know cannot be asked.
    Unavailable(String),
}

/// One element of a rule's answer.
#[derive(Debug)]
pub(crate) struct Element {
    pub(crate) labels: Labels,
    pub(crate) value: Value,
}

// === impl Rules ===

impl Rules {
    /// None so far, over what `reader` sees.
    #[must_use]
    pub fn none(reader: Reader) -> Self {
        Self::new(reader, None)
    }

    /// None so far; those of `source: prometheus` will ask `upstream`.
    #[must_use]
    pub fn new(reader: Reader, upstream: Option<Arc<dyn Upstream>>) -> Self {
        let keeper = reader.keeper();
        let (listing, newest, making) = (RwLock::default(), RwLock::default(), Mutex::default());
        Self(Arc::new(Shared { reader, keeper, upstream, listing, newest, making }))
    }

    /// Puts these in force, in place of those before. History is kept from now on for what their ranges look at.
    pub fn replace(&self, set: RuleSet, now: Timestamp) {
        let _making = self.0.making.lock().unwrap_or_else(PoisonError::into_inner);
        let set = Arc::new(set);
        self.0.listing.write().unwrap_or_else(PoisonError::into_inner).keep(upstream::wanted(&set));
        let kept = Arc::clone(&set);
        self.0.keeper.keep(move |name| kept.history(name));
        self.put(Catalog::build(set, None, &self.0.reader, &self.listing().clone(), now));
    }

    /// Looks which names there are, if pages have new ones, or if it was long ago: labels of pods change without notice.
    pub fn refresh(&self, now: Timestamp) {
        let _making = self.0.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = self.newest()
            && let listing = self.listing().clone()
            && !newest.is_current(&self.0.reader, &listing, now)
        {
            self.put(Catalog::build(Arc::clone(newest.set()), Some(&newest), &self.0.reader, &listing, now));
        }
    }

    /// The `seriesQuery` of each rule that asks upstream: somebody should list their series from time to time.
    #[must_use]
    pub fn wanted(&self) -> BTreeSet<String> {
        self.newest().map(|newest| upstream::wanted(newest.set())).unwrap_or_default()
    }

    /// What came of listing the series of what is [`wanted`](Self::wanted), or why they could not be listed. Names change
    /// with the next [`refresh`](Self::refresh).
    pub fn listed(&self, found: impl IntoIterator<Item = (String, Result<SeriesNames, String>)>) {
        let wanted = self.wanted();
        let mut listing = self.0.listing.write().unwrap_or_else(PoisonError::into_inner);
        for (query, result) in found {
            listing.put(&query, result);
        }
        listing.keep(wanted);
    }

    /// What to answer in place of a failure: the same, or for a 404 that names may be unknown which a rule would make of
    /// the upstream's series.
    pub(crate) fn doubted(&self, status: Status) -> Status {
        match self.listing().missing() {
            Some(why) if status.reason == Reason::NotFound => {
                let said = &status.message;
                let message =
                    format!("{said}; and Prometheus was never asked with success which series it has: {why}");
                Status::new(Reason::ServiceUnavailable, message)
            }
            _ => status,
        }
    }

    fn listing(&self) -> std::sync::RwLockReadGuard<'_, Listing> {
        self.0.listing.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, catalog: Catalog) {
        *self.0.newest.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(catalog));
    }

    /// Whether there are any.
    pub(crate) fn are_in_force(&self) -> bool {
        self.0.newest.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The rule that answers for `metric` of objects of `resource`.
    pub(crate) fn custom(&self, resource: &GroupResource, metric: &str) -> Option<Found> {
        let catalog = self.newest()?;
        let (rule, series) = catalog.custom(metric, resource)?;
        Some(Found { catalog, rule, is_external: false, series })
    }

    /// The rule that answers for an external metric, in whatever case its name is.
    pub(crate) fn external(&self, metric: &str) -> Option<Found> {
        let catalog = self.newest()?;
        let (rule, series) = catalog.external(metric)?;
        Some(Found { catalog, rule, is_external: true, series })
    }

    /// Each metric that a rule of custom.metrics.k8s.io answers for, with its resource.
    pub(crate) fn custom_names(&self) -> Vec<(GroupResource, String)> {
        self.newest().map(|catalog| catalog.custom_names()).unwrap_or_default()
    }

    /// Each metric that an external rule answers for.
    pub(crate) fn external_names(&self) -> Vec<String> {
        self.newest().map(|catalog| catalog.external_names()).unwrap_or_default()
    }

    /// What the rule answers, without what is older than `max_age`; the error says why nothing.
    pub(crate) fn answer(
        &self,
        found: &Found,
        ask: &Ask<'_>,
        max_age: Duration,
        now: Timestamp,
    ) -> Result<Vec<Element>, String> {
        let Some(rule) = found.rule() else { return Ok(Vec::new()) };
        let by = by(rule);
        let query = rule.query(ask).map_err(|why| format!("{by}: {why}"))?;
        let source = StoreSource { reader: &self.0.reader };
        let asked = query.text().trim();
        let answer =
            query.instant(&source, now.millis()).map_err(|error| format!("{by} asks {asked:?}: {error}"))?;
        let window = rule.window();
        let value = |number: f64, sampled_ms: i64| {
            let at = Timestamp::from_millis(sampled_ms.min(now.millis()));
            (number.is_finite() && now.since(at) <= max_age).then_some(Value { number, at, window })
        };
        let (elements, all) = match answer.value {
            Answer::Vector(points) => {
                let all = points.len();
                let elements = points.into_iter().filter_map(|point| {
                    Some(Element { value: value(point.value, point.sampled_ms)?, labels: point.labels })
                });
                (elements.collect::<Vec<_>>(), all)
            }
            Answer::Scalar(number) => {
                let element = value(number, now.millis());
                (element.into_iter().map(|value| Element { labels: Labels::empty(), value }).collect(), 1)
            }
            Answer::Text(_) | Answer::Matrix(_) => (Vec::new(), 0),
        };
        match (elements.is_empty(), all, window) {
            (false, ..) => Ok(elements),
            (true, 0, Some(window)) => Err(format!(
                "{by} asks {asked:?} and finds nothing; it looks back {} s, and needs samples from that time",
                window.as_secs()
            )),
            (true, 0, None) => Err(format!("{by} asks {asked:?} and finds nothing")),
            (true, ..) => Err(format!(
                "{by} asks {asked:?} and finds nothing that is a number and rests on samples of the last {} s \
                 (--metrics-max-age)",
                max_age.as_secs()
            )),
        }
    }

    /// The same of a rule that asks upstream, within the time that is left. Values are of the evaluation's own time: how
    /// old the samples behind them may be is the upstream's business.
    pub(crate) async fn asked(
        &self,
        found: &Found,
        query: Result<String, String>,
        left: Duration,
        now: Timestamp,
    ) -> Result<Vec<Element>, NoAnswer> {
        let Some((rule, upstream)) = found.rule().zip(self.0.upstream.as_ref()) else {
            return Ok(Vec::new());
        };
        let by = by(rule);
        let query = query.map_err(|why| NoAnswer::Absent(format!("{by}: {why}")))?;
        let points = upstream.instant(query.clone(), left).await.map_err(|error| match error {
            UpstreamError::Unavailable(why) => NoAnswer::Unavailable(format!("{by}: {why}")),
            UpstreamError::Refused(why) => NoAnswer::Absent(format!("{by} asks {:?}: {why}", query.trim())),
        })?;
        let element = |point: &Point| {
            let at = Timestamp::from_millis(point.sampled_ms.min(now.millis()));
            let value = Value { number: point.value, at, window: rule.window() };
            point.value.is_finite().then(|| Element { labels: point.labels.clone(), value })
        };
        let elements: Vec<Element> = points.iter().filter_map(element).collect();
        if elements.is_empty() {
            let what = if points.is_empty() { "nothing" } else { "nothing that is a number" };
            return Err(NoAnswer::Absent(format!(
                "{by} asks Prometheus {:?} and finds {what}",
                query.trim()
            )));
        }
        Ok(elements)
    }

    fn newest(&self) -> Option<Arc<Catalog>> {
        self.0.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

// === impl Found ===

impl Found {
    pub(crate) fn rule(&self) -> Option<&Rule> {
        let set = self.catalog.set();
        if self.is_external { set.external.get(self.rule) } else { set.custom.get(self.rule) }
    }

    /// Whether the rule asks upstream.
    pub(crate) fn is_upstream(&self) -> bool {
        self.rule().is_some_and(|rule| rule.origin() == Origin::Prometheus)
    }

    /// The query of a rule that asks upstream.
    pub(crate) fn query(&self, ask: &Ask<'_>) -> Result<String, String> {
        self.rule().map_or_else(|| Ok(String::new()), |rule| rule.query_text(ask))
    }
}

// === impl NoAnswer ===

impl NoAnswer {
    /// What a client is told, which begins with `what` there is no value of.
    pub(crate) fn status(self, what: &str) -> Status {
        match self {
            Self::Absent(why) => Status::not_found(format!("no value of {what}: {why}")),
            Self::Unavailable(why) => {
                Status::new(Reason::ServiceUnavailable, format!("no value of {what}: {why}"))
            }
        }
    }
}

// === impl Shared ===

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("newest", &self.newest).finish_non_exhaustive()
    }
}

/// How a rule is named to those who ask.
fn by(rule: &Rule) -> String {
    format!("{} (line {})", rule.place, rule.line)
}

/// A selector as conditions on series.
///
/// # Errors
/// It compares numbers, which no expression can.
pub(crate) fn conditions(selector: &Selector) -> Result<Vec<Condition>, Status> {
    let requirements = selector.requirements.iter().map(|requirement| {
        let (operator, values) = match &requirement.operator {
            selector::Operator::In(values) if values.len() == 1 => (Operator::Equal, values.clone()),
            selector::Operator::In(values) => (Operator::In, values.clone()),
            selector::Operator::NotIn(values) if values.len() == 1 => (Operator::NotEqual, values.clone()),
            selector::Operator::NotIn(values) => (Operator::NotIn, values.clone()),
            selector::Operator::Exists => (Operator::Exists, Vec::new()),
            selector::Operator::DoesNotExist => (Operator::DoesNotExist, Vec::new()),
            selector::Operator::GreaterThan(_) | selector::Operator::LessThan(_) => {
                let key = &requirement.key;
                return Err(Status::bad_request(format!(
                    "the selector compares {key:?} with < or >, which no rule can; use =, !=, in, notin or exists"
                )));
            }
        };
        Ok(Condition { label: requirement.key.clone(), operator, values })
    });
    requirements.collect()
}
