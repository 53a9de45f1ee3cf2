//! Straight lines through the samples of a window: simple linear regression.

use super::{
    sum::Sum,
    window::{Window, seconds},
};

/// How much the line rises in a second.
pub(crate) fn deriv(window: &Window<'_>) -> Option<f64> {
    let first = window.samples.first()?;
    // Times near those of the samples keep the sums small, and with them what rounding takes.
    line(window, first.t_ms).map(|line| line.slope)
}

/// Where the line is `ahead` seconds after `t_ms`.
pub(super) fn predict(window: &Window<'_>, t_ms: i64, ahead: f64) -> Option<f64> {
    line(window, t_ms).map(|line| line.slope * ahead + line.intercept)
}

struct Line {
    /// In units a second.
    slope: f64,
    /// The value at the time of origin.
    intercept: f64,
}

fn line(window: &Window<'_>, origin_ms: i64) -> Option<Line> {
    let [first, .., _] = window.samples else { return None };
    if window.values().all(|value| value == first.value) {
        // Sums of large equal numbers would give a slope out of nothing.
        let steady = first.value.is_finite();
        return Some(if steady {
            Line { slope: 0.0, intercept: first.value }
        } else {
            Line { slope: f64::NAN, intercept: f64::NAN }
        });
    }
    let points = || window.samples.iter().map(|sample| (seconds(origin_ms, sample.t_ms), sample.value));
    let n = window.samples.len() as f64;
    let x = points().map(|(x, _)| x).collect::<Sum>().total();
    let y = points().map(|(_, y)| y).collect::<Sum>().total();
    let xy = points().map(|(x, y)| x * y).collect::<Sum>().total();
    let xx = points().map(|(x, _)| x * x).collect::<Sum>().total();
    let slope = (xy - x * y / n) / (xx - x * x / n);
    Some(Line { slope, intercept: y / n - slope * x / n })
}
