//! From the series that a metric's name means to one value, its time and its window.

use std::{collections::HashMap, time::Duration};

use podgauge_apiserver::Selector;
use podgauge_store::{Increase, Labels, Page, Pod, Sample, Timestamp};

use crate::{
    histogram::Buckets,
    names::{Metric, Plan},
};

/// What is asked of a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// The metric's name, and what it means.
    pub metric: &'a Metric<'a>,
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
    /// The newest sample is from the future: the clock was set back since it was taken.
    Ahead,
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
/// The reason that says most. A target that has the metric but cannot be believed makes the whole pod lack it:
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
            Err(wrong) if wrong.spoils_a_sum() => return Err(wrong),
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
        let plan = question.metric.plan(page.layout()).ok_or(Lack::NoSuchName)?;
        match &*plan {
            Plan::Sum(series) => tally.sum = Some(tally.add_newest(page, series, question)?),
            Plan::Rate(series) => {
                let mut rate = 0.0;
                tally.each_increase(page, series, question, |_, rise| rate += rise.per_second())?;
                tally.sum = Some(rate);
            }
            Plan::Mean { sums, counts } => {
                tally.observed = Some(tally.add_observed(page, sums, counts, question)?)
            }
            Plan::Quantile { quantile, buckets: series } => {
                let mut buckets = Buckets::default();
                tally.each_increase(page, series, question, |labels, rise| {
                    if let Some(le) = labels.get("le") {
                        buckets.add(le, rise.amount);
                    }
                })?;
                tally.buckets = Some((*quantile, buckets));
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
        selection.end(self.at.is_some(), Lack::NotANumber)?;
        Ok(sum)
    }

    /// Adds up what the selected series observed; sums and counts belong together by their labels.
    fn add_observed(
        &mut self,
        page: &Page,
        sums: &[u32],
        counts: &[u32],
        question: &Question<'_>,
    ) -> Result<(f64, f64), Lack> {
        let labels =
            |id: u32| page.layout().series(id).map(|series| series.labels.iter().collect::<Vec<_>>());
        let mut by_labels: Option<HashMap<_, u32>> = None;
        let mut places = counts.iter().zip(0usize..);
        let mut selection = Selection::new(page, counts, question);
        let mut total = (0.0, 0.0);
        for (count, _) in selection.by_ref() {
            // They nearly always stand in the same order; only where they do not are they looked up.
            let place = places.by_ref().find(|(id, _)| **id == count).map(|(_, place)| place);
            let beside =
                place.and_then(|place| sums.get(place).copied()).filter(|sum| labels(*sum) == labels(count));
            let found = beside.or_else(|| {
                let all = || sums.iter().filter_map(|sum| Some((labels(*sum)?, *sum))).collect();
                by_labels.get_or_insert_with(all).get(&labels(count)?).copied()
            });
            let Some(sum) = found else { continue };
            if page.newest(sum).is_none_or(|sample| !sample.value.is_finite()) {
                return Err(Lack::NotANumber);
            }
            if let Some(observed) = page.observed(sum, count, question.window) {
                total = (total.0 + observed.sum, total.1 + observed.count);
                self.rests_on(observed.to, Some(observed.to.since(observed.from)));
            }
        }
        selection.end(self.at.is_some(), Lack::OneSample)?;
        Ok(total)
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
        for (id, _) in selection.by_ref() {
            if let Some((series, rise)) = page.layout().series(id).zip(page.increase(id, question.window)) {
                each(series.labels, &rise);
                self.rests_on(rise.to, Some(rise.span()));
            }
        }
        selection.end(self.at.is_some(), Lack::OneSample)
    }

    fn rests_on(&mut self, at: Timestamp, window: Option<Duration>) {
        self.at = Some(self.at.map_or(at, |before| before.min(at)));
        self.window = self.window.max(window);
    }
}

// === impl Lack ===

impl Lack {
    /// Whether there is a value that cannot be had: a sum without it would be too small.
    pub(crate) fn spoils_a_sum(self) -> bool {
        matches!(self, Self::NotANumber | Self::Ahead | Self::Stale { .. })
    }

    /// The one of the two that says more.
    pub(crate) fn or(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
}

/// The newest samples of those series that the question selects and that can be used.
///
/// A series whose own time has passed is gone, as if it did not stand on the page; one that is NaN or infinite is
/// there and cannot be added up.
struct Selection<'a> {
    page: &'a Page,
    series: std::slice::Iter<'a, u32>,
    question: &'a Question<'a>,
    any: bool,
    any_wrong: bool,
    /// What those that were passed over lack.
    lack: Lack,
}

/// How far a sample may lie ahead of the request: clocks are read one after the other.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

// === impl Selection ===

impl<'a> Selection<'a> {
    fn new(page: &'a Page, series: &'a [u32], question: &'a Question<'a>) -> Self {
        let series = series.iter();
        Self { page, series, question, any: false, any_wrong: false, lack: Lack::NoSeriesSelected }
    }

    /// Whether what was selected makes an answer; without, it lacks `otherwise` if anything was selected at all.
    fn end(&self, has_answer: bool, otherwise: Lack) -> Result<(), Lack> {
        match (self.any_wrong, has_answer, self.any) {
            (true, ..) => Err(Lack::NotANumber),
            (false, true, _) => Ok(()),
            (false, false, true) => Err(self.lack.or(otherwise)),
            (false, false, false) => Err(self.lack),
        }
    }

    fn sample(&self, id: u32) -> Result<Sample, Lack> {
        let labels = self.page.layout().series(id).ok_or(Lack::NoSeriesSelected)?.labels;
        if !self.question.series.matches(|key| labels.get(key)) {
            return Err(Lack::NoSeriesSelected);
        }
        let sample =
            self.page.newest(id).filter(|sample| sample.value.is_finite()).ok_or(Lack::NotANumber)?;
        let age = self.question.now.since(sample.at);
        if sample.at.since(self.question.now) > CLOCK_SLACK {
            Err(Lack::Ahead)
        } else if age > self.question.max_age {
            Err(Lack::Stale { age })
        } else {
            Ok(sample)
        }
    }
}

impl Iterator for Selection<'_> {
    type Item = (u32, Sample);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(id) = self.series.next() {
            match self.sample(*id) {
                Ok(sample) => {
                    self.any = true;
                    return Some((*id, sample));
                }
                Err(lack) => {
                    self.any_wrong |= lack == Lack::NotANumber;
                    self.lack = self.lack.or(lack);
                }
            }
        }
        None
    }
}
