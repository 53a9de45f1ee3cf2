//! What is wrong with a configuration file, and where.

use std::fmt;

/// Something in a configuration file that does not work, or is not what its writer may think.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it costs the rule.
    pub severity: Severity,
    /// The line, from 1.
    pub line: u64,
    /// The character in the line, from 1.
    pub column: u64,
    /// Which rule and field: `rules[2].metricsQuery`; empty for the file itself.
    pub place: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// What a [`Problem`] costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing: the rule works, and this is worth knowing.
    Note,
    /// The rule, or the file if nothing of it can be read.
    Error,
}

// === impl Problem ===

impl fmt::Display for Problem {
    /// `3:5: rules[0].seriesQuery: message`, for a file's name before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if self.severity == Severity::Note {
            f.write_str("note: ")?;
        }
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.message)
    }
}
