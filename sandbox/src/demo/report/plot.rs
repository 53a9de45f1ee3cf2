//! The plot: the queue above the workers over one axis of time, with what the autoscaler said below them.

use super::super::record::{Record, Sample};
use super::super::table::clock;
use super::{Escaped, shown};
use std::fmt::Write as _;

/// The drawing's width, and the edges of its panels, in the units of its view box.
const WIDTH: f64 = 960.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = WIDTH - 18.0;
const QUEUE: Panel = Panel { top: 44.0, bottom: 214.0 };
const WORKERS: Panel = Panel { top: 280.0, bottom: 410.0 };
const STRIP: Panel = Panel { top: 422.0, bottom: 444.0 };
const HEIGHT: f64 = 492.0;
/// The width of a letter in the strip, at least.
const LETTER: f64 = 6.4;

/// What a series is at a sample; `None` where it is unknown.
type Value<'a> = &'a dyn Fn(&Sample) -> Option<f64>;

/// A part of the drawing with a scale of its own.
#[derive(Clone, Copy)]
struct Panel {
    top: f64,
    bottom: f64,
}

/// Which seconds are where.
#[derive(Clone, Copy)]
struct Time {
    begin: f64,
    end: f64,
}

/// The plot with its caption.
pub(super) fn figure(record: &Record) -> String {
    let samples: Vec<&Sample> = shown(record).collect();
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return "<p>Nothing was seen.</p>\n".to_owned();
    };
    let time = Time { begin: first.at.min(0.0), end: last.at.max(first.at + 1.0) };
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"plot-title plot-text\">\n\
         <title id=\"plot-title\">Queue, workers and autoscaler over time</title>\n\
         <desc id=\"plot-text\">{}</desc>\n",
        description(&samples)
    );
    svg += &time_axis(time);
    svg += &queue(&samples, time);
    svg += &workers(&samples, time);
    svg += &strip(&samples, time);
    svg += &decisions(record, time);
    svg += "</svg>\n";
    format!(
        "<figure>\n{svg}<figcaption>Above, the orders that are not done: as the shop counts them, and as podgauge answered \
         when it was asked. Below, the workers that are ready and how many the autoscaler asked for; numbered lines are its \
         decisions, and the strip is what its conditions said.</figcaption>\n</figure>\n"
    )
}

fn description(samples: &[&Sample]) -> String {
    let most = |value: &dyn Fn(&Sample) -> u64| samples.iter().map(|sample| value(sample)).max().unwrap_or(0);
    format!(
        "At most {} orders waited and {} workers were ready.",
        most(&|sample| sample.queue.map_or(0, |queue| queue.messages)),
        most(&|sample| sample.workers.ready)
    )
}

// === impl Time ===

impl Time {
    fn x(self, at: f64) -> f64 {
        let share = ((at - self.begin) / (self.end - self.begin)).clamp(0.0, 1.0);
        LEFT + share * (RIGHT - LEFT)
    }
}

// === impl Panel ===

impl Panel {
    /// Where `value` is when `most` is at the top.
    fn y(self, value: f64, most: f64) -> f64 {
        self.bottom - (value / most).clamp(0.0, 1.0) * (self.bottom - self.top)
    }

    /// Lines across the panel with their values.
    fn grid(self, most: f64) -> String {
        let step = step_of(most);
        let mut lines = String::new();
        for line in steps(0.0, most, step) {
            let y = self.y(line, most);
            let _ = writeln!(
                lines,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{line}</text>",
                LEFT - 8.0,
                y + 4.0
            );
        }
        lines
    }
}

fn queue(samples: &[&Sample], time: Time) -> String {
    let waiting = |sample: &Sample| sample.queue.map(|queue| queue.messages as f64);
    let served = |sample: &Sample| sample.served.map(|served| served.value);
    let most = largest(samples, &[&waiting, &served]);
    QUEUE.grid(most)
        + &area("queue", samples, time, QUEUE, most, &waiting)
        + &line("served", samples, time, QUEUE, most, &served)
        + &legend(QUEUE, "Orders", &[("queue", "in the queue"), ("served", "as podgauge answered")])
}

fn workers(samples: &[&Sample], time: Time) -> String {
    let ready = |sample: &Sample| Some(sample.workers.ready as f64);
    let wanted = |sample: &Sample| Some(sample.workers.wanted as f64);
    let most = largest(samples, &[&ready, &wanted]);
    WORKERS.grid(most)
        + &area("workers", samples, time, WORKERS, most, &ready)
        + &line("wanted", samples, time, WORKERS, most, &wanted)
        + &legend(WORKERS, "Workers", &[("workers", "ready"), ("wanted", "asked for")])
}

/// What the conditions said, as a strip of which each piece is one state.
fn strip(samples: &[&Sample], time: Time) -> String {
    let mut pieces: Vec<(f64, &str, bool)> = Vec::new();
    for sample in samples {
        let reasons = sample.autoscaler.reasons.as_str();
        if pieces.last().is_none_or(|(_, last, _)| *last != reasons) {
            pieces.push((sample.at, reasons, sample.autoscaler.active));
        }
    }
    let ends = pieces.iter().skip(1).map(|(at, _, _)| *at).chain([time.end]);
    let mut drawn = String::new();
    for ((begin, reasons, active), end) in pieces.iter().zip(ends) {
        let (x, width) = (time.x(*begin), time.x(end) - time.x(*begin));
        // It has not failed before it has said anything.
        let class = if *active || reasons.is_empty() { "says" } else { "says fails" };
        let _ = write!(
            drawn,
            "<g class=\"{class}\"><title>{}</title><rect x=\"{x:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" rx=\"3\"/>",
            Escaped(reasons),
            STRIP.top,
            (width - 1.5).max(0.5),
            STRIP.bottom - STRIP.top
        );
        // The whole of it, or the first of the reasons, or nothing.
        let first = reasons.split(',').next().unwrap_or_default();
        let fits = [*reasons, first].into_iter().find(|text| text.len() as f64 * LETTER + 8.0 < width);
        if let Some(text) = fits {
            let _ = write!(
                drawn,
                "<text x=\"{:.1}\" y=\"{}\">{}</text>",
                x + 6.0,
                STRIP.top + 15.0,
                Escaped(text)
            );
        }
        drawn.push_str("</g>\n");
    }
    drawn
}

fn decisions(record: &Record, time: Time) -> String {
    let mut drawn = String::new();
    let mut last_x = f64::MIN;
    for (number, decision) in (1..).zip(&record.decisions) {
        if decision.at < time.begin || decision.at > time.end {
            continue;
        }
        let x = time.x(decision.at);
        // Those that would lie on each other stand side by side.
        let label_x = if x - last_x < 20.0 { last_x + 20.0 } else { x };
        last_x = label_x;
        let class = if decision.warning { "decision warning" } else { "decision" };
        let y = WORKERS.top - 40.0;
        let _ = writeln!(
            drawn,
            "<g class=\"{class}\"><title>{}: {}</title><line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{}\"/>\
             <circle cx=\"{label_x:.1}\" cy=\"{y}\" r=\"9\"/>\
             <text x=\"{label_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{number}</text></g>",
            Escaped(&decision.reason),
            Escaped(&decision.message),
            y + 9.0,
            WORKERS.bottom,
            y + 4.0
        );
    }
    drawn
}

fn time_axis(time: Time) -> String {
    let mut axis = String::new();
    for second in steps(0.0, time.end, nice((time.end - time.begin) / 8.0).max(1.0)) {
        let x = time.x(second);
        let label = if time.end < 120.0 { format!("{second} s") } else { clock(second) };
        let _ = writeln!(
            axis,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\"/>\
             <line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            QUEUE.top,
            QUEUE.bottom,
            WORKERS.top,
            WORKERS.bottom,
            STRIP.bottom + 18.0
        );
    }
    let _ = writeln!(
        axis,
        "<text class=\"axis\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">since the order</text>",
        (LEFT + RIGHT) / 2.0,
        STRIP.bottom + 38.0
    );
    axis
}

/// The name of a panel, and its series with their colours.
fn legend(panel: Panel, name: &str, series: &[(&str, &str)]) -> String {
    let y = panel.top - 14.0;
    let mut drawn = format!("<text class=\"name\" x=\"{LEFT}\" y=\"{y}\">{name}</text>\n");
    let mut x = LEFT + 18.0 + name.len() as f64 * 9.0;
    for (class, label) in series {
        let _ = writeln!(
            drawn,
            "<line class=\"key {class}\" x1=\"{x}\" x2=\"{}\" y1=\"{2}\" y2=\"{2}\"/><text class=\"label\" x=\"{}\" y=\"{y}\">{label}</text>",
            x + 22.0,
            x + 28.0,
            y - 4.0,
        );
        x += 46.0 + label.len() as f64 * 7.0;
    }
    drawn
}

/// Stairs through the values, which hold until the next; broken where there is none.
fn stairs(
    samples: &[&Sample],
    time: Time,
    panel: Panel,
    most: f64,
    value: Value<'_>,
) -> Vec<Vec<(f64, f64)>> {
    let mut runs: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
    for sample in samples {
        let x = time.x(sample.at);
        let Some(run) = runs.last_mut() else { continue };
        let hold = run.last().map(|(_, y)| (x, *y));
        run.extend(hold);
        match value(sample) {
            Some(value) => run.push((x, panel.y(value, most))),
            None if run.is_empty() => {}
            None => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

fn line(class: &str, samples: &[&Sample], time: Time, panel: Panel, most: f64, value: Value<'_>) -> String {
    let runs = stairs(samples, time, panel, most, value);
    runs.iter().map(|run| format!("<path class=\"line {class}\" d=\"{}\"/>\n", path(run))).collect()
}

fn area(class: &str, samples: &[&Sample], time: Time, panel: Panel, most: f64, value: Value<'_>) -> String {
    let mut drawn = String::new();
    for run in stairs(samples, time, panel, most, value) {
        if let Some((begin, _)) = run.first() {
            let _ = writeln!(
                drawn,
                "<path class=\"area {class}\" d=\"{}V{}H{begin:.1}Z\"/>",
                path(&run),
                panel.bottom
            );
        }
        let _ = writeln!(drawn, "<path class=\"line {class}\" d=\"{}\"/>", path(&run));
    }
    drawn
}

/// The shortest path through points that differ from their neighbours in one coordinate.
fn path(points: &[(f64, f64)]) -> String {
    let mut drawn = String::new();
    let mut pen: Option<(f64, f64)> = None;
    for (index, &(x, y)) in points.iter().enumerate() {
        // A point in the middle of a straight line adds nothing.
        let straight = |a: f64, b: f64, c: f64| (a - b).abs() < 0.05 && (b - c).abs() < 0.05;
        let next = points.get(index + 1);
        if let (Some((px, py)), Some(&(nx, ny))) = (pen, next)
            && (straight(px, x, nx) || straight(py, y, ny))
        {
            continue;
        }
        let _ = match pen {
            None => write!(drawn, "M{x:.1} {y:.1}"),
            Some((px, _)) if (px - x).abs() < 0.05 => write!(drawn, "V{y:.1}"),
            Some(_) => write!(drawn, "H{x:.1}"),
        };
        pen = Some((x, y));
    }
    drawn
}

/// The top of a panel for these series: a line at or above the largest value.
fn largest(samples: &[&Sample], values: &[Value<'_>]) -> f64 {
    let all = samples.iter().flat_map(|sample| values.iter().filter_map(|value| value(sample)));
    let most = all.fold(1.0, f64::max);
    (most / step_of(most)).ceil() * step_of(most)
}

/// The distance between the lines of a panel.
fn step_of(most: f64) -> f64 {
    nice(most / 4.0).max(1.0)
}

/// The step of 1, 2 or 5 times a power of ten that is at least so large.
fn nice(at_least: f64) -> f64 {
    let power = 10f64.powf(at_least.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= at_least)
        .unwrap_or(10.0 * power)
}

fn steps(from: f64, to: f64, step: f64) -> impl Iterator<Item = f64> {
    (0..100).map(move |n| from + f64::from(n) * step).take_while(move |value| *value <= to + 1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_numbers() {
        for (at_least, expected) in
            [(0.9, 1.0), (1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (6.0, 10.0), (25.0, 50.0)]
        {
            assert_eq!(nice(at_least), expected, "{at_least}");
        }
        assert_eq!(steps(0.0, 10.0, 5.0).collect::<Vec<_>>(), [0.0, 5.0, 10.0]);
    }

    #[test]
    fn paths_leave_out_what_lies_on_a_line() {
        let check = |points: &[(f64, f64)], expected: &str| assert_eq!(path(points), expected, "{points:?}");
        check(&[], "");
        check(&[(1.0, 2.0)], "M1.0 2.0");
        check(&[(0.0, 5.0), (1.0, 5.0), (2.0, 5.0), (2.0, 3.0), (4.0, 3.0)], "M0.0 5.0H2.0V3.0H4.0");
    }
}
