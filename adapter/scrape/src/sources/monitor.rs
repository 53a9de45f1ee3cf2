//! PodMonitors and ServiceMonitors of `monitoring.coreos.com/v1`, as far as podgauge keeps what they ask for: whom they select,
//! and which pages of those.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use podgauge_store::PodLabels;
use serde::Deserialize;
use serde_json::Value;

use super::{endpoint::MonitorEndpoint, label_selector::LabelSelector};
use crate::{
    lenient::Lenient,
    object::{Metadata, Wanted},
    relabel::{self, RegexRoom},
    text::quoted,
};

/// What monitors may ask for.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Monitors of each kind.
    pub(crate) monitors: usize,
    /// Endpoints of a monitor.
    pub(crate) endpoints: usize,
    /// Namespaces whose monitors may select elsewhere; `*` is all.
    pub(crate) trusted: Vec<String>,
    /// The shortest interval, and the longest.
    pub(crate) interval: (Duration, Duration),
    /// The longest timeout.
    pub(crate) timeout: Duration,
    /// What rules may take.
    pub(crate) relabeling: relabel::Bounds,
    /// Bytes of memory of one regular expression.
    pub(crate) regex_bytes: usize,
    /// Bytes of memory of those of all monitors of a kind.
    pub(crate) regexes_bytes: usize,
}

/// The `spec` of a PodMonitor, as it is.
#[derive(Clone, Debug)]
pub(super) struct PodMonitor(pub(super) Value);

/// The `spec` of a ServiceMonitor, as it is.
#[derive(Clone, Debug)]
pub(super) struct ServiceMonitor(pub(super) Value);

/// A monitor as the API server sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Document {
    metadata: Lenient<Metadata>,
    spec: Value,
}

/// What a monitor asks for.
#[derive(Debug)]
pub(super) struct Monitor {
    /// Of the whole `spec`.
    digest: u64,
    /// Of pods, or of Services; without one nothing is selected.
    selector: Option<LabelSelector>,
    namespaces: Namespaces,
    /// Each endpoint, or why it is not scraped.
    pub(super) endpoints: Vec<Result<MonitorEndpoint, Box<str>>>,
    /// The memory that its regular expressions take.
    pub(super) regex_bytes: usize,
    /// What of it is not kept.
    pub(super) problems: Vec<String>,
}

#[derive(Debug)]
enum Namespaces {
    Own,
    Any,
    Named(Vec<Box<str>>),
}

/// Fields without effect here that change nothing of what is scraped: labels of targets, which nobody has here; limits, which
/// flags set; and what podgauge does anyway or never does.
const PASSED_OVER: [&str; 18] = [
    "attachMetadata",
    "bodySizeLimit",
    "enableHttp2",
    "fallbackScrapeProtocol",
    "filterRunning",
    "followRedirects",
    "jobLabel",
    "keepDroppedTargets",
    "labelLimit",
    "labelNameLengthLimit",
    "labelValueLengthLimit",
    "podTargetLabels",
    "sampleLimit",
    "scrapeProtocols",
    "targetLabels",
    "targetLimit",
    "tlsConfig",
    "trackTimestampsStaleness",
];

/// A namespace has one part in so many of what all monitors may take, so that it keeps nobody else out.
const SHARES: usize = 4;

// === impl Settings ===

impl Settings {
    /// What a namespace may have of so much for all: those whose monitors may select elsewhere, all of it.
    pub(super) fn share(&self, namespace: &str, all: usize) -> usize {
        if self.trusts(namespace) { all } else { all.div_ceil(SHARES) }
    }

    /// Whether monitors of a namespace may select elsewhere.
    pub(super) fn trusts(&self, namespace: &str) -> bool {
        self.trusted.iter().any(|trusted| trusted == "*" || trusted == namespace)
    }
}

// === impl PodMonitor, ServiceMonitor ===

impl Wanted for PodMonitor {
    type Document = Document;

    fn read(document: Document, identity: &mut ObjectMeta) -> Result<Self, Box<str>> {
        document.identify(identity).map(Self)
    }
}

impl Wanted for ServiceMonitor {
    type Document = Document;

    fn read(document: Document, identity: &mut ObjectMeta) -> Result<Self, Box<str>> {
        document.identify(identity).map(Self)
    }
}

impl Document {
    fn identify(self, identity: &mut ObjectMeta) -> Result<Value, Box<str>> {
        self.metadata.read("metadata")?.unwrap_or_default().identify(identity)?;
        Ok(self.spec)
    }
}

// === impl Monitor ===

impl Monitor {
    /// Reads a `spec`; `endpoints` is the field that has them, and `own` the monitor's namespace.
    ///
    /// `room` is what its regular expressions may take.
    pub(super) fn read(
        spec: &Value,
        endpoints: &str,
        own: &str,
        settings: &Settings,
        mut room: RegexRoom,
    ) -> Self {
        let selector = LabelSelector::read(&spec["selector"]);
        let namespaces = Namespaces::read(&spec["namespaceSelector"]);
        let mut problems = Vec::new();
        if selector.is_none() {
            problems.push("its selector is not understood, and selects nothing".to_owned());
        }
        if !settings.trusts(own) && namespaces.is_far(own) {
            problems.push(
                "its namespaceSelector means other namespaces than its own, which is heard from namespaces of \
                 --monitor-namespaces alone"
                    .to_owned(),
            );
        }
        let known = ["selector", "namespaceSelector", "selectorMechanism", endpoints];
        name_unknown(spec, &known, &mut problems);
        let all = spec[endpoints].as_array().map(Vec::as_slice).unwrap_or_default();
        if all.len() > settings.endpoints {
            let count = all.len();
            problems.push(format!(
                "it has {count} {endpoints}, more than {}; those beyond are left out",
                settings.endpoints
            ));
        }
        let mut read = Vec::new();
        for (index, endpoint) in all.iter().take(settings.endpoints).enumerate() {
            let mut found = Vec::new();
            let endpoint = MonitorEndpoint::read(endpoint, settings, &mut room, &mut found);
            found.extend(endpoint.as_ref().err().map(|why| format!("not scraped: {why}")));
            problems.extend(found.into_iter().map(|problem| format!("{endpoints}[{index}]: {problem}")));
            read.push(endpoint.map_err(Box::from));
        }
        let regex_bytes = room.taken();
        Self { digest: digest(spec), selector, namespaces, endpoints: read, regex_bytes, problems }
    }

    /// Whether it was read from this `spec`.
    pub(super) fn is_of(&self, spec: &Value) -> bool {
        self.digest == digest(spec)
    }

    /// Whether it selects what has these labels in `namespace`; `own` is its own.
    pub(super) fn selects(
        &self,
        own: &str,
        namespace: &str,
        labels: &PodLabels,
        settings: &Settings,
    ) -> bool {
        self.namespaces.has(own, namespace)
            && (own == namespace || settings.trusts(own))
            && self.selector.as_ref().is_some_and(|selector| selector.matches(labels))
    }
}

/// Names the fields that nobody looked at.
pub(super) fn name_unknown(object: &Value, known: &[&str], problems: &mut Vec<String>) {
    let fields = object.as_object().into_iter().flat_map(|fields| fields.keys());
    let unknown =
        fields.filter(|field| !known.contains(&field.as_str()) && !PASSED_OVER.contains(&field.as_str()));
    problems.extend(unknown.map(|field| format!("podgauge does not know its field {}", quoted(field))));
}

fn digest(spec: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    spec.to_string().hash(&mut hasher);
    hasher.finish()
}

// === impl Namespaces ===

impl Namespaces {
    fn read(selector: &Value) -> Self {
        if selector["any"] == true {
            return Self::Any;
        }
        let names: Vec<Box<str>> = selector["matchNames"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(Box::from)
            .collect();
        if names.is_empty() { Self::Own } else { Self::Named(names) }
    }

    fn has(&self, own: &str, namespace: &str) -> bool {
        match self {
            Self::Own => own == namespace,
            Self::Any => true,
            Self::Named(names) => names.iter().any(|name| **name == *namespace),
        }
    }

    /// Whether it means any but its own.
    fn is_far(&self, own: &str) -> bool {
        match self {
            Self::Own => false,
            Self::Any => true,
            Self::Named(names) => names.iter().any(|name| **name != *own),
        }
    }
}
