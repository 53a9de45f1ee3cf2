//! Pods: who they are, how selectors see them, and where they can be scraped.

use std::{cmp::Ordering, fmt, sync::Arc};

use crate::Target;

/// A pod's namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodKey {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name within the namespace.
    pub name: Arc<str>,
}

/// A pod as the cluster last described it.
#[derive(Debug)]
pub struct Pod {
    /// Namespace and name.
    pub key: PodKey,
    /// The object's uid: a pod of the same name with another uid is another pod.
    pub uid: Box<str>,
    /// Its labels.
    pub labels: PodLabels,
    /// The node that it runs on, if it has one.
    pub node: Option<Arc<str>>,
    /// Its targets, or why it has none.
    pub scrapeable: Scrapeable,
}

/// Whether a pod is scraped.
#[derive(Debug)]
pub enum Scrapeable {
    /// It is, here. Never empty.
    Targets(Vec<Arc<Target>>),
    /// It is not.
    No(WhyNot),
}

/// Why a pod is not a target; the text tells its owner what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// No `prometheus.io/scrape: "true"` of its own, and nothing that selects it has it scraped.
    NotAnnotated,
    /// Its phase is not Running; here is what it is.
    Phase(Box<str>),
    /// It has a deletion timestamp.
    Terminating,
    /// It has no IP address yet.
    NoAddress,
    /// Neither a port annotation nor a declared TCP container port.
    NoPort,
    /// An annotation has a value that cannot be used; this says which and why.
    BadAnnotation(Box<str>),
    /// A monitor that selects it asks for something that cannot be done; this says which and why.
    BadMonitor(Box<str>),
    /// Its address may not be scraped: loopback, link-local, or the node's own; this says which.
    ForbiddenAddress(Box<str>),
}

/// Labels of a pod, sorted by key; clones share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodLabels(Arc<[(Box<str>, Box<str>)]>);

// === impl PodKey ===

impl PodKey {
    /// The key of `namespace/name`.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for PodKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

// === impl Pod ===

impl Pod {
    /// Its targets; none if it is not scraped.
    #[must_use]
    pub fn targets(&self) -> &[Arc<Target>] {
        match &self.scrapeable {
            Scrapeable::Targets(targets) => targets,
            Scrapeable::No(_) => &[],
        }
    }
}

// === impl WhyNot ===

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnnotated => f.write_str(
                "it has no annotation prometheus.io/scrape: \"true\", and nothing else asks for it",
            ),
            Self::Phase(phase) => write!(f, "its phase is {phase}, not Running"),
            Self::Terminating => f.write_str("it is terminating"),
            Self::NoAddress => f.write_str("it has no IP address yet"),
            Self::NoPort => f.write_str(
                "it declares no TCP container port; declare one or set the annotation prometheus.io/port",
            ),
            Self::BadAnnotation(what) | Self::BadMonitor(what) => f.write_str(what),
            Self::ForbiddenAddress(what) => f.write_str(what),
        }
    }
}

// === impl PodLabels ===

impl PodLabels {
    /// The value of the label `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let index = self.0.binary_search_by(|(k, _)| Ord::cmp(&**k, key)).ok()?;
        self.0.get(index).map(|(_, value)| &**value)
    }

    /// Every label, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }
}

impl<K: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(K, V)> for PodLabels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(labels: I) -> Self {
        let mut labels: Vec<(Box<str>, Box<str>)> =
            labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        labels.sort_unstable_by(|(a, _), (b, _)| -> Ordering { a.cmp(b) });
        Self(labels.into())
    }
}
