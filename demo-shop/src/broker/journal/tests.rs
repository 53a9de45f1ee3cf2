//! The log on a disk that fails, beside a model that does not.

use super::simulated::Simulated;
use super::*;
use crate::random::Random;
use crate::stomp::Headers;
use bytes::Bytes;
use proptest::prelude::*;

const SEGMENT: u64 = 4 << 10;

fn message(id: u64) -> Arc<Message> {
    let headers = Headers::from_iter([("order-id".to_owned(), id.to_string())]);
    Arc::new(Message { headers, body: Bytes::from(vec![b'x'; (id % 7) as usize * 50]) })
}

fn put(id: u64) -> Entry {
    Entry::Put { id, queue: "q".into(), message: message(id) }
}

fn op(entries: Vec<Entry>) -> Op {
    let refusable = entries.iter().any(|entry| !matches!(entry, Entry::Settle { .. }));
    Op { entries, refusable }
}

fn open(disk: &Simulated) -> (Journal, Recovered) {
    Journal::open(Box::new(disk.clone()), SEGMENT).unwrap()
}

/// Ids and queues of what the log holds.
fn held(recovered: &Recovered) -> BTreeMap<u64, String> {
    let messages = recovered.messages.iter();
    messages
        .map(|(&id, (queue, message))| (id, format!("{queue} {}", message.headers.get("order-id").unwrap())))
        .collect()
}

fn all(journal: &mut Journal, entries: Vec<Entry>) {
    assert!(matches!(journal.commit(&[op(entries)]).unwrap(), Committed::All));
}

#[test]
fn what_was_committed_is_found_again() {
    let disk = Simulated::new(1 << 20);
    let (mut journal, recovered) = open(&disk);
    assert_eq!((recovered.messages.len(), recovered.last_id, recovered.torn), (0, 0, 0));
    all(&mut journal, vec![put(1), put(2), put(3)]);
    all(&mut journal, vec![Entry::Settle { id: 1 }]);
    all(&mut journal, vec![Entry::Move { id: 2, to: 4, queue: "dead".into() }]);
    let (_, recovered) = open(&disk);
    assert_eq!(held(&recovered), BTreeMap::from([(3, "q 3".into()), (4, "dead 2".into())]));
    assert_eq!((recovered.last_id, recovered.torn), (4, 0));
}

#[test]
fn files_go_when_their_messages_are_settled_and_old_ones_are_moved_along() {
    let disk = Simulated::new(1 << 20);
    let (mut journal, _) = open(&disk);
    // One message that stays for ever among thousands that come and go.
    all(&mut journal, vec![put(1)]);
    for id in 2..5000 {
        all(&mut journal, vec![put(id)]);
        all(&mut journal, vec![Entry::Settle { id }]);
        let again = journal.tidy();
        if !again.is_empty() {
            assert_eq!(again, [1]);
            all(&mut journal, vec![put(1)]);
        }
        assert!(journal.used() < 8 * SEGMENT, "{}", journal.used());
    }
    assert!(disk.state().files.len() < 8);
    assert_eq!(held(&open(&disk).1), BTreeMap::from([(1, "q 1".into())]));
}

#[test]
fn on_a_full_disk_messages_are_refused_and_can_still_be_settled() {
    let disk = Simulated::new(200 << 10);
    let (mut journal, _) = open(&disk);
    let mut kept = 0;
    let mut full = || -> u64 {
        loop {
            match journal.commit(&[op(vec![put(kept + 1)])]).unwrap() {
                Committed::All => kept += 1,
                Committed::Refused(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
                    return kept;
                }
            }
        }
    };
    let kept = full();
    assert!(kept > 100, "{kept}");
    // What may be refused is refused, what may not is done, in one batch.
    let batch = [op(vec![put(kept + 1)]), op(vec![Entry::Settle { id: 1 }])];
    assert!(matches!(journal.commit(&batch).unwrap(), Committed::Refused(_)));
    let (mut journal, recovered) = open(&disk);
    assert_eq!(held(&recovered).into_keys().collect::<Vec<_>>(), (2..=kept).collect::<Vec<_>>());
    // Every one can be settled, though each takes a record of its own.
    for id in 2..=kept {
        all(&mut journal, vec![Entry::Settle { id }]);
        journal.tidy();
    }
    all(&mut journal, vec![put(kept + 2)]);
    assert_eq!(held(&open(&disk).1).len(), 1);
}

#[test]
fn a_disk_that_cannot_flush_is_an_error() {
    let disk = Simulated::new(1 << 20);
    let (mut journal, _) = open(&disk);
    all(&mut journal, vec![put(1)]);
    disk.state().broken = true;
    assert!(journal.commit(&[op(vec![put(2)])]).is_err());
}

#[test]
fn damage_before_confirmed_messages_ends_the_start() {
    let damaged = |file: u64, offset: usize| {
        let disk = Simulated::new(1 << 20);
        let (mut journal, _) = open(&disk);
        for id in 1..100 {
            all(&mut journal, vec![put(id)]);
        }
        assert!(disk.state().files.len() > 3);
        disk.state().files.get_mut(&file).unwrap().now[offset] ^= 1;
        let error = Journal::open(Box::new(disk), SEGMENT).map(drop).unwrap_err();
        error.to_string()
    };
    assert!(damaged(1, 0).starts_with("file 00000000000000000001.log is damaged at byte 0,"));
    assert!(damaged(2, 30).starts_with("file 00000000000000000002.log is damaged at byte 0,"));
    assert!(damaged(3, 1000).contains("00000000000000000003.log is damaged at byte"));
}

#[test]
fn a_missing_file_ends_the_start() {
    let disk = Simulated::new(1 << 20);
    let (mut journal, _) = open(&disk);
    for id in 1..100 {
        all(&mut journal, vec![put(id)]);
    }
    disk.state().files.remove(&2);
    let error = Journal::open(Box::new(disk), SEGMENT).map(drop).unwrap_err().to_string();
    assert!(error.contains("are missing before file 00000000000000000003.log"), "{error}");
}

/// What may happen to a log.
#[derive(Clone, Debug)]
enum Step {
    /// That many messages at once.
    Put(u64),
    /// The message at that place of those that are kept.
    Settle(usize),
    Move(usize),
    Tidy,
    /// The disk loses what is not flushed: nothing, or a batch that is being written, torn.
    Crash(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..20_u64).prop_map(Step::Put),
        6 => any::<usize>().prop_map(Step::Settle),
        2 => any::<usize>().prop_map(Step::Move),
        3 => Just(Step::Tidy),
        1 => any::<bool>().prop_map(Step::Crash),
    ];
    proptest::collection::vec(step, 0..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens, what was confirmed is there after a crash, and what was not is there as a whole or not at
    /// all.
    #[test]
    fn nothing_confirmed_is_ever_lost(steps in steps(), seed in any::<u64>(), room in 1..40_u64) {
        let mut random = Random::new(seed);
        let disk = Simulated::new(100_000 + room * SEGMENT);
        let (mut journal, _) = open(&disk);
        let mut model: BTreeMap<u64, String> = BTreeMap::new();
        let mut last_id = 0;
        for step in steps {
            let pick = |place: usize| model.keys().nth(place % model.len().max(1)).copied();
            let mut after = model.clone();
            let mut torn = false;
            let ops = match step {
                Step::Put(count) => {
                    let ids = last_id + 1..=last_id + count;
                    last_id += count;
                    after.extend(ids.clone().map(|id| (id, format!("q {id}"))));
                    vec![op(ids.map(put).collect())]
                }
                Step::Settle(place) => {
                    let Some(id) = pick(place) else { continue };
                    after.remove(&id);
                    vec![op(vec![Entry::Settle { id }])]
                }
                Step::Move(place) => {
                    let Some(id) = pick(place) else { continue };
                    last_id += 1;
                    let moved = after.remove(&id).unwrap();
                    after.insert(last_id, moved.replace("q ", "dead "));
                    vec![op(vec![Entry::Move { id, to: last_id, queue: "dead".into() }])]
                }
                Step::Tidy => {
                    let again = journal.tidy().into_iter().map(|id| {
                        let (queue, original) = model[&id].split_once(' ').unwrap();
                        Entry::Put { id, queue: queue.into(), message: message(original.parse().unwrap()) }
                    });
                    vec![op(again.collect())]
                }
                Step::Crash(writing) => {
                    torn = writing;
                    let count = 1 + random.next_u64() % 9;
                    let ids = last_id + 1..=last_id + count;
                    last_id += count;
                    after.extend(ids.clone().map(|id| (id, format!("q {id}"))));
                    vec![op(ids.map(put).collect())]
                }
            };
            if matches!(step, Step::Crash(_)) {
                disk.state().broken = true;
                let broken = torn && journal.commit(&ops).is_err();
                disk.crash(&mut random);
                let recovered;
                (journal, recovered) = open(&disk);
                let held = held(&recovered);
                prop_assert!(held == model || (broken && held == after), "{held:?} {model:?}");
                model = held;
                continue;
            }
            match journal.commit(&ops).unwrap() {
                Committed::All => model = after,
                Committed::Refused(_) => prop_assert!(ops[0].refusable),
            }
        }
        prop_assert_eq!(held(&open(&disk).1), model);
    }
}
