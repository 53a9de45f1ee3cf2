//! Rules in force: which of them answers for a name, and what it answers.
//!
//! ```text
//! catalog ── pages and rules -> which names there are, of which resources, by which rule
//! source ── the store's series, with the labels that rules expect
//! this ── a rule's query, asked at an instant -> values
//! ```

mod catalog;
mod source;

use std::{
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use podgauge_apiserver::{Selector, Status, selector};
use podgauge_promql::{Labels, Value as Answer};
use podgauge_rules::{Ask, Condition, GroupResource, Operator, Rule, RuleSet};
use podgauge_store::{Keeper, Reader, Timestamp};

pub(crate) use self::source::target_labels;
use self::{catalog::Catalog, source::StoreSource};
use crate::tally::Value;

/// The rules in force; none at first. Cheap to clone, and all clones are one.
///
/// Which names they make of the pages is found out by [`replace`](Self::replace) and [`refresh`](Self::refresh) alone,
/// which take a while where pages are many. Requests are answered meanwhile, by what was found before.
#[derive(Clone, Debug)]
pub struct Rules(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    reader: Reader,
    keeper: Keeper,
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
        let keeper = reader.keeper();
        Self(Arc::new(Shared { reader, keeper, newest: RwLock::default(), making: Mutex::default() }))
    }

    /// Puts these in force, in place of those before. History is kept from now on for what their ranges look at.
    pub fn replace(&self, set: RuleSet, now: Timestamp) {
        let _making = self.0.making.lock().unwrap_or_else(PoisonError::into_inner);
        let set = Arc::new(set);
        let kept = Arc::clone(&set);
        self.0.keeper.keep(move |name| kept.history(name));
        self.put(Catalog::build(set, None, &self.0.reader, now));
    }

    /// Looks which names there are, if pages have new ones, or if it was long ago: labels of pods change without notice.
    pub fn refresh(&self, now: Timestamp) {
        let _making = self.0.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = self.newest()
            && !newest.is_current(&self.0.reader, now)
        {
            self.put(Catalog::build(Arc::clone(newest.set()), Some(&newest), &self.0.reader, now));
        }
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
        let rule = found.rule();
        let Some(rule) = rule else { return Ok(Vec::new()) };
        let by = format!("{} (line {})", rule.place, rule.line);
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
