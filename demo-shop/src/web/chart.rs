//! The last 15 minutes as a picture, in words and as a table: the same numbers for everybody.
//!
//! The picture is SVG that stretches to any width; its lines keep their weight, and all words stand beside it as HTML,
//! so that they are as large on a telephone as elsewhere. Pending and completed differ in colour, in dash and in fill.

use super::history::{Point, SPAN, Window};
use super::markup::{known, thousands};
use std::fmt::Write;

/// The parts of the chart, each of which the script can put in place of its older self.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chart {
    /// The lines: what is inside the `svg` element.
    pub(super) lines: String,
    /// What the top, the middle and the bottom of the picture stand for.
    pub(super) scale: [String; 3],
    /// The picture in a sentence.
    pub(super) summary: String,
    /// The table's rows, one a minute, newest first.
    pub(super) rows: String,
}

/// The picture's size in its own units: one a second across, and a hundred up.
const WIDTH: f64 = SPAN.as_secs() as f64;
const HEIGHT: f64 = 100.0;

/// The least that the picture's top stands for, so that a single order does not look like a crisis.
const LEAST_TOP: u64 = 10;

// === impl Chart ===

impl Chart {
    /// Draws what is to be shown.
    pub(super) fn of(window: &Window) -> Self {
        let points = window.points.as_slice();
        let pending = |point: &Point| point.pending;
        let completed = |point: &Point| point.completed;
        let largest = points.iter().flat_map(|point| [point.pending, point.completed]).flatten().max();
        let top = round_up(largest.unwrap_or(0).max(LEAST_TOP));
        let mut lines =
            String::from("<path class=\"grid\" d=\"M0 .5H900M0 50H900M0 99.500H900M300 0V100M600 0V100\"/>");
        for run in runs(points, pending, top) {
            let area = run.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect::<Vec<_>>().join("L");
            if let (Some((first, _)), Some((last, _))) = (run.first(), run.last()) {
                push(
                    &mut lines,
                    format_args!("<path class=\"area\" d=\"M{first:.1} 100L{area}L{last:.1} 100Z\"/>"),
                );
            }
        }
        for (class, runs) in
            [("completed", runs(points, completed, top)), ("pending", runs(points, pending, top))]
        {
            for run in runs {
                let path = run.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect::<Vec<_>>().join("L");
                // A line of no length is drawn as a dot: so is a single sample.
                push(&mut lines, format_args!("<path class=\"line {class}\" d=\"M{path}h0\"/>"));
            }
        }
        Self {
            lines,
            scale: [thousands(top), thousands(top / 2), "0".into()],
            summary: summary(window),
            rows: rows(points),
        }
    }
}

/// The runs of known values as points of the picture.
fn runs(points: &[Point], value: fn(&Point) -> Option<u64>, top: u64) -> Vec<Vec<(f64, f64)>> {
    let place = |point: &Point| {
        let y = HEIGHT * (1.0 - value(point)? as f64 / top as f64);
        Some(((WIDTH - point.age.as_secs_f64()).max(0.0), y))
    };
    let places: Vec<_> = points.iter().map(place).collect();
    places
        .split(Option::is_none)
        .map(|run| run.iter().flatten().copied().collect())
        .filter(|run: &Vec<_>| !run.is_empty())
        .collect()
}

/// The next of 10, 20, 50, 100, 200, ...
fn round_up(number: u64) -> u64 {
    let steps = (1..19).flat_map(|power| [1, 2, 5].map(|step| step * 10_u64.pow(power)));
    steps.into_iter().find(|&step| step >= number).unwrap_or(number)
}

fn summary(window: &Window) -> String {
    let points = window.points.as_slice();
    let Some(newest) = points.last() else { return "Nothing has been measured yet.".into() };
    let most = points.iter().filter_map(|point| point.pending).max();
    let minutes = points.first().map_or(0, |oldest| oldest.age.as_secs().div_ceil(60)).max(1);
    let span = if minutes == 1 { "minute".to_owned() } else { format!("{minutes} minutes") };
    format!(
        "Pending: {} now, {} at most in the last {span}. Completed: {} in the last minute, {} in the last {span}.",
        known(newest.pending),
        known(most),
        known(newest.completed),
        known(window.completed),
    )
}

fn rows(points: &[Point]) -> String {
    let mut rows = String::new();
    for minute in 0..SPAN.as_secs() / 60 {
        // What was known last in that minute, counted back from now.
        let within = |point: &&Point| point.age.as_secs() / 60 == minute;
        let Some(last) = points.iter().rfind(within) else { continue };
        let when = if minute == 0 { "now".to_owned() } else { format!("{minute} min ago") };
        push(
            &mut rows,
            format_args!(
                "<tr><th scope=\"row\">{when}</th><td>{}</td><td>{}</td></tr>",
                known(last.pending),
                known(last.completed)
            ),
        );
    }
    rows
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a String takes all that is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn point(age: u64, pending: Option<u64>, completed: Option<u64>) -> Point {
        Point { age: Duration::from_secs(age), pending, completed }
    }

    fn chart(points: &[Point]) -> Chart {
        Chart::of(&Window { points: points.to_vec(), completed: Some(70) })
    }

    /// The picture's paths by class.
    fn paths(points: &[Point], class: &str) -> Vec<String> {
        let lines = chart(points).lines;
        let with = format!("class=\"{class}\" d=\"");
        lines
            .split("<path ")
            .filter_map(|path| Some(path.strip_prefix(&*with)?.split('"').next()?.to_owned()))
            .collect()
    }

    #[test]
    fn lines_go_from_the_oldest_at_the_left_to_the_newest_at_the_right() {
        let points =
            [point(900, Some(100), Some(0)), point(450, Some(50), Some(50)), point(0, Some(0), Some(100))];
        assert_eq!(paths(&points, "line pending"), ["M0.0 0.0L450.0 50.0L900.0 100.0h0"]);
        assert_eq!(paths(&points, "line completed"), ["M0.0 100.0L450.0 50.0L900.0 0.0h0"]);
        assert_eq!(paths(&points, "area"), ["M0.0 100L0.0 0.0L450.0 50.0L900.0 100.0L900.0 100Z"]);
        assert_eq!(chart(&points).scale, ["100", "50", "0"]);
    }

    #[test]
    fn what_is_unknown_interrupts_the_line() {
        let points = [
            point(20, Some(1), None),
            point(15, None, None),
            point(10, Some(2), None),
            point(5, Some(3), None),
        ];
        assert_eq!(paths(&points, "line pending"), ["M880.0 90.0h0", "M890.0 80.0L895.0 70.0h0"]);
        assert_eq!(paths(&points, "line completed"), [""; 0]);
    }

    #[test]
    fn the_top_is_a_round_number() {
        for (largest, top) in
            [(0, 10), (10, 10), (11, 20), (21, 50), (51, 100), (999, 1000), (20_001, 50_000)]
        {
            assert_eq!(chart(&[point(0, Some(largest), None)]).scale[0], thousands(top), "{largest}");
        }
        assert_eq!(chart(&[point(0, Some(u64::MAX), None)]).scale[0], thousands(u64::MAX));
    }

    #[test]
    fn words_and_table_say_the_same() {
        let points = [
            point(130, Some(90), Some(0)),
            point(60, Some(80), Some(10)),
            point(59, None, None),
            point(0, Some(1000), Some(25)),
        ];
        let drawn = chart(&points);
        assert_eq!(
            drawn.summary,
            "Pending: 1,000 now, 1,000 at most in the last 3 minutes. Completed: 25 in the last minute, 70 in the last 3 minutes."
        );
        let row = |when: &str, pending: &str, completed: &str| {
            format!("<tr><th scope=\"row\">{when}</th><td>{pending}</td><td>{completed}</td></tr>")
        };
        let rows = [row("now", "1,000", "25"), row("1 min ago", "80", "10"), row("2 min ago", "90", "0")];
        assert_eq!(drawn.rows, rows.concat());
    }

    #[test]
    fn without_a_point_there_is_an_empty_picture() {
        let drawn = chart(&[]);
        assert_eq!((drawn.summary.as_str(), drawn.rows.as_str()), ("Nothing has been measured yet.", ""));
        assert!(drawn.lines.contains("class=\"grid\"") && !drawn.lines.contains("line"), "{}", drawn.lines);
    }
}
