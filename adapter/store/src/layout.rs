//! The shape of a page: which series stand on it, in which order.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    ops::Range,
};

use crate::{keep::Planned, room::Held, runs::Runs};

/// The ordered series of a page: names, labels and kinds, without any value.
///
/// Layouts are interned: every target whose page has this shape shares one. All text stands in one
/// allocation. Two layouts are equal when they list the same series in the same order.
#[derive(Debug)]
pub struct Layout {
    /// Given when it is interned; 0 before.
    id: u64,
    /// Given when it is interned, and given back when the layout is dropped.
    #[expect(dead_code, reason = "it is dropped, never read")]
    held: Option<Held>,
    /// Bytes of all names and labels as a page writes them.
    page_bytes: usize,
    text: Box<str>,
    /// Distinct names, sorted by text.
    names: Box<[NameEntry]>,
    /// In page order.
    series: Box<[SeriesEntry]>,
    /// Sorted by label name within each series.
    labels: Box<[LabelEntry]>,
    /// Ids of the series of each name, grouped by name; `NameEntry::members` points here.
    members: Box<[u32]>,
    /// The series that need a window, and those that need none; in the order of their slots.
    windowed: Runs,
    plain: Runs,
    /// Of which series more is kept, once that was asked.
    planned: Planned,
}

/// What a sample's number means over time. The page's TYPE decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A value that may rise and fall, and everything that has no better kind.
    Gauge,
    /// A count since some start, which only a reset lowers.
    Counter,
    /// A cumulative bucket of a histogram; its upper bound is the label `le`.
    Bucket,
    /// The sum of the observations of a histogram or summary.
    Sum,
    /// The number of observations of a histogram or summary.
    Count,
    /// A quantile that a summary computed by itself.
    Quantile,
}

/// A distinct sample name on a page.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    /// The name.
    pub text: &'a str,
    /// The kind of its series.
    pub kind: Kind,
    /// The ids of its series, in page order.
    pub series: &'a [u32],
}

/// One series of a layout.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// The sample name.
    pub name: &'a str,
    /// Its labels.
    pub labels: Labels<'a>,
}

/// The labels of a series, sorted by name.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    text: &'a str,
    entries: &'a [LabelEntry],
}

/// Collects the series of a page in page order.
#[derive(Debug, Default)]
pub struct LayoutBuilder {
    text: String,
    spans: HashMap<Box<str>, Span>,
    names: Vec<(Span, Kind)>,
    name_ids: HashMap<Box<str>, u32>,
    series: Vec<(u32, Range<u32>)>,
    labels: Vec<LabelEntry>,
    page_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    len: u32,
}

#[derive(Debug)]
struct NameEntry {
    text: Span,
    kind: Kind,
    members: Range<u32>,
}

#[derive(Debug)]
struct SeriesEntry {
    /// Index into `Layout::names`.
    name: u32,
    labels: Range<u32>,
    slot: Slot,
}

/// Where the samples of a series are kept: its place in a column of those that need a window, or of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Windowed(u32),
    Plain(u32),
}

#[derive(Clone, Copy, Debug)]
struct LabelEntry {
    name: Span,
    value: Span,
}

// === impl Layout ===

impl Layout {
    /// How many series there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there is no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The series called `name`, if the page has any.
    #[must_use]
    pub fn name(&self, name: &str) -> Option<Name<'_>> {
        let index = self.names.binary_search_by(|entry| entry.text.of(&self.text).cmp(name)).ok()?;
        self.names.get(index).map(|entry| self.name_of(entry))
    }

    /// Every distinct name, sorted.
    pub fn names(&self) -> impl Iterator<Item = Name<'_>> {
        self.names.iter().map(|entry| self.name_of(entry))
    }

    /// The series with this id: its place on the page, from 0.
    #[must_use]
    pub fn series(&self, id: u32) -> Option<Series<'_>> {
        let entry = self.series.get(id as usize)?;
        let name = self.names.get(entry.name as usize)?;
        Some(Series { name: name.text.of(&self.text), labels: self.labels_of(entry) })
    }

    /// Tells interned layouts apart; never reused.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn interned(self, id: u64, held: Held) -> Self {
        Self { id, held: Some(held), ..self }
    }

    /// What it takes of [`Config::bytes`](crate::Config::bytes): itself, and as much again as the page's text
    /// without its numbers, because whoever reads such pages keeps that text to compare the next one with.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.heap_bytes() + self.page_bytes
    }

    /// Bytes on the heap, without the allocator's own.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.text.len()
            + size_of_val(&*self.names)
            + size_of_val(&*self.series)
            + size_of_val(&*self.labels)
            + size_of_val(&*self.members)
            + self.windowed.heap_bytes()
            + self.plain.heap_bytes()
    }

    /// The series that need a window, in the order of their slots.
    pub(crate) fn windowed(&self) -> &Runs {
        &self.windowed
    }

    /// Those that need none, in the order of theirs.
    pub(crate) fn plain(&self) -> &Runs {
        &self.plain
    }

    pub(crate) fn planned(&self) -> &Planned {
        &self.planned
    }

    /// Where the samples of a series are kept.
    pub(crate) fn slot(&self, id: u32) -> Option<Slot> {
        self.series.get(id as usize).map(|entry| entry.slot)
    }

    fn name_of<'a>(&'a self, entry: &'a NameEntry) -> Name<'a> {
        let members = entry.members.start as usize..entry.members.end as usize;
        Name {
            text: entry.text.of(&self.text),
            kind: entry.kind,
            series: self.members.get(members).unwrap_or_default(),
        }
    }

    fn labels_of(&self, entry: &SeriesEntry) -> Labels<'_> {
        let range = entry.labels.start as usize..entry.labels.end as usize;
        Labels { text: &self.text, entries: self.labels.get(range).unwrap_or_default() }
    }

    fn shape(&self) -> impl Iterator<Item = (&str, Kind, Labels<'_>)> {
        self.series.iter().filter_map(|entry| {
            let name = self.names.get(entry.name as usize)?;
            Some((name.text.of(&self.text), name.kind, self.labels_of(entry)))
        })
    }
}

impl PartialEq for Layout {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .shape()
                .zip(other.shape())
                .all(|(a, b)| a.0 == b.0 && a.1 == b.1 && a.2.iter().eq(b.2.iter()))
    }
}

impl Eq for Layout {}

impl Hash for Layout {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.series.len().hash(state);
        for (name, kind, labels) in self.shape() {
            name.hash(state);
            kind.hash(state);
            labels.entries.len().hash(state);
            labels.iter().for_each(|label| label.hash(state));
        }
    }
}

// === impl Kind ===

impl Kind {
    /// Whether answers about it need earlier samples.
    #[must_use]
    pub fn is_windowed(self) -> bool {
        matches!(self, Self::Counter | Self::Bucket | Self::Sum | Self::Count)
    }
}

// === impl Labels ===

impl<'a> Labels<'a> {
    /// The value of the label `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let index = self.entries.binary_search_by(|entry| entry.name.of(self.text).cmp(name)).ok()?;
        self.entries.get(index).map(|entry| entry.value.of(self.text))
    }

    /// Name and value of every label, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let text = self.text;
        self.entries.iter().map(move |entry| (entry.name.of(text), entry.value.of(text)))
    }
}

// === impl LayoutBuilder ===

impl LayoutBuilder {
    /// Adds the next series of the page. `labels` are sorted by name and unique.
    ///
    /// All series of one name have one kind; the first one's counts.
    pub fn push<'a>(&mut self, name: &str, kind: Kind, labels: impl IntoIterator<Item = (&'a str, &'a str)>) {
        // A line's blank, braces and end; a label's quotes, equals sign and comma.
        self.page_bytes += name.len() + 4;
        let name = match self.name_ids.get(name) {
            Some(id) => *id,
            None => {
                let id = small(self.names.len());
                let span = self.intern(name);
                self.names.push((span, kind));
                self.name_ids.insert(name.into(), id);
                id
            }
        };
        let start = small(self.labels.len());
        for (label, value) in labels {
            self.page_bytes += label.len() + value.len() + 4;
            let entry = LabelEntry { name: self.intern(label), value: self.intern(value) };
            self.labels.push(entry);
        }
        self.series.push((name, start..small(self.labels.len())));
    }

    /// The finished layout.
    #[must_use]
    pub fn build(self) -> Layout {
        let text = self.text.into_boxed_str();
        let mut order: Vec<u32> = (0..small(self.names.len())).collect();
        order.sort_unstable_by_key(|id| self.names.get(*id as usize).map(|(span, _)| span.of(&text)));
        let mut rank = vec![0u32; order.len()];
        for (place, id) in (0u32..).zip(&order) {
            if let Some(slot) = rank.get_mut(*id as usize) {
                *slot = place;
            }
        }
        let mut by_name: Vec<Vec<u32>> = vec![Vec::new(); order.len()];
        let mut windowed = 0u32;
        let mut series = Vec::with_capacity(self.series.len());
        for (id, (name, labels)) in (0u32..).zip(self.series) {
            let kind = self.names.get(name as usize).map_or(Kind::Gauge, |(_, kind)| *kind);
            let slot = if kind.is_windowed() { Slot::Windowed(windowed) } else { Slot::Plain(id - windowed) };
            windowed += u32::from(kind.is_windowed());
            let name = rank.get(name as usize).copied().unwrap_or_default();
            if let Some(members) = by_name.get_mut(name as usize) {
                members.push(id);
            }
            series.push(SeriesEntry { name, labels, slot });
        }
        let mut members = Vec::with_capacity(series.len());
        let mut names = Vec::with_capacity(order.len());
        for (id, ids) in order.iter().zip(by_name) {
            if let Some((text, kind)) = self.names.get(*id as usize) {
                let start = small(members.len());
                members.extend(ids);
                names.push(NameEntry { text: *text, kind: *kind, members: start..small(members.len()) });
            }
        }
        let (windowed, plain) = runs(&series);
        Layout {
            id: 0,
            held: None,
            page_bytes: self.page_bytes,
            text,
            names: names.into(),
            series: series.into(),
            labels: self.labels.into(),
            members: members.into(),
            windowed,
            plain,
            planned: Planned::default(),
        }
    }

    fn intern(&mut self, text: &str) -> Span {
        if let Some(span) = self.spans.get(text) {
            return *span;
        }
        let span = Span { start: small(self.text.len()), len: small(text.len()) };
        self.text.push_str(text);
        self.spans.insert(text.into(), span);
        span
    }
}

/// The series that need a window, and the rest.
fn runs(series: &[SeriesEntry]) -> (Runs, Runs) {
    let of = |wanted: bool| {
        let is_wanted =
            move |(_, entry): &(u32, &SeriesEntry)| matches!(entry.slot, Slot::Windowed(_)) == wanted;
        (0u32..).zip(series).filter(is_wanted).map(|(id, _)| id).collect()
    };
    (of(true), of(false))
}

// === impl Span ===

impl Span {
    fn of(self, text: &str) -> &str {
        let start = self.start as usize;
        text.get(start..start + self.len as usize).unwrap_or_default()
    }
}

/// Pages are limited far below 4 GiB before they come here, so indices fit; a caller that did not limit
/// its page gets a layout that lacks the overflow rather than a panic.
fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX - 1)
}
