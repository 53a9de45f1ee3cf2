//! Which names there are by the rules: pages and rules put together, from time to time.
//!
//! Rules choose series by labels that pods have, so that a name may come and go with a pod's labels. Every pod's page is
//! looked at, but of those that are alike in all that the rules can see only one. That takes its time with many pages, so
//! that requests look up what was made last, and never wait for the next.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use podgauge_promql::METRIC_NAME;
use podgauge_rules::{GroupResource, Origin, Rule, RuleSet, TargetLabels};
use podgauge_store::{Layout, Reader, Timestamp};

use super::{source::target_labels, upstream::Listing};
use crate::discovery::fingerprint;

/// Which rule answers for which name.
#[derive(Debug)]
pub(crate) struct Catalog {
    set: Arc<RuleSet>,
    layouts: u64,
    /// Of the upstream's series.
    generation: u64,
    /// The one before saw the same layouts, so that their pages, which come a moment later, were there this time.
    is_settled: bool,
    built: Timestamp,
    custom: BTreeMap<(String, GroupResource), Entry>,
    /// By name in lower case.
    external: BTreeMap<String, Entry>,
}

/// Which rule, and with which series.
#[derive(Clone, Debug)]
struct Entry {
    rule: usize,
    series: String,
}

/// How old a catalog may be: labels of pods change without notice.
const MAX_AGE: Duration = Duration::from_secs(30);
/// Series of one name that are asked which objects they name.
const LOOKED_AT: usize = 32;

// === impl Catalog ===

impl Catalog {
    /// `last` is the one before, if it is of the same rules.
    pub(super) fn build(
        set: Arc<RuleSet>,
        last: Option<&Self>,
        reader: &Reader,
        listing: &Listing,
        now: Timestamp,
    ) -> Self {
        let layouts = fingerprint(&reader.layouts());
        let is_settled = last.is_some_and(|last| last.layouts == layouts);
        let (custom, external) = (BTreeMap::new(), BTreeMap::new());
        let generation = listing.generation();
        let mut catalog = Self { set, layouts, generation, is_settled, built: now, custom, external };
        let mut seen = HashSet::new();
        for pod in reader.all_pods(|_| true) {
            for target in pod.targets() {
                let Some(layout) = target.page(|page| Arc::clone(page.layout())) else { continue };
                let labels = target_labels(&pod, target);
                if seen.insert((layout.id(), catalog.likeness(&labels))) {
                    catalog.add(&layout, &labels);
                }
            }
        }
        catalog.add_listed(listing);
        catalog
    }

    /// Whether another one, made now, would be no different as far as one can tell without making it.
    pub(super) fn is_current(&self, reader: &Reader, listing: &Listing, now: Timestamp) -> bool {
        let is_young = self.built <= now && now.since(self.built) < MAX_AGE;
        let is_listed = self.generation == listing.generation();
        is_young && is_listed && self.is_settled && self.layouts == fingerprint(&reader.layouts())
    }

    /// The rules that it was made of.
    pub(super) fn set(&self) -> &Arc<RuleSet> {
        &self.set
    }

    pub(super) fn custom(&self, metric: &str, resource: &GroupResource) -> Option<(usize, String)> {
        let entry = self.custom.get(&(metric.to_owned(), resource.clone()))?;
        Some((entry.rule, entry.series.clone()))
    }

    pub(super) fn external(&self, metric: &str) -> Option<(usize, String)> {
        let entry = self.external.get(&metric.to_lowercase())?;
        Some((entry.rule, entry.series.clone()))
    }

    pub(super) fn custom_names(&self) -> Vec<(GroupResource, String)> {
        self.custom.keys().map(|(metric, resource)| (resource.clone(), metric.clone())).collect()
    }

    pub(super) fn external_names(&self) -> Vec<String> {
        self.external.keys().cloned().collect()
    }

    /// All that rules can tell of a target: which labels it has, and which of their conditions these fulfil.
    fn likeness(&self, labels: &TargetLabels) -> (Vec<String>, Vec<bool>) {
        let names = labels.iter().map(|(name, _)| name.to_owned()).collect();
        let matchers = self.set.custom.iter().chain(&self.set.external).flat_map(Rule::series);
        let fulfilled =
            matchers.filter(|matcher| matcher.name() != METRIC_NAME).map(|m| m.matches(labels.get(m.name())));
        (names, fulfilled.collect())
    }

    fn add(&mut self, layout: &Layout, labels: &TargetLabels) {
        let set = Arc::clone(&self.set);
        for name in layout.names() {
            // The series themselves are put together for rules alone that take the name.
            let series = || {
                let ids = name.series.iter().filter_map(|id| layout.series(*id));
                ids.map(|series| labels.series(name.text, series.labels.iter()))
            };
            let takes =
                |(_, rule): &(usize, &Rule)| rule.origin() == Origin::Scrape && rule.takes_name(name.text);
            for (number, rule) in set.custom.iter().enumerate().filter(takes) {
                let Some(metric) = rule.metric_name(name.text) else { continue };
                let selected = series().filter(|labels| rule.selects(labels)).take(LOOKED_AT);
                let mut resources = BTreeSet::new();
                for labels in selected {
                    resources.extend(labels.iter().filter_map(|(label, _)| rule.resource(label)).cloned());
                }
                for resource in resources {
                    put(&mut self.custom, (metric.clone(), resource), number, name.text);
                }
            }
            for (number, rule) in set.external.iter().enumerate().filter(takes) {
                let Some(metric) = rule.metric_name(name.text) else { continue };
                if series().any(|labels| rule.selects(&labels)) {
                    put(&mut self.external, metric.to_lowercase(), number, name.text);
                }
            }
        }
    }
}

impl Catalog {
    /// The names that rules make of the upstream's series.
    fn add_listed(&mut self, listing: &Listing) {
        let set = Arc::clone(&self.set);
        for (number, rule) in set.custom.iter().enumerate() {
            for (name, labels) in listing.of(rule) {
                let Some(metric) = rule.metric_name(name) else { continue };
                let resources: BTreeSet<_> = labels.iter().filter_map(|label| rule.resource(label)).collect();
                for resource in resources {
                    put(&mut self.custom, (metric.clone(), resource.clone()), number, name);
                }
            }
        }
        for (number, rule) in set.external.iter().enumerate() {
            for (name, _) in listing.of(rule) {
                let Some(metric) = rule.metric_name(name) else { continue };
                put(&mut self.external, metric.to_lowercase(), number, name);
            }
        }
    }
}

/// Of several rules and series for one name the last rule counts, and of its series the one that sorts last: always the
/// same ones, whichever pod was looked at first.
fn put<K: Ord>(entries: &mut BTreeMap<K, Entry>, key: K, rule: usize, series: &str) {
    let entry = entries.entry(key).or_insert_with(|| Entry { rule, series: series.to_owned() });
    if (entry.rule, &*entry.series) < (rule, series) {
        *entry = Entry { rule, series: series.to_owned() };
    }
}
