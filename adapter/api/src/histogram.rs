//! Quantiles from the rises of cumulative buckets.

use std::collections::BTreeMap;

/// Cumulative buckets of one or several series, added up by upper bound.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Buckets(BTreeMap<Bound, f64>);

/// An upper bound, ordered as numbers are.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bound(f64);

// === impl Buckets ===

impl Buckets {
    /// Adds `rise` to the bucket whose upper bound is the text `le`; a bound that is no number is left out.
    pub(crate) fn add(&mut self, le: &str, rise: f64) {
        if let Ok(bound) = le.parse::<f64>()
            && !bound.is_nan()
        {
            *self.0.entry(Bound(bound)).or_default() += rise;
        }
    }

    /// Adds all buckets of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (bound, rise) in &other.0 {
            *self.0.entry(*bound).or_default() += rise;
        }
    }

    /// The quantile of the observations, interpolated linearly inside its bucket, as PromQL's
    /// `histogram_quantile` does it (prometheus, `promql/quantile.go`): the first bucket begins at 0 if its
    /// bound is positive; what lies in the last, unbounded bucket answers the bound before it.
    ///
    /// `None` without observations or without an unbounded bucket, which holds their number.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<f64> {
        let (last, _) = self.0.last_key_value()?;
        if last.0 != f64::INFINITY {
            return None;
        }
        // Buckets read at different instants, or of different schemes, may fall: none holds less than the
        // one before it.
        let mut floor = 0.0f64;
        let cumulative: Vec<(f64, f64)> = self
            .0
            .iter()
            .map(|(bound, rise)| {
                floor = floor.max(*rise);
                (bound.0, floor)
            })
            .collect();
        let total = floor;
        if total <= 0.0 {
            return None;
        }
        let rank = quantile * total;
        let index = cumulative.iter().position(|(_, count)| *count >= rank)?;
        let (upper, count) = *cumulative.get(index)?;
        let before = index.checked_sub(1).and_then(|index| cumulative.get(index)).copied();
        if upper == f64::INFINITY {
            return before.map(|(bound, _)| bound).filter(|bound| bound.is_finite());
        }
        let (lower, below) = match before {
            Some(before) => before,
            None if upper <= 0.0 => return Some(upper),
            None => (0.0, 0.0),
        };
        let inside = count - below;
        Some(if inside > 0.0 { lower + (upper - lower) * (rank - below) / inside } else { upper })
    }
}

// === impl Bound ===

impl Eq for Bound {}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(buckets: &[(&str, f64)], quantile: f64, want: Option<f64>) {
        let mut all = Buckets::default();
        for (le, rise) in buckets {
            all.add(le, *rise);
        }
        match (all.quantile(quantile), want) {
            (Some(got), Some(want)) => {
                assert!((got - want).abs() < 1e-9, "{buckets:?} {quantile}: {got}, not {want}")
            }
            (got, want) => assert_eq!(got, want, "{buckets:?} {quantile}"),
        }
    }

    #[test]
    fn interpolates() {
        let ten = [("1", 5.0), ("2", 9.0), ("+Inf", 10.0)];
        check(&ten, 0.5, Some(1.0));
        check(&ten, 0.25, Some(0.5));
        check(&ten, 0.9, Some(2.0));
        check(&ten, 0.7, Some(1.5));
        check(&ten, 0.99, Some(2.0));
        check(&[("-1", 4.0), ("+Inf", 4.0)], 0.5, Some(-1.0));
    }

    #[test]
    fn says_nothing_where_nothing_is_known() {
        check(&[], 0.5, None);
        check(&[("1", 0.0), ("+Inf", 0.0)], 0.5, None);
        check(&[("1", 3.0), ("2", 3.0)], 0.5, None);
        check(&[("+Inf", 3.0)], 0.5, None);
        check(&[("what", 3.0), ("NaN", 3.0)], 0.5, None);
    }

    #[test]
    fn bears_buckets_that_fall() {
        check(&[("1", 5.0), ("2", 4.0), ("+Inf", 10.0)], 0.5, Some(1.0));
    }

    #[test]
    fn adds_up_by_bound() {
        let mut a = Buckets::default();
        a.add("1", 1.0);
        a.add("1.0", 1.0);
        a.add("+Inf", 2.0);
        let mut b = Buckets::default();
        b.add("2", 2.0);
        b.add("Inf", 2.0);
        b.merge(&a);
        assert_eq!(b.quantile(0.5), Some(1.0));
    }
}
