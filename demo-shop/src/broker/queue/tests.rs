use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

fn message(text: &str) -> Arc<Message> {
    Arc::new(Message { headers: Headers::default(), body: Bytes::copy_from_slice(text.as_bytes()) })
}

fn consumer(session: u64) -> ConsumerId {
    ConsumerId { session: SessionId(session), subscription: "s".into() }
}

#[test]
fn consumers_take_turns_within_their_prefetch() {
    let mut queue = Queue::default();
    queue.subscribe(consumer(1), 1);
    queue.subscribe(consumer(2), 2);
    for sequence in 1..=4 {
        queue.push(sequence, message("m"));
    }
    let turns: Vec<_> =
        std::iter::from_fn(|| queue.dispatch()).map(|d| (d.to.session.0, d.sequence)).collect();
    assert_eq!(turns, [(1, 1), (2, 2), (2, 3)]);
    assert_eq!((queue.len(), queue.in_flight()), (4, 3));
    assert!(queue.settle(&consumer(1), 2).is_none(), "another's message");
    assert!(queue.settle(&consumer(1), 1).is_some());
    assert!(queue.settle(&consumer(1), 1).is_none(), "settled already");
    assert!(queue.dispatch().is_none(), "not before it is done");
    queue.free(&consumer(1));
    assert_eq!(queue.dispatch().map(|d| (d.to.session.0, d.sequence)), Some((1, 4)));
    assert_eq!((queue.enqueued(), queue.dequeued(), queue.len()), (4, 1, 3));
}

#[test]
fn what_a_lost_consumer_had_goes_to_the_next_in_its_old_place() {
    let mut queue = Queue::default();
    queue.subscribe(consumer(1), 2);
    for sequence in 1..=3 {
        queue.push(sequence, message("m"));
    }
    let mut again = |how, seen: u64| {
        while queue.dispatch().is_some() {}
        queue.unsubscribe(&consumer(1), how, |sequence| sequence <= seen);
        queue.subscribe(consumer(2), 9);
        let again: Vec<_> =
            std::iter::from_fn(|| queue.dispatch()).map(|d| (d.sequence, d.redelivered, d.losses)).collect();
        queue.unsubscribe(&consumer(2), Loss::Polite, |_| false);
        queue.subscribe(consumer(1), 2);
        again
    };
    // The second was still on its way: nobody saw it.
    assert_eq!(again(Loss::Broken, 1), [(1, true, 1), (2, false, 0), (3, false, 0)]);
    assert_eq!(again(Loss::Polite, 2), [(1, true, 1), (2, true, 0), (3, false, 0)]);
    assert_eq!(again(Loss::Broken, 2), [(1, true, 2), (2, true, 1), (3, false, 0)]);
}

#[test]
fn what_was_taken_can_be_put_back_in_its_old_place() {
    let mut queue = Queue::default();
    queue.subscribe(consumer(1), 1);
    queue.push(1, message("a"));
    queue.push(2, message("b"));
    queue.dispatch();
    let taken = queue.settle(&consumer(1), 1).unwrap();
    queue.restore(taken);
    queue.free(&consumer(1));
    assert_eq!((queue.enqueued(), queue.dequeued(), queue.len()), (2, 0, 2));
    assert_eq!(queue.dispatch().map(|d| (d.sequence, d.redelivered)), Some((1, true)));
}

#[test]
fn browsing_sees_all_that_were_there_and_changes_nothing() {
    let mut queue = Queue::default();
    queue.subscribe(consumer(1), 1);
    for (sequence, text) in (1..).zip(["a", "b", "c"]) {
        queue.push(sequence, message(text));
    }
    queue.dispatch();
    let until = queue.last_sequence();
    queue.push(4, message("late"));
    let mut seen = Vec::new();
    let mut at = 0;
    while let Some((next, message)) = queue.browse(at, until) {
        seen.push(message.body.clone());
        at = next;
    }
    assert_eq!(seen, ["a", "b", "c"]);
    assert_eq!(queue.len(), 4);
}

/// What may happen to a queue.
#[derive(Clone, Debug)]
enum Step {
    Push,
    Subscribe(u64, u32),
    Unsubscribe(u64),
    Settle(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Push),
        1 => (0..4_u64, 1..3_u32).prop_map(|(id, prefetch)| Step::Subscribe(id, prefetch)),
        1 => (0..4_u64).prop_map(Step::Unsubscribe),
        3 => (0..4_u64).prop_map(Step::Settle),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    /// Whatever happens, each message is waiting, in exactly one hand, or settled once.
    #[test]
    fn no_message_is_lost_or_doubled(steps in steps()) {
        let mut queue = Queue::default();
        let mut hands: BTreeMap<u64, (u32, VecDeque<u64>)> = BTreeMap::new();
        let (mut pushed, mut settled) = (0, 0);
        for step in steps {
            match step {
                Step::Push => {
                    pushed += 1;
                    queue.push(pushed, message("m"));
                }
                Step::Subscribe(id, prefetch) => {
                    if let std::collections::btree_map::Entry::Vacant(free) = hands.entry(id) {
                        free.insert((prefetch, VecDeque::new()));
                        queue.subscribe(consumer(id), prefetch);
                    }
                }
                Step::Unsubscribe(id) => {
                    hands.remove(&id);
                    queue.unsubscribe(&consumer(id), Loss::Broken, |_| true);
                }
                Step::Settle(id) => {
                    if let Some(sequence) = hands.get_mut(&id).and_then(|(_, hand)| hand.pop_front()) {
                        prop_assert!(queue.settle(&consumer(id), sequence).is_some());
                        queue.free(&consumer(id));
                        settled += 1;
                    }
                }
            }
            while let Some(delivery) = queue.dispatch() {
                for (_, hand) in hands.values() {
                    prop_assert!(!hand.contains(&delivery.sequence), "given twice");
                }
                let (prefetch, hand) = hands.get_mut(&delivery.to.session.0).expect("a known consumer");
                hand.push_back(delivery.sequence);
                prop_assert!(hand.len() <= *prefetch as usize, "more than the prefetch");
            }
            let in_hands: usize = hands.values().map(|(_, hand)| hand.len()).sum();
            prop_assert_eq!(queue.in_flight(), in_hands);
            prop_assert_eq!(queue.len() as u64, pushed - settled);
            prop_assert_eq!((queue.enqueued(), queue.dequeued()), (pushed, settled));
            let free = hands.values().any(|(prefetch, hand)| hand.len() < *prefetch as usize);
            prop_assert!(queue.len() == in_hands || !free, "a message waits beside a free hand");
        }
    }
}
