//! Label selectors in Kubernetes' own grammar.
//!
//! The grammar, its validation and its errors are apimachinery's (`labels/selector.go`,
//! `util/validation`): `k=v`, `k==v`, `k!=v`, `k in (a,b)`, `k notin (a,b)`, `k`, `!k`, `k>1`, `k<1`,
//! joined by commas. An absent value (`k=`, `k in (,a)`) is the empty string; quoting does not exist.
//!
//! [`Selector::parse`] takes the text, [`Selector::matches`] applies it, and its `Display` writes the
//! canonical form, which parses back to the same selector.

use std::{collections::HashSet, fmt};

use self::parse::Parser;

mod parse;
#[cfg(test)]
mod tests;

/// The longest selector, in bytes, that [`Selector::parse`] looks at.
pub const MAX_SELECTOR_BYTES: usize = 8 * 1024;
/// The most different requirements of a selector: each is looked at for each object.
pub const MAX_REQUIREMENTS: usize = 64;
/// The most values that all requirements of a selector name together.
pub const MAX_VALUES: usize = 1024;

/// A parsed selector: every requirement must hold. The empty selector matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    /// The requirements, sorted by key, each once.
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
    /// The label exists and its value is one of these (sorted, without duplicates, never empty).
    In(Vec<String>),
    /// The label does not exist or its value is none of these (sorted, without duplicates, never empty).
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

// === impl Selector ===

impl Selector {
    /// Parses a selector as it stands, decoded, in a `labelSelector` parameter.
    ///
    /// # Errors
    /// When the text exceeds [`MAX_SELECTOR_BYTES`], [`MAX_REQUIREMENTS`] or [`MAX_VALUES`], does not
    /// follow the grammar, or names a key or a value that no Kubernetes label can have.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.len() > MAX_SELECTOR_BYTES {
            return Err(SelectorError(format!(
                "the selector has {} bytes, at most {MAX_SELECTOR_BYTES} are read",
                text.len()
            )));
        }
        let mut requirements = Parser::new(text)?.parse()?;
        let mut seen = HashSet::new();
        requirements.retain(|requirement| seen.insert(requirement.clone()));
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        let values = requirements.iter().map(|requirement| requirement.operator.values().len()).sum();
        for (count, most, what) in
            [(requirements.len(), MAX_REQUIREMENTS, "requirements"), (values, MAX_VALUES, "values")]
        {
            if count > most {
                return Err(SelectorError(format!(
                    "the selector has {count} {what}, at most {most} are allowed"
                )));
            }
        }
        Ok(Self { requirements })
    }

    /// Whether the labels that `label` looks up satisfy every requirement.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(label(&requirement.key)))
    }

    /// The labels that whatever it matches has, each with its one value.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.requirements.iter().filter_map(|requirement| match &requirement.operator {
            Operator::In(values) => match values.as_slice() {
                [value] => Some((&*requirement.key, &**value)),
                _ => None,
            },
            _ => None,
        })
    }

    /// Whether this selector matches everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        Self::parse(text)
    }
}

// === impl Requirement ===

impl Requirement {
    /// Whether a label of this value, or its absence, satisfies the requirement.
    #[must_use]
    pub fn matches(&self, value: Option<&str>) -> bool {
        let is_one_of = |values: &[String], value: &str| {
            values.binary_search_by(|candidate| candidate.as_str().cmp(value)).is_ok()
        };
        match (&self.operator, value) {
            (Operator::In(values), Some(value)) => is_one_of(values, value),
            (Operator::NotIn(values), Some(value)) => !is_one_of(values, value),
            (Operator::Exists, value) => value.is_some(),
            (Operator::DoesNotExist, value) => value.is_none(),
            (Operator::GreaterThan(bound), Some(value)) => value.parse::<i64>().is_ok_and(|v| v > *bound),
            (Operator::LessThan(bound), Some(value)) => value.parse::<i64>().is_ok_and(|v| v < *bound),
            (Operator::NotIn(_), None) => true,
            (Operator::In(_) | Operator::GreaterThan(_) | Operator::LessThan(_), None) => false,
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.operator {
            Operator::In(values) => match values.as_slice() {
                [value] => write!(f, "{key}={value}"),
                values => write!(f, "{key} in ({})", values.join(",")),
            },
            Operator::NotIn(values) => match values.as_slice() {
                [value] => write!(f, "{key}!={value}"),
                values => write!(f, "{key} notin ({})", values.join(",")),
            },
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan(bound) => write!(f, "{key}>{bound}"),
            Operator::LessThan(bound) => write!(f, "{key}<{bound}"),
        }
    }
}

// === impl Operator ===

impl Operator {
    fn values(&self) -> &[String] {
        match self {
            Self::In(values) | Self::NotIn(values) => values,
            Self::Exists | Self::DoesNotExist | Self::GreaterThan(_) | Self::LessThan(_) => &[],
        }
    }
}

// === impl SelectorError ===

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SelectorError {}
