//! Quantiles of numbers.

use super::order::ascending;

/// The value below which `quantile` of the numbers lie, on the line between its two neighbours.
pub(super) fn of(quantile: f64, mut numbers: Vec<f64>) -> f64 {
    if numbers.is_empty() || quantile.is_nan() {
        return f64::NAN;
    }
    if quantile < 0.0 {
        return f64::NEG_INFINITY;
    }
    if quantile > 1.0 {
        return f64::INFINITY;
    }
    // NaN counts as the least of numbers here.
    numbers.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then_with(|| ascending(*a, *b)));
    let rank = quantile * (numbers.len() - 1) as f64;
    let weight = rank - rank.floor();
    // The rank is between 0 and the number of numbers.
    let lower = rank.floor() as usize;
    let number = |at: usize| numbers.get(at.min(numbers.len() - 1)).copied().unwrap_or(f64::NAN);
    number(lower) * (1.0 - weight) + number(lower + 1) * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        let check = |quantile: f64, numbers: &[f64], want: f64| {
            let got = of(quantile, numbers.to_vec());
            assert!(got == want || (got.is_nan() && want.is_nan()), "{quantile} of {numbers:?}: {got}");
        };
        check(0.5, &[3.0, 1.0, 2.0], 2.0);
        check(0.5, &[1.0, 2.0], 1.5);
        check(0.0, &[3.0, 1.0], 1.0);
        check(1.0, &[3.0, 1.0], 3.0);
        check(0.75, &[0.0, 10.0], 7.5);
        check(0.5, &[], f64::NAN);
        check(f64::NAN, &[1.0], f64::NAN);
        check(-0.1, &[1.0], f64::NEG_INFINITY);
        check(1.1, &[1.0], f64::INFINITY);
        check(1.0, &[f64::NAN, 1.0, 2.0], 2.0);
        check(0.0, &[f64::NAN, 1.0, 2.0], f64::NAN);
    }
}
