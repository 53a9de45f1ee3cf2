//! A page: a layout and columns of plain numbers.

use std::{sync::Arc, time::Duration};

use crate::{
    Layout, Timestamp,
    history::{History, sources},
    keep::{Kept, Plan},
    layout::Slot,
    room::Cost,
};

/// The newest sample of every series of a target, and as many earlier ones of counters and histograms
/// as the window needs.
///
/// NaN stands for "no sample" throughout.
#[derive(Debug)]
pub struct Page {
    layout: Arc<Layout>,
    taken: Timestamp,
    /// Series that need a window: as many columns as that takes, the newest among them.
    windowed: History,
    /// All others: the newest column alone.
    plain: History,
    /// Longer history, of the series that somebody asks it of.
    kept: Option<Kept>,
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

// === impl Page ===

impl Page {
    /// The first page of a target.
    ///
    /// `values` has one entry for each series of `layout`; `times` (Unix milliseconds) as many or none.
    pub(crate) fn new(
        layout: Arc<Layout>,
        depth: usize,
        plan: Option<&Arc<Plan>>,
        values: &[f64],
        times: &[i64],
        taken: Timestamp,
    ) -> Self {
        let windowed = History::new(layout.windowed().len(), depth.max(2));
        let plain = History::new(layout.plain().len(), 1);
        let kept = plan.map(|plan| Kept::new(plan, &layout));
        let mut page = Self { layout, taken, windowed, plain, kept };
        page.record(values, times, taken);
        page
    }

    /// The next page of the same layout: nothing is allocated.
    pub(crate) fn record(&mut self, values: &[f64], times: &[i64], taken: Timestamp) {
        debug_assert_eq!(values.len(), self.layout.len());
        self.taken = taken;
        self.windowed.push(self.layout.windowed(), values, times, taken);
        self.plain.push(self.layout.plain(), values, times, taken);
        if let Some(kept) = &mut self.kept {
            kept.push(values, times, taken);
        }
    }

    /// Keeps from now on what `plan` says; for the layout that is about to be recorded.
    pub(crate) fn keep(&mut self, plan: Option<&Arc<Plan>>, layout: &Arc<Layout>) {
        self.kept = plan.map(|plan| match self.kept.take() {
            Some(kept) => kept.follow(plan, layout),
            None => Kept::new(plan, layout),
        });
    }

    /// The next page, of another layout: series that stand on both keep their window.
    pub(crate) fn relayout(&mut self, layout: Arc<Layout>, values: &[f64], times: &[i64], taken: Timestamp) {
        let then = (&*self.layout, self.layout.windowed().ids());
        let sources = sources(then, (&layout, layout.windowed().ids()));
        self.windowed = self.windowed.carried_over(self.windowed.depth(), &sources);
        self.plain = History::new(layout.plain().len(), 1);
        self.layout = layout;
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
        let (history, slot) = self.history(series)?;
        history.newest(slot)
    }

    /// The samples of a series that are still known, oldest first: as many as somebody keeps, those of the window for what
    /// has one, or else the newest one.
    pub fn samples(&self, series: u32) -> impl Iterator<Item = Sample> + '_ {
        let kept = self.kept.as_ref().and_then(|kept| kept.history(series));
        let longest = kept.or_else(|| self.history(series));
        let samples = longest.into_iter().flat_map(|(history, slot)| history.samples(slot));
        samples.map(|(_, sample)| sample)
    }

    fn history(&self, series: u32) -> Option<(&History, usize)> {
        Some(match self.layout.slot(series)? {
            Slot::Windowed(slot) => (&self.windowed, slot as usize),
            Slot::Plain(slot) => (&self.plain, slot as usize),
        })
    }

    fn windowed_slot(&self, series: u32) -> Option<usize> {
        match self.layout.slot(series)? {
            Slot::Windowed(slot) => Some(slot as usize),
            Slot::Plain(_) => None,
        }
    }

    /// By how much a counter, bucket, sum or count rose over the `window` that ends at its newest sample.
    ///
    /// `None` for other kinds, without a newest sample, or with no earlier one inside the window: one point
    /// is no rate. Every reset in between is a restart from zero.
    #[must_use]
    pub fn increase(&self, series: u32, window: Duration) -> Option<Increase> {
        let slot = self.windowed_slot(series)?;
        let newest = self.windowed.newest(slot)?;
        let since = newest.at.before(window);
        let samples = self.windowed.samples(slot).map(|(_, sample)| sample);
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
        let (sum_slot, count_slot) = (self.windowed_slot(sum)?, self.windowed_slot(count)?);
        self.windowed.newest(sum_slot)?;
        let newest = self.windowed.newest(count_slot)?;
        let since = newest.at.before(window);
        let mut pairs = self
            .windowed
            .samples(count_slot)
            .filter(|(_, sample)| sample.at >= since && sample.at <= newest.at);
        let sum_at = |column| self.windowed.value(column, sum_slot);
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
    pub(crate) fn cost(layout: &Layout, depth: usize, has_times: bool, plan: Option<&Plan>) -> Cost {
        let kept = plan.map_or(0, Plan::cells);
        let cells = layout.plain().len() + layout.windowed().len() * depth.max(2) + kept;
        let bytes = cells * size_of::<f64>() + if has_times { cells * size_of::<i64>() } else { 0 };
        Cost { series: layout.len(), bytes: size_of::<Self>() + bytes }
    }

    /// Whether samples ever had times of their own.
    pub(crate) fn has_times(&self) -> bool {
        self.windowed.has_times() || self.plain.has_times()
    }

    /// Bytes on the heap, without the shared layout and the allocator's own.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.windowed.heap_bytes() + self.plain.heap_bytes() + self.kept.as_ref().map_or(0, Kept::heap_bytes)
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
