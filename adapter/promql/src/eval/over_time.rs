//! What is made of the values in a window, whenever in it they were.

use super::{
    sum::{Mean, Sum, variance},
    window::Window,
};

pub(crate) fn avg(window: &Window<'_>) -> Option<f64> {
    Some(window.values().collect::<Mean>().mean())
}

pub(crate) fn sum(window: &Window<'_>) -> Option<f64> {
    Some(window.values().collect::<Sum>().total())
}

pub(crate) fn count(window: &Window<'_>) -> Option<f64> {
    Some(window.samples.len() as f64)
}

pub(crate) fn present(_: &Window<'_>) -> Option<f64> {
    Some(1.0)
}

pub(crate) fn min(window: &Window<'_>) -> Option<f64> {
    extreme(window.values(), |value, least| value < least)
}

pub(crate) fn max(window: &Window<'_>) -> Option<f64> {
    extreme(window.values(), |value, greatest| value > greatest)
}

pub(crate) fn stdvar(window: &Window<'_>) -> Option<f64> {
    Some(variance(window.values()))
}

pub(crate) fn stddev(window: &Window<'_>) -> Option<f64> {
    stdvar(window).map(f64::sqrt)
}

/// How often a value differs from the one before it; NaN does not differ from NaN.
pub(crate) fn changes(window: &Window<'_>) -> Option<f64> {
    pairs(window, |before, value| before != value && !(before.is_nan() && value.is_nan()))
}

/// How often a value is less than the one before it.
pub(crate) fn resets(window: &Window<'_>) -> Option<f64> {
    pairs(window, |before, value| value < before)
}

fn pairs(window: &Window<'_>, counts: impl Fn(f64, f64) -> bool) -> Option<f64> {
    let pairs = window.values().zip(window.values().skip(1));
    Some(pairs.filter(|(before, value)| counts(*before, *value)).count() as f64)
}

/// The value that is beyond all others; NaN only when there is nothing else.
pub(super) fn extreme(values: impl Iterator<Item = f64>, beyond: impl Fn(f64, f64) -> bool) -> Option<f64> {
    values.reduce(|found, value| if beyond(value, found) || found.is_nan() { value } else { found })
}
