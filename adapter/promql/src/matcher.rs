//! Which series a selector means.

mod pattern;

use std::{fmt, sync::Arc};

pub(crate) use self::pattern::{Pattern, compile, expand, unanchored};
use crate::{
    Labels,
    labels::{METRIC_NAME, is_label_name},
    text::quote,
};

/// One condition on one label. A label that a series does not have counts as empty.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: Arc<str>,
    op: MatchOp,
    value: Arc<str>,
    /// There for the two operators that match a regular expression.
    pattern: Option<Pattern>,
}

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`: the regular expression matches the whole value.
    Regex,
    /// `!~`: it does not.
    NotRegex,
}

// === impl Matcher ===

impl Matcher {
    /// A matcher that compares the whole value.
    pub fn equal(name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), pattern: None }
    }

    pub(crate) fn new(name: Arc<str>, op: MatchOp, value: Arc<str>, pattern: Option<Pattern>) -> Self {
        Self { name, op, value, pattern }
    }

    /// The label's name; `__name__` for the metric's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// What it compares with: the value, or the regular expression as it was written.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label's value fulfils the condition.
    pub fn matches(&self, value: &str) -> bool {
        match (self.op, &self.pattern) {
            (MatchOp::Equal, _) => *self.value == *value,
            (MatchOp::NotEqual, _) => *self.value != *value,
            (MatchOp::Regex, Some(pattern)) => pattern.matches(value),
            (MatchOp::NotRegex, Some(pattern)) => !pattern.matches(value),
            (MatchOp::Regex | MatchOp::NotRegex, None) => false,
        }
    }

    /// The metric name that it asks for, if it asks for exactly one.
    pub(crate) fn exact_metric_name(&self) -> Option<&str> {
        (self.op == MatchOp::Equal && &*self.name == METRIC_NAME).then_some(&*self.value)
    }
}

impl PartialEq for Matcher {
    /// The pattern follows from the value.
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        };
        let value = quote(&self.value);
        if is_label_name(&self.name) {
            write!(f, "{}{op}{value}", self.name)
        } else {
            write!(f, "{}{op}{value}", quote(&self.name))
        }
    }
}

/// Whether all `matchers` accept a series that is called `labels`.
pub fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get(&matcher.name)))
}
