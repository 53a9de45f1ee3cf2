//! What the buyer is told, for every way in which a broker can fail.

use super::*;
use crate::dial::Stream;
use crate::health::Health;
use crate::stomp::{Decoder, Limits};
use bytes::BytesMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

/// What a scripted broker does when it sees this command.
#[derive(Clone, Copy, Debug)]
enum Habit {
    Drop,
    Refuse,
    Ignore,
}

/// A broker that confirms everything, but for that command.
fn broker(on: Command, habit: Habit) -> Dialer {
    Dialer::new(move || {
        let (near, mut far) = duplex(1 << 16);
        tokio::spawn(async move {
            let mut decoder = Decoder::new(Limits::default());
            loop {
                while let Some(frame) = decoder.next_frame().unwrap() {
                    let mut out = BytesMut::new();
                    match (frame.command == on, habit, frame.header("receipt")) {
                        (true, Habit::Drop, _) => return,
                        (true, Habit::Refuse, _) => {
                            Frame::new(Command::Error).with("message", "full").encode(&mut out);
                        }
                        (true, Habit::Ignore, _) => {}
                        (false, _, _) if frame.command == Command::Connect => {
                            Frame::new(Command::Connected).with("version", "1.2").encode(&mut out);
                        }
                        (false, _, Some(receipt)) => {
                            Frame::new(Command::Receipt).with("receipt-id", receipt).encode(&mut out);
                        }
                        (false, _, None) => {}
                    }
                    if far.write_all(&out).await.is_err() {
                        return;
                    }
                }
                if !far.read_buf(decoder.buffer()).await.is_ok_and(|read| read > 0) {
                    return;
                }
            }
        });
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
    })
}

/// Orders until the store has had its first connection, and says how that order went.
async fn outcome(dialer: Dialer, quantity: u32) -> Result<u32, SubmitError> {
    let health = Health::default();
    let config = Config::new("q", connection::Config::default());
    let (orders, task) = config.build(dialer, health.register("store"), Metrics::default());
    tokio::spawn(task.run(CancellationToken::new()));
    while health.complaints() == ["store: connecting"] {
        tokio::task::yield_now().await;
    }
    let quantity = NonZeroU32::new(quantity).unwrap();
    orders.submit(quantity).await.map(|confirmation| confirmation.quantity.get())
}

#[tokio::test(start_paused = true)]
async fn the_buyer_is_told_what_is_known() {
    use SubmitError as E;
    // Nothing goes wrong.
    assert_eq!(outcome(broker(Command::Ack, Habit::Drop), 10_000).await, Ok(10_000));
    // The broker is away.
    let refused = Dialer::new(|| Box::pin(async { Err(std::io::ErrorKind::ConnectionRefused.into()) }));
    let away = "connection to the broker failed: connection refused";
    assert_eq!(outcome(refused, 1).await, Err(E::Unavailable(away.into())));
    // It breaks before it could have the whole order: surely nothing was bought. The order is larger than what fits
    // into the pipe, so that the break is seen while items are still being written.
    let broken = outcome(broker(Command::Send, Habit::Drop), 10_000).await;
    assert!(matches!(broken, Err(E::Unavailable(_))), "{broken:?}");
    // It says no.
    let full = "full".to_owned();
    assert_eq!(outcome(broker(Command::Commit, Habit::Refuse), 1).await, Err(E::Refused(full.clone())));
    assert_eq!(outcome(broker(Command::Send, Habit::Refuse), 1).await, Err(E::Refused(full)));
    // It had the commit, and nobody knows what became of it.
    for habit in [Habit::Drop, Habit::Ignore] {
        let lost = outcome(broker(Command::Commit, habit), 1).await;
        assert!(matches!(lost, Err(E::Unconfirmed(_))), "{habit:?}: {lost:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn more_orders_than_may_wait_are_turned_away() {
    let config = Config { waiting: 2, ..Config::new("q", connection::Config::default()) };
    let link = Health::default().register("store");
    let (orders, _task) = config.build(broker(Command::Ack, Habit::Drop), link, Metrics::default());
    let one = NonZeroU32::MIN;
    let waiting: Vec<_> = (0..2)
        .map(|_| orders.clone())
        .map(|orders| tokio::spawn(async move { orders.submit(one).await }))
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(orders.submit(one).await, Err(SubmitError::Busy));
    waiting.into_iter().for_each(|order| order.abort());
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_buyer_went_away_is_not_sent() {
    let queue = crate::broker::Broker::new(crate::broker::Config::default(), || 0);
    let dialer = queue.dialer(&CancellationToken::new());
    let health = Health::default();
    let config = Config::new("q", connection::Config::default());
    let metrics = Metrics::default();
    let (orders, task) = config.build(dialer, health.register("store"), metrics.clone());
    let one = NonZeroU32::MIN;
    let gone = tokio::spawn({
        let orders = orders.clone();
        async move { orders.submit(one).await }
    });
    tokio::task::yield_now().await;
    gone.abort();
    assert!(gone.await.is_err());
    // Only now does the store begin; it refuses while it connects, so ask until it takes an order.
    tokio::spawn(task.run(CancellationToken::new()));
    while orders.submit(one).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!((queue.depth("q"), metrics.submitted.get()), ((1, 0), 1));
}

/// A store that is connected to that broker, and how often it dialed.
async fn connected(dialer: Dialer) -> (Orders, Metrics, Arc<AtomicUsize>) {
    let (health, metrics, dials) = (Health::default(), Metrics::default(), Arc::new(AtomicUsize::new(0)));
    let counted = Dialer::new({
        let dials = Arc::clone(&dials);
        move || {
            dials.fetch_add(1, Ordering::Relaxed);
            let dialer = dialer.clone();
            Box::pin(async move { dialer.dial().await })
        }
    });
    let config = Config::new("q", connection::Config::default());
    let (orders, task) = config.build(counted, health.register("store"), metrics.clone());
    tokio::spawn(task.run(CancellationToken::new()));
    while !health.complaints().is_empty() {
        tokio::task::yield_now().await;
    }
    (orders, metrics, dials)
}

#[tokio::test(start_paused = true)]
async fn orders_that_wait_share_a_transaction_and_none_pays_for_another() {
    let count = |number| NonZeroU32::new(number).unwrap();
    let queue = crate::broker::Config { max_messages: 5, ..Default::default() };
    let queue = crate::broker::Broker::new(queue, || 0);
    let (orders, metrics, dials) = connected(queue.dialer(&CancellationToken::new())).await;
    let (two, three) = tokio::join!(orders.submit(count(2)), orders.submit(count(3)));
    assert_ne!(two.unwrap().order, three.unwrap().order);
    assert_eq!((metrics.submitted.get(), dials.load(Ordering::Relaxed)), (5, 1));

    // The second does not fit, so the shared transaction is refused; the others are not to blame.
    let queue = crate::broker::Config { max_messages: 5, ..Default::default() };
    let queue = crate::broker::Broker::new(queue, || 0);
    let (orders, metrics, dials) = connected(queue.dialer(&CancellationToken::new())).await;
    let (two, four, three) =
        tokio::join!(orders.submit(count(2)), orders.submit(count(4)), orders.submit(count(3)));
    assert!(two.is_ok() && three.is_ok(), "{two:?} {three:?}");
    assert!(matches!(four, Err(SubmitError::Refused(_))), "{four:?}");
    assert_eq!((queue.depth("q").0, metrics.submitted.get()), (5, 5));
    assert_eq!(dials.load(Ordering::Relaxed), 3, "a shared refusal, and one of its own");
}

#[tokio::test(start_paused = true)]
async fn at_the_end_waiting_orders_are_told_that_nothing_was_ordered() {
    let queue = crate::broker::Broker::new(crate::broker::Config::default(), || 0);
    let config = Config::new("q", connection::Config::default());
    let dialer = queue.dialer(&CancellationToken::new());
    let (orders, task) = config.build(dialer, Health::default().register("store"), Metrics::default());
    let waiting = tokio::spawn({
        let orders = orders.clone();
        async move { orders.submit(NonZeroU32::MIN).await }
    });
    tokio::task::yield_now().await;
    let stop = CancellationToken::new();
    stop.cancel();
    task.run(stop).await;
    let told = waiting.await.unwrap();
    assert!(matches!(told, Err(SubmitError::Unavailable(_))), "{told:?}");
}
