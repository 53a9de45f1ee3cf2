//! The loop: look, decide, do one thing, look again; when there is nothing to do, wait.

use std::{collections::BTreeSet, fmt, time::SystemTime};

use kube::Client;
use prometheus_client::registry::Registry;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    Clock, Pair,
    bundle::Bundle,
    cluster::{ApiService, Cluster, ClusterError, Secret, kube::KubeCluster},
    config::{Config, ConfigError, Publishing},
    generation::Generation,
    health::Health,
    metrics::Metrics,
    policy::{self, Change, Memory, Now, Publication, Rules, Service, Step, View},
    state::State,
};

/// The longest way from nothing to serving has four steps; whoever loses races takes some more. The rest of the way is
/// gone in the next round.
const MOST_STEPS: usize = 16;

/// Makes, keeps, renews and publishes certificates.
pub struct Keeper {
    replica: Replica<KubeCluster>,
}

/// A keeper on any cluster.
pub(crate) struct Replica<C> {
    config: Config,
    names: Vec<String>,
    cluster: C,
    clock: Clock,
    serve: Box<dyn Fn(Pair) + Send + Sync>,
    memory: Memory,
    health: Health,
    metrics: Metrics,
    /// The version of the Secret that was read last, and what is in it: chains and keys are verified once.
    read: Option<(String, State)>,
    /// What was said of the Secret last, and of APIServices that are not ours: each is said once.
    complaints: Vec<String>,
    strangers: BTreeSet<String>,
}

/// What a look gave: what decides, and what a write needs.
struct Look {
    view: View,
    secret: Option<Secret>,
}

// === impl Keeper ===

impl Keeper {
    /// Checks the settings. `serve` is called with each certificate that is to be served from then on.
    ///
    /// # Errors
    /// When settings do not go together.
    pub fn build(
        config: Config,
        client: Client,
        clock: Clock,
        serve: impl Fn(Pair) + Send + Sync + 'static,
        registry: &mut Registry,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let Publishing { namespace, request_timeout, .. } = &config.publishing;
        let cluster = KubeCluster::new(client, namespace, &config.secret, *request_timeout);
        let metrics = Metrics::register(registry);
        Ok(Self { replica: Replica::new(config, cluster, clock, Box::new(serve), metrics) })
    }

    /// Tells how it goes, before, during and after the run.
    #[must_use]
    pub fn health(&self) -> Health {
        self.replica.health.clone()
    }

    /// Looks after the certificates until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.replica.run() => {}
        }
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("config", &self.replica.config).finish_non_exhaustive()
    }
}

// === impl Replica ===

impl<C: Cluster> Replica<C> {
    pub(crate) fn new(
        config: Config,
        cluster: C,
        clock: Clock,
        serve: Box<dyn Fn(Pair) + Send + Sync>,
        metrics: Metrics,
    ) -> Self {
        Self {
            names: config.publishing.names(),
            config,
            cluster,
            clock,
            serve,
            memory: Memory::default(),
            health: Health::default(),
            metrics,
            read: None,
            complaints: Vec::new(),
            strangers: BTreeSet::new(),
        }
    }

    pub(crate) async fn run(&mut self) {
        loop {
            let problem = self.sync().await.err();
            if problem.is_some() {
                self.metrics.failures.inc();
            }
            self.report(problem);
            sleep(self.config.publishing.interval).await;
        }
    }

    /// Does whatever there is to do now.
    async fn sync(&mut self) -> Result<(), String> {
        let Config { lifetime, propagation_delay: delay, .. } = self.config;
        let rules = Rules { lifetime, delay };
        let mut unwritten = None;
        for _ in 0..MOST_STEPS {
            let Look { view, secret } = self.look().await.map_err(|error| error.to_string())?;
            let now = Now { wall: (self.clock)(), clock: Instant::now() };
            self.memory.note(&view, now.clock);
            let may_write = unwritten.is_none();
            match policy::decide(&view, &self.memory, rules, now, may_write) {
                Step::Rest => break,
                Step::Serve(generation) => self.serve(generation, now.clock),
                Step::Write(change) => match self.write(change, &view, secret.as_ref(), now).await {
                    Ok(()) => {}
                    Err(ClusterError::Conflict(what)) => self.lost(&what),
                    // What there is can still be published and served.
                    Err(error) => unwritten = Some(error.to_string()),
                },
                Step::Publish(publications) => self.publish(publications).await?,
            }
        }
        unwritten.map_or(Ok(()), Err)
    }

    /// The APIServices first, then the Secret: see [`policy`].
    async fn look(&mut self) -> Result<Look, ClusterError> {
        let mut services = Vec::new();
        for name in self.config.publishing.api_services.clone() {
            let found = self.cluster.api_service(&name).await?;
            services.extend(own(&name, found, &self.config.publishing, &mut self.strangers));
        }
        let secret = self.cluster.secret().await?;
        let state = self.read(secret.as_ref());
        self.metrics.holds(&state);
        Ok(Look { view: View { services, state }, secret })
    }

    /// What of the Secret can be used now; says what is wrong with the rest.
    fn read(&mut self, secret: Option<&Secret>) -> State {
        let now = (self.clock)();
        if let (Some((version, state)), Some(secret)) = (&self.read, secret)
            && *version == secret.version
        {
            return state.at(now);
        }
        let (state, complaints) = match secret {
            Some(secret) => State::read(&secret.data, &self.config.publishing.server_name(), now),
            None => (State::default(), vec!["it does not exist".to_owned()]),
        };
        if complaints != self.complaints {
            for problem in &complaints {
                warn!(secret = %self.config.secret, %problem, "what is in the Secret is of no use");
            }
            self.complaints = complaints;
        }
        self.read = secret.map(|secret| (secret.version.clone(), state.clone()));
        state
    }

    fn serve(&mut self, generation: Generation, now: Instant) {
        let until = rfc3339(generation.not_after);
        info!(%until, "serving a certificate whose CA is in every caBundle");
        (self.serve)(Pair { certificate: generation.certificate.clone(), key: generation.key.clone() });
        self.health.serves_until(generation.not_after);
        self.metrics.served.inc();
        self.memory.serve(generation, now);
    }

    async fn write(
        &self,
        change: Change,
        view: &View,
        secret: Option<&Secret>,
        now: Now,
    ) -> Result<(), ClusterError> {
        let make = || Generation::make(&self.names, self.config.lifetime, now.wall);
        let state = change
            .apply(&view.state, self.memory.held(now.wall), make)
            .map_err(|error| ClusterError::Failed(format!("making a certificate: {error}")))?;
        let version = secret.map(|secret| secret.version.as_str());
        self.cluster.write_secret(version, &state.data()).await?;
        self.metrics.changed(change);
        let secret = &self.config.secret;
        match change {
            Change::Start => info!(secret, "made a first CA and certificate"),
            Change::Stage => {
                let delay = self.config.propagation_delay;
                info!(secret, ?delay, "made the next CA and certificate, which wait until the CA is known");
            }
            Change::Restore => info!(secret, "put back the certificate in use, and had the next one made"),
            Change::Promote => info!(secret, "the next certificate's CA is known: it is the serving one now"),
        }
        Ok(())
    }

    /// Writes each bundle, whatever becomes of the others.
    async fn publish(&self, publications: Vec<Publication>) -> Result<(), String> {
        let mut failed = None;
        for Publication { service, version, bundle } in publications {
            match self.cluster.write_bundle(&service, &version, &bundle.to_pem()).await {
                Ok(()) => {
                    self.metrics.bundles_written.inc();
                    info!(api_service = %service, cas = bundle.iter().count(), "wrote the caBundle");
                }
                Err(ClusterError::Conflict(what)) => self.lost(&what),
                Err(error) => failed = Some(error.to_string()),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn lost(&self, what: &str) {
        self.metrics.conflicts.inc();
        debug!(what, "another replica was quicker; looking again");
    }

    fn report(&self, problem: Option<String>) {
        let has_problem = problem.clone();
        if self.health.report(problem) {
            match has_problem {
                Some(problem) => warn!(%problem, "certificates cannot be looked after; trying again"),
                None => info!("certificates are looked after again"),
            }
        }
    }
}

/// The APIService, if it is there and leads to our Service: another's trust is not ours to change.
pub(crate) fn own(
    name: &str,
    found: Option<ApiService>,
    publishing: &Publishing,
    strangers: &mut BTreeSet<String>,
) -> Option<Service> {
    let found = found?;
    let ours = (publishing.namespace.as_str(), publishing.service.as_str());
    if found.service.as_ref().map(|(namespace, name)| (namespace.as_str(), name.as_str())) != Some(ours) {
        if strangers.insert(name.to_owned()) {
            let leads_to =
                found.service.map_or("the API server itself".to_owned(), |(ns, name)| format!("{ns}/{name}"));
            warn!(api_service = name, %leads_to, "this APIService does not lead to podgauge and is left alone");
        }
        return None;
    }
    strangers.remove(name);
    let bundle = Bundle::read(&found.ca_bundle);
    let is_untidy = found.is_unverified || found.ca_bundle != bundle.to_pem().as_bytes();
    Some(Service { name: name.to_owned(), version: found.version, bundle, is_untidy })
}

/// The instant as people read it.
fn rfc3339(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|error| error.to_string(), |time| time.to_string())
}
