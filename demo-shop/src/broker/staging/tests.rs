//! The whole broker but its sockets, on a disk that fails: what is told, when, and what is there after a crash.

use super::*;
use crate::broker::Config;
use crate::broker::journal::simulated::Simulated;
use crate::broker::journal::{Committed, Journal};
use crate::broker::protocol::Handled;
use crate::random::Random;
use crate::stomp::{Decoder, Limits};
use proptest::prelude::*;
use std::collections::BTreeSet;

struct Scene {
    disk: Simulated,
    core: Core,
    journal: Journal,
}

// === impl Scene ===

impl Scene {
    fn new(capacity: u64) -> Self {
        Self::open(Simulated::new(capacity))
    }

    /// A broker that starts with what is on the disk.
    fn open(disk: Simulated) -> Self {
        let (journal, recovered) = Journal::open(Box::new(disk.clone()), 4 << 10).unwrap();
        let mut core = Core::new(Config::default(), 1);
        core.recover(recovered);
        Self { disk, core, journal }
    }

    fn connect(&mut self) -> SessionId {
        let id = self.core.open();
        self.send(id, "CONNECT accept-version:1.2");
        assert_eq!(self.read(id).len(), 1);
        id
    }

    /// Sends a frame, written `COMMAND name:value |body`.
    fn send(&mut self, id: SessionId, line: &str) -> Handled {
        let (head, body) = line.split_once('|').unwrap_or((line, ""));
        let mut words = head.split_whitespace();
        let mut frame = Frame::new(Command::parse(words.next().unwrap().as_bytes()).unwrap());
        for (name, value) in words.map(|word| word.split_once(':').unwrap()) {
            frame.headers.push(name, value);
        }
        self.core.handle(id, &frame.body(body.to_owned()), 0)
    }

    /// What the connection gets to read: the command and the header or body that tells frames apart.
    fn read(&mut self, id: SessionId) -> Vec<String> {
        let mut decoder = Decoder::new(Limits::default());
        self.core.output(id, usize::MAX, decoder.buffer());
        std::iter::from_fn(|| decoder.next_frame().unwrap())
            .map(|frame| {
                let told = frame.header("receipt-id").or(frame.header("message"));
                let body = String::from_utf8_lossy(&frame.body).into_owned();
                format!("{} {}", frame.command, told.map_or(body, str::to_owned))
            })
            .collect()
    }

    /// What the committing thread does.
    fn commit(&mut self) {
        let staged = self.core.take_staged();
        let ops: Vec<_> = staged.iter().map(Staged::op).collect();
        let refused = match self.journal.commit(&ops).unwrap() {
            Committed::All => None,
            Committed::Refused(_) => Some("full"),
        };
        let again = self.journal.tidy();
        self.core.finish(staged, refused);
        self.core.copy(&again);
    }

    /// Bodies in a queue, in order.
    fn bodies(&self, queue: &str) -> Vec<String> {
        let Some(open) = self.core.queues.get(queue) else { return Vec::new() };
        let mut at = 0;
        std::iter::from_fn(|| {
            let (sequence, message) = open.browse(at, u64::MAX)?;
            at = sequence;
            Some(String::from_utf8(message.body.to_vec()).unwrap())
        })
        .collect()
    }
}

const SUBSCRIBE: &str = "SUBSCRIBE id:s destination:/queue/q ack:client-individual activemq.prefetchSize:9";

#[test]
fn nothing_is_shown_or_confirmed_before_it_is_on_the_disk() {
    let mut scene = Scene::new(1 << 20);
    let (producer, consumer) = (scene.connect(), scene.connect());
    scene.send(consumer, SUBSCRIBE);
    scene.send(producer, "SEND destination:/queue/q receipt:1 |a");
    scene.send(producer, "BEGIN transaction:t receipt:2");
    scene.send(producer, "SEND destination:/queue/q transaction:t |b");
    scene.send(producer, "COMMIT transaction:t receipt:3");
    assert_eq!((scene.read(producer), scene.read(consumer)), (vec![], vec![]));
    scene.commit();
    // Nor does a receipt overtake an earlier one.
    assert_eq!(scene.read(producer), ["RECEIPT 1", "RECEIPT 2", "RECEIPT 3"]);
    assert_eq!(scene.read(consumer), ["MESSAGE a", "MESSAGE b"]);
    scene.send(consumer, "ACK id:1 receipt:4");
    assert_eq!(scene.read(consumer), [""; 0]);
    scene.commit();
    assert_eq!(scene.read(consumer), ["RECEIPT 4"]);
    assert_eq!(Scene::open(scene.disk).bodies("q"), ["b"]);
}

#[test]
fn what_would_show_or_answer_waits_for_what_was_sent_before() {
    for line in [SUBSCRIBE, "DISCONNECT receipt:1", "SUBSCRIBE id:b destination:/queue/q browser:true"] {
        let mut scene = Scene::new(1 << 20);
        let id = scene.connect();
        scene.send(id, "SEND destination:/queue/q |a");
        assert_eq!(scene.send(id, line), Handled::Later, "{line}");
        scene.core.woken();
        scene.commit();
        assert!(scene.core.woken().contains(&id), "{line}");
        assert_eq!(scene.send(id, line), Handled::Done, "{line}");
    }
}

#[test]
fn an_error_waits_for_the_receipts_before_it() {
    let mut scene = Scene::new(1 << 20);
    let id = scene.connect();
    scene.send(id, "SEND destination:/queue/q receipt:1 |a");
    scene.send(id, "ACK id:7");
    scene.send(id, "SEND destination:/queue/q receipt:2 |not heard");
    assert_eq!(scene.read(id), [""; 0]);
    scene.commit();
    assert_eq!(scene.read(id), ["RECEIPT 1", "ERROR nothing to acknowledge under id 7"]);
    assert_eq!(scene.bodies("q"), ["a"]);
}

#[test]
fn on_a_full_disk_new_messages_are_refused_and_the_rest_is_done() {
    let mut scene = Scene::new(80 << 10);
    let (producer, consumer) = (scene.connect(), scene.connect());
    scene.send(consumer, SUBSCRIBE);
    let line = format!("SEND destination:/queue/q |{}", "x".repeat(1000));
    while !scene.core.sessions[&producer].closing {
        scene.send(producer, &line);
        scene.commit();
    }
    assert_eq!(scene.read(producer), ["ERROR full"]);
    scene.core.close(producer);
    let kept = scene.bodies("q").len();
    assert_eq!((scene.core.usage.messages, scene.read(consumer).len()), (kept, 9));

    // In one group: a transaction and a NACK that find no room, an acknowledgement, and a receipt behind a refusal.
    let (producer, other) = (scene.connect(), scene.connect());
    scene.send(other, &SUBSCRIBE.replace(":9", ":1"));
    assert_eq!(scene.read(other).len(), 1);
    scene.send(producer, "BEGIN transaction:t");
    scene.send(producer, &line.replace(" |", " transaction:t |"));
    scene.send(producer, "COMMIT transaction:t receipt:1");
    scene.send(producer, "BEGIN transaction:u receipt:2");
    scene.send(other, "NACK id:1 receipt:3");
    scene.send(consumer, "ACK id:1 receipt:4");
    scene.commit();
    assert_eq!(scene.read(producer), ["ERROR 1"]);
    assert_eq!(scene.read(other).last().map(String::as_str), Some("ERROR 3"));
    assert!(scene.read(consumer).contains(&"RECEIPT 4".to_owned()));
    assert_eq!((scene.bodies("q").len(), scene.bodies("ActiveMQ.DLQ").len()), (kept - 1, 0));
    assert_eq!(scene.core.usage.messages, kept - 1);

    // What is there can be worked off, and then there is room again.
    for ack in 2..kept {
        scene.read(consumer);
        scene.send(consumer, &format!("ACK id:{ack}"));
        scene.commit();
    }
    assert_eq!(scene.bodies("q").len(), 1, "what the other has in hand");
    let producer = scene.connect();
    scene.send(producer, &line.replace(" |", " receipt:5 |"));
    scene.commit();
    assert_eq!(scene.read(producer), ["RECEIPT 5"]);
    let after = Scene::open(scene.disk.clone());
    assert_eq!(after.bodies("q"), scene.bodies("q"));
}

/// What may happen to a broker.
#[derive(Clone, Debug)]
enum Step {
    /// A transaction of that many messages.
    Order(usize),
    /// The consumer acknowledges what it has had for longest, or has it put aside.
    Ack,
    Nack,
    /// The consumer's connection breaks.
    Break,
    Commit,
    /// The broker's machine loses power, in the middle of a commit or not.
    Crash(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..9_usize).prop_map(Step::Order),
        6 => Just(Step::Ack),
        2 => Just(Step::Nack),
        1 => Just(Step::Break),
        6 => Just(Step::Commit),
        1 => any::<bool>().prop_map(Step::Crash),
    ];
    proptest::collection::vec(step, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens: a confirmed order is in a queue or was acknowledged, an acknowledgement that was confirmed is
    /// for good, and an order is there as a whole or not at all.
    #[test]
    fn no_confirmed_order_is_lost(steps in steps(), seed in any::<u64>(), room in 1..30_u64) {
        let mut random = Random::new(seed);
        let mut scene = Scene::new((80 << 10) + room * (4 << 10));
        let (mut orders, mut acks) = (0, 0);
        // Bodies that were confirmed, and settled; and those whose acknowledgement nobody confirmed.
        let (mut confirmed, mut settled, mut maybe) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut producer, mut consumer) = (scene.connect(), scene.connect());
        scene.send(consumer, SUBSCRIBE);
        let mut in_hand: Vec<(usize, String)> = Vec::new();
        for step in steps {
            match step {
                Step::Order(items) => {
                    orders += 1;
                    scene.send(producer, "BEGIN transaction:t");
                    for item in 0..items {
                        scene.send(producer, &format!("SEND destination:/queue/q transaction:t |{orders}-{item}"));
                    }
                    scene.send(producer, &format!("COMMIT transaction:t receipt:o{orders}-{items}"));
                }
                Step::Ack | Step::Nack => {
                    if in_hand.is_empty() { continue }
                    let (ack, body) = in_hand.remove(0);
                    if matches!(step, Step::Ack) {
                        maybe.insert(body.clone());
                        scene.send(consumer, &format!("ACK id:{ack} receipt:a{body}"));
                    } else {
                        scene.send(consumer, &format!("NACK id:{ack}"));
                    }
                }
                Step::Break => {
                    scene.core.close(consumer);
                    in_hand.clear();
                    acks = 0;
                    consumer = scene.connect();
                    scene.send(consumer, SUBSCRIBE);
                }
                Step::Commit => scene.commit(),
                Step::Crash(writing) => {
                    if writing {
                        scene.disk.state().broken = true;
                        let ops: Vec<_> = scene.core.take_staged().iter().map(Staged::op).collect();
                        // That it fails is the point.
                        let _ = scene.journal.commit(&ops);
                    }
                    scene.disk.crash(&mut random);
                    scene = Scene::open(scene.disk);
                    in_hand.clear();
                    acks = 0;
                    (producer, consumer) = (scene.connect(), scene.connect());
                    scene.send(consumer, SUBSCRIBE);
                }
            }
            for line in scene.read(producer) {
                let Some(receipt) = line.strip_prefix("RECEIPT o") else { continue };
                let (order, items) = receipt.split_once('-').unwrap();
                confirmed.extend((0..items.parse().unwrap()).map(|item: usize| format!("{order}-{item}")));
            }
            for line in scene.read(consumer) {
                match line.split_once(' ').unwrap() {
                    ("MESSAGE", body) => {
                        acks += 1;
                        prop_assert!(!settled.contains(body), "{body} is back");
                        in_hand.push((acks, body.to_owned()));
                    }
                    ("RECEIPT", receipt) => drop(settled.insert(receipt[1..].to_owned())),
                    _ => {}
                }
            }
            for id in [producer, consumer] {
                if !scene.core.sessions[&id].closing { continue }
                scene.core.close(id);
                let fresh = scene.connect();
                if id == producer {
                    producer = fresh;
                } else {
                    (consumer, acks) = (fresh, 0);
                    in_hand.clear();
                    scene.send(consumer, SUBSCRIBE);
                }
            }
        }
        scene.disk.crash(&mut random);
        let after = Scene::open(scene.disk);
        let all: Vec<_> = [after.bodies("q"), after.bodies("ActiveMQ.DLQ")].concat();
        let there: BTreeSet<_> = all.iter().cloned().collect();
        prop_assert_eq!(all.len(), there.len(), "twice in the queue");
        prop_assert!(there.is_disjoint(&settled), "acknowledged and there");
        for body in &confirmed {
            prop_assert!(there.contains(body) || maybe.contains(body), "{body} is lost");
        }
        prop_assert_eq!(after.core.usage.messages, all.len());
    }
}
