//! The worker under a paused clock, against the embedded queue within the same process.

use super::*;
use crate::broker::{self, Broker};
use crate::dial::Stream;
use crate::envelope::Origin;
use crate::health::Health;
use crate::orders::{self, NewOrder};
use crate::stomp::{Command, Frame};
use crate::trace;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinHandle;
use tokio::time::Instant;

const WORK: Duration = Duration::from_secs(5);

/// A queue, a worker that is not started yet, and a way to order.
struct Scene {
    broker: Broker,
    metrics: Metrics,
    health: Health,
    stop: CancellationToken,
}

// === impl Scene ===

impl Scene {
    async fn new(orders: u32) -> Self {
        let broker = Broker::new(broker::Config::default(), || 0);
        let scene = Self {
            broker,
            metrics: Metrics::default(),
            health: Health::default(),
            stop: CancellationToken::new(),
        };
        if let Some(quantity) = NonZeroU32::new(orders) {
            scene.order(quantity).await;
        }
        scene
    }

    async fn order(&self, order: impl Into<NewOrder>) {
        let order = order.into();
        let config = orders::Config::new("q", connection::Config::default());
        let dialer = self.broker.dialer(&CancellationToken::new());
        let (orders, task) = config.build(dialer, Health::default().register("store"), Metrics::default());
        let running = tokio::spawn(task.run(CancellationToken::new()));
        while let Err(error) = orders.submit(order).await {
            assert!(matches!(error, orders::SubmitError::Unavailable(_)), "{error}");
            tokio::task::yield_now().await;
        }
        running.abort();
    }

    fn config(&self) -> Config {
        Config { work: Work::Wait(WORK), ..Config::new("q", connection::Config::default()) }
    }

    fn start(&self, dialer: Dialer) -> JoinHandle<()> {
        self.start_as(self.config(), dialer)
    }

    fn start_as(&self, config: Config, dialer: Dialer) -> JoinHandle<()> {
        let task = config.build(dialer, self.health.register("worker"), self.metrics.clone());
        tokio::spawn(task.run(self.stop.clone()))
    }

    fn dialer(&self) -> Dialer {
        self.broker.dialer(&CancellationToken::new())
    }

    /// Completed, failed, busy.
    fn numbers(&self) -> (u64, u64, u64) {
        (self.metrics.completed.get(), self.metrics.failed.get(), self.metrics.busy.get())
    }

    /// Messages in the queue, and how many of them in hand.
    fn depth(&self) -> (usize, usize) {
        self.broker.depth("q")
    }
}

/// Lets the paused clock run, so that everything that is due by then has happened.
async fn pass(time: Duration) {
    sleep(time).await;
}

#[tokio::test(start_paused = true)]
async fn orders_are_worked_off_one_at_a_time_and_acknowledged_afterwards() {
    let scene = Scene::new(3).await;
    scene.start(scene.dialer());
    pass(WORK / 2).await;
    assert_eq!((scene.numbers(), scene.depth()), ((0, 0, 1), (3, 1)));
    pass(WORK).await;
    assert_eq!((scene.numbers(), scene.depth()), ((1, 0, 1), (2, 1)));
    pass(WORK).await;
    assert_eq!((scene.numbers(), scene.depth()), ((2, 0, 1), (1, 1)));
    pass(WORK).await;
    assert_eq!((scene.numbers(), scene.depth()), ((3, 0, 0), (0, 0)));
    assert_eq!(scene.health.complaints(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn waiting_and_work_are_measured_for_each_order() {
    let scene = Scene::new(0).await;
    let origin = Origin { submitted_ms: Some(2_000), trace: None };
    scene.order(NewOrder { quantity: NonZeroU32::MIN, origin }).await;
    // One of unknown origin counts as work alone.
    scene.order(NonZeroU32::MIN).await;
    let (tracer, _) = trace::Config::default().build(scene.metrics.clone(), || 42_000);
    let config = Config { work: Work::Wait(WORK), ..Config::new("q", connection::Config::default()) };
    let task = config.build(scene.dialer(), scene.health.register("worker"), scene.metrics.clone());
    tokio::spawn(task.traced(tracer).run(scene.stop.clone()));
    pass(WORK * 3).await;
    let (wait, processing) = (scene.metrics.wait.snapshot(), scene.metrics.processing.snapshot());
    assert_eq!((wait.count(), wait.sum), (1, 40.0));
    assert_eq!((processing.count(), processing.sum.round()), (2, 10.0));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_lives_on_heart_beats() {
    let scene = Scene::new(0).await;
    let dials = Arc::new(AtomicUsize::new(0));
    scene.start(counting(scene.dialer(), &dials));
    pass(Duration::from_secs(3600)).await;
    assert_eq!(dials.load(Ordering::Relaxed), 1);
    assert_eq!(scene.health.complaints(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn work_longer_than_the_heart_beats_keeps_the_connection() {
    let scene = Scene::new(1).await;
    let config = Config {
        work: Work::Wait(Duration::from_secs(600)),
        ..Config::new("q", connection::Config::default())
    };
    let task = config.build(scene.dialer(), scene.health.register("worker"), scene.metrics.clone());
    tokio::spawn(task.run(scene.stop.clone()));
    pass(Duration::from_secs(601)).await;
    assert_eq!((scene.numbers(), scene.depth()), ((1, 0, 0), (0, 0)));
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_finishes_the_order_in_hand_and_takes_no_other() {
    let scene = Scene::new(2).await;
    let worker = scene.start(scene.dialer());
    pass(WORK / 2).await;
    scene.stop.cancel();
    let stopped = Instant::now();
    worker.await.unwrap();
    assert_eq!(stopped.elapsed().as_secs_f64().round(), (WORK / 2).as_secs_f64().round());
    pass(Duration::from_secs(1)).await;
    assert_eq!((scene.numbers(), scene.depth()), ((1, 0, 0), (1, 0)));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_cannot_be_finished_in_time_is_handed_back() {
    let scene = Scene::new(1).await;
    let grace = Duration::from_secs(2);
    let config = Config { work: Work::Wait(WORK), grace, ..Config::new("q", connection::Config::default()) };
    let task = config.build(scene.dialer(), scene.health.register("worker"), scene.metrics.clone());
    let worker = tokio::spawn(task.run(scene.stop.clone()));
    pass(Duration::from_secs(1)).await;
    scene.stop.cancel();
    let stopped = Instant::now();
    worker.await.unwrap();
    assert_eq!(stopped.elapsed().as_secs(), grace.as_secs());
    pass(Duration::from_secs(1)).await;
    assert_eq!((scene.numbers(), scene.depth()), ((0, 0, 0), (1, 0)));
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_while_idle_or_unconnected_it_stops_at_once() {
    let scene = Scene::new(0).await;
    let idle = scene.start(scene.dialer());
    let unconnected = scene.start(refusing());
    pass(Duration::from_secs(60)).await;
    scene.stop.cancel();
    let stopped = Instant::now();
    idle.await.unwrap();
    unconnected.await.unwrap();
    assert!(stopped.elapsed() < Duration::from_secs(2), "{:?}", stopped.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_in_the_middle_of_work_repeats_that_order_alone() {
    let scene = Scene::new(2).await;
    let breaking = CancellationToken::new();
    let first = Arc::new(AtomicUsize::new(0));
    // The first connection is one that the test can break, later ones hold.
    let (fragile, firm) = (scene.broker.dialer(&breaking), scene.dialer());
    let dialer = Dialer::new({
        let first = Arc::clone(&first);
        move || {
            let dialer =
                if first.fetch_add(1, Ordering::Relaxed) == 0 { fragile.clone() } else { firm.clone() };
            Box::pin(async move { dialer.dial().await })
        }
    });
    scene.start(dialer);
    pass(WORK + WORK / 2).await;
    assert_eq!(scene.numbers(), (1, 0, 1));
    breaking.cancel();
    pass(Duration::from_millis(1)).await;
    assert_eq!((scene.numbers(), scene.depth()), ((1, 1, 0), (1, 0)));
    assert_eq!(scene.health.complaints(), ["worker: the broker closed the connection"]);
    pass(WORK + Duration::from_secs(1)).await;
    assert_eq!((scene.numbers(), scene.depth()), ((2, 1, 0), (0, 0)));
}

#[tokio::test(start_paused = true)]
async fn attempts_to_connect_back_off_and_never_end() {
    let scene = Scene::new(0).await;
    let dials = Arc::new(AtomicUsize::new(0));
    scene.start(counting(refusing(), &dials));
    pass(Duration::from_secs(5)).await;
    let early = dials.load(Ordering::Relaxed);
    assert!((4..=8).contains(&early), "{early} in the first 5 s");
    pass(Duration::from_secs(1000)).await;
    let late = dials.load(Ordering::Relaxed) - early;
    assert!((100..=200).contains(&late), "{late} in 1,000 s");
    assert_eq!(scene.health.complaints(), ["worker: connection to the broker failed: connection refused"]);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_falls_silent_is_given_up() {
    let scene = Scene::new(0).await;
    let dials = Arc::new(AtomicUsize::new(0));
    // Shakes hands, confirms the subscription, and never says a word again.
    let silent = Dialer::new(|| {
        let (near, mut far) = tokio::io::duplex(4096);
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let greeting =
                b"CONNECTED\nversion:1.2\nheart-beat:10000,10000\n\n\0RECEIPT\nreceipt-id:r1\n\n\0";
            far.write_all(greeting).await.unwrap();
            let mut scrap = [0; 64];
            while far.read(&mut scrap).await.is_ok_and(|read| read > 0) {}
        });
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
    });
    scene.start(counting(silent, &dials));
    pass(Duration::from_secs(29)).await;
    assert_eq!((dials.load(Ordering::Relaxed), scene.health.complaints().len()), (1, 0));
    pass(Duration::from_secs(2)).await;
    assert_eq!(dials.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn as_many_orders_at_once_as_allowed() {
    let scene = Scene::new(7).await;
    let config = Config { concurrency: 3, ..scene.config() };
    let worker = scene.start_as(config, scene.dialer());
    pass(WORK / 2).await;
    assert_eq!((scene.numbers(), scene.depth()), ((0, 0, 3), (7, 3)));
    pass(WORK).await;
    assert_eq!((scene.numbers(), scene.depth()), ((3, 0, 3), (4, 3)));
    // Told to stop it finishes all three, and the seventh stays.
    scene.stop.cancel();
    worker.await.unwrap();
    pass(Duration::from_secs(1)).await;
    assert_eq!((scene.numbers(), scene.depth()), ((6, 0, 0), (1, 0)));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_order_is_tried_so_often_and_put_aside() {
    let scene = Scene::new(0).await;
    let mut producer = Connection::open(&scene.dialer(), &connection::Config::default()).await.unwrap();
    let poison = Frame::new(Command::Send).with("destination", "/queue/q").body("poison");
    producer.send(&poison).await.unwrap();
    scene.start_as(Config { max_tries: 3, ..scene.config() }, scene.dialer());
    // Two pauses of at most 250 and 500 ms between three tries.
    pass(Duration::from_millis(100)).await;
    assert_eq!((scene.depth(), scene.broker.depth("ActiveMQ.DLQ")), ((1, 1), (0, 0)));
    pass(Duration::from_secs(1)).await;
    assert_eq!((scene.depth(), scene.broker.depth("ActiveMQ.DLQ")), ((0, 0), (1, 0)));
    assert_eq!((scene.numbers(), scene.metrics.dead_lettered.get()), ((0, 0, 0), 1));
    // The worker goes on with the next.
    scene.order(NonZeroU32::MIN).await;
    pass(WORK + Duration::from_millis(1)).await;
    assert_eq!(scene.numbers(), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_breaks_every_connection_is_put_aside() {
    let scene = Scene::new(1).await;
    for crashes in 1..=3 {
        let breaking = CancellationToken::new();
        let config = Config { max_tries: 3, ..scene.config() };
        let worker = scene.start_as(config, scene.broker.dialer(&breaking));
        pass(WORK / 2).await;
        assert_eq!((scene.numbers().2, scene.metrics.redelivered.get()), (1, crashes - 1));
        // As kill -9 does.
        worker.abort();
        breaking.cancel();
        pass(Duration::from_millis(1)).await;
        scene.metrics.busy.sub(1);
    }
    scene.start_as(Config { max_tries: 3, ..scene.config() }, scene.dialer());
    pass(Duration::from_millis(1)).await;
    assert_eq!((scene.depth(), scene.broker.depth("ActiveMQ.DLQ")), ((0, 0), (1, 0)));
    assert_eq!((scene.numbers(), scene.metrics.dead_lettered.get()), ((0, 0, 0), 1));
}

#[tokio::test(start_paused = true)]
async fn being_handed_back_does_not_count_against_an_order() {
    let scene = Scene::new(1).await;
    for _ in 0..10 {
        let worker = Config { max_tries: 2, grace: Duration::ZERO, ..scene.config() };
        let stop = CancellationToken::new();
        let task = worker.build(scene.dialer(), scene.health.register("worker"), scene.metrics.clone());
        let worker = tokio::spawn(task.run(stop.clone()));
        pass(WORK / 2).await;
        assert_eq!(scene.depth(), (1, 1));
        stop.cancel();
        worker.await.unwrap();
    }
    scene.start(scene.dialer());
    pass(WORK + Duration::from_millis(1)).await;
    assert_eq!((scene.numbers(), scene.metrics.dead_lettered.get()), ((1, 0, 0), 0));
}

fn refusing() -> Dialer {
    Dialer::new(|| Box::pin(async { Err(std::io::ErrorKind::ConnectionRefused.into()) }))
}

fn counting(dialer: Dialer, dials: &Arc<AtomicUsize>) -> Dialer {
    let dials = Arc::clone(dials);
    Dialer::new(move || {
        dials.fetch_add(1, Ordering::Relaxed);
        let dialer = dialer.clone();
        Box::pin(async move { dialer.dial().await })
    })
}
