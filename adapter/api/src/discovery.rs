//! What discovery lists: every name that some page answers to, bounded and never empty.

use std::{
    collections::BTreeSet,
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
    /// Lists at most `limit` names of metrics: those that sort first.
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

    fn list(&self, layouts: &[Arc<Layout>]) -> Vec<ApiResource> {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for layout in layouts {
            each_answered(layout, |name| {
                if is_addressable(name) && !names.contains(name) {
                    names.insert(name.to_owned());
                }
                if names.len() > self.limit {
                    names.pop_last();
                }
            });
        }
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

/// Whether Kubernetes' clients can ask for the name: it must fit one segment of a path (apimachinery,
/// `api/validate/content/path.go`).
fn is_addressable(name: &str) -> bool {
    !matches!(name, "." | "..") && !name.contains(['/', '%'])
}

/// Tells sets of layouts apart, whatever their order.
fn fingerprint(layouts: &[Arc<Layout>]) -> u64 {
    let mixed = |id: u64| (id ^ (id >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    layouts.iter().map(|layout| mixed(layout.id())).fold(layouts.len() as u64, u64::wrapping_add)
}
