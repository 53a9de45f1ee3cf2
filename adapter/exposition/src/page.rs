//! A whole page: samples that belong to families, each series once.

use std::{borrow::Cow, fmt, ops::Range};

use crate::{
    Family, FamilyType, Format, Label, Limits, Line, Reason, Rejected, Rejection, Role, Scanner, Values,
    classify::Families, duplicates::duplicates, number::parse_number,
};

/// What a page says, borrowed from its bytes.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// The samples in the page's order; no two have the same name and labels.
    pub samples: Vec<Sample<'a>>,
    /// The families in the order in which they came up. A `# TYPE` line makes one even if no sample follows.
    pub families: Vec<Family<'a>>,
    /// The lines that were skipped. Everything else on the page counts.
    pub rejected: Rejected,
    /// All samples' labels, one after the other, so that a sample costs no allocation of its own.
    labels: Vec<Label<'a>>,
    pub(crate) limits: Limits,
}

/// One sample. Its labels are with [`Page::labels`].
#[derive(Clone, Debug)]
pub struct Sample<'a> {
    /// The series as it stands on its line, from the name to the closing brace: the same bytes mean the same series,
    /// but one series may be written in several ways.
    pub series: &'a [u8],
    /// The metric's name, in full: `x_bucket`, not `x`.
    pub name: Cow<'a, str>,
    /// The family, as an index into [`Page::families`].
    pub family: usize,
    /// What the sample is within its family.
    pub role: Role,
    /// The value. Any float, NaN and the infinities included.
    pub value: f64,
    /// The sample's own time in milliseconds since 1970, if the page gives one.
    pub timestamp_ms: Option<i64>,
    /// The line that it stands on, from 1.
    pub line: u32,
    labels: Range<u32>,
    /// Where in the page the value starts, and where its line ends.
    pub(crate) value_at: usize,
    pub(crate) line_start: usize,
    pub(crate) line_end: usize,
}

/// Why a page was refused as a whole. Nothing on it can be trusted to be all that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageError {
    /// More samples than [`Limits::series`].
    TooManySeries {
        /// The limit.
        limit: usize,
    },
    /// More families than [`Limits::series`].
    TooManyFamilies {
        /// The limit.
        limit: usize,
    },
    /// The page is longer than 4 GiB less one byte.
    TooLong,
    /// An OpenMetrics page without `# EOF`: its end was lost on the way.
    Truncated,
    /// An OpenMetrics page that goes on after `# EOF`: several pages in one, of which the first is not the whole.
    AfterEof {
        /// The first line after `# EOF` that is not blank, from 1.
        line: u32,
    },
}

/// Bytes of a page for each of its samples and labels, somewhat less than is usual: growing step by step means copying.
const SAMPLE_BYTES: usize = 64;
const LABEL_BYTES: usize = 32;

// === impl Page ===

impl<'a> Page<'a> {
    /// Reads a page.
    ///
    /// Takes memory in proportion to the page's length and time to read and to sort its lines, whatever the page holds.
    ///
    /// # Errors
    /// Only what makes the page as a whole worthless. A malformed line is skipped and listed in
    /// [`rejected`](Self::rejected).
    pub fn parse(bytes: &'a [u8], format: Format, limits: &Limits) -> Result<Self, PageError> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(PageError::TooLong);
        }
        let mut samples = Vec::with_capacity(limits.series.min(bytes.len() / SAMPLE_BYTES));
        let mut labels = Vec::with_capacity(bytes.len() / LABEL_BYTES);
        let mut families = Families::default();
        let mut rejected = Rejected::default();
        let mut has_eof = false;

        let mut scanner = Scanner::new(bytes, format, limits);
        loop {
            let first_label = labels.len();
            let Some(line) = scanner.next_line(&mut labels) else { break };
            match line {
                Ok(Line::Sample(line)) => {
                    if samples.len() >= limits.series {
                        return Err(PageError::TooManySeries { limit: limits.series });
                    }
                    samples.push(Sample {
                        series: line.series.as_bytes(),
                        name: line.name,
                        family: 0,
                        role: Role::Value,
                        value: line.value,
                        timestamp_ms: line.timestamp_ms,
                        line: scanner.line_number(),
                        labels: narrow(first_label)..narrow(labels.len()),
                        value_at: scanner.line_start() + line.value_at,
                        line_start: scanner.line_start(),
                        line_end: scanner.line_end(),
                    });
                }
                Ok(Line::Type { name, kind }) => {
                    families.declare(name, kind);
                    if families.len() > limits.series {
                        return Err(PageError::TooManyFamilies { limit: limits.series });
                    }
                }
                Ok(Line::Eof) => {
                    has_eof = true;
                    if !scanner.only_blanks_left() {
                        return Err(PageError::AfterEof { line: scanner.line_number() });
                    }
                    break;
                }
                Err(rejection) => rejected.push(rejection, limits.kept_rejections),
            }
        }
        if format == Format::OpenMetrics && !has_eof {
            return Err(PageError::Truncated);
        }

        let duplicates = remove_duplicates(&mut samples, &labels, limits.kept_rejections);
        rejected.merge(duplicates, limits.kept_rejections);
        settle_families(&mut samples, &mut families, &labels);
        Ok(Self { samples, families: families.into_list(), rejected, labels, limits: limits.clone() })
    }

    /// The labels of one of this page's samples, sorted by name. The metric's name is not among them.
    pub fn labels(&self, sample: &Sample<'a>) -> &[Label<'a>] {
        labels_of(sample, &self.labels)
    }

    /// The value of one label of a sample.
    pub fn label(&self, sample: &Sample<'a>, name: &str) -> Option<&str> {
        self.labels(sample).iter().find(|label| label.name == name).map(|label| label.value.as_ref())
    }

    /// A bucket's upper bound or a summary's quantile, from the label that says so; `None` for other roles and if that
    /// label is not a number.
    pub fn bound(&self, sample: &Sample<'a>) -> Option<f64> {
        match sample.role {
            Role::Bucket => parse_number(self.label(sample, "le")?),
            Role::Quantile => parse_number(self.label(sample, "quantile")?),
            _ => None,
        }
    }

    /// The family of one of this page's samples, as name and type.
    pub fn family(&self, sample: &Sample<'a>) -> (&str, FamilyType) {
        self.families
            .get(sample.family)
            .map_or(("", FamilyType::Unknown), |family| (&family.name, family.kind))
    }

    /// Fills `out` with the page's numbers, just as [`Template::read`](crate::Template::read) would.
    pub fn values(&self, out: &mut Values) {
        out.clear();
        for sample in &self.samples {
            out.push(sample.value, sample.timestamp_ms);
        }
    }
}

// === impl PageError ===

impl std::error::Error for PageError {}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManySeries { limit } => write!(f, "the page has more than {limit} series"),
            Self::TooManyFamilies { limit } => write!(f, "the page has more than {limit} metric families"),
            Self::TooLong => f.write_str("the page is longer than 4 GiB"),
            Self::Truncated => f.write_str("the page is cut off: OpenMetrics without `# EOF` at its end"),
            Self::AfterEof { line } => write!(f, "the page goes on after `# EOF`, on line {line}"),
        }
    }
}

/// There is less than one label to a byte, and a page's bytes fit.
fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn labels_of<'p, 'a>(sample: &Sample<'_>, labels: &'p [Label<'a>]) -> &'p [Label<'a>] {
    labels.get(sample.labels.start as usize..sample.labels.end as usize).unwrap_or_default()
}

/// Keeps the first of the samples that have the same name and labels.
fn remove_duplicates(samples: &mut Vec<Sample<'_>>, labels: &[Label<'_>], keep: usize) -> Rejected {
    let mut rejected = Rejected::default();
    let duplicates = duplicates(samples, |sample| labels_of(sample, labels));
    let line = |index: usize| samples.get(index).map_or(0, |sample| sample.line);
    for duplicate in &duplicates {
        let reason = Reason::DuplicateSeries { first: line(duplicate.first) };
        rejected.push(Rejection { line: line(duplicate.sample), column: 0, reason }, keep);
    }
    let mut duplicates = duplicates.into_iter().peekable();
    let mut indices = 0..;
    samples.retain(|_| {
        let index = indices.next();
        duplicates.next_if(|duplicate| Some(duplicate.sample) == index).is_none()
    });
    rejected
}

fn settle_families<'a>(samples: &mut [Sample<'a>], families: &mut Families<'a>, labels: &[Label<'a>]) {
    // Samples of one name come in runs.
    let mut previous = None;
    for sample in samples {
        let candidate = match previous.take() {
            Some((name, candidate)) if name == sample.name => candidate,
            _ => families.candidate(sample),
        };
        (sample.family, sample.role) = families.settle(candidate, sample, labels_of(sample, labels));
        previous = Some((sample.name.clone(), candidate));
    }
}
