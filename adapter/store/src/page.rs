//! A page: a layout and columns of plain numbers.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::{Layout, Timestamp, room::Cost};

/// The newest sample of every series of a target, and as many earlier ones of counters and histograms
/// as the window needs.
///
/// NaN stands for "no sample" throughout.
#[derive(Debug)]
pub struct Page {
    layout: Arc<Layout>,
    /// The newest column, in page order.
    newest: Vec<f64>,
    /// When each sample of the newest column was taken, if the page says so; else empty.
    newest_times: Vec<i64>,
    taken: Timestamp,
    history: History,
}

/// One value and when it was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The value; never NaN.
    pub value: f64,
    /// When the pod took it: the page's own time for it, or the time of the scrape. Never later than the
    /// scrape, so that a pod whose clock runs ahead cannot keep a value fresh.
    pub at: Timestamp,
}

/// By how much a counter rose, and over which span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Increase {
    /// The sum of all rises; a fall is a restart from zero.
    pub amount: f64,
    /// The first sample that took part.
    pub from: Timestamp,
    /// The last sample that took part: the newest one.
    pub to: Timestamp,
}

/// What was observed, and over which span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observed {
    /// The sum of the observations.
    pub sum: f64,
    /// Their number.
    pub count: f64,
    /// The first sample that took part.
    pub from: Timestamp,
    /// The last sample that took part: the newest one.
    pub to: Timestamp,
}

/// Earlier columns of the windowed series: a ring that is allocated once for a layout.
#[derive(Debug)]
struct History {
    width: usize,
    /// The most columns, the newest included.
    depth: usize,
    /// Columns in the order written; the ring's oldest is overwritten next.
    values: Vec<f64>,
    /// The samples' own times, if any page ever had some; as `values`.
    times: Vec<i64>,
    /// When each column was taken.
    taken: Vec<Timestamp>,
    /// Where the next column goes.
    next: usize,
}

// === impl Page ===

impl Page {
    /// The first page of a target.
    ///
    /// `values` has one entry for each series of `layout`; `times` (Unix milliseconds) as many or none.
    pub(crate) fn new(
        layout: Arc<Layout>,
        depth: usize,
        values: &[f64],
        times: &[i64],
        taken: Timestamp,
    ) -> Self {
        let history = History::new(layout.windowed(), depth);
        let mut page = Self { layout, newest: Vec::new(), newest_times: Vec::new(), taken, history };
        page.record(values, times, taken);
        page
    }

    /// The next page of the same layout: nothing is allocated.
    pub(crate) fn record(&mut self, values: &[f64], times: &[i64], taken: Timestamp) {
        debug_assert_eq!(values.len(), self.layout.len());
        self.newest.clear();
        self.newest.extend_from_slice(values);
        self.newest_times.clear();
        if times.len() == values.len() {
            self.newest_times.extend_from_slice(times);
        }
        self.taken = taken;
        self.history.push(&self.layout, values, times, taken);
    }

    /// The next page, of another layout: series that stand on both keep their window.
    pub(crate) fn relayout(&mut self, layout: Arc<Layout>, values: &[f64], times: &[i64], taken: Timestamp) {
        self.history = self.history.carried_over(&self.layout, &layout);
        self.layout = layout;
        self.newest = Vec::with_capacity(values.len());
        self.record(values, times, taken);
    }

    /// The layout that ids of series refer to.
    #[must_use]
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// When the newest column was read.
    #[must_use]
    pub fn taken(&self) -> Timestamp {
        self.taken
    }

    /// The newest sample of a series, unless it is NaN.
    #[must_use]
    pub fn newest(&self, series: u32) -> Option<Sample> {
        let value = *self.newest.get(series as usize)?;
        let at = own_time(&self.newest_times, series as usize, self.taken);
        (!value.is_nan()).then_some(Sample { value, at })
    }

    /// By how much a counter, bucket, sum or count rose over the `window` that ends at its newest sample.
    ///
    /// `None` for other kinds, without a newest sample, or with no earlier one inside the window: one point
    /// is no rate. Every reset in between is a restart from zero.
    #[must_use]
    pub fn increase(&self, series: u32, window: Duration) -> Option<Increase> {
        let slot = self.layout.slot(series)?;
        let newest = self.newest(series)?;
        let since = newest.at.before(window);
        let samples = self.history.samples(slot).map(|(_, sample)| sample);
        let mut samples = samples.filter(|sample| sample.at >= since && sample.at <= newest.at);
        let first = samples.next()?;
        let (amount, last) = samples.fold((0.0, first), |(amount, last), sample| {
            let rise = if sample.value < last.value { sample.value } else { sample.value - last.value };
            (amount + rise, sample)
        });
        (last.at > first.at).then_some(Increase { amount, from: first.at, to: last.at })
    }

    /// What a histogram or summary observed over the `window` that ends at its newest count.
    ///
    /// The count alone tells a restart: a sum falls as well when what is observed is negative. `None` as for
    /// [`increase`](Self::increase).
    #[must_use]
    pub fn observed(&self, sum: u32, count: u32, window: Duration) -> Option<Observed> {
        let (sum_slot, count_slot) = (self.layout.slot(sum)?, self.layout.slot(count)?);
        self.newest(sum)?;
        let newest = self.newest(count)?;
        let since = newest.at.before(window);
        let mut pairs = self
            .history
            .samples(count_slot)
            .filter(|(_, sample)| sample.at >= since && sample.at <= newest.at);
        let sum_at = |column| self.history.value(column, sum_slot);
        let (column, first) = pairs.next()?;
        let mut last = (sum_at(column)?, first);
        let mut observed = Observed { sum: 0.0, count: 0.0, from: first.at, to: first.at };
        for (column, sample) in pairs {
            let sum = sum_at(column)?;
            let has_restarted = sample.value < last.1.value;
            let before = if has_restarted { (0.0, 0.0) } else { (last.0, last.1.value) };
            observed.sum += sum - before.0;
            observed.count += sample.value - before.1;
            observed.to = sample.at;
            last = (sum, sample);
        }
        (observed.to > observed.from).then_some(observed)
    }

    /// What a page of this layout takes of the store's room, without the layout, which is shared.
    pub(crate) fn cost(layout: &Layout, depth: usize, has_times: bool) -> Cost {
        let cells = layout.len() + layout.windowed() * depth.max(2);
        let bytes = cells * size_of::<f64>() + if has_times { cells * size_of::<i64>() } else { 0 };
        Cost { series: layout.len(), bytes: size_of::<Self>() + bytes }
    }

    /// Whether samples ever had times of their own.
    pub(crate) fn has_times(&self) -> bool {
        self.newest_times.capacity() > 0
    }

    /// Bytes on the heap, without the shared layout and the allocator's own.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        size_of::<f64>() * (self.newest.capacity() + self.history.values.capacity())
            + size_of::<i64>()
                * (self.newest_times.capacity()
                    + self.history.times.capacity()
                    + self.history.taken.capacity())
    }
}

// === impl Increase ===

impl Increase {
    /// The span between the two samples; never zero.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.to.since(self.from)
    }

    /// The rise a second over that span.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.amount / self.span().as_secs_f64()
    }
}

// === impl History ===

impl History {
    fn new(width: usize, depth: usize) -> Self {
        Self { width, depth: depth.max(2), values: Vec::new(), times: Vec::new(), taken: Vec::new(), next: 0 }
    }

    fn push(&mut self, layout: &Layout, values: &[f64], times: &[i64], taken: Timestamp) {
        if self.width == 0 {
            return;
        }
        let has_times = times.len() == values.len();
        if has_times && self.times.is_empty() {
            self.times =
                self.taken.iter().flat_map(|t| std::iter::repeat_n(t.millis(), self.width)).collect();
        }
        let grows = self.taken.len() < self.depth;
        if grows {
            if self.values.capacity() == 0 {
                self.values.reserve_exact(self.width * self.depth);
                self.taken.reserve_exact(self.depth);
            }
            self.values.resize(self.values.len() + self.width, f64::NAN);
            self.taken.push(taken);
            if has_times || !self.times.is_empty() {
                self.times.resize(self.times.len() + self.width, taken.millis());
            }
        } else if let Some(slot) = self.taken.get_mut(self.next) {
            *slot = taken;
        }
        let start = self.next * self.width;
        let column = self.values.get_mut(start..start + self.width).unwrap_or_default();
        for (cell, id) in column.iter_mut().zip(layout.windowed_series()) {
            *cell = values.get(id as usize).copied().unwrap_or(f64::NAN);
        }
        let column = self.times.get_mut(start..start + self.width).unwrap_or_default();
        for (cell, id) in column.iter_mut().zip(layout.windowed_series()) {
            *cell = times.get(id as usize).copied().unwrap_or(taken.millis());
        }
        self.next = (self.next + 1) % self.depth;
    }

    fn value(&self, column: usize, slot: usize) -> Option<f64> {
        self.values.get(column * self.width + slot).copied().filter(|value| !value.is_nan())
    }

    /// The samples of one slot with their columns, oldest first; a repeated own time counts once, with its first
    /// value.
    fn samples(&self, slot: usize) -> impl Iterator<Item = (usize, Sample)> {
        let columns = self.taken.len();
        let oldest = if columns < self.depth { 0 } else { self.next };
        let mut previous: Option<Timestamp> = None;
        (0..columns)
            .map(move |n| (oldest + n) % columns)
            .filter_map(move |column| {
                let value = self.value(column, slot)?;
                let at = own_time(&self.times, column * self.width + slot, *self.taken.get(column)?);
                Some((column, Sample { value, at }))
            })
            .filter(move |(_, sample)| {
                previous.replace(sample.at).is_none_or(|previous| previous < sample.at)
            })
    }

    /// The same columns for another layout.
    fn carried_over<'a>(&self, old: &'a Layout, new: &'a Layout) -> Self {
        let mut history = Self::new(new.windowed(), self.depth);
        let columns = self.taken.len();
        if history.width == 0 || self.width == 0 || columns == 0 {
            return history;
        }
        let identity = |layout: &'a Layout, id| {
            layout.series(id).map(|series| (series.name, series.labels.iter().collect::<Vec<_>>()))
        };
        let slots: HashMap<_, usize> =
            old.windowed_series().filter_map(|id| Some((identity(old, id)?, old.slot(id)?))).collect();
        let sources: Vec<Option<usize>> =
            new.windowed_series().map(|id| slots.get(&identity(new, id)?).copied()).collect();
        let oldest = if columns < self.depth { 0 } else { self.next };
        history.values.reserve_exact(history.width * history.depth);
        history.taken.reserve_exact(history.depth);
        for column in (0..columns).map(|n| (oldest + n) % columns) {
            let cell = |source: &Option<usize>| source.map(|slot| column * self.width + slot);
            let value = |source| cell(source).and_then(|at| self.values.get(at).copied()).unwrap_or(f64::NAN);
            history.values.extend(sources.iter().map(value));
            let taken = self.taken.get(column).copied().unwrap_or_default();
            history.taken.push(taken);
            if !self.times.is_empty() {
                let time = |source| {
                    cell(source).and_then(|at| self.times.get(at).copied()).unwrap_or(taken.millis())
                };
                history.times.extend(sources.iter().map(time));
            }
        }
        history.next = columns % history.depth;
        history
    }
}

/// A sample's own time, if the page gave one and it is not later than the scrape.
fn own_time(times: &[i64], index: usize, taken: Timestamp) -> Timestamp {
    times.get(index).map_or(taken, |millis| Timestamp::from_millis(*millis).min(taken))
}
