//! What a series is called: names and values, sorted.

use std::{fmt, sync::Arc};

use crate::text::quote;

/// The label that holds a series' metric name.
pub const METRIC_NAME: &str = "__name__";

/// The labels of a series, sorted by name, each name once, none with an empty value. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[Label]>);

type Label = (Arc<str>, Arc<str>);

// === impl Labels ===

impl Labels {
    /// No labels at all.
    pub fn empty() -> Self {
        Self(Arc::from([]))
    }

    /// Labels from pairs in any order. Of a name that occurs twice the last one counts; an empty value is no label.
    pub fn new<N: Into<Arc<str>>, V: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut labels: Vec<Label> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        // A stable sort keeps the order of equal names, so that the last of them is the last that was given.
        labels.sort_by(|a, b| a.0.cmp(&b.0));
        labels.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        labels.retain(|(_, value)| !value.is_empty());
        Self(labels.into())
    }

    /// The value of a label; empty when there is none of that name.
    pub fn get(&self, name: &str) -> &str {
        self.find(name).map_or("", |(_, value)| value)
    }

    /// The metric's name; empty when there is none.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// All labels in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The same without the labels that `drop` names.
    pub(crate) fn without(&self, drop: impl Fn(&str) -> bool) -> Self {
        if self.0.iter().any(|(name, _)| drop(name)) {
            Self(self.0.iter().filter(|(name, _)| !drop(name)).cloned().collect())
        } else {
            self.clone()
        }
    }

    /// The same without the metric's name.
    pub(crate) fn without_name(&self) -> Self {
        self.without(|name| name == METRIC_NAME)
    }

    /// The same with one label set, or taken away when the value is empty.
    pub(crate) fn with(&self, name: &Arc<str>, value: &str) -> Self {
        let others = self.0.iter().filter(|(other, _)| other != name).cloned();
        Self::new(others.chain([(Arc::clone(name), Arc::from(value))]))
    }

    fn find(&self, name: &str) -> Option<&Label> {
        let at = self.0.binary_search_by(|(other, _)| (**other).cmp(name)).ok()?;
        self.0.get(at)
    }
}

impl fmt::Display for Labels {
    /// As in an expression: `name{a="b"}`, or `{"odd name",a="b"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        let plain = is_metric_name(name);
        let mut parts = Vec::new();
        if !plain && !name.is_empty() {
            parts.push(quote(name));
        }
        for (name, value) in self.iter().filter(|(name, _)| *name != METRIC_NAME) {
            let quoted = quote(value);
            parts.push(if is_label_name(name) {
                format!("{name}={quoted}")
            } else {
                format!("{}={quoted}", quote(name))
            });
        }
        if plain {
            f.write_str(name)?;
        }
        if !plain || !parts.is_empty() { write!(f, "{{{}}}", parts.join(", ")) } else { Ok(()) }
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether `name` can stand in an expression as a metric's name without quotes.
pub(crate) fn is_metric_name(name: &str) -> bool {
    is_identifier(name, |char| char == ':')
}

/// Whether `name` can stand in an expression as a label's name without quotes.
pub(crate) fn is_label_name(name: &str) -> bool {
    is_identifier(name, |_| false)
}

fn is_identifier(name: &str, also: impl Fn(char) -> bool) -> bool {
    let letter = |char: char| char.is_ascii_alphabetic() || char == '_' || also(char);
    name.starts_with(letter) && name.chars().all(|char| letter(char) || char.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_have_values() {
        let check = |pairs: &[(&str, &str)], want: &str| {
            assert_eq!(Labels::new(pairs.iter().copied()).to_string(), want);
        };
        check(&[], "{}");
        check(&[("__name__", "up")], "up");
        check(&[("b", "2"), ("a", "1"), ("__name__", "up")], r#"up{a="1", b="2"}"#);
        check(&[("a", "1"), ("a", "2")], r#"{a="2"}"#);
        check(&[("a", "1"), ("a", "")], "{}");
        check(&[("__name__", "http.x"), ("k.x", "\"")], r#"{"http.x", "k.x"="\""}"#);
    }

    #[test]
    fn labels_can_be_set_and_dropped() {
        let labels = Labels::new([("__name__", "m"), ("a", "1"), ("c", "3")]);
        assert_eq!(labels.with(&Arc::from("b"), "2").to_string(), r#"m{a="1", b="2", c="3"}"#);
        assert_eq!(labels.with(&Arc::from("a"), "").to_string(), r#"m{c="3"}"#);
        assert_eq!(labels.without_name().to_string(), r#"{a="1", c="3"}"#);
        assert_eq!(labels.get("a"), "1");
        assert_eq!(labels.get("b"), "");
    }
}
