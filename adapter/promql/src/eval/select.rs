//! Selectors, ranges and subqueries at an instant.

use std::{borrow::Cow, rc::Rc};

use super::{Evaluator, window::Window};
use crate::{
    Dialect, EvalError, EvalErrorKind, Expr, ExprKind, Labels, Point, Sample, Selector, Series, Shift,
    is_stale, query::Collected,
};

impl Evaluator<'_> {
    /// Each series' newest sample that is not older than the look-back, unless it says that the series ended.
    pub(super) fn select(
        &mut self,
        selector: &Selector,
        expr: &Expr,
        t_ms: i64,
    ) -> Result<Vec<Point>, EvalError> {
        let t_ms = self.moved(selector.shift, t_ms);
        let oldest = t_ms.saturating_sub(self.query.config().lookback_ms());
        let loaded = Rc::clone(&self.loaded);
        let series = loaded.get(selector.id).map(Vec::as_slice).unwrap_or_default();
        // A series without an answer costs time all the same.
        self.charge(series.len(), expr)?;
        let mut points = Vec::with_capacity(series.len());
        for Series { labels, samples } in series {
            let behind = samples.partition_point(|sample| sample.t_ms <= t_ms);
            let newest = behind.checked_sub(1).and_then(|at| samples.get(at));
            let Some(sample) = newest.filter(|sample| self.begins_before(oldest, sample.t_ms)) else {
                continue;
            };
            if !is_stale(sample.value) {
                points.push(Point { labels: labels.clone(), value: sample.value, sampled_ms: sample.t_ms });
            }
        }
        Ok(points)
    }

    /// All samples of a range or a subquery, as a value of their own.
    pub(super) fn matrix(&mut self, expr: &Expr, t_ms: i64) -> Result<Vec<Series>, EvalError> {
        let mut matrix = Vec::new();
        self.each_window(expr, t_ms, &mut |_, labels, window| {
            matrix.push(Series { labels: labels.clone(), samples: window.samples.to_vec() });
            Ok(())
        })?;
        Ok(matrix)
    }

    /// Shows `visit` each series that has samples in a range or a subquery.
    pub(super) fn each_window(
        &mut self,
        expr: &Expr,
        t_ms: i64,
        visit: &mut dyn FnMut(&mut Self, &Labels, Window<'_>) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let dialect = self.query.config().dialect;
        match &expr.kind {
            ExprKind::Paren(inner) => self.each_window(inner, t_ms, visit),
            ExprKind::Range { selector, range_ms } => {
                let end_ms = self.moved(selector.shift, t_ms);
                let start_ms = end_ms.saturating_sub(*range_ms);
                let loaded = Rc::clone(&self.loaded);
                for Series { labels, samples } in
                    loaded.get(selector.id).map(Vec::as_slice).unwrap_or_default()
                {
                    let from = samples.partition_point(|sample| !self.begins_before(start_ms, sample.t_ms));
                    let to = samples.partition_point(|sample| sample.t_ms <= end_ms);
                    let samples = samples.get(from..to).unwrap_or_default();
                    self.charge(1 + samples.len(), expr)?;
                    let samples = without_markers(samples);
                    if !samples.is_empty() {
                        visit(self, labels, Window { samples: &samples, start_ms, end_ms, dialect })?;
                    }
                }
                Ok(())
            }
            ExprKind::Subquery { operand, range_ms, step_ms, shift } => {
                let end_ms = self.moved(*shift, t_ms);
                let start_ms = end_ms.saturating_sub(*range_ms);
                let step_ms = step_ms.unwrap_or(self.query.config().subquery_step_ms());
                let series = self.steps(operand, start_ms, end_ms, step_ms, expr)?;
                for Series { labels, samples } in &series {
                    visit(self, labels, Window { samples, start_ms, end_ms, dialect })?;
                }
                Ok(())
            }
            // The parser let no other kind stand where a range vector is wanted.
            _ => Ok(()),
        }
    }

    /// A subquery's operand at each step of its window. Steps are multiples of their length, wherever the window begins.
    fn steps(
        &mut self,
        operand: &Expr,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        expr: &Expr,
    ) -> Result<Vec<Series>, EvalError> {
        let mut t_ms = start_ms.div_euclid(step_ms).saturating_mul(step_ms);
        if !self.begins_before(start_ms, t_ms) {
            t_ms = t_ms.saturating_add(step_ms);
        }
        if t_ms > end_ms {
            return Ok(Vec::new());
        }
        let steps = end_ms.saturating_sub(t_ms) / step_ms;
        let limit = self.query.config().bounds.steps;
        if usize::try_from(steps).is_ok_and(|steps| steps >= limit) {
            let message = format!(
                "the subquery has more than {limit} steps; make its step longer or its range shorter"
            );
            return Err(self.query.error(expr.span, EvalErrorKind::Bound, message));
        }
        let mut collected = Collected::default();
        for t_ms in (0..=steps).map(|step| t_ms.saturating_add(step.saturating_mul(step_ms))) {
            for point in self.vector(operand, t_ms)? {
                collected.push(point.labels, Sample { t_ms, value: point.value });
            }
            self.check_series(collected.series.len(), expr)?;
        }
        Ok(collected.series)
    }

    /// The instant at which a selector or a subquery looks.
    fn moved(&self, shift: Shift, t_ms: i64) -> i64 {
        shift.at.map_or(t_ms, |at| self.instants.resolve(at)).saturating_sub(shift.offset_ms)
    }

    /// Whether a window that begins at `start_ms` has begun at `t_ms`.
    fn begins_before(&self, start_ms: i64, t_ms: i64) -> bool {
        match self.query.config().dialect {
            Dialect::Prometheus3 => start_ms < t_ms,
            Dialect::Prometheus2 => start_ms <= t_ms,
        }
    }
}

fn without_markers(samples: &[Sample]) -> Cow<'_, [Sample]> {
    if samples.iter().any(|sample| is_stale(sample.value)) {
        Cow::Owned(samples.iter().filter(|sample| !is_stale(sample.value)).copied().collect())
    } else {
        Cow::Borrowed(samples)
    }
}
