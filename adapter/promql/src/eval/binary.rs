//! Binary operators: numbers with numbers, vectors with numbers, vectors with vectors.

use std::collections::{HashMap, HashSet};

use super::{Evaluator, without_name};
use crate::{
    Binary, BinaryOp, Cardinality, Dialect, EvalError, EvalErrorKind, Expr, Labels, METRIC_NAME, Matching,
    Point, Type,
};

/// What the operator makes of two numbers; comparisons give 1 and 0.
pub(super) fn scalars(op: BinaryOp, lhs: f64, rhs: f64) -> f64 {
    match compare(op, lhs, rhs) {
        Some(holds) => f64::from(u8::from(holds)),
        None => compute(op, lhs, rhs),
    }
}

impl Evaluator<'_> {
    /// An operator of which at least one side is a vector.
    pub(super) fn binary(
        &mut self,
        binary: &Binary,
        expr: &Expr,
        t_ms: i64,
    ) -> Result<Vec<Point>, EvalError> {
        let points = match (binary.lhs.value_type(), binary.rhs.value_type()) {
            (Type::Scalar, _) => {
                let number = self.scalar(&binary.lhs, t_ms)?;
                let points = self.vector(&binary.rhs, t_ms)?;
                with_scalar(binary, points, |value| (number, value))
            }
            (_, Type::Scalar) => {
                let points = self.vector(&binary.lhs, t_ms)?;
                let number = self.scalar(&binary.rhs, t_ms)?;
                with_scalar(binary, points, |value| (value, number))
            }
            _ => {
                let lhs = self.vector(&binary.lhs, t_ms)?;
                let rhs = self.vector(&binary.rhs, t_ms)?;
                if binary.op.is_set() { set(binary, lhs, rhs) } else { self.matched(binary, lhs, rhs, expr)? }
            }
        };
        self.unique(points, expr)
    }

    /// Elements that meet by their labels.
    fn matched(
        &mut self,
        binary: &Binary,
        lhs: Vec<Point>,
        rhs: Vec<Point>,
        expr: &Expr,
    ) -> Result<Vec<Point>, EvalError> {
        let dialect = self.query.config().dialect;
        let matching = &binary.matching;
        let swapped = matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
        if many.is_empty() || one.is_empty() {
            return Ok(Vec::new());
        }
        let mut ones: HashMap<Labels, Point> = HashMap::with_capacity(one.len());
        for point in one {
            let key = key(matching, &point.labels);
            if let Some(other) = ones.insert(key.clone(), point.clone()) {
                let side = if swapped { "left" } else { "right" };
                let (mut a, mut b) = (other.labels.to_string(), point.labels.to_string());
                if a > b {
                    std::mem::swap(&mut a, &mut b);
                }
                let message = format!(
                    "several series on the {side} side match {key}: {a} and {b}; add labels to on (...), or aggregate that side \
                     so that one is left"
                );
                return Err(self.query.error(expr.span, EvalErrorKind::Series, message));
            }
        }
        let one_to_one = matching.cardinality == Cardinality::OneToOne;
        let mut met: HashSet<Labels> = HashSet::new();
        let mut points = Vec::new();
        for point in many {
            let key = key(matching, &point.labels);
            let Some(other) = ones.get(&key) else { continue };
            let (left, right) = if swapped { (other.value, point.value) } else { (point.value, other.value) };
            let labels = result_labels(binary, &point.labels, &other.labels);
            let value = result(binary, left, right, left);
            if value.is_none() && dialect == Dialect::Prometheus2 {
                continue;
            }
            // One of each side must not meet twice, even where a comparison then drops the result: since version 3.
            if !met.insert(if one_to_one { key } else { labels.clone() }) {
                let message = if one_to_one {
                    format!(
                        "several series on the left side match one on the right: {} is one of them; write group_left, or \
                         group_right if it is meant the other way round",
                        point.labels
                    )
                } else {
                    format!(
                        "several results have the same labels {labels}; name labels in group_... that tell them apart"
                    )
                };
                return Err(self.query.error(expr.span, EvalErrorKind::Series, message));
            }
            let sampled_ms = point.sampled_ms.min(other.sampled_ms);
            if let Some(value) = value {
                points.push(Point { labels, value, sampled_ms });
            }
        }
        Ok(points)
    }
}

/// What the operator makes of two numbers; `None` for one that a comparison drops. A comparison keeps `kept`.
fn result(binary: &Binary, lhs: f64, rhs: f64, kept: f64) -> Option<f64> {
    match compare(binary.op, lhs, rhs) {
        None => Some(compute(binary.op, lhs, rhs)),
        Some(holds) if binary.returns_bool => Some(f64::from(u8::from(holds))),
        Some(holds) => holds.then_some(kept),
    }
}

/// Whether a comparison holds; `None` for an operator that compares nothing.
fn compare(op: BinaryOp, lhs: f64, rhs: f64) -> Option<bool> {
    Some(match op {
        BinaryOp::Equal => lhs == rhs,
        BinaryOp::NotEqual => lhs != rhs,
        BinaryOp::LessOrEqual => lhs <= rhs,
        BinaryOp::Less => lhs < rhs,
        BinaryOp::GreaterOrEqual => lhs >= rhs,
        BinaryOp::Greater => lhs > rhs,
        _ => return None,
    })
}

fn compute(op: BinaryOp, lhs: f64, rhs: f64) -> f64 {
    match op {
        BinaryOp::Add => lhs + rhs,
        BinaryOp::Subtract => lhs - rhs,
        BinaryOp::Multiply => lhs * rhs,
        BinaryOp::Divide => lhs / rhs,
        BinaryOp::Modulo => lhs % rhs,
        BinaryOp::Atan2 => lhs.atan2(rhs),
        BinaryOp::Power => lhs.powf(rhs),
        // Comparisons and set operators compute nothing.
        _ => f64::NAN,
    }
}

/// A vector with a number on one of its sides; `sides` puts an element's value and the number where they belong.
fn with_scalar(binary: &Binary, points: Vec<Point>, sides: impl Fn(f64) -> (f64, f64)) -> Vec<Point> {
    let drops_name = !binary.op.is_comparison() || binary.returns_bool;
    let point = |point: Point| {
        let (lhs, rhs) = sides(point.value);
        let value = result(binary, lhs, rhs, point.value)?;
        Some(if drops_name { without_name(value, point) } else { point })
    };
    points.into_iter().filter_map(point).collect()
}

/// Elements by whether the other side has some that they match.
fn set(binary: &Binary, lhs: Vec<Point>, rhs: Vec<Point>) -> Vec<Point> {
    let keys = |points: &[Point]| -> HashSet<Labels> {
        points.iter().map(|point| key(&binary.matching, &point.labels)).collect()
    };
    let matches =
        |keys: &HashSet<Labels>, point: &Point| keys.contains(&key(&binary.matching, &point.labels));
    match binary.op {
        BinaryOp::Or => {
            let left = keys(&lhs);
            let more = rhs.into_iter().filter(|point| !matches(&left, point));
            lhs.into_iter().chain(more).collect()
        }
        op => {
            let right = keys(&rhs);
            let wanted = op == BinaryOp::And;
            lhs.into_iter().filter(|point| matches(&right, point) == wanted).collect()
        }
    }
}

/// The labels by which elements meet.
fn key(matching: &Matching, labels: &Labels) -> Labels {
    let named = |name: &str| matching.labels.iter().any(|label| **label == *name);
    if matching.on {
        labels.without(|name| !named(name))
    } else {
        labels.without(|name| name == METRIC_NAME || named(name))
    }
}

/// What the result of two elements is called.
fn result_labels(binary: &Binary, many: &Labels, one: &Labels) -> Labels {
    let matching = &binary.matching;
    let mut labels =
        if !binary.op.is_comparison() || binary.returns_bool { many.without_name() } else { many.clone() };
    if matching.cardinality == Cardinality::OneToOne {
        let named = |name: &str| matching.labels.iter().any(|label| **label == *name);
        labels = labels.without(|name| named(name) != matching.on);
    }
    for name in &matching.include {
        labels = labels.with(name, one.get(name));
    }
    labels
}
