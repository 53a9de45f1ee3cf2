//! Whether two answers are the same.

use std::collections::BTreeMap;

use podgauge_promql::{Answer, Labels, Value as Ours};
use serde_json::Value;

/// By how much of their sum two numbers may differ: versions add up in different ways.
const TOLERANCE: f64 = 1e-9;

pub(crate) enum Verdict {
    Same,
    /// The same, and nothing.
    Empty,
    /// Both refuse.
    Refused,
    Different(String),
}

type Elements = BTreeMap<String, Vec<(i64, f64)>>;

pub(crate) fn instant(text: &str, ours: Result<Answer, String>, theirs: Value) -> Verdict {
    let elements = ours.map(|answer| match answer.value {
        Ours::Scalar(value) => [(String::new(), vec![(0, value)])].into(),
        Ours::Vector(points) => points
            .iter()
            .map(|point| (point.labels.to_string(), vec![(0, point.value)]))
            .collect::<Elements>(),
        other => panic!("{text} gave {other:?}"),
    });
    verdict(text, elements, elements_of(theirs, false))
}

pub(crate) fn range(text: &str, ours: Result<Answer, String>, theirs: Value) -> Verdict {
    let elements = ours.map(|answer| match answer.value {
        Ours::Matrix(series) => {
            let samples = |series: &podgauge_promql::Series| {
                let samples = series.samples.iter().map(|sample| (sample.t_ms, sample.value)).collect();
                (series.labels.to_string(), samples)
            };
            series.iter().map(samples).collect::<Elements>()
        }
        other => panic!("{text} gave {other:?}"),
    });
    verdict(text, elements, elements_of(theirs, true))
}

fn verdict(text: &str, ours: Result<Elements, String>, theirs: Result<Elements, String>) -> Verdict {
    let (ours, theirs) = match (ours, theirs) {
        (Err(_), Err(_)) => return Verdict::Refused,
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (ours, theirs) => return Verdict::Different(format!("ours {ours:?}\n    theirs {theirs:?}")),
    };
    let same = if text.starts_with("topk") || text.starts_with("bottomk") {
        same_values(&ours, &theirs)
    } else {
        ours.len() == theirs.len()
            && ours.iter().zip(&theirs).all(|((a, ours), (b, theirs))| {
                let near = |(a, b): (&(i64, f64), &(i64, f64))| a.0 == b.0 && near(a.1, b.1);
                a == b && ours.len() == theirs.len() && ours.iter().zip(theirs).all(near)
            })
    };
    match (same, ours.is_empty()) {
        (true, true) => Verdict::Empty,
        (true, false) => Verdict::Same,
        (false, _) => Verdict::Different(format!("ours {ours:?}\n    theirs {theirs:?}")),
    }
}

/// Whether the values are the same, whatever series they belong to.
fn same_values(ours: &Elements, theirs: &Elements) -> bool {
    let values = |elements: &Elements| {
        let mut values: Vec<(i64, f64)> = elements.values().flatten().copied().collect();
        // The sign of a NaN means nothing.
        values.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.is_nan().cmp(&b.1.is_nan())).then(a.1.total_cmp(&b.1)));
        values
    };
    let (ours, theirs) = (values(ours), values(theirs));
    ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| a.0 == b.0 && near(a.1, b.1))
}

fn near(a: f64, b: f64) -> bool {
    let (difference, size) = ((a - b).abs(), a.abs() + b.abs());
    a == b
        || (a.is_nan() && b.is_nan())
        || difference < TOLERANCE * size
        || (difference < 1e-9 && size < 1e-6)
}

fn elements_of(answer: Value, is_range: bool) -> Result<Elements, String> {
    if answer["status"] != "success" {
        return Err(answer["error"].as_str().unwrap_or_default().to_owned());
    }
    let data = &answer["data"];
    if data["resultType"] == "scalar" {
        return Ok([(String::new(), vec![(0, number(&data["result"][1]))])].into());
    }
    let element = |element: &Value| {
        let labels = element["metric"].as_object().expect("an element has labels");
        let labels = Labels::new(
            labels.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default())),
        );
        let samples = if is_range {
            let samples = element["values"].as_array().expect("a series has samples");
            samples.iter().map(|sample| (millis(&sample[0]), number(&sample[1]))).collect()
        } else {
            vec![(0, number(&element["value"][1]))]
        };
        (labels.to_string(), samples)
    };
    Ok(data["result"].as_array().expect("an answer has a result").iter().map(element).collect())
}

fn number(text: &Value) -> f64 {
    text.as_str().and_then(|text| text.parse().ok()).expect("a value is a number")
}

fn millis(seconds: &Value) -> i64 {
    (seconds.as_f64().expect("a time is a number") * 1_000.0).round() as i64
}
