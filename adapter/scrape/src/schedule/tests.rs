//! Scrapes here take virtual time and touch nothing, so every start is exact.

use std::sync::Mutex;

use podgauge_store::{Endpoint, PodLabels, PodUpdate, Scheme, Writer};
use prometheus_client::registry::Registry;
use proptest::prelude::*;
use tokio::time::{sleep, timeout};

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

#[tokio::test(start_paused = true)]
async fn a_new_target_is_scraped_at_once_and_then_at_its_place() {
    let mut stage = stage(100);
    seconds(7).await;
    stage.start_one("fast").await;
    seconds(100).await;
    let starts = stage.starts("fast");
    assert_eq!(starts[0], 7.0);
    assert!((7.5..22.5).contains(&(starts[1] - starts[0])), "{starts:?}");
    for pair in starts[1..].windows(2) {
        assert!((pair[1] - pair[0] - 15.0).abs() < 0.002, "{starts:?}");
    }
    assert!(starts.len() >= 6);
}

#[tokio::test(start_paused = true)]
async fn an_interval_of_its_own_is_kept_whoever_reads() {
    let mut stage = stage(100);
    stage.start_every(&names("fast", 1), Some(Duration::from_secs(40))).await;
    for _ in 0..20 {
        seconds(15).await;
        stage.read("autoscaler");
    }
    let starts = stage.starts("fast-0000");
    for pair in starts[1..].windows(2) {
        assert!((pair[1] - pair[0] - 40.0).abs() < 0.002, "{starts:?}");
    }
    assert!(starts.len() >= 6, "{starts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_targets_are_spread() {
    let mut stage = stage(10);
    let names = names("fast", 1000);
    stage.start(&names).await;
    seconds(60).await;
    stage.log(|log| {
        assert!(log.most_under_way <= 10);
        // All of them in a second, ten at a time, a millisecond each.
        let first: Vec<_> =
            log.scrapes[..1000].iter().map(|(name, ..)| name).collect::<HashSet<_>>().into_iter().collect();
        assert_eq!(first.len(), 1000);
        assert!(log.scrapes[999].1 < Duration::from_secs(1));
        let in_third_round = |part: u64| {
            let from = Duration::from_secs(30 + 3 * part);
            let until = from + Duration::from_secs(3);
            log.scrapes.iter().filter(|(_, at, _)| (from..until).contains(at)).count()
        };
        let counts: Vec<usize> = (0..5).map(in_third_round).collect();
        assert!(counts.iter().all(|count| (140..=260).contains(count)), "{counts:?}");
        assert_eq!(counts.iter().sum::<usize>(), 1000);
    });
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_up_to_the_limit() {
    let mut stage = stage(100);
    stage.start_one("refusing").await;
    seconds(400).await;
    let starts = stage.starts("refusing");
    let gaps: Vec<f64> = starts.windows(2).map(|pair| (pair[1] - pair[0]).round()).collect();
    // A new one is asked again soon, for a while.
    assert_eq!(gaps[..4], [1.0, 2.0, 4.0, 8.0], "{gaps:?}");
    assert_eq!(gaps[5..8], [60.0, 60.0, 60.0], "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_has_answered_is_not_new_when_it_fails() {
    let mut stage = stage(100);
    stage.start_one("fading").await;
    seconds(300).await;
    let starts = stage.starts("fading");
    let gaps: Vec<f64> = starts.windows(2).map(|pair| (pair[1] - pair[0]).round()).collect();
    assert_eq!(gaps[2..5], [30.0, 60.0, 60.0], "{gaps:?}");
}

/// The wiring; what rhythm is worth in general is the simulation's to show.
#[tokio::test(start_paused = true)]
async fn scrapes_come_before_the_reads_that_are_expected() {
    let mut stage = stage(100);
    let names = names("fast", 50);
    stage.start(&names).await;
    seconds(4).await;
    let mut ages = Vec::new();
    for round in 0..24 {
        if round >= 4 {
            ages.extend(names.iter().map(|name| stage.age(name)));
        }
        stage.read("messages");
        seconds(15).await;
    }
    let worst = ages.iter().copied().fold(0.0, f64::max);
    assert!(worst < 1.0, "{worst} s");
    for name in &names {
        let count = stage.starts(name).iter().filter(|at| **at >= 64.0).count();
        assert!((19..=21).contains(&count), "{count} scrapes in 20 intervals");
    }
    // When nobody reads any more, each goes back to its place.
    seconds(150).await;
    let last = names.iter().map(|name| *stage.starts(name).last().unwrap() % 15.0);
    let seconds_in_use: HashSet<u64> = last.map(|at| at as u64).collect();
    assert!(seconds_in_use.len() > 10, "{seconds_in_use:?}");
}

/// Pods that an autoscaler makes, at any time between two of its reads.
#[tokio::test(start_paused = true)]
async fn a_new_pod_is_scraped_before_the_first_read_of_its_workload() {
    for after in [1u64, 3, 6, 9, 12, 14] {
        let mut stage = stage(100);
        stage.start(&names("fast", 5)).await;
        for _ in 0..6 {
            stage.read("messages");
            seconds(15).await;
        }
        stage.read("messages");
        seconds(after).await;
        stage.start_one("fast-new").await;
        seconds(15 - after).await;
        let mut ages = Vec::new();
        for _ in 0..4 {
            ages.push(stage.age("fast-new"));
            stage.read("messages");
            seconds(15).await;
        }
        assert!(ages.iter().all(|age| *age < 1.1), "{ages:?}, {after} s after a read");
        let starts = stage.starts("fast-new");
        assert!(starts.len() <= 6, "{starts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_flag_reads_change_nothing() {
    let mut starts = Vec::new();
    for reads in [true, false] {
        let mut stage = stage_with(100, 0);
        stage.start_one("fast").await;
        for _ in 0..20 {
            seconds(15).await;
            if reads {
                stage.read("messages");
            }
        }
        starts.push(stage.starts("fast"));
    }
    assert_eq!(starts[0], starts[1]);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_pod_ends_back_off() {
    let mut stage = stage(100);
    stage.start_one("refusing").await;
    seconds(200).await;
    let tried = stage.starts("refusing").len();
    while stage.starts("refusing").len() == tried {
        seconds(1).await;
    }
    // In the middle of a pause of a minute.
    let before = tried + 1;
    seconds(30).await;
    assert_eq!(stage.starts("refusing").len(), before);
    stage.commands.send(Command::Changed(PodKey::new("ns", "refusing"))).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    assert_eq!(stage.starts("refusing").len(), before + 1);
    // Many changes are no reason to ask more often than usual.
    for _ in 0..50 {
        stage.commands.send(Command::Changed(PodKey::new("ns", "refusing"))).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(stage.starts("refusing").len(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_becomes_ready_is_asked_again_within_a_second() {
    for name in ["fast", "refusing"] {
        let mut stage = stage(100);
        stage.start_one(name).await;
        seconds(60).await;
        let before = stage.starts(name).len();
        stage.commands.send(Command::Ready(PodKey::new("ns", name))).await.unwrap();
        sleep(Duration::from_millis(1100)).await;
        assert!(stage.starts(name).len() > before, "{name}");
        // Over and over is no reason to ask more often than each second.
        let before = stage.starts(name).len();
        for _ in 0..100 {
            stage.commands.send(Command::Ready(PodKey::new("ns", name))).await.unwrap();
            sleep(Duration::from_millis(100)).await;
        }
        let asked = stage.starts(name).len() - before;
        assert!((5..=11).contains(&asked), "{name}: {asked} scrapes in 10 s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_does_not_disturb_what_goes_well() {
    let mut stage = stage(100);
    stage.start_one("fast").await;
    seconds(40).await;
    let before = stage.starts("fast");
    for _ in 0..5 {
        stage.commands.send(Command::Changed(PodKey::new("ns", "fast"))).await.unwrap();
    }
    sleep(Duration::from_millis(100)).await;
    assert_eq!(stage.starts("fast"), before);
}

#[tokio::test(start_paused = true)]
async fn hanging_targets_do_not_keep_the_others_waiting() {
    let mut stage = stage(20);
    stage.start(&names("hanging", 300)).await;
    // Until each of them has hung once, they look like any other.
    seconds(200).await;
    stage.start(&names("fast", 50)).await;
    seconds(300).await;
    for name in names("fast", 50) {
        let starts = stage.starts(&name);
        assert!(starts[0] - 200.0 < 1.0, "{name} waited until {}", starts[0]);
        for pair in starts[1..].windows(2) {
            assert!((pair[1] - pair[0] - 15.0).abs() < 1.0, "{name}: {starts:?}");
        }
        assert!(starts.len() >= 20);
    }
    stage.log(|log| assert!(log.most_under_way <= 20));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_gone_is_let_go_of_midway() {
    let mut stage = stage(100);
    stage.start_one("slow").await;
    stage.start_one("fast").await;
    seconds(3).await;
    stage.stop("slow").await;
    stage.stop("fast").await;
    sleep(Duration::from_millis(10)).await;
    stage.log(|log| {
        let slow = log.scrapes.iter().find(|(name, ..)| name == "slow").unwrap();
        assert!(slow.2.unwrap() < Duration::from_millis(3_010), "it went on until {:?}", slow.2);
        assert_eq!(log.slots_dropped, 2);
    });
    seconds(100).await;
    stage.log(|log| assert_eq!(log.scrapes.len(), 2));
}

#[tokio::test(start_paused = true)]
async fn warm_when_each_of_the_first_list_was_tried() {
    let mut stage = stage(100);
    stage.start_one("fast").await;
    stage.start_one("refusing").await;
    stage.start_one("slow").await;
    seconds(5).await;
    assert!(!stage.health.is_warm(), "the list is not complete");
    stage.commands.send(Command::Synced).await.unwrap();
    seconds(1).await;
    assert!(!stage.health.is_warm(), "one is still being tried");
    seconds(4).await;
    assert!(stage.health.is_warm());
}

#[tokio::test(start_paused = true)]
async fn warm_without_targets_as_soon_as_synced() {
    let stage = stage(100);
    stage.commands.send(Command::Synced).await.unwrap();
    seconds(1).await;
    assert!(stage.health.is_warm());
}

#[tokio::test(start_paused = true)]
async fn warm_when_what_was_not_tried_is_gone_or_had_its_time() {
    let mut stage = stage(2);
    stage.start(&names("hanging", 2)).await;
    stage.start_one("fast").await;
    stage.commands.send(Command::Synced).await.unwrap();
    stage.stop("fast").await;
    seconds(11).await;
    assert!(stage.health.is_warm());

    let mut stage = self::stage(2);
    stage.start(&names("hanging", 1000)).await;
    stage.commands.send(Command::Synced).await.unwrap();
    seconds(24).await;
    assert!(!stage.health.is_warm());
    seconds(2).await;
    assert!(stage.health.is_warm());
}

/// What happens to the set of targets.
#[derive(Clone, Debug)]
enum Step {
    Start(usize),
    Stop(usize),
    Changed(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..12usize).prop_map(Step::Start),
        2 => (0..12usize).prop_map(Step::Stop),
        2 => (0..12usize).prop_map(Step::Changed),
        4 => (0..20_000u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes and goes: no target is scraped while it is not one, none twice at a time, and never more at a
    /// time than allowed; and none is forgotten.
    #[test]
    fn targets_are_scraped_exactly_while_they_live(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut stage = stage(4);
            let name = |n: usize| format!("{}-{n}", BEHAVIOURS[n % BEHAVIOURS.len()].0);
            // For each pod, the spans in which it was one.
            let mut lives: HashMap<String, Vec<(Duration, Duration)>> = HashMap::new();
            for step in steps {
                let now = stage.fake.start.elapsed();
                match step {
                    Step::Start(n) => {
                        let spans = lives.entry(name(n)).or_default();
                        if spans.last().is_none_or(|(_, end)| *end != Duration::MAX) {
                            spans.push((now, Duration::MAX));
                            stage.start_one(&name(n)).await;
                        }
                    }
                    Step::Stop(n) => {
                        if let Some((_, end)) = lives.entry(name(n)).or_default().last_mut() && *end == Duration::MAX {
                            *end = now;
                            stage.stop(&name(n)).await;
                        }
                    }
                    Step::Changed(n) => {
                        stage.commands.send(Command::Changed(PodKey::new("ns", &name(n)))).await.unwrap();
                    }
                    Step::Wait(millis) => sleep(Duration::from_millis(millis)).await,
                }
            }
            // Longer than any pause and all that can stand in the way.
            seconds(300).await;
            let end = stage.fake.start.elapsed();
            stage.log(|log| {
                assert!(log.most_under_way <= 4);
                for (pod, spans) in &lives {
                    let mut scrapes: Vec<_> = log.scrapes.iter().filter(|(name, ..)| name == pod).collect();
                    scrapes.sort_by_key(|(_, from, _)| *from);
                    for pair in scrapes.windows(2) {
                        assert!(pair[0].2.unwrap() <= pair[1].1, "{pod} was scraped twice at a time");
                    }
                    let tick = Duration::from_millis(5);
                    for (_, from, until) in &scrapes {
                        let until = until.unwrap_or(end);
                        let is_inside = |(birth, death): &(Duration, Duration)| {
                            birth <= from && (*death == Duration::MAX || until <= *death + tick)
                        };
                        assert!(spans.iter().any(is_inside), "{pod} was scraped from {from:?} to {until:?}, in {spans:?}");
                    }
                    if let Some((birth, Duration::MAX)) = spans.last() {
                        let last = scrapes.iter().map(|(_, from, _)| *from).max();
                        assert!(last.is_some_and(|last| last >= *birth && end - last < Duration::from_secs(100)), "{pod} was forgotten");
                    }
                }
            });
        });
    }
}

#[tokio::test(start_paused = true)]
async fn the_loop_comes_round_whatever_targets_do() {
    let mut stage = stage(2);
    stage.start(&names("hanging", 50)).await;
    seconds(60).await;
    assert_ne!(stage.health.stalled(Duration::from_secs(2)), Some("schedule"));
    drop(timeout(Duration::from_secs(1), stage.commands.closed()).await);
}
