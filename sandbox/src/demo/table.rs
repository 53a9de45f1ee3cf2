//! The table that is shown while the demo runs: at most 80 columns wide.

use super::record::{Decision, Sample};

/// The width that every row keeps within, in columns.
pub const WIDTH: usize = 80;
/// How wide the bar of the queue is, in columns.
const BAR: usize = 5;

/// How rows look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// For files and logs: no bars, no colours.
    Plain,
    /// For terminals.
    Rich,
}

/// Decides which samples become rows: those in which workers, autoscaler or troubles differ from the row before, and one
/// now and then while the queue changes.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The longest time without a row while the queue changes, in seconds.
    every: f64,
    last: Option<Sample>,
}

/// The two lines above the rows.
pub fn head(look: Look) -> String {
    let bar = if look == Look::Rich { " ".repeat(BAR + 1) } else { String::new() };
    let names = format!("  time  messages{bar}  workers  wanted   age  autoscaler");
    match look {
        Look::Plain => names,
        Look::Rich => format!("\x1b[1m{names}\x1b[0m"),
    }
}

/// One row. `most` is the number of messages that fills the bar.
pub fn row(sample: &Sample, most: u64, look: Look) -> String {
    let messages = sample.queue.map(|queue| queue.messages);
    let number = messages.map_or_else(|| "?".to_owned(), |messages| messages.to_string());
    let bar = match look {
        Look::Plain => String::new(),
        Look::Rich => format!(" \x1b[36m{}\x1b[0m", bar(messages.unwrap_or(0), most)),
    };
    let workers = sample.workers;
    let ending = workers.pods.saturating_sub(workers.ready.max(workers.wanted));
    let ready = match ending {
        0 => workers.ready.to_string(),
        more => format!("{} +{more}", workers.ready),
    };
    let age = sample.served.map_or_else(|| "-".to_owned(), |served| format!("{:.0} s", served.age));
    let numbers =
        format!("{:>6}  {number:>8}{bar}  {ready:>7}  {:>6}  {age:>4}  ", clock(sample.at), workers.wanted);
    let used = 41 + if look == Look::Rich { BAR + 1 } else { 0 };
    let reasons = match sample.autoscaler.reasons.as_str() {
        "" => "-",
        reasons => reasons,
    };
    let reasons = shortened(reasons, WIDTH - used);
    match (look, sample.autoscaler.active) {
        (Look::Rich, false) => format!("{numbers}\x1b[33m{reasons}\x1b[0m"),
        _ => numbers + &reasons,
    }
}

/// The line below a row that says what the autoscaler did.
pub fn decision(decision: &Decision, look: Look) -> String {
    let text = format!(
        "        {} {}: {}",
        if look == Look::Rich { "└" } else { "=" },
        decision.reason,
        decision.message
    );
    let text = shortened(&text, WIDTH);
    match (look, decision.warning) {
        (Look::Plain, _) => text,
        (Look::Rich, false) => format!("\x1b[32m{text}\x1b[0m"),
        (Look::Rich, true) => format!("\x1b[33m{text}\x1b[0m"),
    }
}

/// Minutes and seconds since the order.
pub fn clock(seconds: f64) -> String {
    let sign = if seconds <= -0.5 { "-" } else { "" };
    let whole = seconds.abs().round();
    format!("{sign}{}:{:02}", (whole / 60.0).floor(), whole % 60.0)
}

/// The text, with its end cut off if it is longer than `most` characters.
pub fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

fn bar(value: u64, most: u64) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (value.min(most) * BAR as u64 * 8).div_ceil(most.max(1)) as usize;
    let mut bar = "█".repeat(eighths / 8);
    match eighths % 8 {
        0 => {}
        rest => bar.extend(EIGHTHS.get(rest)),
    }
    let pad = BAR.saturating_sub(bar.chars().count());
    bar + &" ".repeat(pad)
}

// === impl Rows ===

impl Rows {
    /// At least one row in `every` seconds while the queue changes.
    pub fn new(every: f64) -> Self {
        Self { every, last: None }
    }

    /// Whether this sample is worth a row.
    pub fn wants(&mut self, sample: &Sample) -> bool {
        let is_new = self.last.as_ref().is_none_or(|last| {
            let differs = last.workers != sample.workers
                || last.autoscaler.reasons != sample.autoscaler.reasons
                || last.troubles != sample.troubles;
            let flows = last.queue.map(|queue| queue.messages) != sample.queue.map(|queue| queue.messages);
            differs || (flows && sample.at - last.at >= self.every)
        });
        if is_new {
            self.last = Some(sample.clone());
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Autoscaler, Queue, Served, Workers};
    use super::*;

    fn sample(at: f64, messages: u64) -> Sample {
        Sample {
            at,
            queue: Some(Queue { messages, done: None }),
            served: Some(Served { value: 100.0, age: 1.4 }),
            workers: Workers { wanted: 5, ready: 1, pods: 5 },
            autoscaler: Autoscaler {
                active: true,
                reasons: "SucceededRescale, ScaleUpLimit".into(),
                message: String::new(),
            },
            troubles: Vec::new(),
        }
    }

    #[test]
    fn rows_line_up_with_their_head() {
        let ending = Sample { workers: Workers { wanted: 1, ready: 1, pods: 10 }, ..sample(-4.0, 0) };
        let unknown = Sample { at: 61.0, ..Sample::default() };
        let found = [
            head(Look::Plain),
            row(&sample(3.2, 100), 100, Look::Plain),
            row(&ending, 100, Look::Plain),
            row(&unknown, 100, Look::Plain),
        ];
        let expected = [
            "  time  messages  workers  wanted   age  autoscaler",
            "  0:03       100        1       5   1 s  SucceededRescale, ScaleUpLimit",
            " -0:04         0     1 +9       1   1 s  SucceededRescale, ScaleUpLimit",
            "  1:01         ?        0       0     -  -",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn rows_fit_into_80_columns() {
        let mut long = sample(3_599.0, 1_000_000);
        long.autoscaler.reasons = "FailedGetPodsMetric, ".repeat(5);
        for (look, at_least) in [(Look::Plain, 80), (Look::Rich, 80)] {
            let row = row(&long, 100, look);
            let visible = visible(&row);
            assert_eq!(visible.chars().count(), at_least, "{visible}");
            assert!(visible.ends_with('…'));
        }
        let decided = Decision { at: 1.0, warning: false, reason: "R".into(), message: "m".repeat(200) };
        assert_eq!(visible(&decision(&decided, Look::Rich)).chars().count(), 80);
    }

    /// Without escape sequences.
    fn visible(text: &str) -> String {
        let mut parts = text.split('\x1b');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
    }

    #[test]
    fn bars_grow_by_eighths() {
        let check = |value: u64, most: u64, expected: &str| {
            assert_eq!(bar(value, most).trim_end(), expected, "{value} of {most}");
            assert_eq!(bar(value, most).chars().count(), BAR);
        };
        check(0, 100, "");
        check(1, 100, "▏");
        check(40, 100, "██");
        check(52, 100, "██▋");
        check(100, 100, "█████");
        check(500, 100, "█████");
        check(5, 0, "");
    }

    #[test]
    fn a_row_comes_with_a_change_and_now_and_then() {
        let mut rows = Rows::new(3.0);
        let mut check =
            |sample: Sample, expected: bool| assert_eq!(rows.wants(&sample), expected, "{sample:?}");
        check(sample(0.0, 100), true);
        check(sample(0.5, 99), false);
        check(sample(3.0, 97), true);
        check(sample(6.0, 97), false);
        check(sample(6.5, 96), true);
        check(Sample { workers: Workers { wanted: 5, ready: 2, pods: 5 }, ..sample(7.0, 96) }, true);
    }

    #[test]
    fn clocks() {
        for (seconds, expected) in
            [(0.0, "0:00"), (-0.2, "0:00"), (-61.0, "-1:01"), (59.6, "1:00"), (3_600.0, "60:00")]
        {
            assert_eq!(clock(seconds), expected, "{seconds}");
        }
    }
}
