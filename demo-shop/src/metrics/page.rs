//! A page in Prometheus' text format 0.0.4, written line by line.

use super::histogram::Snapshot;
use std::fmt::{Arguments, Display, Write};

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Page(String);

// === impl Page ===

impl Page {
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape_label(value))).collect();
        match labels.is_empty() {
            true => self.line(format_args!("{name} {value}")),
            false => self.line(format_args!("{name}{{{}}} {value}", labels.join(","))),
        }
    }

    /// The samples of one histogram, without its family's head.
    pub(super) fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Snapshot) {
        for (bound, count) in &histogram.buckets {
            let bound = if bound.is_infinite() { "+Inf".to_owned() } else { bound.to_string() };
            self.sample(&format!("{name}_bucket"), &[labels, &[("le", &bound)]].concat(), count);
        }
        self.sample(&format!("{name}_sum"), labels, histogram.sum);
        self.sample(&format!("{name}_count"), labels, histogram.count());
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn line(&mut self, line: Arguments<'_>) {
        writeln!(self.0, "{line}").expect("a String takes all that is written to it");
    }
}

fn escape_label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_and_label_values_are_escaped() {
        let mut page = Page::default();
        page.family("m", "gauge", "a\\b\nc\"d");
        page.sample("m", &[("l", "a\\b\nc\"d"), ("k", "}")], 1);
        assert_eq!(page.0, "# HELP m a\\\\b\\nc\"d\n# TYPE m gauge\nm{l=\"a\\\\b\\nc\\\"d\",k=\"}\"} 1\n");
    }

    #[test]
    fn a_histogram_has_buckets_sum_and_count() {
        let mut page = Page::default();
        let snapshot = Snapshot { buckets: vec![(0.5, 1), (f64::INFINITY, 3)], sum: 2.25 };
        page.histogram("t", &[("a", "b")], &snapshot);
        let expected = "t_bucket{a=\"b\",le=\"0.5\"} 1\nt_bucket{a=\"b\",le=\"+Inf\"} 3\nt_sum{a=\"b\"} 2.25\nt_count{a=\"b\"} 3\n";
        assert_eq!(page.0, expected);
    }
}
