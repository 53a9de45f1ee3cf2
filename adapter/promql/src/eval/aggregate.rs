//! Aggregations: elements put together by their labels.

use std::{collections::HashMap, sync::Arc};

use super::{
    Evaluator,
    order::{ascending, descending},
    over_time::extreme,
    quantile,
    sum::{Mean, Sum},
    text,
};
use crate::{
    AggregateOp, Aggregation, Dialect, EvalError, EvalErrorKind, Expr, Labels, METRIC_NAME, Point,
    number::plain,
};

impl Evaluator<'_> {
    pub(super) fn aggregate(
        &mut self,
        aggregation: &Aggregation,
        expr: &Expr,
        t_ms: i64,
    ) -> Result<Vec<Point>, EvalError> {
        let parameter = match (aggregation.op, &aggregation.parameter) {
            (AggregateOp::CountValues, Some(label)) => {
                return self.count_values(aggregation, text(label), t_ms);
            }
            (_, Some(parameter)) => self.scalar(parameter, t_ms)?,
            (_, None) => 0.0,
        };
        let points = self.vector(&aggregation.operand, t_ms)?;
        if aggregation.op == AggregateOp::Quantile {
            self.check_quantile(parameter, aggregation.parameter.as_deref().unwrap_or(expr));
        }
        if matches!(aggregation.op, AggregateOp::Topk | AggregateOp::Bottomk) {
            return self.most(aggregation, parameter, points, expr);
        }
        let dialect = self.query.config().dialect;
        let groups = group(points, |labels| group_labels(aggregation, labels));
        Ok(groups
            .into_iter()
            .filter_map(|(labels, points)| one(aggregation.op, parameter, dialect, labels, &points))
            .collect())
    }

    /// The greatest or the least elements of each group, in that order, with all their labels.
    fn most(
        &mut self,
        aggregation: &Aggregation,
        parameter: f64,
        points: Vec<Point>,
        expr: &Expr,
    ) -> Result<Vec<Point>, EvalError> {
        if parameter.is_nan() {
            let message = format!("{} needs a number of elements, and it is NaN", aggregation.op.name());
            return Err(self.query.error(expr.span, EvalErrorKind::Argument, message));
        }
        // A negative number counts as none, and one beyond all elements as all of them.
        let most = parameter as usize;
        let order = if aggregation.op == AggregateOp::Topk { descending } else { ascending };
        let groups = group(points, |labels| group_labels(aggregation, labels));
        let sorted = groups.into_iter().flat_map(|(_, mut points)| {
            points.sort_by(|a, b| order(a.value, b.value));
            points.truncate(most);
            points
        });
        Ok(sorted.collect())
    }

    /// How many elements have each value, which becomes a label.
    fn count_values(
        &mut self,
        aggregation: &Aggregation,
        label: &str,
        t_ms: i64,
    ) -> Result<Vec<Point>, EvalError> {
        let label: Arc<str> = Arc::from(label);
        let mut points = self.vector(&aggregation.operand, t_ms)?;
        for point in &mut points {
            point.labels = point.labels.with(&label, &plain(point.value));
        }
        let dialect = self.query.config().dialect;
        let groups = group(points, |labels| {
            let grouped = group_labels(aggregation, labels);
            if aggregation.without { grouped } else { grouped.with(&label, labels.get(&label)) }
        });
        Ok(groups
            .into_iter()
            .filter_map(|(labels, points)| one(AggregateOp::Count, 0.0, dialect, labels, &points))
            .collect())
    }
}

/// What becomes of one group.
fn one(op: AggregateOp, parameter: f64, dialect: Dialect, labels: Labels, points: &[Point]) -> Option<Point> {
    let values = || points.iter().map(|point| point.value);
    let value = match op {
        // One number does not vary, said older versions also of NaN and infinity.
        AggregateOp::Stdvar | AggregateOp::Stddev if points.len() == 1 && dialect == Dialect::Prometheus2 => {
            0.0
        }
        AggregateOp::Sum => values().collect::<Sum>().total(),
        AggregateOp::Avg => values().collect::<Mean>().mean(),
        AggregateOp::Min => extreme(values(), |value, least| value < least)?,
        AggregateOp::Max => extreme(values(), |value, greatest| value > greatest)?,
        AggregateOp::Group => 1.0,
        AggregateOp::Count => points.len() as f64,
        AggregateOp::Stdvar => super::sum::variance(values()),
        AggregateOp::Stddev => super::sum::variance(values()).sqrt(),
        AggregateOp::Quantile => quantile::of(parameter, values().collect()),
        // These three are made elsewhere.
        AggregateOp::CountValues | AggregateOp::Bottomk | AggregateOp::Topk => return None,
    };
    let sampled_ms = points.iter().map(|point| point.sampled_ms).min()?;
    Some(Point { labels, value, sampled_ms })
}

/// The elements of each group, the groups in the order in which they first appear.
fn group(points: Vec<Point>, key: impl Fn(&Labels) -> Labels) -> Vec<(Labels, Vec<Point>)> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<(Labels, Vec<Point>)> = Vec::new();
    for point in points {
        let labels = key(&point.labels);
        let place = *places.entry(labels).or_insert_with_key(|labels| {
            groups.push((labels.clone(), Vec::new()));
            groups.len() - 1
        });
        if let Some((_, points)) = groups.get_mut(place) {
            points.push(point);
        }
    }
    groups
}

/// What the group of an element is called.
fn group_labels(aggregation: &Aggregation, labels: &Labels) -> Labels {
    let named = |name: &str| aggregation.labels.iter().any(|label| **label == *name);
    if aggregation.without {
        labels.without(|name| name == METRIC_NAME || named(name))
    } else {
        labels.without(|name| !named(name))
    }
}
