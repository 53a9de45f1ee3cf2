//! Trees to values.
//!
//! An expression is evaluated at one instant at a time; a range query and a subquery are instants one after another. Every
//! selector's series are loaded once, before the first instant, for all instants together. Whatever is loaded, read or made
//! is charged against [`crate::Bounds::samples`], every node at every instant at least once, so that no expression takes
//! more time than that allows.

mod aggregate;
mod binary;
mod call;
pub(crate) mod date;
mod histogram;
pub(crate) mod math;
mod order;
pub(crate) mod over_time;
mod quantile;
pub(crate) mod rate;
mod relabel;
mod select;
mod sum;
pub(crate) mod trend;
pub(crate) mod window;

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use regex::Regex;

use crate::{
    EvalError, EvalErrorKind, Expr, ExprKind, Full, Labels, Notice, Point, Query, Request, Series, Severity,
    Sink, Source, Type, Value,
    notice::Notices,
    reach::{self, Instants},
};

/// An evaluation under way.
pub(crate) struct Evaluator<'q> {
    query: &'q Query,
    instants: Instants,
    /// The series of each selector, in the selectors' order.
    loaded: Rc<[Vec<Series>]>,
    samples_left: usize,
    /// The regular expressions of `label_replace`, by where they stand: compiled once and not at every step.
    regexes: HashMap<usize, Regex>,
    notices: Notices,
}

// === impl Evaluator ===

impl<'q> Evaluator<'q> {
    /// Loads what the expression's selectors mean.
    pub(crate) fn new(query: &'q Query, source: &impl Source, instants: Instants) -> Result<Self, EvalError> {
        let mut evaluator = Self {
            query,
            instants,
            loaded: Rc::from([]),
            samples_left: query.config().bounds.samples,
            regexes: HashMap::new(),
            notices: Notices::default(),
        };
        let windows = reach::windows(query.expr(), query.selectors(), instants, query.config());
        let mut loaded = vec![Vec::new(); query.selectors()];
        for (selector, expr) in reach::selectors(query.expr()) {
            let Some((from_ms, to_ms)) = windows.get(selector.id).copied() else { continue };
            let request = Request { matchers: &selector.matchers, from_ms, to_ms };
            let mut sink = Sink::new(&request, query.config().bounds.series, evaluator.samples_left);
            source.select(&request, &mut sink).map_err(|full| match full {
                Full::Series => evaluator.too_many_series(expr),
                Full::Samples => evaluator.too_many_samples(expr),
            })?;
            let (series, samples_left) = sink.finish();
            evaluator.samples_left = samples_left;
            if let Some(place) = loaded.get_mut(selector.id) {
                *place = series;
            }
        }
        evaluator.loaded = loaded.into();
        Ok(evaluator)
    }

    /// The expression's value at an instant.
    pub(crate) fn value(&mut self, t_ms: i64) -> Result<Value, EvalError> {
        let expr = self.query.expr();
        Ok(match expr.value_type() {
            Type::Scalar => Value::Scalar(self.scalar(expr, t_ms)?),
            Type::Vector => Value::Vector(self.vector(expr, t_ms)?),
            Type::Matrix => Value::Matrix(self.matrix(expr, t_ms)?),
            Type::Text => Value::Text(text(expr).to_owned()),
        })
    }

    /// What is worth saying about the values so far.
    pub(crate) fn notices(self) -> Vec<Notice> {
        self.notices.into_vec()
    }

    /// The elements of a vector.
    fn vector(&mut self, expr: &Expr, t_ms: i64) -> Result<Vec<Point>, EvalError> {
        let points = match &expr.kind {
            ExprKind::Selector(selector) => self.select(selector, expr, t_ms)?,
            ExprKind::Paren(inner) => return self.vector(inner, t_ms),
            ExprKind::Unary { negates: false, operand } => return self.vector(operand, t_ms),
            ExprKind::Unary { operand, .. } => {
                let points = self.vector(operand, t_ms)?;
                self.unique(
                    points.into_iter().map(|point| without_name(-point.value, point)).collect(),
                    expr,
                )?
            }
            ExprKind::Binary(binary) => self.binary(binary, expr, t_ms)?,
            ExprKind::Aggregation(aggregation) => self.aggregate(aggregation, expr, t_ms)?,
            ExprKind::Call { function, arguments } => self.call(function, arguments, expr, t_ms)?,
            // The parser let no other kind stand where a vector is wanted.
            ExprKind::Number(_) | ExprKind::Text(_) | ExprKind::Range { .. } | ExprKind::Subquery { .. } => {
                Vec::new()
            }
        };
        self.charge(1 + points.len(), expr)?;
        self.check_series(points.len(), expr)?;
        Ok(points)
    }

    /// A number without labels.
    fn scalar(&mut self, expr: &Expr, t_ms: i64) -> Result<f64, EvalError> {
        self.charge(1, expr)?;
        match &expr.kind {
            ExprKind::Number(number) => Ok(number.0),
            ExprKind::Paren(inner) | ExprKind::Unary { negates: false, operand: inner } => {
                self.scalar(inner, t_ms)
            }
            ExprKind::Unary { operand, .. } => Ok(-self.scalar(operand, t_ms)?),
            ExprKind::Binary(binary) => {
                let lhs = self.scalar(&binary.lhs, t_ms)?;
                let rhs = self.scalar(&binary.rhs, t_ms)?;
                Ok(binary::scalars(binary.op, lhs, rhs))
            }
            ExprKind::Call { function, arguments } => self.scalar_call(function, arguments, t_ms),
            // The parser let no other kind stand where a scalar is wanted.
            _ => Ok(f64::NAN),
        }
    }

    /// Refuses results of which several have the same labels.
    fn unique(&self, points: Vec<Point>, expr: &Expr) -> Result<Vec<Point>, EvalError> {
        let mut seen = HashSet::with_capacity(points.len());
        match points.iter().find(|point| !seen.insert(&point.labels)) {
            None => Ok(points),
            Some(point) => {
                let message = format!(
                    "several results have the same labels {}; narrow the selector, or tell them apart by aggregating",
                    point.labels
                );
                Err(self.query.error(expr.span, EvalErrorKind::Series, message))
            }
        }
    }

    fn charge(&mut self, samples: usize, expr: &Expr) -> Result<(), EvalError> {
        match self.samples_left.checked_sub(samples) {
            Some(left) => {
                self.samples_left = left;
                Ok(())
            }
            None => Err(self.too_many_samples(expr)),
        }
    }

    pub(crate) fn check_series(&self, series: usize, expr: &Expr) -> Result<(), EvalError> {
        if series > self.query.config().bounds.series { Err(self.too_many_series(expr)) } else { Ok(()) }
    }

    fn too_many_samples(&self, expr: &Expr) -> EvalError {
        let limit = self.query.config().bounds.samples;
        let message = format!(
            "the evaluation would touch more than {limit} samples; select fewer series, or make ranges shorter or steps longer"
        );
        self.query.error(expr.span, EvalErrorKind::Bound, message)
    }

    fn too_many_series(&self, expr: &Expr) -> EvalError {
        let limit = self.query.config().bounds.series;
        let message = format!("more than {limit} series; select fewer by name and labels, or aggregate them");
        self.query.error(expr.span, EvalErrorKind::Bound, message)
    }

    fn notice(&mut self, severity: Severity, expr: &Expr, message: String) {
        let position = self.query.position(expr.span);
        self.notices.add(Notice { severity, span: expr.span, position, message });
    }

    /// Says so when a quantile is none.
    fn check_quantile(&mut self, quantile: f64, expr: &Expr) {
        if !(0.0..=1.0).contains(&quantile) {
            let message =
                format!("quantile value should be between 0 and 1, got {}", crate::number::plain(quantile));
            self.notice(Severity::Warning, expr, message);
        }
    }
}

/// The text that an expression is; the parser let nothing else stand where text is wanted.
fn text(expr: &Expr) -> &str {
    match &expr.unparenthesized().kind {
        ExprKind::Text(text) => text,
        _ => "",
    }
}

/// The same element with another value and without the metric's name, which it no longer deserves.
fn without_name(value: f64, point: Point) -> Point {
    Point { labels: point.labels.without_name(), value, ..point }
}

/// An element that no series went into.
fn made(labels: Labels, value: f64, t_ms: i64) -> Point {
    Point { labels, value, sampled_ms: t_ms }
}
