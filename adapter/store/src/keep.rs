//! Longer history, of the series that somebody asks it of.
//!
//! The window that every counter has is short, and gauges have none. A [`Policy`] says by name of which series more is kept;
//! what that means for a page is worked out once for each layout.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use crate::{
    Config, Layout, Timestamp,
    history::{History, sources},
    registry::Registry,
    runs::Runs,
};

/// For how long the samples of the series of this name are kept; zero for no longer than without.
pub type Policy = dyn Fn(&str) -> Duration + Send + Sync;

/// Says of which series more is kept. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Keeper {
    registry: Arc<Registry>,
}

/// The policy in force.
#[derive(Default)]
pub(crate) struct Keep(RwLock<Option<(u64, Arc<Policy>)>>);

/// What is kept of pages of one layout.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Of the policy that it follows.
    generation: u64,
    /// Series in the layout, to find one among them.
    ids: Box<[u32]>,
    /// The same, to copy them from a page.
    runs: Runs,
    depth: usize,
}

/// The plan of a layout, once it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Planned(Mutex<Option<Arc<Plan>>>);

/// What is kept of one page.
#[derive(Debug)]
pub(crate) struct Kept {
    plan: Arc<Plan>,
    layout: Arc<Layout>,
    history: History,
}

// === impl Keeper ===

impl Keeper {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }

    /// Keeps from now on what `policy` says. It is asked once for each name of each layout. What was kept by another one
    /// stays where both say so.
    pub fn keep(&self, policy: impl Fn(&str) -> Duration + Send + Sync + 'static) {
        let mut current = self.registry.keep.0.write().unwrap_or_else(PoisonError::into_inner);
        let generation = current.as_ref().map_or(1, |(generation, _)| generation + 1);
        *current = Some((generation, Arc::new(policy)));
    }
}

// === impl Keep ===

impl Keep {
    /// What is kept of pages of this layout; `None` if nothing is.
    pub(crate) fn plan(&self, layout: &Layout, config: &Config) -> Option<Arc<Plan>> {
        let (generation, policy) = self.0.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let mut planned = layout.planned().0.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = match &*planned {
            Some(plan) if plan.generation == generation => Arc::clone(plan),
            _ => {
                let plan = Arc::new(Plan::new(generation, &*policy, layout, config));
                *planned = Some(Arc::clone(&plan));
                plan
            }
        };
        (!plan.ids.is_empty()).then_some(plan)
    }
}

impl fmt::Debug for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keep").finish_non_exhaustive()
    }
}

// === impl Plan ===

impl Plan {
    fn new(generation: u64, policy: &Policy, layout: &Layout, config: &Config) -> Self {
        let (mut ids, mut longest) = (Vec::new(), Duration::ZERO);
        for name in layout.names() {
            let span = policy(name.text);
            let known = if name.kind.is_windowed() { config.window } else { Duration::ZERO };
            if span > known {
                ids.extend_from_slice(name.series);
                longest = longest.max(span);
            }
        }
        ids.sort_unstable();
        // The window's columns tell how often pages are read.
        let interval = config.window.as_millis() / config.columns.saturating_sub(1).max(1) as u128;
        let columns = longest.as_millis().div_ceil(interval.max(1)).saturating_add(2);
        Self {
            generation,
            runs: ids.iter().copied().collect(),
            ids: ids.into(),
            depth: usize::try_from(columns).unwrap_or(usize::MAX).min(COLUMNS),
        }
    }

    /// Numbers that it takes to hold.
    pub(crate) fn cells(&self) -> usize {
        self.ids.len().saturating_mul(self.depth)
    }
}

/// The most columns that are kept of any page, whatever is asked: hours at the usual pace.
const COLUMNS: usize = 10_000;

// === impl Kept ===

impl Kept {
    pub(crate) fn new(plan: &Arc<Plan>, layout: &Arc<Layout>) -> Self {
        let history = History::new(plan.ids.len(), plan.depth);
        Self { plan: Arc::clone(plan), layout: Arc::clone(layout), history }
    }

    /// The same for this plan and layout: what both keep stays.
    pub(crate) fn follow(self, plan: &Arc<Plan>, layout: &Arc<Layout>) -> Self {
        if Arc::ptr_eq(&self.plan, plan) && Arc::ptr_eq(&self.layout, layout) {
            return self;
        }
        let then = (&*self.layout, self.plan.ids.iter().copied());
        let sources = sources(then, (layout, plan.ids.iter().copied()));
        let history = self.history.carried_over(plan.depth, &sources);
        Self { plan: Arc::clone(plan), layout: Arc::clone(layout), history }
    }

    pub(crate) fn push(&mut self, values: &[f64], times: &[i64], taken: Timestamp) {
        self.history.push(&self.plan.runs, values, times, taken);
    }

    /// Where the samples of a series are, if they are kept.
    pub(crate) fn history(&self, series: u32) -> Option<(&History, usize)> {
        self.plan.ids.binary_search(&series).ok().map(|slot| (&self.history, slot))
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.history.heap_bytes()
    }
}
