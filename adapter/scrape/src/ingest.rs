//! A page's bytes into a layout and numbers: the cheap way if the layout is known.
//!
//! The pods of a workload serve pages of one shape, scrape after scrape. What such a page looks like without its
//! numbers is kept once, as a [`Template`], and reading the next one is a comparison and one number parse for each
//! series. A page is parsed when it is the target's first or differs from the one before; only a shape that was seen
//! twice is kept, because a page that never looks the same is not worth its memory. What all shapes take is bounded;
//! pages for which there is no room are parsed each time, which costs time only.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use podgauge_exposition::{FamilyType, Format, Limits, Page, Role, Template, Values};
use podgauge_store::{Kind, Layout, LayoutBuilder};

use crate::{
    failure::ScrapeError,
    metrics::LayoutUse,
    relabel::Relabeling,
    selection::{EQUAL, Selection},
    terms::Terms,
};

/// A shape of page: how it is spelled and what it means.
#[derive(Debug)]
pub(crate) struct Shape {
    template: Template,
    format: Format,
    layout: Arc<Layout>,
    /// Which of the page's samples the layout's series are, if rules may have left some out.
    selection: Option<Selection>,
    _room: Room,
}

/// The shapes in use by all targets; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Shapes {
    map: Arc<Mutex<ShapeMap>>,
    /// Bytes of all templates, and how many there may be.
    bytes: Arc<AtomicUsize>,
    limit: usize,
}

/// A template's share of the bytes.
#[derive(Debug)]
struct Room {
    all: Arc<AtomicUsize>,
    bytes: usize,
}

/// What a target remembers of its last page.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// On which terms it is read, if they are its own.
    terms: Option<Arc<Terms>>,
    layout: Option<Arc<Layout>>,
    shape: Option<Arc<Shape>>,
}

/// What a page said.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) layout: Arc<Layout>,
    /// Lines that were skipped.
    pub(crate) rejected: u64,
    /// The first of them: number and reason.
    pub(crate) first_rejected: Option<Box<str>>,
    pub(crate) layout_use: LayoutUse,
}

/// Shapes by their layout. Shapes hold their layout, so an address that is in use is that of no other layout.
#[derive(Debug, Default)]
struct ShapeMap {
    by_layout: HashMap<usize, Vec<Weak<Shape>>>,
    /// Shapes added since the dead ones were last dropped, and shapes alive then.
    added: usize,
    alive: usize,
}

/// Spellings of one layout that are compared with a new page, at most.
const SPELLINGS: usize = 4;

/// How many times the bytes of its layout a template may have. What the store counts for a layout pays for one template
/// of it; help and comments make some of them longer. One that is mostly comments is parsed rather than kept, so that
/// it cannot take the room of others.
const LAYOUTS: usize = 4;

/// Reads a page into `values`, in the order of the layout's series. `intern` gives the one layout that is equal to a
/// new one.
///
/// # Errors
/// The page as a whole is worthless, or too large.
pub(crate) fn read(
    bytes: &[u8],
    format: Format,
    limits: &Limits,
    memory: &mut Memory,
    shapes: &Shapes,
    values: &mut Values,
    intern: impl FnOnce(Layout) -> Arc<Layout>,
) -> Result<Reading, ScrapeError> {
    if let Some(shape) = &memory.shape
        && shape.read(bytes, format, values)
    {
        let layout = Arc::clone(&shape.layout);
        let (rejected, first_rejected) = shape.selection.as_ref().map_or((0, None), equal);
        return Ok(Reading { layout, rejected, first_rejected, layout_use: LayoutUse::Known });
    }
    let page = Page::parse(bytes, format, limits).map_err(|error| ScrapeError::page(&error))?;
    let first_rejected = page.rejected.first.first().map(|rejection| Box::from(rejection.to_string()));
    if let (true, Some(first)) = (page.samples.is_empty(), &first_rejected) {
        return Err(ScrapeError::not_a_page(first));
    }
    page.values(values);
    let mut rejected = page.rejected.count;
    let mut first_rejected = first_rejected;
    let (layout, selection, is_same) = match memory.relabeling() {
        None => {
            let same = memory.layout.take().filter(|layout| has_series(layout, &page));
            let is_same = same.is_some();
            (same.unwrap_or_else(|| intern(layout_of(&page))), None, is_same)
        }
        Some(relabeling) => {
            let (layout, selection) = Selection::of(&page, relabeling)?;
            selection.apply(values);
            let (count, first) = equal(&selection);
            rejected += count;
            first_rejected = first_rejected.or(first);
            let layout = intern(layout);
            let is_same = memory.layout.take().is_some_and(|known| Arc::ptr_eq(&known, &layout));
            (layout, Some(selection), is_same)
        }
    };
    memory.shape = shapes.find(&layout, bytes, format, selection.as_ref());
    if memory.shape.is_none() && is_same {
        // A page pays for its template by what it would take as it is, whatever rules leave of it.
        let paid = if selection.is_some() { layout_of(&page).cost() } else { layout.cost() };
        memory.shape = Template::of(bytes, &page, format)
            .and_then(|template| shapes.keep(template, format, &layout, selection, paid));
    }
    // The layout that was made just now has no other holder than us.
    let is_shared = is_same || memory.shape.is_some() || Arc::strong_count(&layout) > 1;
    let layout_use = if is_shared { LayoutUse::Found } else { LayoutUse::New };
    memory.layout = Some(Arc::clone(&layout));
    Ok(Reading { layout, rejected, first_rejected, layout_use })
}

/// How many samples rules made equal to others, and what is said of it.
fn equal(selection: &Selection) -> (u64, Option<Box<str>>) {
    (selection.equal, (selection.equal > 0).then(|| EQUAL.into()))
}

/// What a sample's number means over time.
pub(crate) fn kind(family: FamilyType, role: Role) -> Kind {
    match (role, family) {
        (Role::Total, _) => Kind::Counter,
        // What is in a gauge histogram goes down, too: its parts are numbers like others.
        (_, FamilyType::GaugeHistogram) => Kind::Gauge,
        (Role::Bucket, _) => Kind::Bucket,
        (Role::Sum, _) => Kind::Sum,
        (Role::Count, _) => Kind::Count,
        (Role::Quantile, _) => Kind::Quantile,
        (Role::Value | Role::Created | Role::Info | Role::State, _) => Kind::Gauge,
    }
}

fn layout_of(page: &Page<'_>) -> Layout {
    let mut builder = LayoutBuilder::default();
    for sample in &page.samples {
        let labels = page.labels(sample).iter().map(|label| (label.name.as_ref(), label.value.as_ref()));
        builder.push(&sample.name, kind(page.family(sample).1, sample.role), labels);
    }
    builder.build()
}

/// Whether a page has the layout's series in the layout's order: [`layout_of`] without building one.
fn has_series(layout: &Layout, page: &Page<'_>) -> bool {
    if layout.len() != page.samples.len() {
        return false;
    }
    let mut previous = "";
    (0u32..).zip(&page.samples).all(|(id, sample)| {
        let Some(series) = layout.series(id) else { return false };
        let labels = page.labels(sample).iter().map(|label| (label.name.as_ref(), label.value.as_ref()));
        // Names come in runs, and all series of a name have one kind: the first one's.
        let is_kind = previous == series.name
            || layout.name(series.name).is_some_and(|name| {
                name.series.first() != Some(&id) || name.kind == kind(page.family(sample).1, sample.role)
            });
        previous = series.name;
        is_kind && series.name == sample.name && series.labels.iter().eq(labels)
    })
}

// === impl Memory ===

impl Memory {
    /// Of a target that is read on these terms.
    pub(crate) fn new(terms: Option<Arc<Terms>>) -> Self {
        Self { terms, ..Self::default() }
    }

    /// As if nothing had been read so far.
    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.terms.take());
    }

    fn relabeling(&self) -> Option<&Relabeling> {
        self.terms.as_ref()?.relabeling.as_ref()
    }
}

// === impl Shape ===

impl Shape {
    fn read(&self, bytes: &[u8], format: Format, values: &mut Values) -> bool {
        let is_read = self.format == format && self.template.read(bytes, values);
        if let (true, Some(selection)) = (is_read, &self.selection) {
            selection.apply(values);
        }
        is_read
    }
}

// === impl Shapes ===

impl Shapes {
    /// None yet; their templates may take `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { map: Arc::default(), bytes: Arc::default(), limit }
    }

    /// The shape of this page, if another target has it.
    fn find(
        &self,
        layout: &Arc<Layout>,
        bytes: &[u8],
        format: Format,
        selection: Option<&Selection>,
    ) -> Option<Arc<Shape>> {
        let candidates: Vec<Arc<Shape>> = {
            let shapes = self.map.lock().unwrap_or_else(PoisonError::into_inner);
            let known = shapes.by_layout.get(&address(layout)).into_iter().flatten().rev();
            let known = known.filter_map(Weak::upgrade);
            known.filter(|shape| shape.selection.as_ref() == selection).take(SPELLINGS).collect()
        };
        let mut scratch = Values::default();
        candidates.into_iter().find(|shape| shape.read(bytes, format, &mut scratch))
    }

    /// Keeps a template, if there is room for it, and if it is worth what is `paid` for the page.
    fn keep(
        &self,
        template: Template,
        format: Format,
        layout: &Arc<Layout>,
        selection: Option<Selection>,
        paid: usize,
    ) -> Option<Arc<Shape>> {
        let bytes = template.heap_bytes() + selection.as_ref().map_or(0, Selection::heap_bytes);
        if bytes > paid.saturating_mul(LAYOUTS) {
            return None;
        }
        let room = self.take(bytes)?;
        Some(self.add(Shape { template, format, layout: Arc::clone(layout), selection, _room: room }))
    }

    fn take(&self, bytes: usize) -> Option<Room> {
        self.bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                held.checked_add(bytes).filter(|held| *held <= self.limit)
            })
            .ok()?;
        Some(Room { all: Arc::clone(&self.bytes), bytes })
    }

    fn add(&self, shape: Shape) -> Arc<Shape> {
        let shape = Arc::new(shape);
        let mut shapes = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        if shapes.added > shapes.alive + 64 {
            shapes.sweep();
        }
        shapes.added += 1;
        shapes.by_layout.entry(address(&shape.layout)).or_default().push(Arc::downgrade(&shape));
        shape
    }
}

// === impl Room ===

impl Drop for Room {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

// === impl ShapeMap ===

impl ShapeMap {
    /// Drops what no target uses any more. Runs when the shapes could have doubled, so adding stays cheap.
    fn sweep(&mut self) {
        self.by_layout.retain(|_, shapes| {
            shapes.retain(|shape| shape.strong_count() > 0);
            !shapes.is_empty()
        });
        self.alive = self.by_layout.values().map(Vec::len).sum();
        self.added = 0;
    }
}

fn address(layout: &Arc<Layout>) -> usize {
    Arc::as_ptr(layout).addr()
}

#[cfg(test)]
mod tests;
