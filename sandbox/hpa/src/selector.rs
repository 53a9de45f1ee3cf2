//! Label selectors: what a scale's `status.selector` says, and what a metric's `selector` becomes in a
//! request.
//!
//! The grammar and the printed form are apimachinery's (`labels/selector.go`): requirements sorted by key and
//! joined by commas, the operator kept as it was written, values of a set sorted. A [`LabelSelector`] that is
//! absent or empty prints as nothing and selects everything.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

mod parse;

/// The longest selector that is read, in bytes.
pub const MAX_SELECTOR_BYTES: usize = 64 * 1024;

/// A conjunction of requirements on labels; none of them is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Sorted by key.
    requirements: Vec<Requirement>,
}

/// `metav1.LabelSelector`, as objects carry it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Labels that must have these values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

/// `metav1.LabelSelectorRequirement`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelectorRequirement {
    /// The label's key.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// For `In` and `NotIn`: at least one value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// Why a text or an object is no selector; the message says what would be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(String);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    /// Sorted; empty for the operators that take none.
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equals,
    DoubleEquals,
    NotEquals,
    In,
    NotIn,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

// === impl Selector ===

impl Selector {
    /// The selector that an object's `selector` field means.
    ///
    /// # Errors
    /// When an operator is unknown, or has values where it takes none or none where it takes some.
    pub fn from_object(object: Option<&LabelSelector>) -> Result<Self, SelectorError> {
        let Some(object) = object else {
            return Ok(Self::default());
        };
        let mut requirements = Vec::new();
        for (key, value) in &object.match_labels {
            parse::check_key(key)?;
            parse::check_value(value)?;
            requirements.push(Requirement {
                key: key.clone(),
                operator: Operator::Equals,
                values: vec![value.clone()],
            });
        }
        for expression in &object.match_expressions {
            requirements.push(Requirement::from_object(expression)?);
        }
        Ok(Self::new(requirements))
    }

    /// What the `status.selector` of a scale means to the controller; none when there is no requirement in it.
    ///
    /// The client that reads scales makes a [`LabelSelector`] of the text first (`metav1`,
    /// `ParseToLabelSelector`). So of several values that a key must equal the last one is kept, and what such
    /// an object cannot say is refused.
    ///
    /// # Errors
    /// When the text is no selector, or compares by `!=`, `>` or `<`.
    pub fn of_scale(text: &str) -> Result<Option<Self>, SelectorError> {
        let mut requirements: Vec<Requirement> = Vec::new();
        for mut requirement in Self::from_str(text)?.requirements {
            match requirement.operator {
                Operator::NotEquals | Operator::GreaterThan | Operator::LessThan => {
                    return Err(SelectorError(format!(
                        "the scale of a target cannot say {requirement}: only =, in, notin and whether a key exists"
                    )));
                }
                Operator::Equals | Operator::DoubleEquals => {
                    requirement.operator = Operator::Equals;
                    requirements
                        .retain(|known| known.operator != Operator::Equals || known.key != requirement.key);
                }
                Operator::In | Operator::NotIn | Operator::Exists | Operator::DoesNotExist => {}
            }
            requirements.push(requirement);
        }
        Ok((!requirements.is_empty()).then_some(Self { requirements }))
    }

    /// Whether an object with these labels is selected.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels.get(&requirement.key)))
    }

    fn new(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { requirements }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        parse::requirements(text).map(Self::new)
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

// === impl Requirement ===

impl Requirement {
    fn from_object(object: &LabelSelectorRequirement) -> Result<Self, SelectorError> {
        let LabelSelectorRequirement { key, operator, values } = object;
        let (operator, takes_values) = match operator.as_str() {
            "In" => (Operator::In, true),
            "NotIn" => (Operator::NotIn, true),
            "Exists" => (Operator::Exists, false),
            "DoesNotExist" => (Operator::DoesNotExist, false),
            unknown => {
                return Err(SelectorError(format!(
                    "{unknown:?} is no label selector operator: use In, NotIn, Exists or DoesNotExist"
                )));
            }
        };
        if takes_values == values.is_empty() {
            let needs = if takes_values { "at least one value" } else { "no values" };
            return Err(SelectorError(format!("the operator {} of {key} takes {needs}", object.operator)));
        }
        parse::check_key(key)?;
        values.iter().try_for_each(|value| parse::check_value(value))?;
        let mut values = values.clone();
        values.sort();
        Ok(Self { key: key.clone(), operator, values })
    }

    fn matches(&self, label: Option<&String>) -> bool {
        let is_one_of = |label: &String| self.values.contains(label);
        let bound = || self.values.first().and_then(|value| value.parse::<i64>().ok());
        match (self.operator, label) {
            (Operator::Equals | Operator::DoubleEquals | Operator::In, label) => label.is_some_and(is_one_of),
            (Operator::NotEquals | Operator::NotIn, label) => !label.is_some_and(is_one_of),
            (Operator::Exists, label) => label.is_some(),
            (Operator::DoesNotExist, label) => label.is_none(),
            (Operator::GreaterThan | Operator::LessThan, None) => false,
            (Operator::GreaterThan, Some(label)) => {
                label.parse().ok() > bound() && label.parse::<i64>().is_ok()
            }
            (Operator::LessThan, Some(label)) => label.parse::<i64>().is_ok() && label.parse().ok() < bound(),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, operator, values } = self;
        let values = values.join(",");
        match operator {
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> BTreeMap<String, String> {
        text.split(',').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect()
    }

    /// The printed form, what it selects and what it does not.
    fn check(text: &str, printed: &str, selected: &str, others: &str) {
        let selector: Selector = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(selector.to_string(), printed, "{text}");
        assert!(selector.matches(&labels(selected)), "{text} selects {selected}");
        assert!(!selector.matches(&labels(others)), "{text} does not select {others}");
    }

    #[test]
    fn reads_prints_and_matches() {
        check("app=web", "app=web", "app=web,x=y", "app=worker");
        check("b=2 , a==1", "a==1,b=2", "a=1,b=2", "a=1");
        check("app!=web", "app!=web", "x=y", "app=web");
        check("app in (web, api)", "app in (api,web)", "app=api", "x=y");
        check("app notin (web)", "app notin (web)", "x=y", "app=web");
        check("app", "app", "app=", "x=y");
        check("!app", "!app", "x=y", "app=web");
        check("n>3", "n>3", "n=4", "n=3");
        check("n<3", "n<3", "n=2", "n=x");
        check("app=", "app=", "app=", "app=web");
        check("example.com/role=a", "example.com/role=a", "example.com/role=a", "role=a");
        assert!("".parse::<Selector>().unwrap().matches(&labels("")));
    }

    #[test]
    fn refuses() {
        for text in [
            "app=web,",
            "=web",
            "app in web",
            "app in (",
            "app in ()x",
            "a b",
            "app=we b",
            "n>x",
            "a=-",
            "-a",
            "a/b/c",
            "a=$",
            "!",
        ] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
        assert!("a".repeat(MAX_SELECTOR_BYTES + 1).parse::<Selector>().is_err());
    }

    #[test]
    fn a_scale_says_less() {
        let check = |text: &str, want: Result<Option<&str>, ()>| {
            let got = Selector::of_scale(text).map(|selector| selector.map(|selector| selector.to_string()));
            assert_eq!(got.as_ref().map(Option::as_deref).map_err(|_| ()), want, "{text}");
        };
        check("", Ok(None));
        check(" ", Ok(None));
        check("b==1,a=2", Ok(Some("a=2,b=1")));
        check("a=1,a==2", Ok(Some("a=2")));
        check("a=1,a in (1,2)", Ok(Some("a=1,a in (1,2)")));
        check("!b,a notin (x)", Ok(Some("a notin (x),!b")));
        for refused in ["a!=1", "a>1", "a<1", "a in b", "a=1,"] {
            check(refused, Err(()));
        }
    }

    #[test]
    fn reads_objects() {
        let read = |json: &str| Selector::from_object(Some(&serde_json::from_str(json).unwrap()));
        let text = |json: &str| read(json).map(|selector| selector.to_string());
        assert_eq!(text("{}").as_deref(), Ok(""));
        assert_eq!(text(r#"{"matchLabels":{"b":"2","a":"1"}}"#).as_deref(), Ok("a=1,b=2"));
        assert_eq!(
            text(r#"{"matchExpressions":[{"key":"v","operator":"In","values":["2","1"]},{"key":"a","operator":"Exists"}]}"#).as_deref(),
            Ok("a,v in (1,2)")
        );
        assert_eq!(
            text(r#"{"matchExpressions":[{"key":"v","operator":"NotIn","values":["1"]},{"key":"a","operator":"DoesNotExist"}]}"#).as_deref(),
            Ok("!a,v notin (1)")
        );
        for wrong in [
            r#"{"matchExpressions":[{"key":"v","operator":"Is","values":["1"]}]}"#,
            r#"{"matchExpressions":[{"key":"v","operator":"In"}]}"#,
            r#"{"matchExpressions":[{"key":"v","operator":"Exists","values":["1"]}]}"#,
            r#"{"matchLabels":{"v":"not a value"}}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
