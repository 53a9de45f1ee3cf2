//! Families, and what a sample is within its family.

use std::borrow::Cow;

/// The samples that one `# TYPE` line speaks about, or all samples of one name that no such line covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family<'a> {
    /// The family's name: what stands on its `# TYPE` line, or the samples' name.
    ///
    /// For an OpenMetrics counter this is the name without `_total`, in text the one with it.
    pub name: Cow<'a, str>,
    /// What the page says the family is. Of several `# TYPE` lines for one name the last counts, wherever it
    /// stands (Prometheus keeps the last one, too).
    pub kind: FamilyType,
}

/// The type of a family: those of text 0.0.4 and those of OpenMetrics 1.0, accepted in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FamilyType {
    /// Only goes up, until its process starts again.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets of observations, their sum and their count.
    Histogram,
    /// Buckets of what is there now (`_gcount`, `_gsum`): OpenMetrics alone.
    GaugeHistogram,
    /// Quantiles that the program itself computed, with sum and count of the observations.
    Summary,
    /// Labels whose value is always 1: OpenMetrics alone.
    Info,
    /// One 0-or-1 sample for each possible state: OpenMetrics alone.
    StateSet,
    /// `untyped` in text, `unknown` in OpenMetrics, or no `# TYPE` line at all.
    Unknown,
}

/// What a sample is within its family.
///
/// Names alone do not make a role: `x_count` is a histogram's count only where a `# TYPE x histogram` line says so,
/// and where `x_count` has its own `# TYPE` line, that one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The value as such: gauges, unknown types, and whatever else is not one of the parts below.
    Value,
    /// A counter's running total. Also that of an untyped series called `*_total`: its family stays
    /// [`FamilyType::Unknown`], because that is all the page says, but by the convention of both formats it counts.
    Total,
    /// The cumulative count of a histogram's bucket; has the label `le`.
    Bucket,
    /// The sum of a histogram's or summary's observations.
    Sum,
    /// The number of a histogram's or summary's observations.
    Count,
    /// One of a summary's quantiles; has the label `quantile`.
    Quantile,
    /// When the counter, histogram or summary was created, in seconds since 1970.
    Created,
    /// An info family's constant 1.
    Info,
    /// Whether a state set is in the state that the label with the family's name gives.
    State,
}

// === impl FamilyType ===

impl FamilyType {
    /// Reads the last word of a `# TYPE` line. Letter case does not matter, as in Prometheus' client library.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        const WORDS: [(&str, FamilyType); 9] = [
            ("counter", FamilyType::Counter),
            ("gauge", FamilyType::Gauge),
            ("histogram", FamilyType::Histogram),
            ("gaugehistogram", FamilyType::GaugeHistogram),
            ("summary", FamilyType::Summary),
            ("info", FamilyType::Info),
            ("stateset", FamilyType::StateSet),
            ("unknown", FamilyType::Unknown),
            ("untyped", FamilyType::Unknown),
        ];
        WORDS.iter().find(|(known, _)| word.eq_ignore_ascii_case(known)).map(|(_, kind)| *kind)
    }

    /// The word for it on a `# TYPE` line of OpenMetrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Unknown => "unknown",
        }
    }
}
