use super::*;

const STOPPED: &str = "2026-01-01T00:00:09Z  INFO demo_shop::worker: the worker has stopped\n";
const CONNECTED: &str =
    "2026-01-01T00:00:00Z  INFO demo_shop::worker: the worker is connected to the broker\n";
const BROKEN: &str = "2026-01-01T00:00:05Z  WARN demo_shop::worker: the worker is not connected to the broker; \
                      trying again error=gone delay=100ms\n";

fn done(item: &str, redelivered: bool) -> String {
    format!(
        "2026-01-01T00:00:01.819577Z  INFO demo_shop::worker: worked off order=\"{item}\" redelivered={redelivered}\n"
    )
}

fn ended(pod: &str, lines: &[String]) -> WorkerLog {
    WorkerLog { pod: pod.into(), text: lines.concat() + STOPPED, runs: false }
}

/// Counts an order `a` of two items, and compares: once, lost, repeated, redelivered, others.
fn check(logs: &[WorkerLog], expected: (u64, &[&str], &[&str], &[&str], u64)) {
    let found = account(&[Order { id: "a".into(), items: 2 }], logs);
    let Account { once, others, .. } = found;
    let (lost, repeated) = (found.lost.clone(), found.repeated.clone());
    let (once_expected, lost_expected, repeated_expected, redelivered, others_expected) = expected;
    assert_eq!(
        (once, lost, repeated, found.redelivered.clone(), others),
        (
            once_expected,
            lost_expected.iter().map(|item| (*item).to_owned()).collect(),
            repeated_expected.iter().map(|item| (*item).to_owned()).collect(),
            redelivered.iter().map(|item| (*item).to_owned()).collect(),
            others_expected
        ),
        "{logs:?}"
    );
    assert_eq!(found.ordered, 2);
    assert_eq!(found.is_right(), lost_expected.is_empty() && repeated_expected.is_empty());
}

#[test]
fn every_item_is_to_be_processed_once() {
    check(&[], (0, &["a-1", "a-2"], &[], &[], 0));
    check(&[ended("x", &[done("a-1", false)]), ended("y", &[done("a-2", false)])], (2, &[], &[], &[], 0));
    check(&[ended("x", &[done("a-1", false)])], (1, &["a-2"], &[], &[], 0));
    // Items of other orders, one of which begins like ours.
    check(
        &[ended("x", &[done("a-1", false), done("a-2", false), done("a-22", false), done("b-1", false)])],
        (2, &[], &[], &[], 2),
    );
    // An item that another worker had begun and nobody had finished: once is once.
    let killed = WorkerLog { pod: "x".into(), text: CONNECTED.into(), runs: false };
    check(&[killed, ended("y", &[done("a-1", true), done("a-2", false)])], (2, &[], &[], &[], 0));
}

#[test]
fn a_second_time_needs_a_forced_end_and_the_flag() {
    let twice = |second: bool| [done("a-1", false), done("a-2", false), done("a-1", second)];
    // Nobody's end was forced.
    check(&[ended("x", &twice(true))], (1, &[], &["a-1"], &[], 0));
    // One that runs is not one that was ended.
    let running = WorkerLog { pod: "y".into(), text: CONNECTED.into(), runs: true };
    check(&[ended("x", &twice(true)), running], (1, &[], &["a-1"], &[], 0));
    let killed = WorkerLog { pod: "y".into(), text: CONNECTED.into(), runs: false };
    check(&[ended("x", &twice(true)), killed.clone()], (1, &[], &[], &["a-1"], 0));
    // The flag is missing: the queue gave it out twice.
    check(&[ended("x", &twice(false)), killed], (1, &[], &["a-1"], &[], 0));
    let handed_back = "2026-01-01T00:00:09Z  WARN demo_shop::worker: the worker has stopped and handed back what it had in hand orders=1\n";
    let handed_back = WorkerLog { pod: "y".into(), text: handed_back.into(), runs: false };
    check(&[ended("x", &twice(true)), handed_back], (1, &[], &[], &["a-1"], 0));
    let broken = WorkerLog { pod: "y".into(), text: [CONNECTED, BROKEN].concat(), runs: true };
    check(&[ended("x", &twice(true)), broken], (1, &[], &[], &["a-1"], 0));
    // It had not been connected before: it had nothing in hand.
    let late = WorkerLog { pod: "y".into(), text: [BROKEN, CONNECTED].concat(), runs: true };
    check(&[ended("x", &twice(true)), late], (1, &[], &["a-1"], &[], 0));
}

#[test]
fn lines_are_read_whatever_the_order_of_their_fields() {
    let check = |line: &str, expected: &[(&str, bool)]| {
        let found: Vec<_> = processings(line).map(|one| (one.item, one.redelivered)).collect();
        assert_eq!(found, expected, "{line}");
    };
    check("t  INFO demo_shop::worker: worked off order=\"a-1\" redelivered=true", &[("a-1", true)]);
    check("t  INFO demo_shop::worker: worked off redelivered=false more=1 order=a-1", &[("a-1", false)]);
    check("t  INFO demo_shop::worker: worked off reorder=a-1", &[]);
    check(
        "t  INFO trace{trace_id=b6 span_id=1e}: demo_shop::worker::shift: worked off order=\"a-8\" redelivered=false",
        &[("a-8", false)],
    );
    check("t DEBUG demo_shop::worker: working order=\"a-1\" redelivered=true", &[]);
    check("", &[]);
}

#[test]
fn the_summary_names_what_is_wrong() {
    let account = Account {
        ordered: 5,
        once: 1,
        lost: vec!["a-2".into(), "a-3".into()],
        repeated: vec!["a-4".into()],
        redelivered: vec!["a-5".into()],
        ..Account::default()
    };
    assert_eq!(
        account.summary(),
        "1 of 5 items processed exactly once; 2 lost (a-2, ...); 1 processed more than once without a reason (a-4); \
         1 redelivered after a worker's forced end (a-5)"
    );
}
