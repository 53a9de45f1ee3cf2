//! What is shared, held and refused.

use std::{collections::HashSet, sync::Arc};

use podgauge_store::{
    Config, Failure, FailureKind, Kind, LayoutBuilder, Outcome, PodKey, Sample, StoreFull, open,
};

use crate::{at, layout, one_target, record, update};

#[test]
fn layouts_are_shared() {
    let (mut writer, reader) = open(Config::default());
    let recorders: Vec<_> =
        ["a", "b"].map(|name| writer.apply(update(name, name, &[1])).started.remove(0)).into();
    let shapes: Vec<_> = recorders.iter().map(|r| r.intern(layout(&[("x", Kind::Gauge, "1")]))).collect();
    assert!(Arc::ptr_eq(&shapes[0], &shapes[1]));
    let others = [
        layout(&[("x", Kind::Gauge, "2")]),
        layout(&[("x", Kind::Counter, "1")]),
        layout(&[("y", Kind::Gauge, "1")]),
        layout(&[("x", Kind::Gauge, "1"), ("x", Kind::Gauge, "2")]),
        layout(&[]),
    ];
    let others: Vec<_> = others.into_iter().map(|other| recorders[0].intern(other)).collect();
    assert!(others.iter().all(|other| !Arc::ptr_eq(other, &shapes[0])));
    assert_eq!(reader.layouts().len(), 6);
}

#[test]
fn dead_layouts_are_forgotten_while_new_ones_come() {
    let (_writer, reader, recorder) = one_target(Config::default());
    for n in 0..10_000 {
        drop(recorder.intern(layout(&[("x", Kind::Gauge, &n.to_string())])));
    }
    assert_eq!(reader.totals().layouts, 0);
}

#[test]
fn a_full_store_refuses_the_page_and_serves_the_rest() {
    let (mut writer, reader, mut first) = one_target(Config { series: 3, ..Config::default() });
    let mut second = writer.apply(update("worker-1", "b", &[8080])).started.remove(0);
    let two = first.intern(layout(&[("x", Kind::Gauge, "1"), ("x", Kind::Gauge, "2")]));
    let one = first.intern(layout(&[("x", Kind::Gauge, "1")]));
    record(&mut first, &two, &[1.0, 2.0], 0);
    let full = second.record(&two, &[1.0, 2.0], &[], at(0), Outcome::default()).unwrap_err();
    assert_eq!(full, StoreFull::Series(3));
    record(&mut second, &one, &[1.0], 0);
    assert!(second.record(&two, &[1.0, 2.0], &[], at(15), Outcome::default()).is_err());
    assert_eq!(second.target().page(|page| page.newest(0)).unwrap(), Some(Sample { value: 1.0, at: at(0) }));
    record(&mut first, &one, &[1.0], 15);
    record(&mut second, &two, &[1.0, 2.0], 15);
    assert_eq!(reader.totals().series, 3);
}

#[test]
fn bytes_are_counted_and_given_back() {
    let (mut writer, reader, mut first) = one_target(Config { bytes: 40_000, ..Config::default() });
    let long = "x".repeat(10_000);
    let shape = first.intern(layout(&[("messages", Kind::Gauge, &long)]));
    record(&mut first, &shape, &[1.0], 0);
    // The same layout again costs its columns alone.
    let mut second = writer.apply(update("worker-1", "b", &[8080])).started.remove(0);
    let same = second.intern(layout(&[("messages", Kind::Gauge, &long)]));
    record(&mut second, &same, &[1.0], 0);
    // Another one of that size does not fit beside it any more: it, and what a reader keeps of its text, are counted.
    let mut third = writer.apply(update("worker-2", "c", &[8080])).started.remove(0);
    let other = third.intern(layout(&[("orders", Kind::Gauge, &long)]));
    let full = third.record(&other, &[1.0], &[], at(0), Outcome::default()).unwrap_err();
    assert_eq!(full, StoreFull::Bytes(40_000));
    assert_eq!(reader.totals().series, 2, "what was refused takes no room");
    // With the first two gone there is room.
    writer.retain(&HashSet::from([PodKey::new("shop", "worker-2")]));
    drop((first, second, shape, same));
    record(&mut third, &other, &[1.0], 15);
    assert_eq!(reader.totals().series, 1);
}

#[test]
fn a_sample_is_held_once() {
    let columns = 6;
    let (_writer, _reader, mut recorder) = one_target(Config { columns, ..Config::default() });
    let none: [(&str, &str); 0] = [];
    let mut builder = LayoutBuilder::default();
    for n in 0..100 {
        builder.push(&format!("g{n}"), Kind::Gauge, none);
        builder.push(&format!("c{n}_total"), Kind::Counter, none);
    }
    let shape = recorder.intern(builder.build());
    for second in 0..20u32 {
        let values: Vec<f64> = (0..200).map(|series| f64::from(1000 * series + second)).collect();
        record(&mut recorder, &shape, &values, i64::from(second));
        let newest = recorder.target().page(|page| {
            (0..200).map(|series| page.newest(series).unwrap()).map(|s| (s.value, s.at)).collect::<Vec<_>>()
        });
        let expected = values.into_iter().map(|value| (value, at(second.into()))).collect();
        assert_eq!(newest, Some(expected));
    }
    // A gauge is one number, a counter one for each column, and each column has its time.
    let held = recorder.target().page(podgauge_store::Page::heap_bytes);
    assert_eq!(held, Some(8 * (100 + 100 * columns + 1 + columns)));
}

#[test]
fn a_failure_leaves_the_page_and_its_time() {
    let (_writer, _reader, mut recorder) = one_target(Config::default());
    let shape = recorder.intern(layout(&[("messages", Kind::Gauge, "")]));
    record(&mut recorder, &shape, &[7.0], 0);
    let failure = Failure { at: at(15), kind: FailureKind::Timeout, message: "timed out".into() };
    recorder.fail(failure.clone());
    recorder.fail(failure.clone());
    let status = recorder.target().status();
    assert_eq!((status.failure, status.failures_in_a_row), (Some(failure), 2));
    assert_eq!(
        recorder.target().page(|page| page.newest(0)).unwrap(),
        Some(Sample { value: 7.0, at: at(0) })
    );
    record(&mut recorder, &shape, &[8.0], 30);
    let status = recorder.target().status();
    assert_eq!((status.failure, status.failures_in_a_row), (None, 0));
}
