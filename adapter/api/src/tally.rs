//! From the series that a metric's name means to one value, its time and its window.

use std::time::Duration;

use podgauge_apiserver::Selector;
use podgauge_store::{Increase, Labels, Page, Pod, Sample, Timestamp};

use crate::{
    histogram::Buckets,
    names::{Plan, resolve},
};

/// What is asked of a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// The metric's name.
    pub metric: &'a str,
    /// Which of its series count.
    pub series: &'a Selector,
    /// The instant of the request.
    pub now: Timestamp,
    /// A sample that is older than this is no answer.
    pub max_age: Duration,
    /// How far back rates, means and quantiles look.
    pub window: Duration,
}

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Value {
    /// The number; finite.
    pub number: f64,
    /// When the oldest sample that it rests on was taken: it is at least this fresh.
    pub at: Timestamp,
    /// The longest span over which anything in it was measured; `None` for what needs no span.
    pub window: Option<Duration>,
}

/// Why there is no answer, from the least to the most that is known.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) enum Lack {
    /// No page was ever read.
    NoPage,
    /// The page has no such name.
    NoSuchName,
    /// The name is there, but the metric selector leaves no series.
    NoSeriesSelected,
    /// All samples are NaN or infinite.
    NotANumber,
    /// One sample so far; a rate needs two.
    OneSample,
    /// Nothing was observed inside the window, so there is no mean and no quantile.
    NoObservation,
    /// The newest sample is older than it may be.
    Stale {
        /// Its age.
        age: Duration,
    },
}

/// What the series of one or several pages add up to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    sum: Option<f64>,
    observed: Option<(f64, f64)>,
    buckets: Option<(f64, Buckets)>,
    at: Option<Timestamp>,
    window: Option<Duration>,
}

/// The tally of a pod: of all its targets.
///
/// # Errors
/// The reason that says most. A target that has the metric but only too old makes the whole pod lack it:
/// part of a sum is a wrong sum, and a pod left out is safe, since the HPA assumes the best of it when
/// scaling down and the worst when scaling up.
pub(crate) fn tally_pod(pod: &Pod, question: &Question<'_>) -> Result<Tally, Lack> {
    let mut tally = Tally::default();
    let mut lack = Lack::NoPage;
    let mut found = false;
    for target in pod.targets() {
        match target.page(|page| Tally::of_page(page, question)).unwrap_or(Err(Lack::NoPage)) {
            Ok(page) => {
                found = true;
                tally.merge(&page);
            }
            Err(stale @ Lack::Stale { .. }) => return Err(stale),
            Err(other) => lack = lack.or(other),
        }
    }
    if found { Ok(tally) } else { Err(lack) }
}

// === impl Tally ===

impl Tally {
    /// Adds another page's or pod's tally.
    pub(crate) fn merge(&mut self, other: &Self) {
        if let Some(sum) = other.sum {
            *self.sum.get_or_insert_default() += sum;
        }
        if let Some((sum, count)) = other.observed {
            let observed = self.observed.get_or_insert_default();
            observed.0 += sum;
            observed.1 += count;
        }
        if let Some((quantile, buckets)) = &other.buckets {
            self.buckets.get_or_insert_with(|| (*quantile, Buckets::default())).1.merge(buckets);
        }
        if let Some(at) = other.at {
            self.rests_on(at, other.window);
        }
    }

    /// The value in it.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn value(&self) -> Result<Value, Lack> {
        let number = match (self.sum, self.observed, &self.buckets) {
            (Some(sum), _, _) => sum,
            (None, Some((sum, count)), _) if count > 0.0 => sum / count,
            (None, None, Some((quantile, buckets))) => {
                buckets.quantile(*quantile).ok_or(Lack::NoObservation)?
            }
            _ => return Err(Lack::NoObservation),
        };
        let at = self.at.ok_or(Lack::NoObservation)?;
        if number.is_finite() { Ok(Value { number, at, window: self.window }) } else { Err(Lack::NotANumber) }
    }

    fn of_page(page: &Page, question: &Question<'_>) -> Result<Self, Lack> {
        let mut tally = Self::default();
        match resolve(page.layout(), question.metric).ok_or(Lack::NoSuchName)? {
            Plan::Sum(series) => tally.sum = Some(tally.add_newest(page, series, question)?),
            Plan::Rate(series) => {
                let mut rate = 0.0;
                tally.each_increase(page, series, question, |_, rise| rate += rise.per_second())?;
                tally.sum = Some(rate);
            }
            Plan::Mean { sums, counts } => {
                let (mut sum, mut count) = (0.0, 0.0);
                tally.each_increase(page, sums, question, |_, rise| sum += rise.amount)?;
                tally.each_increase(page, counts, question, |_, rise| count += rise.amount)?;
                tally.observed = Some((sum, count));
            }
            Plan::Quantile { quantile, buckets: series } => {
                let mut buckets = Buckets::default();
                tally.each_increase(page, series, question, |labels, rise| {
                    if let Some(le) = labels.get("le") {
                        buckets.add(le, rise.amount);
                    }
                })?;
                tally.buckets = Some((quantile, buckets));
            }
        }
        Ok(tally)
    }

    fn add_newest(&mut self, page: &Page, series: &[u32], question: &Question<'_>) -> Result<f64, Lack> {
        let mut selection = Selection::new(page, series, question);
        let mut sum = 0.0;
        for (_, sample) in selection.by_ref() {
            sum += sample.value;
            self.rests_on(sample.at, None);
        }
        if self.at.is_some() { Ok(sum) } else { Err(selection.lack) }
    }

    /// Calls `each` with the labels and the rise of every selected series that has one.
    fn each_increase(
        &mut self,
        page: &Page,
        series: &[u32],
        question: &Question<'_>,
        mut each: impl FnMut(Labels<'_>, &Increase),
    ) -> Result<(), Lack> {
        let mut selection = Selection::new(page, series, question);
        let (mut any, mut any_rise) = (false, false);
        for (id, _) in selection.by_ref() {
            any = true;
            if let Some((series, rise)) = page.layout().series(id).zip(page.increase(id, question.window)) {
                any_rise = true;
                each(series.labels, &rise);
                self.rests_on(rise.to, Some(rise.span()));
            }
        }
        match (any, any_rise) {
            (_, true) => Ok(()),
            (true, false) => Err(selection.lack.or(Lack::OneSample)),
            (false, false) => Err(selection.lack),
        }
    }

    fn rests_on(&mut self, at: Timestamp, window: Option<Duration>) {
        self.at = Some(self.at.map_or(at, |before| before.min(at)));
        self.window = self.window.max(window);
    }
}

// === impl Lack ===

impl Lack {
    /// The one of the two that says more.
    pub(crate) fn or(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
}

/// The newest samples of those series that the question selects and that are fresh and finite.
struct Selection<'a> {
    page: &'a Page,
    series: std::slice::Iter<'a, u32>,
    question: &'a Question<'a>,
    /// What those that were passed over lack.
    lack: Lack,
}

// === impl Selection ===

impl<'a> Selection<'a> {
    fn new(page: &'a Page, series: &'a [u32], question: &'a Question<'a>) -> Self {
        Self { page, series: series.iter(), question, lack: Lack::NoSeriesSelected }
    }

    fn sample(&self, id: u32) -> Result<Sample, Lack> {
        let labels = self.page.layout().series(id).ok_or(Lack::NoSeriesSelected)?.labels;
        if !self.question.series.matches(|key| labels.get(key)) {
            return Err(Lack::NoSeriesSelected);
        }
        let sample =
            self.page.newest(id).filter(|sample| sample.value.is_finite()).ok_or(Lack::NotANumber)?;
        let age = self.question.now.since(sample.at);
        if age > self.question.max_age { Err(Lack::Stale { age }) } else { Ok(sample) }
    }
}

impl Iterator for Selection<'_> {
    type Item = (u32, Sample);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(id) = self.series.next() {
            match self.sample(*id) {
                Ok(sample) => return Some((*id, sample)),
                Err(lack) => self.lack = self.lack.or(lack),
            }
        }
        None
    }
}
