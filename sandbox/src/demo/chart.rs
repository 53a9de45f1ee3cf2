//! The small chart that a terminal shows at the end: the queue above the workers, from the order to the last sample.

use super::record::{Record, Sample};

/// How wide the drawing is, in columns.
const COLUMNS: usize = 64;
/// How high each of the two is, in rows.
const ROWS: usize = 4;

/// Draws both, one line a row; empty for a run without samples after the order.
pub fn draw(record: &Record) -> String {
    let samples: Vec<&Sample> = record.samples.iter().filter(|sample| sample.at >= 0.0).collect();
    let Some(end) = samples.last().map(|sample| sample.at).filter(|end| *end > 0.0) else {
        return String::new();
    };
    let messages = |sample: &Sample| sample.queue.map_or(0, |queue| queue.messages);
    let mut chart = part("messages", &columns(&samples, end, messages));
    chart.push('\n');
    chart += &part("workers", &columns(&samples, end, |sample| sample.workers.ready));
    let (begin, end) = ("0 s", format!("{end:.0} s"));
    chart += &format!("{:15}{begin}{:>width$}\n", "", end, width = COLUMNS - begin.len());
    chart
}

/// The value of each column: the largest of the samples that fall into it, or else the last before it.
fn columns(samples: &[&Sample], end: f64, value: impl Fn(&Sample) -> u64) -> Vec<u64> {
    let column = |at: f64| ((at / end * COLUMNS as f64) as usize).min(COLUMNS - 1);
    let mut values = vec![None; COLUMNS];
    for sample in samples {
        if let Some(slot) = values.get_mut(column(sample.at)) {
            let most: Option<u64> = *slot;
            *slot = most.max(Some(value(sample)));
        }
    }
    let mut last = 0;
    let hold = |value: Option<u64>| {
        last = value.unwrap_or(last);
        last
    };
    values.into_iter().map(hold).collect()
}

fn part(name: &str, values: &[u64]) -> String {
    const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.iter().copied().max().unwrap_or(0).max(1);
    let mut text = String::new();
    for row in (0..ROWS).rev() {
        let (name, scale) = if row == ROWS - 1 { (name, most.to_string()) } else { ("", String::new()) };
        let scale = if row == 0 { "0".to_owned() } else { scale };
        text += &format!("  {name:8} {scale:>3}");
        text.push('│');
        for value in values {
            let eighths = (value * ROWS as u64 * 8).div_ceil(most) as usize;
            let here = eighths.saturating_sub(row * 8).min(8);
            text.push(EIGHTHS.get(here).copied().unwrap_or(' '));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::record::{Queue, Workers};
    use super::*;

    fn record(samples: &[(f64, u64, u64)]) -> Record {
        let sample = |&(at, messages, ready): &(f64, u64, u64)| Sample {
            at,
            queue: Some(Queue { messages, done: None }),
            workers: Workers { wanted: ready, ready, pods: ready },
            ..Sample::default()
        };
        Record { samples: samples.iter().map(sample).collect(), ..Record::default() }
    }

    #[test]
    fn the_whole_chart() {
        let chart =
            draw(&record(&[(-1.0, 900, 9), (0.0, 100, 1), (16.0, 50, 5), (48.0, 0, 10), (64.0, 0, 1)]));
        let wide = |text: &str, times: usize| text.repeat(times);
        let expected = [
            format!("  messages 100│{}", wide("█", 16)),
            format!("              │{}", wide("█", 16)),
            format!("              │{}", wide("█", 48)),
            format!("             0│{}", wide("█", 48)),
            String::new(),
            format!("  workers   10│{}{}", wide(" ", 48), wide("█", 15)),
            format!("              │{}{}", wide(" ", 48), wide("█", 15)),
            format!("              │{}{}", wide(" ", 16), wide("█", 47)),
            format!("             0│{}{}▄", wide("▄", 16), wide("█", 47)),
            format!("               0 s{}64 s", wide(" ", 57)),
        ];
        assert_eq!(chart.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn it_fits_into_80_columns_and_needs_something_to_draw() {
        assert_eq!(draw(&Record::default()), "");
        assert_eq!(draw(&record(&[(0.0, 5, 1)])), "");
        let chart = draw(&record(&[(0.0, 1_000, 1), (1_000.0, 0, 10)]));
        assert!(chart.lines().all(|line| line.chars().count() <= 80), "{chart}");
    }
}
