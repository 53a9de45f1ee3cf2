//! What Prometheus answers: its JSON, as points, as names of series, or as what is wrong.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use http::StatusCode;
use podgauge_promql::{Labels, METRIC_NAME, Point};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, SeqAccess, Visitor},
};

use crate::error::QueryError;

/// The names of series, and of each the names of the labels that any of its series has.
pub type SeriesNames = BTreeMap<String, BTreeSet<String>>;

/// The most elements of a vector; the same as the default of our own evaluation.
const ELEMENTS: usize = 100_000;
/// The most names of series and labels, together.
const NAMES: usize = 1_000_000;
/// How much of what Prometheus says is passed on.
const SAID_CHARS: usize = 300;

/// What an instant query gave.
pub(crate) fn points(code: StatusCode, body: &[u8]) -> Result<Vec<Point>, QueryError> {
    let data: Data = read(code, body)?;
    let kind = data.result_type;
    let items = data.result.0.ok_or(QueryError::TooMany { most: ELEMENTS, of: "series" })?;
    match (&*kind, &*items) {
        ("scalar", [Item::Number(at), Item::Text(value)]) => {
            Ok(point(Labels::empty(), &(*at, value.clone())).into_iter().collect())
        }
        ("vector", _) => Ok(items.into_iter().filter_map(Item::point).collect()),
        _ => Err(QueryError::Refused(format!(
            "the query gives a {}, and not an instant vector or a scalar",
            shown(&kind)
        ))),
    }
}

/// What series there are.
pub(crate) fn names(code: StatusCode, body: &[u8]) -> Result<SeriesNames, QueryError> {
    read::<Names>(code, body)?.0.ok_or(QueryError::TooMany { most: NAMES, of: "names" })
}

/// The envelope that is around every answer of Prometheus.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: DeserializeOwned")]
struct Envelope<T> {
    status: String,
    data: Option<T>,
    error_type: Option<String>,
    error: Option<String>,
    /// VictoriaMetrics: some of its nodes did not answer.
    #[serde(default)]
    is_partial: bool,
}

/// Of a failure, whatever its data may be.
#[derive(Deserialize)]
struct Ignored {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Items,
}

/// None if there are too many.
struct Items(Option<Vec<Item>>);

/// An element of a vector, or one half of a scalar.
#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Element { metric: HashMap<String, String>, value: Option<(f64, String)> },
    Number(f64),
    Text(String),
}

/// None if there are too many.
struct Names(Option<SeriesNames>);

fn read<T: DeserializeOwned>(code: StatusCode, body: &[u8]) -> Result<T, QueryError> {
    if code != StatusCode::OK {
        let said = serde_json::from_slice::<Envelope<Ignored>>(body).ok();
        let kind = said.as_ref().and_then(|said| said.error_type.as_deref()).map(shown).unwrap_or_default();
        let error = said.as_ref().and_then(|said| said.error.as_deref()).map(shown).unwrap_or_default();
        // What the API says about a query it says by these codes; a proxy has no such envelope around its words.
        return Err(match code {
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY if said.is_some() => {
                QueryError::Refused(format!("{kind}: {error}"))
            }
            // Whoever has written a long selector must not be able to shut out all others.
            StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::URI_TOO_LONG
            | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                let code = code.as_u16();
                QueryError::Refused(format!("it answers HTTP {code}, as the query is too long"))
            }
            _ => QueryError::Status { code, said: error },
        });
    }
    let unreadable = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => QueryError::Garbage(shown(&error.to_string())),
            _ => QueryError::Garbage(format!("it is no JSON from line {line} column {column} on")),
        }
    };
    let envelope: Envelope<T> = serde_json::from_slice(body).map_err(unreadable)?;
    if envelope.status != "success" {
        let error = envelope.error.unwrap_or(envelope.status);
        return Err(QueryError::Garbage(format!("it failed: {}", shown(&error))));
    }
    if envelope.is_partial {
        return Err(QueryError::Garbage("it is partial, since some storage nodes did not answer".to_owned()));
    }
    envelope.data.ok_or_else(|| QueryError::Garbage("it has no data".to_owned()))
}

fn point(labels: Labels, (at, value): &(f64, String)) -> Option<Point> {
    #[expect(clippy::cast_possible_truncation, reason = "what is out of range saturates")]
    let sampled_ms = (at * 1_000.0).round() as i64;
    Some(Point { labels, value: value.parse().ok()?, sampled_ms })
}

fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_CHARS).collect()
}

// === impl Item ===

impl Item {
    /// Histograms are no numbers, and left out.
    fn point(self) -> Option<Point> {
        match self {
            Self::Element { metric, value } => point(Labels::new(metric), &value?),
            Self::Number(_) | Self::Text(_) => None,
        }
    }
}

// === impl Items ===

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = each(deserializer, Vec::new(), |items, item| {
            items.push(item);
            items.len() <= ELEMENTS
        });
        items.map(Self)
    }
}

// === impl Names ===

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut count = 0;
        let names =
            each(deserializer, SeriesNames::new(), move |names, mut series: HashMap<String, String>| {
                let Some(name) = series.remove(METRIC_NAME) else { return true };
                let labels = names.entry(name).or_default();
                let known = labels.len();
                labels.extend(series.into_keys());
                count += 1 + labels.len() - known;
                count <= NAMES
            });
        names.map(Self)
    }
}

/// Reads a list element by element into `into`; none if `take` takes no more before its end.
fn each<'de, D: Deserializer<'de>, T: Deserialize<'de>, I>(
    deserializer: D,
    into: I,
    take: impl FnMut(&mut I, T) -> bool,
) -> Result<Option<I>, D::Error> {
    struct Each<I, T, F>(I, F, std::marker::PhantomData<T>);
    impl<'de, I, T: Deserialize<'de>, F: FnMut(&mut I, T) -> bool> Visitor<'de> for Each<I, T, F> {
        type Value = Option<I>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Option<I>, A::Error> {
            while let Some(element) = seq.next_element()? {
                if !(self.1)(&mut self.0, element) {
                    // A list that is too long is read to its end: it has to be a Prometheus' answer all the same.
                    while seq.next_element::<IgnoredAny>()?.is_some() {}
                    return Ok(None);
                }
            }
            Ok(Some(self.0))
        }
    }
    deserializer.deserialize_seq(Each(into, take, std::marker::PhantomData))
}

#[cfg(test)]
mod tests;
