//! The bodies of answers: `MetricValueList`, `ExternalMetricValueList`, `PodMetricsList` and `Status`.
//!
//! Unknown fields are ignored. Of custom metrics, `kind` and `apiVersion` must be right, because the client
//! decides by them; of the other two they are not looked at.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{PodMetric, Samples};
use crate::quantity::Quantity;
use crate::time::Time;

/// The window of a custom metric that does not say.
const DEFAULT_WINDOW: Duration = Duration::from_secs(60);
/// How much of an unreadable body an error quotes, in characters.
const MAX_QUOTED_CHARS: usize = 200;

/// Why an answer of code 200 holds no samples.
pub(super) enum DecodeError {
    /// It is a list without items.
    Empty,
    /// It cannot be used; a sentence.
    Unreadable(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetricValueList {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    items: Option<Vec<MetricValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct MetricValue {
    described_object: Named,
    timestamp: Option<Time>,
    /// Of v1beta2.
    window_seconds: Option<u64>,
    /// Of v1beta1.
    window: Option<u64>,
    value: Quantity,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Named {
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ExternalMetricValueList {
    items: Option<Vec<ExternalMetricValue>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ExternalMetricValue {
    value: Quantity,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PodMetricsList {
    items: Option<Vec<PodMetrics>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PodMetrics {
    metadata: Named,
    timestamp: Option<Time>,
    window: String,
    containers: Option<Vec<ContainerMetrics>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ContainerMetrics {
    name: String,
    usage: BTreeMap<String, Quantity>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    kind: String,
    message: String,
}

pub(super) fn of_pods(body: &[u8]) -> Result<Samples, DecodeError> {
    let items = custom(body)?;
    if items.is_empty() {
        return Err(DecodeError::Empty);
    }
    let sample = |item: MetricValue| {
        let window = item.window_seconds.or(item.window).map_or(DEFAULT_WINDOW, Duration::from_secs);
        let timestamp = item.timestamp.unwrap_or_default();
        (item.described_object.name, PodMetric { value: item.value.milli(), timestamp, window })
    };
    Ok(Samples::Pods(items.into_iter().map(sample).collect()))
}

pub(super) fn of_object(body: &[u8]) -> Result<Samples, DecodeError> {
    let items = custom(body)?;
    match items.as_slice() {
        [item] => Ok(Samples::Object(item.value.milli())),
        items => Err(DecodeError::Unreadable(format!("{} values came where one was asked for", items.len()))),
    }
}

pub(super) fn external(body: &[u8]) -> Result<Samples, DecodeError> {
    let list: ExternalMetricValueList = json(body)?;
    let values: Vec<_> = list.items.unwrap_or_default().iter().map(|item| item.value.milli()).collect();
    if values.is_empty() { Err(DecodeError::Empty) } else { Ok(Samples::External(values)) }
}

/// A pod counts if each of its containers has the resource; with `container`, if that one has.
pub(super) fn resource(body: &[u8], name: &str, container: Option<&str>) -> Result<Samples, DecodeError> {
    let list: PodMetricsList = json(body)?;
    let items = list.items.unwrap_or_default();
    if items.is_empty() {
        return Err(DecodeError::Empty);
    }
    let mut samples = BTreeMap::new();
    for item in items {
        let containers = item.containers.unwrap_or_default();
        let mut counted =
            containers.iter().filter(|candidate| container.is_none_or(|name| candidate.name == name));
        let mut usage = None;
        let complete = counted.all(|container| {
            let Some(quantity) = container.usage.get(name) else { return false };
            usage = Some(usage.unwrap_or(0i64).wrapping_add(quantity.milli()));
            true
        });
        if let Some(value) = usage.filter(|_| complete) {
            let window = go_duration(&item.window).unwrap_or_default();
            let timestamp = item.timestamp.unwrap_or_default();
            samples.insert(item.metadata.name, PodMetric { value, timestamp, window });
        }
    }
    Ok(Samples::Pods(samples))
}

/// What the client makes of an answer that is no success.
pub(super) fn status_message(code: u16, body: &[u8]) -> String {
    match serde_json::from_slice::<Status>(body) {
        Ok(status) if status.kind == "Status" && !status.message.is_empty() => status.message,
        _ => format!("the server answered {code} without a Status that says why"),
    }
}

fn custom(body: &[u8]) -> Result<Vec<MetricValue>, DecodeError> {
    let list: MetricValueList = json(body)?;
    let version_is_known = matches!(
        list.api_version.as_str(),
        "custom.metrics.k8s.io/v1beta1" | "custom.metrics.k8s.io/v1beta2"
    );
    if list.kind != "MetricValueList" || !version_is_known {
        return Err(DecodeError::Unreadable(format!(
            "a MetricValueList of custom.metrics.k8s.io was asked for, kind {:?} of apiVersion {:?} came",
            list.kind, list.api_version
        )));
    }
    Ok(list.items.unwrap_or_default())
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(body).map_err(|error| {
        let quoted: String =
            String::from_utf8_lossy(body.get(..MAX_QUOTED_CHARS).unwrap_or(body)).into_owned();
        DecodeError::Unreadable(format!("the answer is not the JSON asked for: {error}: {quoted:?}"))
    })
}

/// A Go duration that is not negative: `15.06s`, `1m0s`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(end)?;
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_end)?;
        let unit = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * unit;
        rest = tail;
    }
    Duration::try_from_secs_f64(seconds).ok()
}
