//! Where series come from.

use crate::{Labels, Matcher, Sample, Series};

/// What holds series. The evaluation asks once for each selector of the expression.
pub trait Source {
    /// Pushes into `sink` every series that all matchers of `request` accept and that has samples in its window.
    ///
    /// A series is pushed once; its samples are strictly later from one to the next, the markers that end a series
    /// ([`crate::STALE`]) included. Samples outside the window are ignored, so that a source may push what it has.
    ///
    /// # Errors
    /// [`Full`], from the sink: the bounds are reached, and nothing more needs to be pushed.
    fn select(&self, request: &Request<'_>, sink: &mut Sink) -> Result<(), Full>;
}

/// What a selector wants to know.
#[derive(Clone, Copy, Debug)]
pub struct Request<'q> {
    /// What the series must fulfil, all of it.
    pub matchers: &'q [Matcher],
    /// The beginning of the window, included, in milliseconds since the epoch.
    pub from_ms: i64,
    /// The end of the window, included, in milliseconds since the epoch.
    pub to_ms: i64,
}

/// Takes what a source has, within bounds.
#[derive(Debug)]
pub struct Sink {
    window: (i64, i64),
    series: Vec<Series>,
    series_left: usize,
    samples_left: usize,
}

/// The sink takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The selection has too many series.
    #[error("too many series")]
    Series,
    /// The evaluation would touch too many samples.
    #[error("too many samples")]
    Samples,
}

// === impl Request ===

impl Request<'_> {
    /// Whether a series of these labels is asked for.
    pub fn matches(&self, labels: &Labels) -> bool {
        crate::matcher::all_match(self.matchers, labels)
    }
}

// === impl Sink ===

impl Sink {
    pub(crate) fn new(request: &Request<'_>, series_left: usize, samples_left: usize) -> Self {
        Self { window: (request.from_ms, request.to_ms), series: Vec::new(), series_left, samples_left }
    }

    /// Takes a series. One that has no sample in the window is no series.
    ///
    /// # Errors
    /// [`Full`] when the bounds are reached.
    pub fn push(&mut self, labels: Labels, samples: impl IntoIterator<Item = Sample>) -> Result<(), Full> {
        let mut taken: Vec<Sample> = Vec::new();
        for sample in samples {
            let later = taken.last().is_none_or(|last| last.t_ms < sample.t_ms);
            if sample.t_ms < self.window.0 || sample.t_ms > self.window.1 || !later {
                continue;
            }
            self.samples_left = self.samples_left.checked_sub(1).ok_or(Full::Samples)?;
            taken.push(sample);
        }
        if !taken.is_empty() {
            self.series_left = self.series_left.checked_sub(1).ok_or(Full::Series)?;
            self.series.push(Series { labels, samples: taken });
        }
        Ok(())
    }

    /// The series in order of their labels, and how many samples may still be touched.
    pub(crate) fn finish(mut self) -> (Vec<Series>, usize) {
        self.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        (self.series, self.samples_left)
    }
}
