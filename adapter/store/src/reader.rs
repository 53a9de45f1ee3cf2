//! The ones who look.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use crate::{Keeper, Layout, Pod, namespace::Namespace, registry::Registry};

/// Looks at the store; cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    registry: Arc<Registry>,
}

/// How much the store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Pods of any kind.
    pub pods: usize,
    /// Addresses that are scraped.
    pub targets: usize,
    /// Series over all targets.
    pub series: usize,
    /// Distinct shapes of pages.
    pub layouts: usize,
    /// Bytes of all pages and layouts on the heap, without the allocator's own.
    pub heap_bytes: usize,
}

// === impl Reader ===

impl Reader {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }

    /// The pods of a namespace that `wanted` picks, sorted by name. Writers wait while it picks, so it
    /// only looks.
    pub fn pods(&self, namespace: &str, wanted: impl Fn(&Pod) -> bool) -> Vec<Arc<Pod>> {
        self.labelled_pods(namespace, std::iter::empty(), wanted)
    }

    /// As [`pods`](Self::pods), and looks at no more of them than have one of these `labels`. Whether they have the
    /// others, too, is left to `wanted`.
    pub fn labelled_pods<'a>(
        &self,
        namespace: &str,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        wanted: impl Fn(&Pod) -> bool,
    ) -> Vec<Arc<Pod>> {
        let pods = self.registry.pods();
        let Some(pods) = pods.get(namespace) else { return Vec::new() };
        pods.candidates(labels).filter(|pod| wanted(pod)).cloned().collect()
    }

    /// The pod of this name.
    #[must_use]
    pub fn pod(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        self.registry.pods().get(namespace)?.get(name).cloned()
    }

    /// The pods of all namespaces that `wanted` picks, in no order. As with [`pods`](Self::pods) it only looks.
    pub fn all_pods(&self, wanted: impl Fn(&Pod) -> bool) -> Vec<Arc<Pod>> {
        let pods = self.registry.pods();
        pods.values().flat_map(Namespace::pods).filter(|pod| wanted(pod)).cloned().collect()
    }

    /// The shapes of all pages that are held, in no order.
    #[must_use]
    pub fn layouts(&self) -> Vec<Arc<Layout>> {
        self.registry.layouts()
    }

    /// The one who says of which series more is kept.
    #[must_use]
    pub fn keeper(&self) -> Keeper {
        Keeper::new(Arc::clone(&self.registry))
    }

    /// How far back rates, means and quantiles look.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.registry.config.window
    }

    /// How much the store holds; walks every target.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let layouts = self.layouts();
        let mut totals = Totals {
            series: self.registry.room.series.load(Ordering::Relaxed),
            layouts: layouts.len(),
            heap_bytes: layouts.iter().map(|layout| layout.heap_bytes()).sum(),
            ..Totals::default()
        };
        for pod in self.all_pods(|_| true) {
            totals.pods += 1;
            totals.targets += pod.targets().len();
            totals.heap_bytes +=
                pod.targets().iter().filter_map(|target| target.page(crate::Page::heap_bytes)).sum::<usize>();
        }
        totals
    }
}
