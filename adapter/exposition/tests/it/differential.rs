//! Against `prometheus-parse`, on the pages that it gets right.
//!
//! It is a parser of its own making with its own users, so what both say is unlikely to be a misunderstanding of ours.
//! Left out is what it is known to lose or alter: escapes, `,`, `=` and `}` inside label values, quoted names, names with
//! colons, empty braces, blanks inside braces, and OpenMetrics.

use std::collections::BTreeMap;

use podgauge_exposition::{Format, Limits, Page, Role, parse_number};
use prometheus_parse::{Scrape, Value};
use proptest::{collection::vec, prelude::*, sample::select};

/// Samples of either parser: name and labels against the value's bits. A histogram is its buckets, a summary its
/// quantiles, because that is how far `prometheus-parse` takes them.
type Samples = BTreeMap<(String, BTreeMap<String, String>), u64>;

fn ours(text: &str) -> Samples {
    let page = Page::parse(text.as_bytes(), Format::Text, &Limits::default()).expect("text is never refused");
    assert_eq!(page.rejected.count, 0, "{:?}\n{text}", page.rejected);
    let mut samples = Samples::new();
    for sample in &page.samples {
        let mut labels: BTreeMap<String, String> = page
            .labels(sample)
            .iter()
            .map(|label| (label.name.to_string(), label.value.to_string()))
            .collect();
        let (family, _) = page.family(sample);
        let name = match sample.role {
            Role::Bucket | Role::Quantile => {
                let label = if sample.role == Role::Bucket { "le" } else { "quantile" };
                labels.insert(label.to_owned(), bits(page.bound(sample).expect("the bound is a number")));
                family
            }
            _ => &sample.name,
        };
        samples.insert((name.to_owned(), labels), sample.value.to_bits());
    }
    samples
}

fn theirs(text: &str) -> Samples {
    let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).expect("lines do not fail");
    let mut samples = Samples::new();
    for sample in scrape.samples {
        let labels: BTreeMap<String, String> =
            sample.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut insert = |label: Option<(&str, f64)>, value: f64| {
            let mut labels = labels.clone();
            labels.extend(label.map(|(name, bound)| (name.to_owned(), bits(bound))));
            samples.insert((sample.metric.clone(), labels), value.to_bits());
        };
        match &sample.value {
            Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => insert(None, *value),
            Value::Histogram(buckets) => {
                buckets.iter().for_each(|one| insert(Some(("le", one.less_than)), one.count))
            }
            Value::Summary(quantiles) => {
                quantiles.iter().for_each(|one| insert(Some(("quantile", one.quantile)), one.count));
            }
        }
    }
    samples
}

fn bits(number: f64) -> String {
    format!("{:x}", number.to_bits())
}

#[test]
fn real_pages() {
    for text in [include_str!("../../corpus/etcd.txt"), include_str!("../../corpus/cadvisor.txt")] {
        let samples = ours(text);
        assert!(samples.len() > 20);
        assert_eq!(samples, theirs(text));
    }
}

#[test]
fn numbers_in_labels_are_the_numbers_of_values() {
    for (text, value) in [("+Inf", f64::INFINITY), ("0.005", 0.005), ("1e-05", 1e-5)] {
        assert_eq!(parse_number(text), Some(value));
    }
}

/// Families one after the other, each with its type first.
fn page() -> impl Strategy<Value = String> {
    let number = "(0|[1-9][0-9]{0,12}(\\.[0-9]{1,9})?(e[+-][01]?[0-9])?|\\+Inf|-Inf|NaN)";
    let labels = vec("[a-z /._{#é-]{0,8}", 0..3);
    let series = vec((labels, vec(number, 6)), 1..4);
    let kind = select(vec!["counter", "gauge", "untyped", "histogram", "summary"]);
    vec((kind, "[a-z]{1,6}(_[a-z]{1,4}){0,2}", series), 1..5).prop_map(|families| {
        let mut text = String::new();
        for (index, (kind, name, series)) in families.into_iter().enumerate() {
            let name = format!("f{index}_{name}");
            text += &format!("# HELP {name} Some help.\n# TYPE {name} {kind}\n");
            for (index, (labels, numbers)) in series.into_iter().enumerate() {
                let mut pairs = vec![format!("series=\"{index}\"")];
                pairs.extend(
                    labels.iter().zip(["a", "b", "c"]).map(|(value, label)| format!("{label}=\"{value}\"")),
                );
                let pairs = pairs.join(",");
                match kind {
                    "histogram" | "summary" => {
                        let (suffix, label) =
                            if kind == "histogram" { ("_bucket", "le") } else { ("", "quantile") };
                        for (bound, number) in ["0.1", "0.5", "0.99", "1"].iter().zip(&numbers) {
                            text += &format!("{name}{suffix}{{{pairs},{label}=\"{bound}\"}} {number}\n");
                        }
                        text += &format!(
                            "{name}_sum{{{pairs}}} {}\n{name}_count{{{pairs}}} {}\n",
                            numbers[4], numbers[5]
                        );
                    }
                    _ => text += &format!("{name}{{{pairs}}} {}\n", numbers[0]),
                }
            }
        }
        text
    })
}

proptest! {
    #[test]
    fn generated_pages(text in page()) {
        prop_assert_eq!(ours(&text), theirs(&text), "{}", text);
    }
}
