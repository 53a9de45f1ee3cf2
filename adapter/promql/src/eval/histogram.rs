//! Quantiles of classic histograms, from their cumulative buckets.

use std::collections::HashMap;

use super::Evaluator;
use crate::{EvalError, Expr, Labels, Point, Severity};

/// The label that holds a bucket's upper bound.
const BUCKET: &str = "le";

/// By how much of their sum two counts may differ and still be taken for equal: what rounding does to rates.
const ROUNDING: f64 = 1e-12;

/// A cumulative bucket: how many observations are at most `bound`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    bound: f64,
    count: f64,
}

impl Evaluator<'_> {
    /// `histogram_quantile(quantile, buckets)`
    pub(super) fn histogram_quantile(
        &mut self,
        arguments: &[Expr],
        expr: &Expr,
        t_ms: i64,
    ) -> Result<Vec<Point>, EvalError> {
        let [quantile, vector] = arguments else { return Ok(Vec::new()) };
        let rank = self.scalar(quantile, t_ms)?;
        self.check_quantile(rank, quantile);
        let points = self.vector(vector, t_ms)?;
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let mut histograms: Vec<(Point, Vec<Bucket>)> = Vec::new();
        for point in points {
            let Some(bound) = upper_bound(point.labels.get(BUCKET)) else {
                let message = format!(
                    "{} has no bucket label {BUCKET:?} with a number, but {:?}; its value does not count",
                    point.labels,
                    point.labels.get(BUCKET)
                );
                self.notice(Severity::Warning, vector, message);
                continue;
            };
            let bucket = Bucket { bound, count: point.value };
            let labels = point.labels.without(|name| name == BUCKET);
            match places.get(&labels).and_then(|place| histograms.get_mut(*place)) {
                Some((first, buckets)) => {
                    first.sampled_ms = first.sampled_ms.min(point.sampled_ms);
                    buckets.push(bucket);
                }
                None => {
                    places.insert(labels.clone(), histograms.len());
                    histograms.push((Point { labels, ..point }, vec![bucket]));
                }
            }
        }
        let mut results = Vec::with_capacity(histograms.len());
        for (point, buckets) in histograms {
            let (value, decreasing) = bucket_quantile(rank, buckets);
            if decreasing {
                let message = "some buckets count less than those below them, and were taken to count as much; were they \
                               summed over histograms of different bounds?";
                self.notice(Severity::Info, vector, message.to_owned());
            }
            results.push(super::without_name(value, point));
        }
        self.unique(results, expr)
    }
}

/// The upper bound that a label's value says.
fn upper_bound(value: &str) -> Option<f64> {
    let (negative, digits) = match value.as_bytes().first()? {
        b'-' => (true, value.get(1..)?),
        b'+' => (false, value.get(1..)?),
        _ => (false, value),
    };
    let bound = digits.parse::<f64>().ok().filter(|bound| !bound.is_nan())?;
    Some(if negative { -bound } else { bound })
}

/// The value below which `quantile` of the observations lie, as if those of a bucket were spread evenly; and whether counts
/// had to be corrected because they decreased.
fn bucket_quantile(quantile: f64, mut buckets: Vec<Bucket>) -> (f64, bool) {
    if quantile.is_nan() {
        return (f64::NAN, false);
    }
    if quantile < 0.0 {
        return (f64::NEG_INFINITY, false);
    }
    if quantile > 1.0 {
        return (f64::INFINITY, false);
    }
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    buckets.dedup_by(|later, kept| {
        let same = later.bound == kept.bound;
        if same {
            kept.count += later.count;
        }
        same
    });
    let decreasing = make_cumulative(&mut buckets);
    let [finite @ .., last] = buckets.as_slice() else { return (f64::NAN, false) };
    let Some(greatest) = finite.last().filter(|_| last.bound == f64::INFINITY && last.count != 0.0) else {
        return (f64::NAN, decreasing);
    };
    let rank = quantile * last.count;
    let Some(at) = finite.iter().position(|bucket| bucket.count >= rank) else {
        // Beyond the last finite bound nothing is known but that bound.
        return (greatest.bound, decreasing);
    };
    let bucket = finite.get(at).unwrap_or(greatest);
    let below = at.checked_sub(1).and_then(|at| finite.get(at));
    let value = match below {
        None if bucket.bound <= 0.0 => bucket.bound,
        None => bucket.bound * (rank / bucket.count),
        Some(below) => {
            below.bound + (bucket.bound - below.bound) * ((rank - below.count) / (bucket.count - below.count))
        }
    };
    (value, decreasing)
}

/// Takes buckets that count less than those below them to count as much; says whether there were any beyond rounding.
fn make_cumulative(buckets: &mut [Bucket]) -> bool {
    let mut decreasing = false;
    let mut below: Option<f64> = None;
    for bucket in buckets {
        if let Some(below) = below {
            let rounding = (bucket.count - below).abs() < ROUNDING * (bucket.count.abs() + below.abs());
            if rounding || bucket.count < below {
                decreasing |= !rounding;
                bucket.count = below;
            }
        }
        below = Some(bucket.count);
    }
    decreasing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_buckets() {
        let check = |quantile: f64, buckets: &[(f64, f64)], want: f64, corrected: bool| {
            let buckets =
                buckets.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect();
            let (got, decreasing) = bucket_quantile(quantile, buckets);
            assert!(got == want || (got.is_nan() && want.is_nan()), "{quantile}: {got}, not {want}");
            assert_eq!(decreasing, corrected, "{quantile}");
        };
        const INF: f64 = f64::INFINITY;
        let even = [(1.0, 10.0), (2.0, 20.0), (INF, 20.0)];
        check(0.5, &even, 1.0, false);
        check(0.25, &even, 0.5, false);
        check(0.75, &even, 1.5, false);
        check(1.0, &even, 2.0, false);
        check(0.0, &even, 0.0, false);
        check(f64::NAN, &even, f64::NAN, false);
        check(-1.0, &even, -INF, false);
        check(2.0, &even, INF, false);
        // In any order, and the same bound twice.
        check(0.5, &[(INF, 20.0), (2.0, 20.0), (1.0, 4.0), (1.0, 6.0)], 1.0, false);
        // More than half beyond the last finite bound.
        check(0.9, &[(1.0, 10.0), (INF, 100.0)], 1.0, false);
        // Negative bounds have no zero below them to count from.
        check(0.5, &[(-1.0, 10.0), (INF, 10.0)], -1.0, false);
        // No infinite bucket, no finite one, no observations.
        check(0.5, &[(1.0, 10.0)], f64::NAN, false);
        check(0.5, &[(INF, 10.0)], f64::NAN, false);
        check(0.5, &[(1.0, 0.0), (INF, 0.0)], f64::NAN, false);
        check(0.5, &[], f64::NAN, false);
        // Counts that decrease, and counts that only rounding made decrease.
        check(0.5, &[(1.0, 10.0), (2.0, 8.0), (INF, 20.0)], 1.0, true);
        check(0.75, &[(1.0, 10.0), (2.0, 10.0 - 1e-13), (INF, 10.0)], 0.75, false);
    }

    #[test]
    fn bounds() {
        let check = |text: &str, want: Option<f64>| assert_eq!(upper_bound(text), want, "{text}");
        check("0.5", Some(0.5));
        check("+Inf", Some(f64::INFINITY));
        check("-1e3", Some(-1000.0));
        check("", None);
        check("NaN", None);
        check("x", None);
    }
}
