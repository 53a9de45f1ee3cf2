//! An expression that was read, ready to be asked.

use std::collections::HashMap;

use crate::{
    Config, EvalError, EvalErrorKind, Expr, Labels, Notice, ParseError, Position, Reach, Sample, Series,
    Source, Span, Type, Value,
    eval::Evaluator,
    parser,
    reach::{self, Instants},
};

/// An expression that was read and checked.
#[derive(Clone, Debug)]
pub struct Query {
    text: String,
    expr: Expr,
    selectors: usize,
    config: Config,
}

/// What an evaluation gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// What is worth saying about it, in order of severity and place.
    pub notices: Vec<Notice>,
}

// === impl Query ===

impl Query {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`ParseError`] with its place: what is no PromQL, what is outside the supported set (by its name), and what is
    /// past a bound of `config`.
    pub fn parse(text: &str, config: &Config) -> Result<Self, ParseError> {
        let (expr, selectors) = parser::parse(text, config)?;
        Ok(Self { text: text.to_owned(), expr, selectors, config: config.clone() })
    }

    /// The expression as a tree. Its `Display` writes it in one way only.
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// The text that was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it is evaluated to.
    pub fn value_type(&self) -> Type {
        self.expr.value_type()
    }

    /// How far back each selector looks, in the order in which they stand. What a store must keep so that the expression
    /// can be answered at the present instant.
    pub fn required_retention(&self) -> Vec<Reach> {
        reach::reaches(&self.expr, &self.config)
    }

    /// Evaluates the expression at one instant, in milliseconds since the epoch.
    ///
    /// # Errors
    /// [`EvalError`]: a bound was reached, or the series do not fit the expression.
    pub fn instant(&self, source: &impl Source, at_ms: i64) -> Result<Answer, EvalError> {
        let mut evaluator = Evaluator::new(self, source, Instants { first_ms: at_ms, last_ms: at_ms })?;
        let value = evaluator.value(at_ms)?;
        Ok(Answer { value, notices: evaluator.notices() })
    }

    /// Evaluates the expression at each step from `start_ms` to `end_ms`, both included, in milliseconds since the epoch.
    /// The answer is a [`Value::Matrix`], its series in order of their labels.
    ///
    /// # Errors
    /// [`EvalError`]: there are too many steps or none, the expression is of a type that has no steps, a bound was reached,
    /// or the series do not fit the expression.
    pub fn range(
        &self,
        source: &impl Source,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<Answer, EvalError> {
        if step_ms <= 0 || end_ms < start_ms {
            let message =
                "a range query needs a step longer than 0 and an end that is not before its start".to_owned();
            return Err(self.error(self.expr.span, EvalErrorKind::Argument, message));
        }
        if !matches!(self.value_type(), Type::Scalar | Type::Vector) {
            let message = format!(
                "a range query takes a scalar or an instant vector, not a {}",
                self.value_type().name()
            );
            return Err(self.error(self.expr.span, EvalErrorKind::Argument, message));
        }
        let steps = end_ms.saturating_sub(start_ms) / step_ms;
        let limit = self.config.bounds.steps;
        if usize::try_from(steps).map_or(true, |steps| steps >= limit) {
            let message =
                format!("the query has more than {limit} steps; make the step longer or the range shorter");
            return Err(self.error(self.expr.span, EvalErrorKind::Bound, message));
        }
        let mut evaluator = Evaluator::new(self, source, Instants { first_ms: start_ms, last_ms: end_ms })?;
        let mut collected = Collected::default();
        for step in 0..=steps {
            let t_ms = start_ms.saturating_add(step.saturating_mul(step_ms));
            match evaluator.value(t_ms)? {
                Value::Scalar(value) => collected.push(Labels::empty(), Sample { t_ms, value }),
                Value::Vector(points) => {
                    for point in points {
                        collected.push(point.labels, Sample { t_ms, value: point.value });
                    }
                }
                Value::Text(_) | Value::Matrix(_) => {}
            }
            evaluator.check_series(collected.series.len(), &self.expr)?;
        }
        let mut series = collected.series;
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(Answer { value: Value::Matrix(series), notices: evaluator.notices() })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn selectors(&self) -> usize {
        self.selectors
    }

    pub(crate) fn position(&self, span: Span) -> Position {
        span.position(&self.text)
    }

    pub(crate) fn error(&self, span: Span, kind: EvalErrorKind, message: String) -> EvalError {
        EvalError { kind, span, position: self.position(span), message }
    }
}

/// Samples of series that come step by step.
#[derive(Default)]
pub(crate) struct Collected {
    places: HashMap<Labels, usize>,
    pub(crate) series: Vec<Series>,
}

// === impl Collected ===

impl Collected {
    pub(crate) fn push(&mut self, labels: Labels, sample: Sample) {
        match self.places.get(&labels).and_then(|place| self.series.get_mut(*place)) {
            Some(series) => series.samples.push(sample),
            None => {
                self.places.insert(labels.clone(), self.series.len());
                self.series.push(Series { labels, samples: vec![sample] });
            }
        }
    }
}
