//! Labels made from labels.

use std::sync::Arc;

use super::{Evaluator, text};
use crate::{EvalError, EvalErrorKind, Expr, Point, matcher};

impl Evaluator<'_> {
    /// `label_replace(v, to, template, from, pattern)`
    pub(super) fn label_replace(
        &mut self,
        arguments: &[Expr],
        expr: &Expr,
        t_ms: i64,
    ) -> Result<Vec<Point>, EvalError> {
        let [vector, to, template, from, pattern] = arguments else { return Ok(Vec::new()) };
        let points = self.vector(vector, t_ms)?;
        let bounds = &self.query.config().bounds;
        let regex = match self.regexes.get(&pattern.span.start) {
            Some(regex) => regex.clone(),
            None => {
                let regex = matcher::compile(text(pattern), bounds, self.query.config().dialect).map_err(
                    |error| {
                        // The parser compiled it already.
                        let message = format!("not a regular expression: {}", error.0);
                        self.query.error(pattern.span, EvalErrorKind::Argument, message)
                    },
                )?;
                self.regexes.insert(pattern.span.start, regex.clone());
                regex
            }
        };
        let to: Arc<str> = Arc::from(text(to));
        let limit = bounds.label_value_bytes;
        let mut replaced = Vec::with_capacity(points.len());
        for mut point in points {
            let value = point.labels.get(text(from));
            if let Some(captures) = regex.captures(value) {
                let new = matcher::expand(&captures, text(template), limit)
                    .ok_or_else(|| self.too_long("label_replace", limit, expr))?;
                point.labels = point.labels.with(&to, &new);
            }
            replaced.push(point);
        }
        self.unique(replaced, expr)
    }

    /// `label_join(v, to, separator, from, ...)`
    pub(super) fn label_join(
        &mut self,
        arguments: &[Expr],
        expr: &Expr,
        t_ms: i64,
    ) -> Result<Vec<Point>, EvalError> {
        let [vector, to, separator, from @ ..] = arguments else { return Ok(Vec::new()) };
        let to: Arc<str> = Arc::from(text(to));
        let limit = self.query.config().bounds.label_value_bytes;
        let mut joined = Vec::new();
        for mut point in self.vector(vector, t_ms)? {
            // Long lists of labels cost time for every element.
            self.charge(from.len(), expr)?;
            let mut value = String::new();
            for (index, name) in from.iter().enumerate() {
                if index > 0 {
                    value.push_str(text(separator));
                }
                value.push_str(point.labels.get(text(name)));
                if value.len() > limit {
                    return Err(self.too_long("label_join", limit, expr));
                }
            }
            point.labels = point.labels.with(&to, &value);
            joined.push(point);
        }
        self.unique(joined, expr)
    }

    fn too_long(&self, function: &str, limit: usize, expr: &Expr) -> EvalError {
        let message =
            format!("{function} would make a label value of more than {limit} bytes; join or repeat less");
        self.query.error(expr.span, EvalErrorKind::Bound, message)
    }
}
