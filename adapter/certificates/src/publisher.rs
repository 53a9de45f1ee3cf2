//! Writes the CA of somebody else's certificate into our APIServices' `caBundle`, for those who ask for it.
//!
//! What is in a bundle already stays until it ends: the certificate that it verifies may still be served by a replica
//! whose files are not new yet.

use std::{collections::BTreeSet, fmt, path::PathBuf};

use kube::Client;
use prometheus_client::registry::Registry;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    Clock,
    bundle::Bundle,
    cluster::{Cluster, ClusterError, kube::KubeCluster},
    config::Publishing,
    keeper,
    metrics::Metrics,
    policy::Service,
};

/// Makes a CA known that is in a file.
pub struct Publisher {
    config: Publishing,
    file: PathBuf,
    cluster: KubeCluster,
    clock: Clock,
    metrics: Metrics,
}

/// The largest CA file that is read, in bytes.
const MOST_BYTES: usize = 1024 * 1024;

// === impl Publisher ===

impl Publisher {
    /// Publishes what `file` holds, read anew each time that the APIServices are looked at.
    #[must_use]
    pub fn build(
        config: Publishing,
        file: PathBuf,
        client: Client,
        clock: Clock,
        registry: &mut Registry,
    ) -> Self {
        let cluster = KubeCluster::new(client, &config.namespace, "", config.request_timeout);
        Self { config, file, cluster, clock, metrics: Metrics::register(registry) }
    }

    /// Looks after the bundles until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.publish() => {}
        }
    }

    async fn publish(&self) {
        let mut strangers = BTreeSet::new();
        let mut last = None;
        loop {
            let problem = self.round(&mut strangers).await.err();
            if problem.is_some() {
                self.metrics.failures.inc();
            }
            if problem != last {
                match &problem {
                    Some(problem) => warn!(%problem, "the CA cannot be published; trying again"),
                    None => info!("the CA is published again"),
                }
                last = problem;
            }
            sleep(self.config.interval).await;
        }
    }

    async fn round(&self, strangers: &mut BTreeSet<String>) -> Result<(), String> {
        let pem = tokio::fs::read(&self.file).await;
        let pem = pem.map_err(|error| format!("--tls-ca-file {}: {error}", self.file.display()))?;
        let ours = Bundle::read(pem.get(..MOST_BYTES).unwrap_or(&pem));
        if ours.is_empty() {
            return Err(format!("--tls-ca-file {}: there is no CA in it", self.file.display()));
        }
        let mut failed = None;
        for name in &self.config.api_services {
            let written = async {
                let found = self.cluster.api_service(name).await?;
                let Some(service) = keeper::own(name, found, &self.config, strangers) else { return Ok(()) };
                let wanted = wanted(&ours, &service, (self.clock)());
                if wanted == service.bundle && !service.is_untidy {
                    return Ok(());
                }
                self.cluster.write_bundle(name, &service.version, &wanted.to_pem()).await?;
                self.metrics.bundles_written.inc();
                info!(api_service = %name, cas = wanted.iter().count(), "wrote the caBundle");
                Ok(())
            };
            match written.await {
                Ok(()) => {}
                // The next round will see what the other one wrote.
                Err(ClusterError::Conflict(_)) => {
                    self.metrics.conflicts.inc();
                }
                Err(error) => failed = Some(error.to_string()),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn wanted(ours: &Bundle, service: &Service, now: std::time::SystemTime) -> Bundle {
    let mut wanted = Bundle::default();
    // What is there keeps its place, so that replicas that see the same write the same.
    service.bundle.iter().filter(|ca| ca.not_after > now || ours.contains(ca)).for_each(|ca| wanted.add(ca));
    if wanted.contains_all(ours) {
        return wanted;
    }
    let mut wanted = ours.clone();
    service.bundle.iter().filter(|ca| ca.not_after > now).for_each(|ca| wanted.add(ca));
    wanted
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("file", &self.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::generation::Generation;

    #[test]
    fn what_is_new_is_added_and_what_ended_goes() {
        let at = |days: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + days * 86_400);
        let make = |days: u64| {
            Generation::make(&["a.b.svc".to_owned()], Duration::from_secs(90 * 86_400), at(days)).unwrap().ca
        };
        let (old, older, ours) = (make(0), make(0), make(60));
        let both = |one: &Bundle, two: &Bundle| {
            let mut both = one.clone();
            both.add_all(two);
            both
        };
        let check = |there: &Bundle, days: u64, want: &Bundle| {
            let service = Service {
                name: String::new(),
                version: String::new(),
                bundle: there.clone(),
                is_untidy: false,
            };
            assert_eq!(&wanted(&ours, &service, at(days)), want);
        };
        check(&Bundle::default(), 61, &ours);
        check(&ours, 61, &ours);
        check(&old, 61, &both(&ours, &old));
        check(&both(&old, &ours), 61, &both(&old, &ours));
        check(&both(&old, &ours), 91, &ours);
        check(&both(&old, &older), 91, &ours);
    }
}
