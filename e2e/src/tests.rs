//! The tests, in the order in which they run.

mod absence;
mod access;
mod clients;
mod disturbance;
mod freshness;
mod installation;
mod scaling;
mod values;

use crate::cluster::Cluster;
use crate::{Outcome, Settings};
use futures::future::LocalBoxFuture;

/// A test.
pub(crate) struct Test {
    pub(crate) name: &'static str,
    /// What it shows.
    pub(crate) about: &'static str,
    /// Whether it installs or removes podgauge.
    pub(crate) installs: bool,
    pub(crate) run: for<'a> fn(&'a Cluster, &'a Settings) -> LocalBoxFuture<'a, Outcome>,
}

macro_rules! test {
    ($name:literal, $about:literal, $run:path) => {
        Test {
            name: $name,
            about: $about,
            installs: false,
            run: |cluster, settings| Box::pin($run(cluster, settings)),
        }
    };
    (installs $name:literal, $about:literal, $run:path) => {
        Test { installs: true, ..test!($name, $about, $run) }
    };
}

/// Every test. Those that disturb podgauge come late, its removal last.
pub(crate) const TESTS: &[Test] = &[
    test!(installs "install", "one command installs podgauge, and it becomes Available", installation::install),
    test!(
        "availability",
        "both versions are registered, verified by caBundle, and discovered",
        installation::availability
    ),
    test!(
        "values",
        "every pod's own value, chosen by labels, in both versions; a 404 says why",
        values::values
    ),
    test!("access", "viewers may read, others and nobody may not", access::access),
    test!("kubectl", "each kubectl reads through the aggregator", clients::kubectl),
    test!("scaling", "the autoscaler follows `messages` of its pods up and down", scaling::on_pods),
    test!("scaling-object", "the same on the Service that stands for the queue", scaling::on_object),
    test!("scaling-external", "the same on the namespace's external metric", scaling::on_external),
    test!(
        "freshness",
        "how long changes take until the autoscaler scales, and how long reads",
        freshness::figures
    ),
    test!("churn", "pods that come and go are known at once, and none is left", values::churn),
    test!("replica-loss", "no read fails while replicas are killed", disturbance::replica_loss),
    test!("rolling-update", "no read fails while podgauge is replaced", disturbance::rolling_update),
    test!("ca-rotation", "no read fails while CAs and certificates change", disturbance::ca_rotation),
    test!("absence", "while podgauge is away the API says so, and it comes back by itself", absence::absence),
    test!(installs "uninstall", "nothing is left, and namespaces can be deleted", installation::uninstall),
];
