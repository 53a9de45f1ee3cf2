//! The cluster, the replicas on it, and the question that is asked of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use prometheus_client::registry::Registry;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    Pair,
    bundle::Bundle,
    cluster::{ApiService, Cluster, ClusterError, Secret},
    config::{Config, Publishing},
    generation,
    keeper::Replica,
    metrics::Metrics,
    state::Data,
    x509,
};

pub(super) const SERVICES: [&str; 2] = ["v1beta1.custom.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io"];
pub(super) const NAME: &str = "podgauge.monitoring.svc";
/// How old a caBundle may be that some API server goes by.
const LAG: Duration = Duration::from_secs(10);

/// The cluster and everybody on it.
#[derive(Clone)]
pub(super) struct World(Arc<Mutex<Inner>>);

struct Inner {
    base: SystemTime,
    start: Instant,
    interval: Duration,
    random: u64,
    revision: u64,
    services: BTreeMap<String, Held>,
    secret: Option<Secret>,
    faults: Faults,
    replicas: Vec<Running>,
    /// Every certificate that was ever served.
    served: BTreeSet<Vec<u8>>,
    /// What verification said of a certificate and a bundle.
    verdicts: HashMap<(Vec<u8>, Vec<u8>), bool>,
    violations: Vec<String>,
}

/// What goes wrong at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Faults {
    pub(super) away: bool,
    pub(super) no_secret_writes: bool,
    pub(super) no_secret_creation: bool,
    pub(super) no_bundle_writes: bool,
    /// Of 100 answers, those that get lost after their request was done.
    pub(super) lost_answers: u64,
}

struct Held {
    object: ApiService,
    /// The bundles that it had and since when, the newest last.
    history: Vec<(Instant, Vec<u8>)>,
    /// Somebody meddled with it: until when replicas have time to put it right.
    mended_by: Option<Instant>,
}

struct Running {
    skew: i64,
    /// The certificate, and when it ends.
    serves: Option<(Pair, SystemTime)>,
    task: Option<JoinHandle<()>>,
}

/// A replica's way to the cluster.
struct Door(World);

// === impl World ===

impl World {
    /// An empty cluster with both APIServices and an empty Secret, as the manifests leave it.
    pub(super) fn new(seed: u64, interval: Duration) -> Self {
        let world = Self(Arc::new(Mutex::new(Inner {
            base: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            start: Instant::now(),
            interval,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            revision: 1,
            services: BTreeMap::new(),
            secret: None,
            faults: Faults::default(),
            replicas: Vec::new(),
            served: BTreeSet::new(),
            verdicts: HashMap::new(),
            violations: Vec::new(),
        })));
        for name in SERVICES {
            world.put_service(name, b"", ("monitoring", "podgauge"));
        }
        world.put_secret(Some(Data::new()));
        world
    }

    /// Adds a replica whose clock is `skew` seconds ahead, and starts it.
    pub(super) fn add(&self, skew: i64, config: &Config) {
        let mut inner = self.lock();
        inner.replicas.push(Running { skew, serves: None, task: None });
        let index = inner.replicas.len() - 1;
        drop(inner);
        self.start(index, config);
    }

    /// Starts a replica, ending what ran before.
    pub(super) fn start(&self, index: usize, config: &Config) {
        self.stop(index);
        let (clock, serve) = (self.clone(), self.clone());
        let mut replica = Replica::new(
            config.clone(),
            Door(self.clone()),
            Arc::new(move || clock.wall(index)),
            Box::new(move |pair| serve.serve(index, pair)),
            Metrics::register(&mut Registry::default()),
        );
        let task = tokio::spawn(async move { replica.run().await });
        self.lock().replicas[index].task = Some(task);
    }

    /// Ends a replica.
    pub(super) fn stop(&self, index: usize) {
        let mut inner = self.lock();
        let replica = &mut inner.replicas[index];
        replica.serves = None;
        if let Some(task) = replica.task.take() {
            task.abort();
        }
    }

    pub(super) fn replicas(&self) -> usize {
        self.lock().replicas.len()
    }

    /// Below `bound`, at random.
    pub(super) fn random(&self, bound: u64) -> u64 {
        let mut inner = self.lock();
        inner.random ^= inner.random << 13;
        inner.random ^= inner.random >> 7;
        inner.random ^= inner.random << 17;
        inner.random % bound
    }

    /// The true time.
    pub(super) fn now(&self) -> SystemTime {
        let inner = self.lock();
        inner.base + inner.start.elapsed()
    }

    fn wall(&self, index: usize) -> SystemTime {
        let skew = self.lock().replicas[index].skew;
        let seconds = Duration::from_secs(skew.unsigned_abs());
        if skew < 0 { self.now() - seconds } else { self.now() + seconds }
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Puts an APIService there, or another in its place.
    pub(super) fn put_service(&self, name: &str, bundle: &[u8], service: (&str, &str)) {
        let mut inner = self.lock();
        let version = inner.next_version();
        let object = ApiService {
            version,
            service: Some((service.0.to_owned(), service.1.to_owned())),
            ca_bundle: bundle.to_vec(),
            is_unverified: false,
        };
        let mended_by = Some(inner.patience());
        let history = vec![(Instant::now(), bundle.to_vec())];
        inner.services.insert(name.to_owned(), Held { object, history, mended_by });
        inner.check();
    }

    /// Puts a Secret there, or takes it away.
    pub(super) fn put_secret(&self, data: Option<Data>) {
        let mut inner = self.lock();
        let version = inner.next_version();
        inner.secret = data.map(|data| Secret { version, data });
    }

    pub(super) fn secret(&self) -> Option<Data> {
        self.lock().secret.as_ref().map(|secret| secret.data.clone())
    }

    pub(super) fn bundle(&self, name: &str) -> Vec<u8> {
        self.lock().services[name].object.ca_bundle.clone()
    }

    /// The certificates that replicas serve.
    pub(super) fn serving(&self) -> Vec<Option<Vec<u8>>> {
        let serves = |replica: &Running| replica.serves.as_ref().map(|(pair, _)| pair.certificate.clone());
        self.lock().replicas.iter().map(serves).collect()
    }

    /// How many certificates were ever served.
    pub(super) fn served(&self) -> usize {
        self.lock().served.len()
    }

    /// Lets time pass, asking the question on the way.
    pub(super) async fn pass(&self, time: Duration) {
        let step = (self.lock().interval / 2).max(Duration::from_secs(1));
        let until = Instant::now() + time;
        while Instant::now() < until {
            sleep(step.min(until - Instant::now())).await;
            let mut inner = self.lock();
            inner.check();
            assert!(inner.violations.is_empty(), "{:#?}", inner.violations);
            for replica in &inner.replicas {
                assert!(
                    !replica.task.as_ref().is_some_and(JoinHandle::is_finished),
                    "a replica ended by itself"
                );
            }
        }
    }

    fn serve(&self, index: usize, pair: Pair) {
        let mut inner = self.lock();
        if !inner.is_anybody_serving() {
            // Nobody could have been verified before, whatever an API server goes by.
            inner.forget_history();
        }
        inner.served.insert(pair.certificate.clone());
        let until = ends(&pair);
        inner.replicas[index].serves = Some((pair, until));
        inner.check();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}

// === impl Inner ===

impl Inner {
    fn next_version(&mut self) -> String {
        self.revision += 1;
        self.revision.to_string()
    }

    fn patience(&self) -> Instant {
        Instant::now() + self.interval + Duration::from_secs(20)
    }

    fn now(&self) -> SystemTime {
        self.base + self.start.elapsed()
    }

    fn is_anybody_serving(&self) -> bool {
        let now = self.now();
        self.replicas.iter().filter_map(|replica| replica.serves.as_ref()).any(|(_, until)| *until > now)
    }

    fn forget_history(&mut self) {
        for held in self.services.values_mut() {
            held.history = vec![(Instant::now(), held.object.ca_bundle.clone())];
        }
    }

    /// The question.
    fn check(&mut self) {
        let (clock, now, patience) = (Instant::now(), self.now(), self.patience());
        let serving = self.replicas.iter().filter_map(|replica| replica.serves.clone());
        let (pairs, ends): (Vec<Pair>, Vec<SystemTime>) = serving.unzip();
        if ends.iter().any(|until| *until <= now) {
            self.violations.push(format!("{now:?}: what ended is served"));
        }
        let names: Vec<String> = self.services.keys().cloned().collect();
        for name in names {
            let Some(mut held) = self.services.remove(&name) else { continue };
            let is_ours = held.object.service == Some(("monitoring".to_owned(), "podgauge".to_owned()));
            if is_ours {
                // A bundle is out of use once the one after it is as old as any API server may be behind.
                let newest = held.history.len().saturating_sub(1);
                let first =
                    (1..=newest).find(|index| held.history[*index].0 + LAG > clock).unwrap_or(newest + 1) - 1;
                held.history.drain(..first);
                if let Some(deadline) = held.mended_by {
                    let current = held.object.ca_bundle.clone();
                    if pairs.iter().all(|pair| self.accepts(pair, &current)) {
                        held.mended_by = None;
                        held.history = vec![(clock, current)];
                    } else if self.faults.away || self.faults.no_bundle_writes || self.faults.lost_answers > 0
                    {
                        held.mended_by = Some(patience);
                    } else if clock > deadline {
                        self.violations.push(format!("{now:?}: {name} was not put right"));
                    }
                } else {
                    for (since, bundle) in &held.history {
                        for (index, pair) in pairs.iter().enumerate() {
                            if !self.accepts(pair, bundle) {
                                let age = clock - *since;
                                self.violations
                                    .push(format!("{now:?}: {name}, bundle of {age:?} ago, refuses {index}"));
                            }
                        }
                    }
                }
            }
            self.services.insert(name, held);
        }
    }

    /// Whether the API server would take this certificate with this bundle, while it has not ended.
    fn accepts(&mut self, pair: &Pair, bundle: &[u8]) -> bool {
        *self.verdicts.entry((pair.certificate.clone(), bundle.to_vec())).or_insert_with(|| {
            let chain = chain(pair);
            let validity = x509::validity(&chain[0]).unwrap();
            generation::verify(&chain, &Bundle::read(bundle), NAME, validity.not_before).is_ok()
        })
    }
}

fn chain(pair: &Pair) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(&pair.certificate).map(Result::unwrap).collect()
}

fn ends(pair: &Pair) -> SystemTime {
    x509::validity(&chain(pair)[0]).unwrap().not_after
}

// === impl Door ===

impl Door {
    /// A request on its way there; fails if there is nobody.
    async fn there(&self) -> Result<(), ClusterError> {
        sleep(Duration::from_millis(1 + self.0.random(300))).await;
        if self.0.lock().faults.away { Err(failed("connection refused")) } else { Ok(()) }
    }

    /// Its answer on the way back; some get lost.
    async fn back<T>(&self, answer: Result<T, ClusterError>) -> Result<T, ClusterError> {
        sleep(Duration::from_millis(1 + self.0.random(300))).await;
        let lost = self.0.lock().faults.lost_answers;
        if self.0.random(100) < lost { Err(failed("no answer")) } else { answer }
    }
}

fn failed(why: &str) -> ClusterError {
    ClusterError::Failed(why.to_owned())
}

fn conflict() -> ClusterError {
    ClusterError::Conflict("it".to_owned())
}

impl Cluster for Door {
    async fn api_service(&self, name: &str) -> Result<Option<ApiService>, ClusterError> {
        self.there().await?;
        let found = self.0.lock().services.get(name).map(|held| held.object.clone());
        self.back(Ok(found)).await
    }

    async fn write_bundle(&self, name: &str, version: &str, pem: &str) -> Result<(), ClusterError> {
        self.there().await?;
        let written = {
            let mut inner = self.0.lock();
            let next = inner.next_version();
            let is_forbidden = inner.faults.no_bundle_writes;
            match inner.services.get_mut(name) {
                _ if is_forbidden => Err(failed("forbidden")),
                None => Err(failed("not found")),
                Some(held) if held.object.version != version => Err(conflict()),
                Some(held) => {
                    held.object.version = next;
                    held.object.ca_bundle = pem.as_bytes().to_vec();
                    held.object.is_unverified = false;
                    held.history.push((Instant::now(), pem.as_bytes().to_vec()));
                    inner.check();
                    Ok(())
                }
            }
        };
        self.back(written).await
    }

    async fn secret(&self) -> Result<Option<Secret>, ClusterError> {
        self.there().await?;
        let secret = self.0.lock().secret.clone();
        self.back(Ok(secret)).await
    }

    async fn write_secret(
        &self,
        version: Option<&str>,
        data: &BTreeMap<&'static str, Option<Vec<u8>>>,
    ) -> Result<(), ClusterError> {
        self.there().await?;
        let written = {
            let mut inner = self.0.lock();
            let next = inner.next_version();
            let Faults { no_secret_writes, no_secret_creation, .. } = inner.faults;
            match (&mut inner.secret, version) {
                _ if no_secret_writes => Err(failed("forbidden")),
                (None, None) if no_secret_creation => Err(failed("forbidden")),
                (secret @ None, None) => {
                    let data = data.iter().filter_map(|(k, v)| Some(((*k).to_owned(), v.clone()?))).collect();
                    *secret = Some(Secret { version: next, data });
                    Ok(())
                }
                (Some(secret), Some(version)) if secret.version == version => {
                    secret.version = next;
                    for (key, value) in data {
                        match value {
                            Some(value) => drop(secret.data.insert((*key).to_owned(), value.clone())),
                            None => drop(secret.data.remove(*key)),
                        }
                    }
                    Ok(())
                }
                (None, Some(_)) => Err(failed("not found")),
                _ => Err(conflict()),
            }
        };
        self.back(written).await
    }
}

/// Settings in which `lifetime` is all that counts.
pub(super) fn config(lifetime: Duration, delay: Duration, interval: Duration) -> Config {
    let config = Config {
        secret: "podgauge-tls".to_owned(),
        lifetime,
        propagation_delay: delay,
        publishing: Publishing {
            namespace: "monitoring".to_owned(),
            service: "podgauge".to_owned(),
            api_services: SERVICES.map(str::to_owned).to_vec(),
            interval,
            request_timeout: Duration::from_secs(10),
        },
    };
    assert_eq!(config.validate(), Ok(()));
    config
}
