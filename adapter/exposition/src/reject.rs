//! Lines that were not believed, and why.

use std::fmt;

/// What a page held that is not a sample, although it looks as if it should be one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// Lines rejected, in all.
    pub count: u64,
    /// The first of them in the page's order, at most [`Limits::kept_rejections`](crate::Limits::kept_rejections).
    pub first: Vec<Rejection>,
}

/// One line that was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The line's number, from 1.
    pub line: u32,
    /// The byte at which reading stopped, from 1; 0 when the line as a whole is at fault.
    pub column: u32,
    /// What is wrong.
    pub reason: Reason,
}

/// Why a line was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The line is longer than [`Limits::line_bytes`](crate::Limits::line_bytes).
    LineTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The line is not UTF-8.
    NotUtf8,
    /// A character that no unquoted metric name has stands where one should.
    MetricName,
    /// There are labels, but neither a name before them nor a quoted one among them.
    NoMetricName,
    /// A second metric name stands among the labels.
    SecondMetricName,
    /// A character that no unquoted label name has stands where one should.
    LabelName,
    /// The label is called `__name__`, which is how Prometheus stores the metric's own name.
    ReservedLabelName,
    /// A label name is not followed by `=`.
    NoEqualsSign,
    /// A label's value does not start with a double quote.
    UnquotedValue,
    /// A double quote is never closed on its line.
    UnclosedQuote,
    /// After a label there is neither `,` nor `}`.
    UnclosedBraces,
    /// A label's name occurs twice in one series.
    DuplicateLabel,
    /// The series has more labels than [`Limits::labels`](crate::Limits::labels).
    TooManyLabels {
        /// The limit.
        limit: usize,
    },
    /// A label's name is longer than [`Limits::label_name_bytes`](crate::Limits::label_name_bytes).
    LabelNameTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A label's value is longer than [`Limits::label_value_bytes`](crate::Limits::label_value_bytes).
    LabelValueTooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The line ends before a value.
    NoValue,
    /// The value is not a number.
    Value,
    /// The value is a number beyond what a 64-bit float can hold.
    ValueOutOfRange,
    /// What follows the value is not a timestamp of the page's format.
    Timestamp,
    /// The timestamp does not fit into 64 bits of milliseconds.
    TimestampOutOfRange,
    /// What follows ` # ` is not an exemplar.
    Exemplar,
    /// Something stands where the line should have ended.
    TrailingText,
    /// A `# TYPE` line without a metric name or with a type that neither format knows.
    Type,
    /// The same name with the same labels was on an earlier line; the first one counts.
    DuplicateSeries {
        /// The line of the first one.
        first: u32,
    },
}

/// Where in its line reading stopped, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Bytes before the fault; `usize::MAX` for one of the line as a whole.
    pub(crate) at: usize,
    pub(crate) reason: Reason,
}

// === impl Fault ===

impl Fault {
    /// A fault of the line as a whole.
    pub(crate) fn of_line(reason: Reason) -> Self {
        Self { at: usize::MAX, reason }
    }
}

// === impl Rejected ===

impl Rejected {
    /// Counts a rejection and keeps it while there are fewer than `keep`.
    pub(crate) fn push(&mut self, rejection: Rejection, keep: usize) {
        self.count += 1;
        if self.first.len() < keep {
            self.first.push(rejection);
        }
    }

    /// Takes in what another pass over the same page rejected.
    ///
    /// Both have kept their first `keep`, so the first `keep` of the union are among what both kept.
    pub(crate) fn merge(&mut self, other: Self, keep: usize) {
        if other.count == 0 {
            return;
        }
        self.count += other.count;
        self.first.extend(other.first);
        self.first.sort_by_key(|rejection| rejection.line);
        self.first.truncate(keep);
    }
}

// === impl Rejection ===

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            0 => write!(f, "line {}: {}", self.line, self.reason),
            column => write!(f, "line {}, byte {column}: {}", self.line, self.reason),
        }
    }
}

// === impl Reason ===

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::LineTooLong { limit } => return write!(f, "the line is longer than {limit} bytes"),
            Self::TooManyLabels { limit } => return write!(f, "the series has more than {limit} labels"),
            Self::LabelNameTooLong { limit } => {
                return write!(f, "a label's name is longer than {limit} bytes");
            }
            Self::LabelValueTooLong { limit } => {
                return write!(f, "a label's value is longer than {limit} bytes");
            }
            Self::DuplicateSeries { first } => {
                return write!(f, "the series was already given on line {first}, which counts");
            }
            Self::NotUtf8 => "the line is not UTF-8",
            Self::MetricName => {
                "a metric name must start with a letter, `_` or `:`, or be quoted inside the braces"
            }
            Self::NoMetricName => "the series has no metric name",
            Self::SecondMetricName => "the series has a second metric name among its labels",
            Self::LabelName => "a label name must start with a letter or `_`, or be quoted",
            Self::ReservedLabelName => "the label `__name__` is reserved for the metric's name",
            Self::NoEqualsSign => "a label name must be followed by `=`",
            Self::UnquotedValue => "a label's value must be in double quotes",
            Self::UnclosedQuote => "a double quote is not closed on its line",
            Self::UnclosedBraces => "a label must be followed by `,` or `}`",
            Self::DuplicateLabel => "a label name occurs twice in the series",
            Self::NoValue => "the series has no value",
            Self::Value => "the value is not a number",
            Self::ValueOutOfRange => "the value is too large for a 64-bit float",
            Self::Timestamp => "the timestamp must be whole milliseconds (text) or seconds (OpenMetrics)",
            Self::TimestampOutOfRange => "the timestamp does not fit into 64 bits of milliseconds",
            Self::Exemplar => "what follows `#` is not an exemplar",
            Self::TrailingText => "the line goes on after its last field",
            Self::Type => "a `# TYPE` line needs a metric name and a known type",
        };
        f.write_str(text)
    }
}
