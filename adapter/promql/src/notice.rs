//! What is worth saying about an answer that was given all the same.

use std::{collections::BTreeSet, fmt};

use crate::error::{Position, Span};

/// A remark about an evaluation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    /// How grave it is.
    pub severity: Severity,
    /// The part of the expression that it is about.
    pub span: Span,
    /// Where that part begins.
    pub position: Position,
    /// The remark itself.
    pub message: String,
}

/// How grave a [`Notice`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The answer is probably not what was meant.
    Warning,
    /// The answer may not be what was meant.
    Info,
}

/// The most notices of one evaluation; those after them repeat what they say about other series.
const MOST: usize = 32;

/// Notices, each once.
#[derive(Debug, Default)]
pub(crate) struct Notices(BTreeSet<Notice>);

// === impl Notice ===

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        write!(f, "PromQL {severity}: {} ({})", self.message, self.position)
    }
}

// === impl Notices ===

impl Notices {
    pub(crate) fn add(&mut self, notice: Notice) {
        if self.0.len() < MOST {
            self.0.insert(notice);
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Notice> {
        self.0.into_iter().collect()
    }
}
