//! What the shop needs of a broker, as cases that run against any broker, each on a queue of its own.

use crate::proxy::Proxy;
use crate::wait::{PATIENCE, until};
use demo_shop::depth::{self, Depth, Reading};
use demo_shop::dial::Dialer;
use demo_shop::health::Health;
use demo_shop::metrics::Metrics;
use demo_shop::orders::{self, Orders, SubmitError};
use demo_shop::stomp::connection::{self, Connection, ConnectionError};
use demo_shop::stomp::{BrokerUrl, Command, Frame};
use demo_shop::worker::Work;
use demo_shop::{clock, worker};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Runs all cases, one after the other, and says which one fails.
pub(crate) async fn run(broker: &BrokerUrl) {
    macro_rules! run_all {
        ($($case:ident),* $(,)?) => {$(
            eprintln!("case {}", stringify!($case));
            $case(&Scene::new(broker, stringify!($case))).await;
        )*};
    }
    run_all![
        orders_are_worked_off_and_leave_the_queue,
        a_confirmed_order_is_in_the_queue_as_a_whole,
        both_ways_to_count_agree_and_count_what_is_in_hand,
        a_queue_that_does_not_exist_yet_is_empty,
        browsing_stops_at_its_limit,
        messages_arrive_as_they_were_sent,
        one_at_a_time_and_turn_by_turn,
        what_a_lost_connection_had_in_hand_is_redelivered,
        what_a_worker_lets_go_of_is_worked_off_by_another,
        nack_puts_aside_at_once,
        an_open_transaction_ends_with_its_connection,
        an_aborted_transaction_leaves_nothing,
        heart_beats_outlast_long_work,
        mistakes_are_refused,
        what_is_no_order_goes_to_the_dead_letters,
        a_slow_network_takes_whole_orders,
        a_stalled_network_leaves_no_half_order,
        ten_thousand_in_one_order,
    ];
}

/// A broker and a queue on it.
pub(crate) struct Scene {
    broker: BrokerUrl,
    dialer: Dialer,
    queue: String,
    connection: connection::Config,
}

// === impl Scene ===

impl Scene {
    pub(crate) fn new(broker: &BrokerUrl, queue: &str) -> Self {
        let connection = connection::Config {
            credentials: broker.credentials.clone(),
            connect_timeout: PATIENCE,
            write_timeout: PATIENCE,
            ..connection::Config::default()
        };
        Self { broker: broker.clone(), dialer: Dialer::tcp(broker), queue: queue.to_owned(), connection }
    }

    /// A store; it runs until the guard is dropped.
    pub(crate) fn store(&self, health: &Health) -> (Orders, DropGuard) {
        let config = orders::Config {
            receipt_timeout: PATIENCE,
            ..orders::Config::new(&self.queue, self.connection.clone())
        };
        let (orders, task) = config.build(self.dialer.clone(), health.register("store"), Metrics::default());
        let stop = CancellationToken::new();
        tokio::spawn(task.run(stop.clone()));
        (orders, stop.drop_guard())
    }

    /// Orders, as soon as the store is connected.
    pub(crate) async fn order(&self, quantity: u32) -> orders::Confirmation {
        let health = Health::default();
        let (orders, _guard) = self.store(&health);
        until("a connected store", async || health.complaints().is_empty().then_some(())).await;
        orders.submit(NonZeroU32::new(quantity).unwrap()).await.unwrap()
    }

    /// A worker; it runs until the guard is dropped.
    fn worker(&self, work: Duration, metrics: &Metrics) -> DropGuard {
        let config = worker::Config {
            work: Work::Wait(work),
            max_tries: 2,
            grace: Duration::ZERO,
            receipt_timeout: PATIENCE,
            ..worker::Config::new(&self.queue, self.connection.clone())
        };
        let task = config.build(self.dialer.clone(), Health::default().register("worker"), metrics.clone());
        let stop = CancellationToken::new();
        tokio::spawn(task.run(stop.clone()));
        stop.drop_guard()
    }

    /// Reads the depth anew each time.
    pub(crate) fn depth(&self, change: impl FnOnce(&mut depth::Config)) -> (Depth, DropGuard) {
        let mut config = depth::Config {
            fresh_for: Duration::ZERO,
            timeout: PATIENCE,
            // A broker that has just started may take its time over the first answer, and browsing in its place would
            // answer with less.
            statistics_timeout: PATIENCE / 2,
            ..depth::Config::new(&self.queue, self.connection.clone())
        };
        change(&mut config);
        let (depth, task) = config.build(self.dialer.clone(), clock::system);
        let stop = CancellationToken::new();
        tokio::spawn(task.run(stop.clone()));
        (depth, stop.drop_guard())
    }

    /// Reads by browsing only.
    fn browsed(&self) -> (Depth, DropGuard) {
        self.depth(|config| config.statistics_timeout = Duration::ZERO)
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(&self.dialer, &self.connection).await.unwrap()
    }

    /// A connection with a subscription that acknowledges by hand.
    pub(crate) async fn consumer(&self, queue: &str, prefetch: u32) -> Connection {
        let mut connection = self.connect().await;
        let subscribe = Frame::new(Command::Subscribe)
            .with("id", "suite")
            .with("destination", format!("/queue/{queue}"))
            .with("ack", "client-individual")
            .with("activemq.prefetchSize", prefetch.to_string());
        confirmed(&mut connection, subscribe).await.unwrap();
        connection
    }

    fn message(&self, body: &str) -> Frame {
        Frame::new(Command::Send)
            .with("destination", format!("/queue/{}", self.queue))
            .with("persistent", "true")
            .body(body.to_owned())
    }
}

/// Sends a frame and waits until the broker has done it.
pub(crate) async fn confirmed(connection: &mut Connection, frame: Frame) -> Result<(), ConnectionError> {
    let receipt = connection.next_receipt();
    connection.send(&frame.with("receipt", &receipt)).await?;
    connection.receipt(&receipt, Instant::now() + PATIENCE).await
}

pub(crate) async fn next(connection: &mut Connection) -> Frame {
    let frame = timeout(PATIENCE, connection.recv()).await.expect("a frame in time").unwrap();
    assert_eq!(frame.command, Command::Message);
    frame
}

pub(crate) fn settle(command: Command, message: &Frame) -> Frame {
    Frame::new(command).with("id", message.header("ack").expect("an ack header"))
}

async fn read(depth: &Depth) -> Reading {
    depth.read().await.expect("a depth")
}

async fn until_messages(depth: &Depth, messages: u64) {
    let what = format!("{messages} messages in the queue");
    until(&what, async || (read(depth).await.messages == messages).then_some(())).await;
}

async fn orders_are_worked_off_and_leave_the_queue(scene: &Scene) {
    scene.order(5).await;
    let metrics = Metrics::default();
    let _worker = scene.worker(Duration::from_millis(1), &metrics);
    until("five orders done", async || (metrics.completed.get() == 5).then_some(())).await;
    let (depth, _guard) = scene.depth(|_| {});
    until_messages(&depth, 0).await;
    assert_eq!((metrics.completed.get(), metrics.failed.get()), (5, 0));
}

async fn a_confirmed_order_is_in_the_queue_as_a_whole(scene: &Scene) {
    let (depth, _guard) = scene.depth(|_| {});
    for orders in 1..=3 {
        scene.order(50).await;
        assert_eq!(read(&depth).await.messages, 50 * orders);
    }
}

async fn both_ways_to_count_agree_and_count_what_is_in_hand(scene: &Scene) {
    scene.order(20).await;
    let mut consumer = scene.consumer(&scene.queue, 3).await;
    for _ in 0..3 {
        next(&mut consumer).await;
    }
    let (asked, _asked_guard) = scene.depth(|_| {});
    let (browsed, _browsed_guard) = scene.browsed();
    let reading = read(&asked).await;
    let details = reading.details.expect("this broker has the statistics plugin");
    assert_eq!((reading.messages, details.in_flight, details.consumers), (20, 3, 1));
    assert_eq!((details.enqueued, details.dequeued), (20, 0));
    for _ in 0..3 {
        assert_eq!(read(&browsed).await, Reading { messages: 20, capped: false, details: None });
    }
    // The browsers took nothing, and go; that they do is asked over another connection, which may be quicker.
    let as_before = async || (read(&asked).await.details == Some(details)).then_some(());
    until("the same numbers as before", as_before).await;
}

async fn a_queue_that_does_not_exist_yet_is_empty(scene: &Scene) {
    let (depth, _guard) = scene.depth(|config| config.statistics_timeout = Duration::from_millis(200));
    assert_eq!(read(&depth).await.messages, 0);
}

async fn browsing_stops_at_its_limit(scene: &Scene) {
    scene.order(300).await;
    let (depth, _guard) = scene.depth(|config| {
        config.statistics_timeout = Duration::ZERO;
        config.browse_limit = 10;
    });
    for _ in 0..3 {
        assert_eq!(read(&depth).await, Reading { messages: 10, capped: true, details: None });
    }
}

async fn messages_arrive_as_they_were_sent(scene: &Scene) {
    let mut connection = scene.consumer(&scene.queue, 10).await;
    let odd = "a:b\\c\nd";
    let text = scene.message("grüße").with("x-odd", odd).with("content-type", "text/plain");
    confirmed(&mut connection, text).await.unwrap();
    let message = next(&mut connection).await;
    assert_eq!((message.header("x-odd"), &message.body[..]), (Some(odd), "grüße".as_bytes()));
    assert_eq!(message.header("content-type"), Some("text/plain"));
    assert_eq!(message.header("subscription"), Some("suite"));
    assert_eq!(message.header("destination"), Some(&*format!("/queue/{}", scene.queue)));
    assert!(message.header("message-id").is_some());
    assert_eq!(message.header("redelivered"), None);
    confirmed(&mut connection, scene.message("a\0b")).await.unwrap();
    assert_eq!(&next(&mut connection).await.body[..], b"a\0b");
    let order = scene.order(2).await.order;
    for item in ["1", "2"] {
        let message = next(&mut connection).await;
        assert_eq!(message.header("order-id"), Some(&*format!("{order}-{item}")));
        assert_eq!(message.body, format!("{{\"order\":\"{order}\",\"item\":{item}}}"));
    }
}

async fn one_at_a_time_and_turn_by_turn(scene: &Scene) {
    let (mut first, mut second) =
        (scene.consumer(&scene.queue, 1).await, scene.consumer(&scene.queue, 1).await);
    scene.order(3).await;
    let (one, two) = (next(&mut first).await, next(&mut second).await);
    assert_ne!(one.header("order-id"), two.header("order-id"));
    let (depth, _guard) = scene.depth(|_| {});
    assert_eq!(read(&depth).await.details.map(|details| details.in_flight), Some(2), "the third waits");
    confirmed(&mut second, settle(Command::Ack, &two)).await.unwrap();
    next(&mut second).await;
}

async fn what_a_lost_connection_had_in_hand_is_redelivered(scene: &Scene) {
    scene.order(1).await;
    let mut first = scene.consumer(&scene.queue, 1).await;
    let message = next(&mut first).await;
    let mut second = scene.consumer(&scene.queue, 1).await;
    drop(first);
    let again = next(&mut second).await;
    assert_eq!(again.header("order-id"), message.header("order-id"));
    assert_eq!(again.header("redelivered"), Some("true"));
    confirmed(&mut second, settle(Command::Ack, &again)).await.unwrap();
}

async fn what_a_worker_lets_go_of_is_worked_off_by_another(scene: &Scene) {
    scene.order(1).await;
    let (slow, quick) = (Metrics::default(), Metrics::default());
    let worker = scene.worker(Duration::from_secs(3600), &slow);
    until("an order in hand", async || (slow.busy.get() == 1).then_some(())).await;
    drop(worker);
    let _worker = scene.worker(Duration::from_millis(1), &quick);
    until("the order done", async || (quick.completed.get() == 1).then_some(())).await;
    let (depth, _guard) = scene.depth(|_| {});
    until_messages(&depth, 0).await;
}

async fn nack_puts_aside_at_once(scene: &Scene) {
    scene.order(1).await;
    let mut consumer = scene.consumer(&scene.queue, 1).await;
    let message = next(&mut consumer).await;
    confirmed(&mut consumer, settle(Command::Nack, &message)).await.unwrap();
    let (depth, _guard) = scene.depth(|_| {});
    until_messages(&depth, 0).await;
    let aside = next(&mut scene.consumer("ActiveMQ.DLQ", 1).await).await;
    assert_eq!(aside.header("order-id"), message.header("order-id"));
}

async fn an_open_transaction_ends_with_its_connection(scene: &Scene) {
    let mut connection = scene.connect().await;
    connection.send(&Frame::new(Command::Begin).with("transaction", "t")).await.unwrap();
    confirmed(&mut connection, scene.message("m").with("transaction", "t")).await.unwrap();
    drop(connection);
    let (depth, _guard) = scene.browsed();
    assert_eq!(read(&depth).await.messages, 0);
}

async fn an_aborted_transaction_leaves_nothing(scene: &Scene) {
    let mut connection = scene.connect().await;
    connection.send(&Frame::new(Command::Begin).with("transaction", "t")).await.unwrap();
    connection.send(&scene.message("m").with("transaction", "t")).await.unwrap();
    confirmed(&mut connection, Frame::new(Command::Abort).with("transaction", "t")).await.unwrap();
    let (depth, _guard) = scene.browsed();
    assert_eq!(read(&depth).await.messages, 0);
}

async fn heart_beats_outlast_long_work(scene: &Scene) {
    scene.order(1).await;
    // The work lasts many heart-beats; a broker that missed them would have given the order to nobody else, because
    // there is nobody, but the acknowledgement would fail and count.
    let scene = Scene {
        connection: connection::Config { heart_beat: Duration::from_secs(4), ..scene.connection.clone() },
        ..Scene::new(&scene.broker, &scene.queue)
    };
    let metrics = Metrics::default();
    let _worker = scene.worker(Duration::from_secs(13), &metrics);
    until("the order done", async || (metrics.completed.get() + metrics.failed.get() > 0).then_some(()))
        .await;
    assert_eq!((metrics.completed.get(), metrics.failed.get()), (1, 0));
}

async fn mistakes_are_refused(scene: &Scene) {
    let cases = [
        Frame::new(Command::Send),
        Frame::new(Command::Subscribe).with("id", "1"),
        Frame::new(Command::Ack).with("id", "nothing"),
        Frame::new(Command::Nack).with("id", "nothing"),
        Frame::new(Command::Commit).with("transaction", "nothing"),
        Frame::new(Command::Abort).with("transaction", "nothing"),
    ];
    for frame in cases {
        let refused = confirmed(&mut scene.connect().await, frame.clone()).await;
        assert!(matches!(refused, Err(ConnectionError::Refused(_))), "{frame:?}: {refused:?}");
    }
}

async fn what_is_no_order_goes_to_the_dead_letters(scene: &Scene) {
    let poison = "what_is_no_order_goes_to_the_dead_letters";
    confirmed(&mut scene.connect().await, scene.message(poison)).await.unwrap();
    scene.order(1).await;
    let metrics = Metrics::default();
    let _worker = scene.worker(Duration::from_millis(1), &metrics);
    until("the order done", async || (metrics.completed.get() == 1).then_some(())).await;
    until("the poison aside", async || (metrics.dead_lettered.get() == 1).then_some(())).await;
    let mut aside = scene.consumer("ActiveMQ.DLQ", 100).await;
    while next(&mut aside).await.body != poison {}
}

async fn a_slow_network_takes_whole_orders(scene: &Scene) {
    let proxy = Proxy::start(&scene.broker, Duration::from_millis(20)).await;
    let slow = Scene::new(&proxy.url, &scene.queue);
    slow.order(1000).await;
    let metrics = Metrics::default();
    let _worker = slow.worker(Duration::from_millis(1), &metrics);
    until("some orders done", async || (metrics.completed.get() >= 5).then_some(())).await;
    assert_eq!(metrics.failed.get(), 0);
}

async fn a_stalled_network_leaves_no_half_order(scene: &Scene) {
    let proxy = Proxy::start(&scene.broker, Duration::ZERO).await;
    let connection = connection::Config { heart_beat: Duration::from_secs(4), ..scene.connection.clone() };
    let far = Scene { connection, ..Scene::new(&proxy.url, &scene.queue) };
    let health = Health::default();
    let (orders, _store) = far.store(&health);
    let ready = async || health.complaints().is_empty().then_some(());
    until("a connected store", ready).await;
    let count = |quantity| NonZeroU32::new(quantity).unwrap();
    orders.submit(count(5)).await.unwrap();
    // Heart-beats stop, which is noticed; whether the commit got through nobody can tell.
    let told = loop {
        proxy.flow(false);
        match orders.submit(count(100)).await {
            // It was noticed before the order came, which is surely not taken.
            Err(SubmitError::Unavailable(_)) => {
                proxy.flow(true);
                until("a store that is connected again", ready).await;
            }
            told => break told,
        }
    };
    assert!(matches!(told, Err(SubmitError::Unconfirmed(_))), "{told:?}");
    let away = async || (!health.complaints().is_empty()).then_some(());
    until("a store that is not ready while the broker is out of reach", away).await;
    proxy.flow(true);
    until("a store that is connected again", ready).await;
    orders.submit(count(3)).await.unwrap();
    let (depth, _guard) = scene.depth(|_| {});
    let whole = async || matches!(read(&depth).await.messages, 8 | 108).then_some(());
    until("whole orders", whole).await;
}

async fn ten_thousand_in_one_order(scene: &Scene) {
    assert_eq!(scene.order(10_000).await.quantity.get(), 10_000);
    let (depth, _guard) = scene.depth(|_| {});
    assert_eq!(read(&depth).await.messages, 10_000);
}
