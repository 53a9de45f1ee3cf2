//! The depth reader under a paused clock, against scripted and embedded brokers.

use super::*;
use crate::broker::{self, Broker};
use crate::dial::Stream;
use crate::stomp::{Command, Decoder, Frame, Limits};
use bytes::BytesMut;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// What a scripted broker does with questions.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Habit {
    /// Answers for statistics with this size.
    Answers(u64),
    /// Answers every third question, from the first on.
    Forgets(u64),
    /// Takes questions for statistics for ordinary messages.
    Ignores,
    /// Drops the connection, as ActiveMQ does when its JSON library is missing.
    Drops,
    /// Answers nothing at all.
    Hangs,
}

/// What a scripted broker saw.
#[derive(Debug, Default)]
struct Seen {
    dials: AtomicUsize,
    questions: AtomicUsize,
    browses: AtomicUsize,
}

/// A broker with `browsable` messages and that habit.
fn scripted(habit: Habit, browsable: u64, seen: &Arc<Seen>) -> Dialer {
    let seen = Arc::clone(seen);
    Dialer::new(move || {
        let (near, far) = duplex(1 << 16);
        seen.dials.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(play(habit, browsable, far, Arc::clone(&seen)));
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
    })
}

async fn play(habit: Habit, browsable: u64, mut stream: DuplexStream, seen: Arc<Seen>) {
    let mut decoder = Decoder::new(Limits::default());
    loop {
        while let Some(frame) = decoder.next_frame().unwrap() {
            let mut out = BytesMut::new();
            match frame.command {
                Command::Connect => Frame::new(Command::Connected).with("version", "1.2").encode(&mut out),
                Command::Send => {
                    let before = seen.questions.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(frame.header("expires"), Some("300777"), "questions do not pile up");
                    match habit {
                        Habit::Answers(size) => statistics(size, &frame).encode(&mut out),
                        Habit::Forgets(size) if before.is_multiple_of(3) => {
                            statistics(size, &frame).encode(&mut out);
                        }
                        Habit::Drops => return,
                        Habit::Forgets(_) | Habit::Ignores | Habit::Hangs => {}
                    }
                }
                Command::Subscribe if frame.header("browser").is_some() && habit != Habit::Hangs => {
                    seen.browses.fetch_add(1, Ordering::Relaxed);
                    let id = frame.header("id").unwrap();
                    let message = Frame::new(Command::Message).with("subscription", id);
                    for _ in 0..browsable {
                        message.encode(&mut out);
                    }
                    message.with("browser", "end").encode(&mut out);
                }
                _ => {}
            }
            if stream.write_all(&out).await.is_err() {
                return;
            }
        }
        if !stream.read_buf(decoder.buffer()).await.is_ok_and(|read| read > 0) {
            return;
        }
    }
}

fn statistics(size: u64, question: &Frame) -> Frame {
    let number = |name: &str, value: u64| format!("{{\"string\":\"{name}\",\"long\":{value}}}");
    let entries = [
        number("size", size),
        number("inflightCount", 1),
        number("consumerCount", 2),
        number("enqueueCount", 30),
        number("dequeueCount", 20),
    ];
    Frame::new(Command::Message)
        .with("subscription", "depth")
        .with("correlation-id", question.header("correlation-id").unwrap_or_default())
        .body(format!("{{\"map\":{{\"entry\":[{}]}}}}", entries.join(",")))
}

fn start(dialer: Dialer, change: impl FnOnce(&mut Config)) -> Depth {
    let mut config = Config::new("q", connection::Config::default());
    change(&mut config);
    let (depth, task) = config.build(dialer, || 777);
    tokio::spawn(task.run(CancellationToken::new()));
    depth
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

const DETAILS: Details = Details { in_flight: 1, consumers: 2, enqueued: 30, dequeued: 20 };

#[tokio::test(start_paused = true)]
async fn statistics_are_read_once_a_second_at_most_and_only_when_asked_for() {
    let seen = Arc::default();
    let depth = start(scripted(Habit::Answers(7), 0, &seen), |_| {});
    pass(Duration::from_secs(60)).await;
    assert_eq!(seen.questions.load(Ordering::Relaxed), 0);
    let expected = Some(Reading { messages: 7, capped: false, details: Some(DETAILS) });
    for _ in 0..10 {
        assert_eq!(depth.read().await, expected);
        pass(Duration::from_millis(200)).await;
    }
    assert_eq!(seen.questions.load(Ordering::Relaxed), 2);
    assert_eq!(seen.dials.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn callers_at_the_same_time_share_a_reading() {
    let seen = Arc::default();
    let depth = start(scripted(Habit::Answers(7), 0, &seen), |_| {});
    let calls: Vec<_> =
        (0..50).map(|_| depth.clone()).map(|depth| tokio::spawn(async move { depth.read().await })).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().map(|reading| reading.messages), Some(7));
    }
    assert_eq!(seen.questions.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn without_statistics_the_queue_is_browsed() {
    // The broker that ignores us may not have known the queue yet: it is asked twice.
    for (habit, questions) in [(Habit::Ignores, 2), (Habit::Drops, 1)] {
        let seen = Arc::default();
        let depth = start(scripted(habit, 5, &seen), |_| {});
        for _ in 0..30 {
            let expected = Some(Reading { messages: 5, capped: false, details: None });
            assert_eq!(depth.read().await, expected, "{habit:?}");
            pass(Duration::from_secs(1)).await;
        }
        let counts = [&seen.questions, &seen.browses].map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counts, [questions, 30], "{habit:?}: asked again too soon");
        pass(Duration::from_secs(60)).await;
        assert!(depth.read().await.is_some());
        assert_eq!(
            seen.questions.load(Ordering::Relaxed),
            questions + 1,
            "{habit:?}: asked again in the end"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_has_answered_is_asked_again_when_it_is_late() {
    let seen = Arc::default();
    let depth = start(scripted(Habit::Forgets(7), 5, &seen), |_| {});
    let mut known = Vec::new();
    for _ in 0..6 {
        known.push(depth.read().await.map(|reading| (reading.messages, reading.details.is_some())));
        pass(Duration::from_secs(1)).await;
    }
    let (asked, browsed) = (Some((7, true)), Some((5, false)));
    assert_eq!(known, [asked, browsed, browsed, asked, browsed, browsed]);
}

#[tokio::test(start_paused = true)]
async fn browsing_stops_at_its_limit() {
    let seen = Arc::default();
    let depth = start(scripted(Habit::Ignores, 500, &seen), |config| config.browse_limit = 20);
    for _ in 0..3 {
        let expected = Some(Reading { messages: 20, capped: true, details: None });
        // What the browse before left on the wire does not count for this one.
        assert_eq!(depth.read().await, expected);
        pass(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_hangs_or_is_away_keeps_nobody_waiting() {
    let seen = Arc::default();
    let away = Dialer::new(|| Box::pin(async { Err(std::io::ErrorKind::ConnectionRefused.into()) }));
    let endless = Dialer::new(|| Box::pin(std::future::pending()));
    for dialer in [scripted(Habit::Hangs, 0, &seen), away, endless] {
        let depth = start(dialer, |_| {});
        for _ in 0..3 {
            let asked = Instant::now();
            assert_eq!(depth.read().await, None);
            assert!(asked.elapsed() <= Duration::from_millis(2001), "{:?}", asked.elapsed());
            // The failure is an answer as well, for a second.
            let asked = Instant::now();
            assert_eq!(depth.read().await, None);
            assert!(asked.elapsed() <= Duration::from_millis(1), "{:?}", asked.elapsed());
            pass(Duration::from_secs(1)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_embedded_queue_answers() {
    let broker = Broker::new(broker::Config::default(), || 0);
    let depth = start(broker.dialer(&CancellationToken::new()), |_| {});
    // Browsed, because there is no such queue yet; the browse makes it.
    assert_eq!(depth.read().await, Some(Reading::default()));
    pass(Duration::from_secs(61)).await;
    assert_eq!(depth.read().await, Some(Reading { details: Some(Details::default()), ..Reading::default() }));
}
