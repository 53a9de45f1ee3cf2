//! Prometheus' `metric_relabel_configs`, on the series of a page.
//!
//! Rules see a series as its page has it: its name, as `__name__`, and its labels. What they leave becomes the layout, so that
//! they run when a page has a new shape and not when it has new numbers. Labels that Prometheus adds to what it scrapes
//! (`namespace`, `pod`, ...) are not on a page, and a rule that looks at one is refused: it would not do what it says.

mod room;

use std::collections::BTreeMap;

use podgauge_promql::Re2;
use serde_json::Value;

pub(crate) use self::room::RegexRoom;
use crate::text::{quoted, tame};

/// Rules, in their order.
#[derive(Debug)]
pub(crate) struct Relabeling {
    rules: Vec<Rule>,
    bounds: Bounds,
}

/// What rules may make of a series, and what they may take.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// Rules of one endpoint.
    pub(crate) rules: usize,
    /// Labels of a series.
    pub(crate) labels: usize,
    /// Bytes of a label's name.
    pub(crate) label_name_bytes: usize,
    /// Bytes of a label's value, and of what a rule looks at of a series.
    pub(crate) label_value_bytes: usize,
    /// Bytes of all names and values of a page.
    pub(crate) page_bytes: usize,
}

/// The labels of one series, `__name__` among them.
pub(crate) type Labels = BTreeMap<String, String>;

#[derive(Debug)]
struct Rule {
    source_labels: Vec<String>,
    separator: String,
    regex: Re2,
    action: Action,
}

#[derive(Debug)]
enum Action {
    Keep,
    Drop,
    Replace { target: String, replacement: String },
    Lowercase { target: String },
    Uppercase { target: String },
    LabelMap { replacement: String },
    LabelDrop,
    LabelKeep,
}

/// Bytes that rules may look at besides the page's own: short pages are nobody's burden.
const MORE_BYTES: usize = 1 << 20;

/// The label that stands for a series' name.
pub(crate) const NAME: &str = "__name__";

/// What Prometheus adds to each series of a target that a monitor describes.
const OF_TARGETS: [&str; 7] = ["namespace", "pod", "container", "service", "endpoint", "job", "instance"];

/// The fields of a rule.
const FIELDS: [&str; 7] =
    ["sourceLabels", "separator", "targetLabel", "regex", "modulus", "replacement", "action"];

// === impl Relabeling ===

impl Relabeling {
    /// Reads `metricRelabelings`. A rule that cannot be kept is left out, and named in `problems`.
    pub(crate) fn read(
        rules: &[Value],
        bounds: &Bounds,
        room: &mut RegexRoom,
        problems: &mut Vec<String>,
    ) -> Option<Self> {
        if rules.len() > bounds.rules {
            problems.push(format!(
                "it has {} metricRelabelings, more than {}; those beyond are left out",
                rules.len(),
                bounds.rules
            ));
        }
        let mut kept = Vec::new();
        for (index, rule) in rules.iter().take(bounds.rules).enumerate() {
            match Rule::read(rule, bounds, room) {
                Ok(rule) => kept.push(rule),
                Err(why) => problems.push(format!("metricRelabelings[{index}] is left out: {why}")),
            }
        }
        (!kept.is_empty()).then(|| Self { rules: kept, bounds: bounds.clone() })
    }

    /// Does to a series what the rules say, and adds to `looked` how many bytes of it they looked at. Whether it is kept; one
    /// that has no name any more, or more than it may, is not.
    pub(crate) fn apply(&self, labels: &mut Labels, looked: &mut usize) -> bool {
        let Bounds { labels: count, label_name_bytes, label_value_bytes, .. } = self.bounds;
        let is_short = |(name, value): (&String, &String)| {
            name.len() <= label_name_bytes && value.len() <= label_value_bytes
        };
        // Each rule may double what there is: one may copy all labels, and the next drop those that were copied.
        let on_the_way = count.saturating_add(1).saturating_mul(2);
        self.rules.iter().all(|rule| {
            rule.apply(labels, label_value_bytes, looked).unwrap_or(false) && labels.len() <= on_the_way
        })
            && labels.contains_key(NAME)
            // The name is no label.
            && labels.len() <= count + 1
            && labels.iter().all(is_short)
    }

    /// Bytes that rules may look at where so many are on the page: each at all of it. Those that look at more, at what
    /// others of them made or time and again at the same, take the time of other pods' pages.
    pub(crate) fn looked_bytes(&self, on_page: usize) -> usize {
        self.rules.len().saturating_mul(on_page).saturating_add(MORE_BYTES)
    }

    /// Bytes of names and values that a page may have afterwards.
    pub(crate) fn page_bytes(&self) -> usize {
        self.bounds.page_bytes
    }
}

// === impl Rule ===

impl Rule {
    fn read(rule: &Value, bounds: &Bounds, room: &mut RegexRoom) -> Result<Self, String> {
        let text = |field: &str| rule[field].as_str().map(ToOwned::to_owned);
        if let Some(field) = rule
            .as_object()
            .into_iter()
            .flat_map(|fields| fields.keys())
            .find(|field| !FIELDS.contains(&field.as_str()))
        {
            return Err(format!("podgauge does not know {}", quoted(field)));
        }
        let source_labels: Vec<String> = rule["sourceLabels"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(ToOwned::to_owned)
            .collect();
        if let Some(label) = source_labels.iter().find(|label| is_of_target(label)) {
            return Err(format!(
                "it looks at {}, which is on no page: Prometheus adds it, and podgauge does not",
                quoted(label)
            ));
        }
        // A series' text is bounded, and what is made of it to look at shall be as well.
        if source_labels.len() > bounds.labels {
            return Err(format!("it looks at {} labels, more than {}", source_labels.len(), bounds.labels));
        }
        let separator = text("separator").unwrap_or_else(|| ";".to_owned());
        if separator.len() > bounds.label_value_bytes {
            return Err(format!("its separator is longer than {} bytes", bounds.label_value_bytes));
        }
        let regex = text("regex").unwrap_or_else(|| "(.*)".to_owned());
        let regex =
            room.read(&regex).map_err(|why| format!("its regex {}: {}", quoted(&regex), tame(&why)))?;
        let replacement = text("replacement").unwrap_or_else(|| "$1".to_owned());
        let target = || text("targetLabel").filter(|label| !label.is_empty()).ok_or("it has no targetLabel");
        let action = text("action").unwrap_or_else(|| "replace".to_owned());
        let action = match action.to_ascii_lowercase().as_str() {
            "keep" => Action::Keep,
            "drop" => Action::Drop,
            "replace" => Action::Replace { target: target()?, replacement },
            "lowercase" => Action::Lowercase { target: target()? },
            "uppercase" => Action::Uppercase { target: target()? },
            "labelmap" => Action::LabelMap { replacement },
            "labeldrop" => Action::LabelDrop,
            "labelkeep" => Action::LabelKeep,
            _ => return Err(format!("podgauge does not do its action {}", quoted(&action))),
        };
        Ok(Self { source_labels, separator, regex, action })
    }

    /// Whether the series is kept; none if there is more to look at than `limit`. What it makes is no longer than that, or
    /// left out.
    fn apply(&self, labels: &mut Labels, limit: usize, looked: &mut usize) -> Option<bool> {
        let is_match = |name: &str| self.regex.is_match(name);
        let text = match self.action {
            Action::LabelMap { .. } | Action::LabelDrop | Action::LabelKeep => {
                *looked += labels.keys().map(String::len).sum::<usize>();
                String::new()
            }
            _ => self.source(labels, limit)?,
        };
        *looked += text.len();
        match &self.action {
            Action::Keep => return Some(is_match(&text)),
            Action::Drop => return Some(!is_match(&text)),
            Action::Replace { target, replacement } => {
                if let Some(target) = self.regex.expand(&text, target, limit)
                    && let Some(value) = self.regex.expand(&text, replacement, limit)
                    && is_label_name(&target)
                {
                    set(labels, target, value);
                }
            }
            Action::Lowercase { target } => set_short(labels, target, text.to_lowercase(), limit),
            Action::Uppercase { target } => set_short(labels, target, text.to_uppercase(), limit),
            Action::LabelMap { replacement } => {
                let mapped: Vec<(String, String)> = labels
                    .iter()
                    .filter_map(|(name, value)| {
                        Some((self.regex.expand(name, replacement, limit)?, value.clone()))
                    })
                    .filter(|(name, _)| is_label_name(name))
                    .collect();
                mapped.into_iter().for_each(|(name, value)| set(labels, name, value));
            }
            Action::LabelDrop => labels.retain(|name, _| !is_match(name)),
            Action::LabelKeep => labels.retain(|name, _| is_match(name)),
        }
        Some(true)
    }

    /// The values of the labels that it looks at, if they are no longer than `limit`; one that is not there counts as empty.
    fn source(&self, labels: &Labels, limit: usize) -> Option<String> {
        let mut source = String::new();
        for (index, label) in self.source_labels.iter().enumerate() {
            if index > 0 {
                source.push_str(&self.separator);
            }
            source.push_str(labels.get(label).map_or("", String::as_str));
            if source.len() > limit {
                return None;
            }
        }
        Some(source)
    }
}

/// Whether Prometheus adds a label, or renames one of the page because it adds it.
fn is_of_target(label: &str) -> bool {
    OF_TARGETS.contains(&label.strip_prefix("exported_").unwrap_or(label))
}

/// An empty value is no label.
fn set(labels: &mut Labels, name: String, value: String) {
    if value.is_empty() {
        labels.remove(&name);
    } else {
        labels.insert(name, value);
    }
}

/// The same, of a value that is no longer than `limit`: the other case of a letter may be.
fn set_short(labels: &mut Labels, name: &str, value: String, limit: usize) {
    if value.len() <= limit {
        set(labels, name.to_owned(), value);
    }
}

/// The names that a page without quotes can have.
fn is_label_name(name: &str) -> bool {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_start) && name.chars().all(|c| is_start(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests;
