//! What is counted. Names are without the prefix that the registry adds.

use std::{sync::atomic::AtomicU64, time::SystemTime};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::{policy::Change, state::State};

/// `certificates_*`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    changes: Family<ChangeLabels, Counter>,
    pub(crate) served: Counter,
    pub(crate) bundles_written: Counter,
    pub(crate) conflicts: Counter,
    pub(crate) failures: Counter,
    expiry: Family<RoleLabels, Gauge<f64, AtomicU64>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabels {
    change: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoleLabels {
    role: &'static str,
}

// === impl Metrics ===

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let m = Self::default();
        let registry = registry.sub_registry_with_prefix("certificates");
        registry.register(
            "changes",
            "Changes of the Secret that this replica made: start, stage, restore, promote",
            m.changes.clone(),
        );
        registry.register("served", "Certificates that this replica began to serve", m.served.clone());
        registry.register(
            "bundles_written",
            "Times that this replica wrote a caBundle",
            m.bundles_written.clone(),
        );
        registry.register(
            "conflicts",
            "Writes that were left to another replica, which was quicker",
            m.conflicts.clone(),
        );
        registry.register(
            "failures",
            "Rounds in which something could not be read or written",
            m.failures.clone(),
        );
        registry.register_with_unit(
            "expiry_timestamp",
            "When the certificates in the Secret end, as a Unix time",
            Unit::Seconds,
            m.expiry.clone(),
        );
        for change in [Change::Start, Change::Stage, Change::Restore, Change::Promote] {
            // A counter that is not there yet cannot be told from one that nobody counts.
            drop(m.changes.get_or_create(&ChangeLabels { change: change.name() }));
        }
        m
    }

    pub(crate) fn changed(&self, change: Change) {
        self.changes.get_or_create(&ChangeLabels { change: change.name() }).inc();
    }

    pub(crate) fn holds(&self, state: &State) {
        for (role, generation) in [("serving", &state.serving), ("next", &state.next)] {
            let labels = RoleLabels { role };
            match generation {
                Some(generation) => {
                    let since = generation.not_after.duration_since(SystemTime::UNIX_EPOCH);
                    self.expiry.get_or_create(&labels).set(since.unwrap_or_default().as_secs_f64());
                }
                None => {
                    self.expiry.remove(&labels);
                }
            }
        }
    }
}
