//! What is the same and what is not, for people and for programs.

use std::fmt::Write as _;

use serde_json::json;

/// One object's value of one metric of one autoscaler.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) autoscaler: String,
    pub(super) metric: String,
    /// Empty when there is none.
    pub(super) object: String,
    pub(super) ours: Option<f64>,
    pub(super) theirs: Option<f64>,
    pub(super) verdict: Verdict,
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    Same,
    /// Neither has a value.
    Neither,
    /// By so many percent of the larger one.
    Apart(f64),
    OnlyOurs,
    OnlyTheirs,
    /// There was nothing to compare, and why.
    Failed(String),
}

// === impl Verdict ===

impl Verdict {
    pub(super) fn of(ours: Option<f64>, theirs: Option<f64>, tolerance: f64) -> Self {
        match (ours, theirs) {
            (Some(a), Some(b)) => {
                let largest = a.abs().max(b.abs());
                let apart = if largest > 0.0 { (a - b).abs() / largest * 100.0 } else { 0.0 };
                if apart > tolerance { Self::Apart(apart) } else { Self::Same }
            }
            (Some(_), None) => Self::OnlyOurs,
            (None, Some(_)) => Self::OnlyTheirs,
            (None, None) => Self::Neither,
        }
    }

    /// What it makes of the exit code: 0 the same, 1 different, 2 not compared.
    pub(super) fn severity(&self) -> u8 {
        match self {
            Self::Same | Self::Neither => 0,
            Self::Apart(_) | Self::OnlyOurs | Self::OnlyTheirs => 1,
            Self::Failed(_) => 2,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Same => "same".to_owned(),
            Self::Neither => "neither has it".to_owned(),
            Self::Apart(percent) => format!("{percent:.0} % apart"),
            Self::OnlyOurs => "the other lacks it".to_owned(),
            Self::OnlyTheirs => "podgauge lacks it".to_owned(),
            Self::Failed(why) => why.clone(),
        }
    }
}

/// A table with as much room as each column needs.
pub(super) fn table(rows: &[Row]) -> String {
    let head = ["AUTOSCALER", "METRIC", "OBJECT", "PODGAUGE", "OTHER", "VERDICT"].map(str::to_owned);
    let value = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let lines = rows.iter().map(|row| {
        let object = if row.object.is_empty() { "-" } else { &row.object };
        // Whoever names a metric, or answers, shall not write to the terminal.
        let tame = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        [
            tame(&row.autoscaler),
            tame(&row.metric),
            tame(object),
            value(row.ours),
            value(row.theirs),
            tame(&row.verdict.text()),
        ]
    });
    let lines: Vec<_> = std::iter::once(head).chain(lines).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    let count = |severity| rows.iter().filter(|row| row.verdict.severity() == severity).count();
    let _ = writeln!(text, "{} same, {} different, {} not compared", count(0), count(1), count(2));
    text
}

/// A list of objects.
pub(super) fn json(rows: &[Row]) -> String {
    let rows = rows.iter().map(|row| {
        json!({
            "autoscaler": row.autoscaler,
            "metric": row.metric,
            "object": row.object,
            "podgauge": row.ours,
            "other": row.theirs,
            "isSame": row.verdict.severity() == 0,
            "verdict": row.verdict.text(),
        })
    });
    format!("{:#}\n", serde_json::Value::Array(rows.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_same_or_not() {
        let check = |ours, theirs, want: Verdict| assert_eq!(Verdict::of(ours, theirs, 10.0), want);
        check(Some(0.0), Some(0.0), Verdict::Same);
        check(Some(90.0), Some(100.0), Verdict::Same);
        check(Some(100.0), Some(75.0), Verdict::Apart(25.0));
        check(Some(1.0), Some(-1.0), Verdict::Apart(200.0));
        check(Some(1.0), None, Verdict::OnlyOurs);
        check(None, Some(1.0), Verdict::OnlyTheirs);
        check(None, None, Verdict::Neither);
    }

    #[test]
    fn columns_are_as_wide_as_they_need() {
        let row = |object: &str, ours, theirs| Row {
            autoscaler: "shop/web".to_owned(),
            metric: "Pods hits_per_second".to_owned(),
            object: object.to_owned(),
            ours,
            theirs,
            verdict: Verdict::of(ours, theirs, 10.0),
        };
        let failed = Verdict::Failed("HTTP 403:\u{1b}no".to_owned());
        let failed =
            Row { verdict: failed, metric: "Pods hits\nper_second".to_owned(), ..row("", None, None) };
        let rows = [row("web-0", Some(1.5), Some(3.0)), row("web-longer", Some(2.0), None), failed];
        assert_eq!(
            table(&rows),
            "AUTOSCALER  METRIC                OBJECT      PODGAUGE  OTHER  VERDICT
shop/web    Pods hits_per_second  web-0       1.5       3      50 % apart
shop/web    Pods hits_per_second  web-longer  2         -      the other lacks it
shop/web    Pods hits per_second  -           -         -      HTTP 403: no
0 same, 2 different, 1 not compared
"
        );
    }
}
