//! A tree as text, in one way only. What is written reads back as the same tree.

use std::{fmt, sync::Arc};

use super::{Aggregation, At, Binary, Cardinality, Expr, ExprKind, Matcher, Selector, Shift};
use crate::{
    AggregateOp,
    duration::format_duration,
    labels::{METRIC_NAME, is_label_name, is_metric_name},
    number::format_number,
    text::quote,
};

/// Words that mean something, so that a metric which is called so is written between quotes.
const WORDS: [&str; 16] = [
    "or",
    "and",
    "unless",
    "atan2",
    "bool",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "by",
    "without",
    "offset",
    "start",
    "end",
    "inf",
    "nan",
];

/// Whether a name means something else where a metric's name could stand.
fn is_reserved(name: &str) -> bool {
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(name)) || AggregateOp::from_name(name).is_some()
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(number) => f.write_str(&format_number(number.0)),
            ExprKind::Text(text) => f.write_str(&quote(text)),
            ExprKind::Selector(selector) => write!(f, "{selector}{}", selector.shift),
            ExprKind::Range { selector, range_ms } => {
                write!(f, "{selector}[{}]{}", format_duration(*range_ms), selector.shift)
            }
            ExprKind::Subquery { operand, range_ms, step_ms, shift } => {
                let step = step_ms.map(format_duration).unwrap_or_default();
                write!(f, "{operand}[{}:{step}]{shift}", format_duration(*range_ms))
            }
            ExprKind::Unary { negates, operand } => {
                write!(f, "{}{operand}", if *negates { "-" } else { "+" })
            }
            ExprKind::Binary(binary) => binary.fmt(f),
            ExprKind::Aggregation(aggregation) => aggregation.fmt(f),
            ExprKind::Call { function, arguments } => {
                write!(f, "{}(", function.name)?;
                for (index, argument) in arguments.iter().enumerate() {
                    write!(f, "{}{argument}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
            ExprKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

impl fmt::Display for Selector {
    /// Name and matchers, without offset and `@`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain_name = |matcher: &Matcher| {
            matcher.exact_metric_name().is_some_and(|name| is_metric_name(name) && !is_reserved(name))
        };
        // A name before the braces excludes a second condition on it inside them.
        let names = self.matchers.iter().filter(|matcher| matcher.name() == METRIC_NAME).count();
        let outside = self.matchers.first().filter(|matcher| names == 1 && plain_name(matcher));
        let inside: Vec<String> =
            self.matchers.iter().skip(usize::from(outside.is_some())).map(Matcher::to_string).collect();
        if let Some(matcher) = outside {
            f.write_str(matcher.value())?;
        }
        if outside.is_none() || !inside.is_empty() { write!(f, "{{{}}}", inside.join(", ")) } else { Ok(()) }
    }
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            None => {}
            Some(At::Start) => f.write_str(" @ start()")?,
            Some(At::End) => f.write_str(" @ end()")?,
            Some(At::Time(ms)) => {
                write!(
                    f,
                    " @ {}{}.{:03}",
                    if ms < 0 { "-" } else { "" },
                    ms.unsigned_abs() / 1_000,
                    ms.unsigned_abs() % 1_000
                )?;
            }
        }
        if self.offset_ms == 0 { Ok(()) } else { write!(f, " offset {}", format_duration(self.offset_ms)) }
    }
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.lhs, self.op.sign())?;
        if self.returns_bool {
            f.write_str(" bool")?;
        }
        let matching = &self.matching;
        if matching.on || !matching.labels.is_empty() || matching.cardinality != Cardinality::OneToOne {
            write!(f, " {} ({})", if matching.on { "on" } else { "ignoring" }, names(&matching.labels))?;
        }
        match matching.cardinality {
            Cardinality::OneToOne => {}
            Cardinality::ManyToOne => write!(f, " group_left ({})", names(&matching.include))?,
            Cardinality::OneToMany => write!(f, " group_right ({})", names(&matching.include))?,
        }
        write!(f, " {}", self.rhs)
    }
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.name())?;
        if self.without || !self.labels.is_empty() {
            write!(f, " {} ({}) ", if self.without { "without" } else { "by" }, names(&self.labels))?;
        }
        match &self.parameter {
            Some(parameter) => write!(f, "({parameter}, {})", self.operand),
            None => write!(f, "({})", self.operand),
        }
    }
}

fn names(labels: &[Arc<str>]) -> String {
    let names: Vec<String> =
        labels.iter().map(|name| if is_label_name(name) { name.to_string() } else { quote(name) }).collect();
    names.join(", ")
}
