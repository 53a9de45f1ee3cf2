//! The labels of scraped series: those on the page, and those that say where it was scraped.
//!
//! | label | value |
//! |---|---|
//! | `namespace`, `kubernetes_namespace` | the pod's namespace |
//! | `pod`, `kubernetes_pod_name` | the pod's name |
//! | `node` | the node that it runs on, if known |
//! | `instance` | address and port that were scraped |
//! | `job` | `kubernetes-pods` |
//! | each label of the pod | its value; in its name, all but letters and digits become `_` |
//!
//! This is what Prometheus' usual job for pods sets, under both names that are in use. They win over the pod's own labels,
//! and over those on the page, which are then called `exported_` and their name.

use std::sync::Arc;

use podgauge_promql::{Labels, METRIC_NAME};

/// What all series of a page have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetLabels(Vec<(Arc<str>, Arc<str>)>);

/// What Prometheus' example for pods calls its job.
const JOB: &str = "kubernetes-pods";

// === impl TargetLabels ===

impl TargetLabels {
    /// The labels of what is scraped from a pod at `instance`. `more` are the pod's own labels.
    #[must_use]
    pub fn new<'a>(
        namespace: &str,
        pod: &str,
        node: Option<&str>,
        instance: &str,
        more: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let own = [
            ("namespace", namespace),
            ("kubernetes_namespace", namespace),
            ("pod", pod),
            ("kubernetes_pod_name", pod),
            ("node", node.unwrap_or_default()),
            ("instance", instance),
            ("job", JOB),
        ];
        let own = own.map(|(name, value)| (Arc::from(name), Arc::from(value)));
        let more = more.into_iter().map(|(name, value)| (Arc::from(label_name(name)), Arc::from(value)));
        // Of equal names the last one counts, in [`Labels`] as well.
        let mut labels: Vec<(Arc<str>, Arc<str>)> = more.chain(own).collect();
        labels.reverse();
        labels.sort_by(|a, b| a.0.cmp(&b.0));
        labels.dedup_by(|a, b| a.0 == b.0);
        labels.retain(|(_, value)| !value.is_empty());
        Self(labels)
    }

    /// The value of a label; empty when there is none of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        let at = self.0.binary_search_by(|(other, _)| (**other).cmp(name));
        at.ok().and_then(|at| self.0.get(at)).map_or("", |(_, value)| value)
    }

    /// All labels, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The labels of a series of this page.
    pub fn series<'a>(&self, name: &str, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
        let page = labels.into_iter().filter(|(label, _)| *label != METRIC_NAME).map(|(label, value)| {
            let is_taken = !self.get(label).is_empty();
            let label = if is_taken { Arc::from(format!("exported_{label}")) } else { Arc::from(label) };
            (label, Arc::from(value))
        });
        let target = self.0.iter().cloned();
        Labels::new(page.chain(target).chain([(Arc::from(METRIC_NAME), Arc::from(name))]))
    }
}

/// A pod's label as a series' label.
fn label_name(name: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_have_the_labels_of_page_pod_and_target() {
        let own = [("app.kubernetes.io/name", "web"), ("pod", "mine"), ("1st", "x"), ("empty", "")];
        let target = TargetLabels::new("shop", "web-0", None, "10.0.0.1:8080", own);
        assert_eq!(target.get("pod"), "web-0");
        assert_eq!(target.get("node"), "");
        let page = [
            ("code", "200"),
            ("namespace", "other"),
            ("app_kubernetes_io_name", "page"),
            ("__name__", "evil"),
        ];
        assert_eq!(
            target.series("hits", page).to_string(),
            "hits{_1st=\"x\", app_kubernetes_io_name=\"web\", code=\"200\", \
             exported_app_kubernetes_io_name=\"page\", exported_namespace=\"other\", instance=\"10.0.0.1:8080\", \
             job=\"kubernetes-pods\", kubernetes_namespace=\"shop\", kubernetes_pod_name=\"web-0\", \
             namespace=\"shop\", pod=\"web-0\"}"
        );
    }
}
