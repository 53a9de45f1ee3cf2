//! Label selectors in Kubernetes' own grammar.
//!
//! The grammar and its errors are apimachinery's (`labels/selector.go`): `k=v`, `k==v`, `k!=v`,
//! `k in (a,b)`, `k notin (a,b)`, `k`, `!k`, `k>1`, `k<1`, joined by commas.

use std::fmt;

/// A parsed selector: every requirement must hold. The empty selector matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    /// The requirements, sorted by key.
    pub requirements: Vec<Requirement>,
}

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// What must hold.
    pub operator: Operator,
}

/// What a [`Requirement`] asks of its label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// The label exists and its value is one of these (sorted).
    In(Vec<String>),
    /// The label does not exist or its value is none of these (sorted).
    NotIn(Vec<String>),
    /// The label exists.
    Exists,
    /// The label does not exist.
    DoesNotExist,
    /// The label exists and is an integer greater than this.
    GreaterThan(i64),
    /// The label exists and is an integer less than this.
    LessThan(i64),
}

/// Why a selector was refused; the text says where and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectorError(pub String);

// === impl SelectorError ===

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SelectorError {}
