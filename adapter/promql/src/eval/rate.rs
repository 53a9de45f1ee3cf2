//! How fast a series moves.

use super::window::{Window, seconds};
use crate::{Dialect, Sample};

/// How much a counter grows in a second.
pub(crate) fn rate(window: &Window<'_>) -> Option<f64> {
    extrapolated(window, true).map(|growth| growth / window.seconds())
}

/// How much a counter grows in the window.
pub(crate) fn increase(window: &Window<'_>) -> Option<f64> {
    extrapolated(window, true)
}

/// How much a gauge changes in the window.
pub(crate) fn delta(window: &Window<'_>) -> Option<f64> {
    extrapolated(window, false)
}

/// How much a counter grows in a second, by its last two samples.
pub(crate) fn irate(window: &Window<'_>) -> Option<f64> {
    let (before, last) = last_two(window)?;
    // What a counter shows after a reset is what it grew since.
    let growth = if last.value < before.value { last.value } else { last.value - before.value };
    Some(growth / seconds(before.t_ms, last.t_ms))
}

/// How much a gauge changes from the last sample but one to the last.
pub(crate) fn idelta(window: &Window<'_>) -> Option<f64> {
    let (before, last) = last_two(window)?;
    Some(last.value - before.value)
}

fn last_two<'s>(window: &Window<'s>) -> Option<(&'s Sample, &'s Sample)> {
    match window.samples {
        [.., before, last] => Some((before, last)),
        _ => None,
    }
}

/// The difference between the first and the last sample, scaled to the window's length.
///
/// Samples lie inside the window, so that they span less than it. Where the gap to one of its ends is about as long as
/// those between samples (up to 1.1 times), the series is taken to go on to that end; where it is longer, the series is
/// taken to begin or end half such a gap beyond its sample. A counter is never taken further back than to where it would
/// have been zero.
fn extrapolated(window: &Window<'_>, is_counter: bool) -> Option<f64> {
    let [first, .., last] = window.samples else { return None };
    let mut growth = last.value - first.value;
    if is_counter {
        let pairs = window.values().zip(window.values().skip(1));
        growth += pairs.filter(|(before, value)| value < before).map(|(before, _)| before).sum::<f64>();
    }
    let sampled = seconds(first.t_ms, last.t_ms);
    let gap = sampled / (window.samples.len() - 1) as f64;
    let reachable = |distance: f64| if distance < gap * 1.1 { distance } else { gap / 2.0 };
    let to_zero = if is_counter && growth > 0.0 && first.value >= 0.0 {
        sampled * (first.value / growth)
    } else {
        f64::INFINITY
    };
    let from_start = seconds(window.start_ms, first.t_ms);
    let before = match window.dialect {
        Dialect::Prometheus3 => reachable(from_start).min(to_zero),
        // Older versions looked for the zero point first, and so could reach further than half a gap.
        Dialect::Prometheus2 => reachable(from_start.min(to_zero)),
    };
    let behind = reachable(seconds(last.t_ms, window.end_ms));
    Some(growth * ((sampled + before + behind) / sampled))
}
