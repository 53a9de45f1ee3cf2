//! Scrapes here take virtual time and touch nothing, so every start is exact.

mod lives;
mod places;
mod readers;
mod warmup;

use std::sync::Mutex;

use podgauge_store::{Endpoint, PodLabels, PodUpdate, Scheme, Writer};
use prometheus_client::registry::Registry;
use tokio::time::sleep;

use super::*;
use crate::health::Health;

const INTERVAL: Duration = Duration::from_secs(15);

/// How long a scrape takes, and whether it goes well, by the beginning of the pod's name.
const BEHAVIOURS: [(&str, Duration, bool); 5] = [
    ("fast", Duration::from_millis(1), true),
    ("refusing", Duration::from_millis(1), false),
    ("hanging", Duration::from_secs(10), false),
    ("slow", Duration::from_secs(9), true),
    // Goes well once.
    ("fading", Duration::from_millis(1), false),
];

#[derive(Clone)]
struct Fake {
    start: Instant,
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    /// Pod, when its scrape began and when it ended.
    scrapes: Vec<(String, Duration, Option<Duration>)>,
    under_way: usize,
    most_under_way: usize,
    slots_dropped: usize,
}

struct FakeSlot {
    recorder: Recorder,
    log: Arc<Mutex<Log>>,
}

impl Drop for FakeSlot {
    fn drop(&mut self) {
        self.log.lock().unwrap().slots_dropped += 1;
    }
}

/// Ends the scrape in the log, also when it is dropped midway.
struct UnderWay<'a>(&'a Fake, usize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut log = self.0.log.lock().unwrap();
        log.under_way -= 1;
        log.scrapes[self.1].2 = Some(self.0.start.elapsed());
    }
}

impl Scrape for Fake {
    type Slot = FakeSlot;

    fn open(&self, recorder: Recorder, _terms: Option<Arc<Terms>>) -> FakeSlot {
        FakeSlot { recorder, log: Arc::clone(&self.log) }
    }

    async fn scrape(&self, slot: &mut FakeSlot) -> bool {
        let name = slot.recorder.target().pod().name.to_string();
        let (_, span, is_good) =
            *BEHAVIOURS.iter().find(|(prefix, ..)| name.starts_with(prefix)).expect("a known behaviour");
        let mut is_revived = false;
        let _under_way = {
            let mut log = self.log.lock().unwrap();
            is_revived |= name == "fading" && log.scrapes.iter().all(|(pod, ..)| *pod != name);
            log.under_way += 1;
            log.most_under_way = log.most_under_way.max(log.under_way);
            log.scrapes.push((name, self.start.elapsed(), None));
            UnderWay(self, log.scrapes.len() - 1)
        };
        sleep(span).await;
        is_good || is_revived
    }
}

struct Stage {
    writer: Writer,
    reader: podgauge_store::Reader,
    readers: Readers,
    commands: mpsc::Sender<Command>,
    fake: Fake,
    health: Health,
    _loop: JoinSet<Infallible>,
}

fn stage(concurrency: usize) -> Stage {
    stage_with(concurrency, 1)
}

fn stage_with(concurrency: usize, per_interval: u32) -> Stage {
    let (writer, reader) = podgauge_store::open(podgauge_store::Config::default());
    let (signs, health) = Signs::new();
    let fake = Fake { start: Instant::now(), log: Arc::default() };
    let config = ScheduleConfig {
        cadence: Cadence { epoch: Instant::now(), interval: INTERVAL, backoff_limit: 4 * INTERVAL },
        pace: Pace { interval: INTERVAL, per_interval },
        concurrency,
        warmup: Duration::from_secs(25),
    };
    let metrics = Metrics::register(&mut Registry::default());
    let readers = Readers::new(podgauge_rhythm::Config::for_interval(INTERVAL));
    let scheduler = Scheduler::new(config, fake.clone(), readers.clone(), metrics, Arc::new(signs));
    let (commands, receiver) = mpsc::channel(64);
    let mut the_loop = JoinSet::new();
    the_loop.spawn(scheduler.run(receiver));
    Stage { writer, reader, readers, commands, fake, health, _loop: the_loop }
}

impl Stage {
    fn update(name: &str, ports: &[u16]) -> PodUpdate {
        let endpoint = |port: &u16| Endpoint {
            scheme: Scheme::Http,
            address: [10, 0, 0, 1].into(),
            port: *port,
            path: "/".into(),
            terms: 0,
        };
        PodUpdate {
            key: PodKey::new("ns", name),
            uid: name.into(),
            labels: PodLabels::default(),
            node: None,
            endpoints: Ok(ports.iter().map(endpoint).collect()),
        }
    }

    async fn start(&mut self, names: &[String]) {
        self.start_every(names, None).await;
    }

    async fn start_every(&mut self, names: &[String], interval: Option<Duration>) {
        let terms = interval.map(|_| Arc::new(Terms::new("", interval, None, None)));
        let started = names.iter().flat_map(|name| self.writer.apply(Self::update(name, &[80])).started);
        let started = started.map(|recorder| (recorder, terms.clone())).collect();
        self.commands.send(Command::Start(started)).await.unwrap();
    }

    async fn start_one(&mut self, name: &str) {
        self.start(&[name.to_owned()]).await;
    }

    async fn stop(&mut self, name: &str) {
        let change = self.writer.remove(&PodKey::new("ns", name), name);
        self.commands.send(Command::Stop(change.stopped)).await.unwrap();
    }

    /// Somebody reads all pods.
    fn read(&self, question: &str) {
        self.readers.answered(&question, &self.reader.pods("ns", |_| true), Instant::now().into_std());
    }

    /// How long ago the last scrape of a pod that is over began, in seconds.
    fn age(&self, name: &str) -> f64 {
        let log = self.fake.log.lock().unwrap();
        let ended = log.scrapes.iter().rev().find(|(pod, _, end)| pod == name && end.is_some());
        (self.fake.start.elapsed() - ended.expect("it was scraped").1).as_secs_f64()
    }

    /// When the scrapes of a pod began, in seconds.
    fn starts(&self, name: &str) -> Vec<f64> {
        let log = self.fake.log.lock().unwrap();
        log.scrapes.iter().filter(|(pod, ..)| pod == name).map(|(_, at, _)| at.as_secs_f64()).collect()
    }

    fn log<R>(&self, look: impl FnOnce(&Log) -> R) -> R {
        look(&self.fake.log.lock().unwrap())
    }
}

fn names(behaviour: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{behaviour}-{n:04}")).collect()
}

async fn seconds(count: u64) {
    sleep(Duration::from_secs(count)).await;
}
