//! What expressions are evaluated to.

use crate::Labels;

/// The bits that Prometheus gives the value of a sample which only says that its series ended: a NaN unlike all others.
const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The value of a sample which says that its series ended at that time.
pub const STALE: f64 = f64::from_bits(STALE_BITS);

/// Whether `value` says that its series ended.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}

/// One number at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When it was taken, in milliseconds since the epoch.
    pub t_ms: i64,
    /// The number; [`STALE`] ends the series.
    pub value: f64,
}

/// The samples of one series, in order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What the series is called.
    pub labels: Labels,
    /// Its samples, strictly later from one to the next.
    pub samples: Vec<Sample>,
}

/// One element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What the element is called.
    pub labels: Labels,
    /// Its value at the instant of the evaluation.
    pub value: f64,
    /// When what it was computed from was known: the newest sample of each series that went into it, the oldest of these.
    /// In milliseconds since the epoch; the evaluation's own instant where no series went in.
    pub sampled_ms: i64,
}

/// What an expression was evaluated to.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number without labels.
    Scalar(f64),
    /// Text.
    Text(String),
    /// Series with one value each.
    Vector(Vec<Point>),
    /// Series with samples: what a range selector or a range query gives.
    Matrix(Vec<Series>),
}

/// What an expression is evaluated to, known before it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// One number without labels.
    Scalar,
    /// Text.
    Text,
    /// Series with one value each.
    Vector,
    /// Series with the samples of a window.
    Matrix,
}

// === impl Type ===

impl Type {
    /// The name that Prometheus' documentation gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Text => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }
}
