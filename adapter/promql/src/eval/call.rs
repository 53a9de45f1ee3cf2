//! Calls of functions.

use super::{Evaluator, made, math, order, quantile, text, trend, window::Window, without_name};
use crate::{
    EvalError, Expr, ExprKind, Labels, METRIC_NAME, MatchOp, Point, Series, Severity,
    function::{Body, Function, Special},
};

impl Evaluator<'_> {
    /// A call that gives a vector.
    pub(super) fn call(
        &mut self,
        function: &Function,
        arguments: &[Expr],
        expr: &Expr,
        t_ms: i64,
    ) -> Result<Vec<Point>, EvalError> {
        let first = arguments.first();
        let special = match (function.body, first) {
            (Body::Special(special), _) => special,
            (Body::Map(body), Some(vector)) => return self.map(vector, expr, t_ms, body),
            (Body::Date(body), Some(vector)) => {
                return self.map(vector, expr, t_ms, |value| on_date(value, body));
            }
            (Body::Date(body), None) => {
                return Ok(vec![made(Labels::empty(), body(t_ms.div_euclid(1_000)), t_ms)]);
            }
            (Body::Window(body), Some(matrix)) => {
                if matches!(function.name, "rate" | "increase" | "irate") {
                    self.check_counter(matrix, function);
                }
                return self.over_windows(matrix, expr, t_ms, true, |window| body(&window));
            }
            // Only dates can be asked for without arguments.
            (Body::Map(_) | Body::Window(_), None) => return Ok(Vec::new()),
        };
        self.special(special, arguments, expr, t_ms)
    }

    /// A call that gives a number.
    pub(super) fn scalar_call(
        &mut self,
        function: &Function,
        arguments: &[Expr],
        t_ms: i64,
    ) -> Result<f64, EvalError> {
        Ok(match (function.body, arguments) {
            (Body::Special(Special::Pi), _) => std::f64::consts::PI,
            (Body::Special(Special::Time), _) => t_ms as f64 / 1_000.0,
            (Body::Special(Special::Scalar), [vector]) => match self.vector(vector, t_ms)?.as_slice() {
                [point] => point.value,
                _ => f64::NAN,
            },
            // No other function gives a scalar.
            _ => f64::NAN,
        })
    }

    fn special(
        &mut self,
        special: Special,
        arguments: &[Expr],
        expr: &Expr,
        t_ms: i64,
    ) -> Result<Vec<Point>, EvalError> {
        match (special, arguments) {
            (Special::Absent, [vector]) => {
                let found = !self.vector(vector, t_ms)?.is_empty();
                Ok(if found { Vec::new() } else { vec![made(absent_labels(vector), 1.0, t_ms)] })
            }
            (Special::AbsentOverTime, [matrix]) => {
                let mut found = false;
                self.each_window(matrix, t_ms, &mut |_, _, _| {
                    found = true;
                    Ok(())
                })?;
                Ok(if found { Vec::new() } else { vec![made(absent_labels(matrix), 1.0, t_ms)] })
            }
            (Special::Clamp, [vector, min, max]) => {
                let (min, max) = (self.scalar(min, t_ms)?, self.scalar(max, t_ms)?);
                let points = self.map(vector, expr, t_ms, |value| math::clamp(value, min, max))?;
                Ok(if max < min { Vec::new() } else { points })
            }
            (Special::ClampMax, [vector, max]) => {
                let max = self.scalar(max, t_ms)?;
                self.map(vector, expr, t_ms, |value| math::lesser(max, value))
            }
            (Special::ClampMin, [vector, min]) => {
                let min = self.scalar(min, t_ms)?;
                self.map(vector, expr, t_ms, |value| math::greater(min, value))
            }
            (Special::Round, [vector, to @ ..]) => {
                let to = match to {
                    [to] => self.scalar(to, t_ms)?,
                    _ => 1.0,
                };
                self.map(vector, expr, t_ms, |value| math::round(value, to))
            }
            (Special::Vector, [scalar]) => Ok(vec![made(Labels::empty(), self.scalar(scalar, t_ms)?, t_ms)]),
            (Special::Timestamp, [vector]) => self.timestamp(vector, expr, t_ms),
            (Special::LastOverTime, [matrix]) => self.over_windows(matrix, expr, t_ms, false, |window| {
                window.samples.last().map(|sample| sample.value)
            }),
            (Special::FirstOverTime, [matrix]) => self.over_windows(matrix, expr, t_ms, false, |window| {
                window.samples.first().map(|sample| sample.value)
            }),
            (Special::QuantileOverTime, [quantile, matrix]) => {
                let rank = self.scalar(quantile, t_ms)?;
                self.check_quantile(rank, quantile);
                self.over_windows(matrix, expr, t_ms, true, |window| {
                    Some(quantile::of(rank, window.values().collect()))
                })
            }
            (Special::PredictLinear, [matrix, ahead]) => {
                let ahead = self.scalar(ahead, t_ms)?;
                self.over_windows(matrix, expr, t_ms, true, |window| trend::predict(&window, t_ms, ahead))
            }
            (Special::HistogramQuantile, _) => self.histogram_quantile(arguments, expr, t_ms),
            (Special::NativeHistogram, [vector]) => {
                let points = self.vector(vector, t_ms)?;
                if !points.is_empty() {
                    let message = "this reads native histograms alone, and there are none; for a classic histogram x write \
                                   x_count, x_sum, or x_sum / x_count";
                    self.notice(Severity::Warning, expr, message.to_owned());
                }
                Ok(Vec::new())
            }
            (Special::LabelReplace, _) => self.label_replace(arguments, expr, t_ms),
            (Special::LabelJoin, _) => self.label_join(arguments, expr, t_ms),
            (Special::Sort, [vector]) => {
                self.sorted(vector, expr, t_ms, |a, b| order::ascending(a.value, b.value))
            }
            (Special::SortDesc, [vector]) => {
                self.sorted(vector, expr, t_ms, |a, b| order::descending(a.value, b.value))
            }
            (Special::SortByLabel, [vector, labels @ ..]) => {
                let names: Vec<&str> = labels.iter().map(text).collect();
                self.sorted(vector, expr, t_ms, |a, b| order::by_labels(a, b, &names))
            }
            (Special::SortByLabelDesc, [vector, labels @ ..]) => {
                let names: Vec<&str> = labels.iter().map(text).collect();
                self.sorted(vector, expr, t_ms, |a, b| order::by_labels(b, a, &names))
            }
            // The parser checked how many arguments there are; these three give no vector.
            _ => Ok(Vec::new()),
        }
    }

    /// Each element's value by itself.
    fn map(
        &mut self,
        vector: &Expr,
        expr: &Expr,
        t_ms: i64,
        body: impl Fn(f64) -> f64,
    ) -> Result<Vec<Point>, EvalError> {
        let points = self.vector(vector, t_ms)?;
        self.unique(points.into_iter().map(|point| without_name(body(point.value), point)).collect(), expr)
    }

    /// Each series' samples in a window; a series of which `body` makes nothing is left out.
    fn over_windows(
        &mut self,
        matrix: &Expr,
        expr: &Expr,
        t_ms: i64,
        drops_name: bool,
        body: impl Fn(Window<'_>) -> Option<f64>,
    ) -> Result<Vec<Point>, EvalError> {
        let mut points = Vec::new();
        self.each_window(matrix, t_ms, &mut |_, labels, window| {
            let last = window.samples.last().map_or(t_ms, |sample| sample.t_ms);
            if let Some(value) = body(window) {
                let labels = if drops_name { labels.without_name() } else { labels.clone() };
                points.push(Point { labels, value, sampled_ms: last });
            }
            Ok(())
        })?;
        self.unique(points, expr)
    }

    /// When each element was sampled, in seconds since the epoch. What is computed has no time but the instant's.
    fn timestamp(&mut self, vector: &Expr, expr: &Expr, t_ms: i64) -> Result<Vec<Point>, EvalError> {
        let is_selector = matches!(vector.unparenthesized().kind, ExprKind::Selector(_));
        let points = self.vector(vector, t_ms)?.into_iter().map(|point| {
            let ms = if is_selector { point.sampled_ms } else { t_ms };
            without_name(ms as f64 / 1_000.0, point)
        });
        self.unique(points.collect(), expr)
    }

    fn sorted(
        &mut self,
        vector: &Expr,
        expr: &Expr,
        t_ms: i64,
        order: impl Fn(&Point, &Point) -> std::cmp::Ordering,
    ) -> Result<Vec<Point>, EvalError> {
        if self.instants.first_ms != self.instants.last_ms {
            let message =
                "the series of a range query are in order of their labels, whatever sorts them".to_owned();
            self.notice(Severity::Warning, expr, message);
        }
        let mut points = self.vector(vector, t_ms)?;
        points.sort_by(order);
        Ok(points)
    }

    /// Says so when a rate is taken of something whose name is not that of a counter.
    fn check_counter(&mut self, matrix: &Expr, function: &Function) {
        let ExprKind::Range { selector, .. } = &matrix.unparenthesized().kind else { return };
        let Some(name) = selector.metric_name() else { return };
        let loaded = self.loaded.get(selector.id).is_some_and(|series: &Vec<Series>| !series.is_empty());
        if loaded && !["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix)) {
            let message = format!(
                "{name} may not be a counter, for its name does not end in _total, _sum, _count or _bucket; {} is for \
                 counters, delta and deriv are for gauges",
                function.name
            );
            self.notice(Severity::Info, matrix, message);
        }
    }
}

/// A function of the calendar at a value that is taken for seconds since the epoch.
fn on_date(value: f64, body: fn(i64) -> f64) -> f64 {
    // Beyond some billions of years there is no calendar.
    if value.abs() < 1e17 { body(value as i64) } else { f64::NAN }
}

/// The labels that a missing series surely has: those for which a selector names exactly one value.
fn absent_labels(expr: &Expr) -> Labels {
    let (ExprKind::Selector(selector) | ExprKind::Range { selector, .. }) = &expr.unparenthesized().kind
    else {
        return Labels::empty();
    };
    let matchers = || selector.matchers.iter().filter(|matcher| matcher.name() != METRIC_NAME);
    let alone = |name: &str| matchers().filter(|matcher| matcher.name() == name).count() == 1;
    let sure = matchers().filter(|matcher| matcher.op() == MatchOp::Equal && alone(matcher.name()));
    Labels::new(sure.map(|matcher| (matcher.name(), matcher.value())))
}
