//! What discovery lists: every name that some page answers to, bounded and never empty.

use std::{
    collections::BTreeSet,
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
};

use podgauge_apiserver::ApiResource;
use podgauge_store::{Layout, Reader};

use crate::names::each_answered;

/// Lists names; keeps the last list for as long as the same layouts are in use.
#[derive(Debug)]
pub(crate) struct Discovery {
    limit: usize,
    last: Mutex<Option<(u64, Arc<[ApiResource]>)>>,
}

/// What is listed while no page was read, since an empty list makes clients warn. The field's other
/// adapters use the same name.
const PLACEHOLDER: &str = "custommetrics";

// === impl Discovery ===

impl Discovery {
    /// Lists at most `limit` names of metrics, a fair share of each layout's.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), last: Mutex::default() }
    }

    /// `namespaces/<metric>`, which are cluster-scoped, and `pods/<metric>`, which are namespaced: entries of
    /// one parent agree, or kube-apiserver marks the whole version stale.
    pub(crate) fn resources(&self, reader: &Reader) -> Arc<[ApiResource]> {
        let layouts = reader.layouts();
        let fingerprint = fingerprint(&layouts);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((same, resources)) if *same == fingerprint => Arc::clone(resources),
            _ => {
                let resources: Arc<[ApiResource]> = self.list(&layouts).into();
                *last = Some((fingerprint, Arc::clone(&resources)));
                resources
            }
        }
    }

    /// At most the limit of names, one after the other from each layout in turn, the oldest layout first: a page with
    /// very many names, or with names that sort first, crowds nobody else's out.
    fn fair_share(&self, layouts: &[Arc<Layout>]) -> BTreeSet<String> {
        let mut layouts: Vec<&Arc<Layout>> = layouts.iter().collect();
        layouts.sort_unstable_by_key(|layout| layout.id());
        let mut rows: Vec<_> =
            layouts.iter().map(|layout| first_names(layout, self.limit).into_iter()).collect();
        let mut names = BTreeSet::new();
        while !rows.is_empty() && names.len() < self.limit {
            rows.retain_mut(|row| {
                // What another layout has already named costs this one nothing.
                let next = row.find(|name| !names.contains(name));
                next.is_some_and(|name| names.len() < self.limit && names.insert(name))
            });
        }
        names
    }

    fn list(&self, layouts: &[Arc<Layout>]) -> Vec<ApiResource> {
        let mut names = self.fair_share(layouts);
        if names.is_empty() {
            names.insert(PLACEHOLDER.to_owned());
        }
        let entry = |parent: &str, namespaced, metric: &String| ApiResource {
            name: format!("{parent}/{metric}"),
            singular_name: String::new(),
            namespaced,
            kind: "MetricValueList",
            verbs: &["get"],
        };
        let namespaces = names.iter().map(|metric| entry("namespaces", false, metric));
        let pods = names.iter().map(|metric| entry("pods", true, metric));
        namespaces.chain(pods).collect()
    }
}

/// The first names of one layout.
fn first_names(layout: &Layout, limit: usize) -> Vec<String> {
    let mut names = Vec::new();
    let _ = each_answered(layout, |name| {
        if is_addressable(name) {
            names.push(name.to_owned());
        }
        if names.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    names
}

/// Whether Kubernetes' clients can ask for the name: it must fit one segment of a path (apimachinery,
/// `api/validate/content/path.go`).
pub(crate) fn is_addressable(name: &str) -> bool {
    !matches!(name, "." | "..") && !name.contains(['/', '%'])
}

/// Tells sets of layouts apart, whatever their order.
pub(crate) fn fingerprint(layouts: &[Arc<Layout>]) -> u64 {
    let mixed = |id: u64| (id ^ (id >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    layouts.iter().map(|layout| mixed(layout.id())).fold(layouts.len() as u64, u64::wrapping_add)
}
