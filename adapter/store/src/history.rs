//! A ring of columns: some series' samples of the last few scrapes.

use std::collections::HashMap;

use crate::{Layout, Sample, Timestamp, runs::Runs};

/// The newest columns of some series: a ring that is allocated once.
#[derive(Debug)]
pub(crate) struct History {
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

// === impl History ===

impl History {
    pub(crate) fn new(width: usize, depth: usize) -> Self {
        Self { width, depth: depth.max(1), values: Vec::new(), times: Vec::new(), taken: Vec::new(), next: 0 }
    }

    /// The most columns.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Adds a column; `series` are those of the slots.
    pub(crate) fn push(&mut self, series: &Runs, values: &[f64], times: &[i64], taken: Timestamp) {
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
        series.gather(values, column, f64::NAN);
        let column = self.times.get_mut(start..start + self.width).unwrap_or_default();
        series.gather(times, column, taken.millis());
        self.next = (self.next + 1) % self.depth;
    }

    pub(crate) fn value(&self, column: usize, slot: usize) -> Option<f64> {
        self.values.get(column * self.width + slot).copied().filter(|value| !value.is_nan())
    }

    /// The newest sample of a slot, unless it is NaN.
    pub(crate) fn newest(&self, slot: usize) -> Option<Sample> {
        let column = (self.next + self.depth - 1) % self.depth;
        let taken = *self.taken.get(column)?;
        let value = self.value(column, slot)?;
        Some(Sample { value, at: own_time(&self.times, column * self.width + slot, taken) })
    }

    /// Whether samples ever had times of their own.
    pub(crate) fn has_times(&self) -> bool {
        self.times.capacity() > 0
    }

    /// The samples of one slot with their columns, oldest first; a repeated own time counts once, with its first
    /// value.
    pub(crate) fn samples(&self, slot: usize) -> impl Iterator<Item = (usize, Sample)> {
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

    /// The same columns for other slots: `sources` has for each of them the slot that it was before, if it was any.
    pub(crate) fn carried_over(&self, depth: usize, sources: &[Option<usize>]) -> Self {
        let mut history = Self::new(sources.len(), depth);
        let columns = self.taken.len();
        if history.width == 0 || self.width == 0 || columns == 0 {
            return history;
        }
        let oldest = if columns < self.depth { 0 } else { self.next };
        // Of a longer ring only the newest columns fit.
        let kept = columns.min(history.depth);
        history.values.reserve_exact(history.width * history.depth);
        history.taken.reserve_exact(history.depth);
        for column in (columns - kept..columns).map(|n| (oldest + n) % columns) {
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
        history.next = kept % history.depth;
        history
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of::<f64>() * self.values.capacity()
            + size_of::<i64>() * (self.times.capacity() + self.taken.capacity())
    }
}

/// For each of the series `now` of the layout `new` the slot that it had among the series `then` of the layout `old`.
pub(crate) fn sources(
    (old, then): (&Layout, impl Iterator<Item = u32>),
    (new, now): (&Layout, impl Iterator<Item = u32>),
) -> Vec<Option<usize>> {
    let slots: HashMap<_, usize> =
        then.enumerate().filter_map(|(slot, id)| Some((identity(old, id)?, slot))).collect();
    now.map(|id| slots.get(&identity(new, id)?).copied()).collect()
}

/// What tells a series from all others.
fn identity(layout: &Layout, id: u32) -> Option<(&str, Vec<(&str, &str)>)> {
    layout.series(id).map(|series| (series.name, series.labels.iter().collect()))
}

/// A sample's own time, if the page gave one and it is not later than the scrape.
fn own_time(times: &[i64], index: usize, taken: Timestamp) -> Timestamp {
    times.get(index).map_or(taken, |millis| Timestamp::from_millis(*millis).min(taken))
}
