//! What a window says, and what is kept for longer.

use std::time::Duration;

use podgauge_store::{Config, Increase, Kind, LayoutBuilder, Observed, Outcome, Recorder, Sample, open};
use proptest::prelude::*;

use crate::{WINDOW, at, increase, layout, one_target, record, update};

#[test]
fn a_sum_that_falls_is_no_restart() {
    let (_writer, _reader, mut recorder) = one_target(Config::default());
    let shape = recorder.intern(layout(&[("x_sum", Kind::Sum, ""), ("x_count", Kind::Count, "")]));
    let observed = |recorder: &Recorder| recorder.target().page(|page| page.observed(0, 1, WINDOW)).unwrap();
    record(&mut recorder, &shape, &[-10.0, 1.0], 0);
    assert_eq!(observed(&recorder), None);
    record(&mut recorder, &shape, &[-40.0, 4.0], 15);
    assert_eq!(observed(&recorder), Some(Observed { sum: -30.0, count: 3.0, from: at(0), to: at(15) }));
    // The count tells that this is another start.
    record(&mut recorder, &shape, &[-20.0, 2.0], 30);
    assert_eq!(observed(&recorder), Some(Observed { sum: -50.0, count: 5.0, from: at(0), to: at(30) }));
    record(&mut recorder, &shape, &[f64::NAN, 3.0], 45);
    assert_eq!(observed(&recorder), None);
}

#[test]
fn a_window_needs_two_samples_and_bears_resets() {
    let (_writer, _reader, mut recorder) = one_target(Config::default());
    let shape = recorder.intern(layout(&[("jobs_total", Kind::Counter, ""), ("depth", Kind::Gauge, "")]));
    record(&mut recorder, &shape, &[10.0, 5.0], 0);
    assert_eq!(increase(&recorder, 0), None);
    record(&mut recorder, &shape, &[16.0, 5.0], 15);
    assert_eq!(increase(&recorder, 0), Some(Increase { amount: 6.0, from: at(0), to: at(15) }));
    record(&mut recorder, &shape, &[4.0, 5.0], 30);
    assert_eq!(increase(&recorder, 0), Some(Increase { amount: 10.0, from: at(0), to: at(30) }));
    assert_eq!(increase(&recorder, 1), None, "a gauge has no rise");
    assert_eq!(increase(&recorder, 9), None, "no such series");
    record(&mut recorder, &shape, &[f64::NAN, 5.0], 45);
    assert_eq!(increase(&recorder, 0), None, "no newest sample");
    record(&mut recorder, &shape, &[5.0, 5.0], 61);
    assert_eq!(increase(&recorder, 0), Some(Increase { amount: 5.0, from: at(15), to: at(61) }));
}

#[test]
fn a_new_layout_keeps_the_windows_of_the_series_that_stay() {
    let (_writer, _reader, mut recorder) = one_target(Config::default());
    let old =
        recorder.intern(layout(&[("jobs_total", Kind::Counter, "a"), ("jobs_total", Kind::Counter, "b")]));
    let new = recorder.intern(layout(&[
        ("depth", Kind::Gauge, ""),
        ("jobs_total", Kind::Counter, "b"),
        ("jobs_total", Kind::Counter, "c"),
    ]));
    record(&mut recorder, &old, &[1.0, 10.0], 0);
    record(&mut recorder, &old, &[2.0, 20.0], 15);
    record(&mut recorder, &new, &[0.0, 25.0, 1.0], 30);
    assert_eq!(increase(&recorder, 1), Some(Increase { amount: 15.0, from: at(0), to: at(30) }));
    assert_eq!(increase(&recorder, 2), None);
    record(&mut recorder, &new, &[0.0, 25.0, 4.0], 45);
    assert_eq!(increase(&recorder, 2), Some(Increase { amount: 3.0, from: at(30), to: at(45) }));
}

#[test]
fn a_samples_own_time_counts_unless_it_lies_ahead() {
    let (_writer, _reader, mut recorder) = one_target(Config::default());
    let shape = recorder.intern(layout(&[("jobs_total", Kind::Counter, ""), ("depth", Kind::Gauge, "")]));
    record(&mut recorder, &shape, &[10.0, 1.0], 100);
    let times = [105_000, 999_000];
    recorder.record(&shape, &[20.0, 2.0], &times, at(110), Outcome::default()).unwrap();
    let newest = |series| recorder.target().page(|page| page.newest(series)).unwrap();
    assert_eq!(newest(0), Some(Sample { value: 20.0, at: at(105) }));
    assert_eq!(newest(1), Some(Sample { value: 2.0, at: at(110) }));
    assert_eq!(increase(&recorder, 0), Some(Increase { amount: 10.0, from: at(100), to: at(105) }));
    // The pod repeats its old sample: nothing new is known.
    recorder.record(&shape, &[20.0, 2.0], &times, at(120), Outcome::default()).unwrap();
    assert_eq!(increase(&recorder, 0), Some(Increase { amount: 10.0, from: at(100), to: at(105) }));
}

/// The slow, obvious twin: all samples ever, those inside the window, one by one.
fn naive_increase(samples: &[(i64, f64)], depth: usize) -> Option<Increase> {
    let kept = &samples[samples.len().saturating_sub(depth)..];
    let (newest_at, newest) = *kept.last()?;
    if newest.is_nan() {
        return None;
    }
    let inside: Vec<_> = kept
        .iter()
        .filter(|(t, v)| !v.is_nan() && newest_at - t <= i64::try_from(WINDOW.as_secs()).unwrap())
        .collect();
    let mut amount = 0.0;
    for pair in inside.windows(2) {
        amount += if pair[1].1 < pair[0].1 { pair[1].1 } else { pair[1].1 - pair[0].1 };
    }
    (inside.len() > 1).then(|| Increase { amount, from: at(inside[0].0), to: at(newest_at) })
}

proptest! {
    #[test]
    fn a_window_equals_its_naive_twin(
        steps in prop::collection::vec((1i64..40, prop_oneof![4 => 0.0..1000.0f64, 1 => Just(f64::NAN)]), 1..40),
        depth in 2usize..8,
        swap in 0usize..40,
    ) {
        let (_writer, _reader, mut recorder) = one_target(Config { columns: depth, window: WINDOW, ..Config::default() });
        let one = recorder.intern(layout(&[("x_total", Kind::Counter, "a")]));
        let two = recorder.intern(layout(&[("y_total", Kind::Counter, "b"), ("x_total", Kind::Counter, "a")]));
        let mut now = 0;
        let mut samples = Vec::new();
        for (n, (step, value)) in steps.into_iter().enumerate() {
            now += step;
            samples.push((now, value));
            // Midway the page changes its shape, and later changes it back.
            let series = u32::from(n >= swap && n < swap + 10);
            if series == 1 {
                record(&mut recorder, &two, &[0.0, value], now);
            } else {
                record(&mut recorder, &one, &[value], now);
            }
            prop_assert_eq!(increase(&recorder, series), naive_increase(&samples, depth));
        }
    }
}

#[test]
fn longer_history_is_kept_of_what_is_asked_for() {
    let (mut writer, reader) = open(Config::default());
    let mut change = writer.apply(update("web-0", "u", &[80]));
    let recorder = &mut change.started[0];
    let none: [(&str, &str); 0] = [];
    let shape = |extra: bool| {
        let mut builder = LayoutBuilder::default();
        if extra {
            builder.push("extra", Kind::Gauge, none);
        }
        builder.push("hits_total", Kind::Counter, none);
        builder.push("waiting", Kind::Gauge, none);
        builder.push("other", Kind::Gauge, none);
        builder.build()
    };
    let layout = recorder.intern(shape(false));
    let samples = |name: &str| {
        let pod = reader.pod("shop", "web-0").unwrap();
        pod.targets()[0]
            .page(|page| {
                let id = page.layout().name(name).unwrap().series[0];
                page.samples(id).map(|sample| sample.value).collect::<Vec<_>>()
            })
            .unwrap()
    };
    record(recorder, &layout, &[1.0, 1.0, 1.0], 0);
    assert_eq!((samples("hits_total"), samples("waiting")), (vec![1.0], vec![1.0]));
    // Of gauges two minutes, and of everything else no more than there is anyway.
    reader.keeper().keep(|name| {
        Duration::from_secs(if name == "waiting" { 120 } else { 30 }) * u32::from(name != "other")
    });
    for n in 1..20u32 {
        let value = f64::from(n);
        record(recorder, &layout, &[value, value, value], i64::from(n) * 15);
    }
    assert_eq!(samples("other"), [19.0]);
    assert_eq!(samples("hits_total").len(), 5);
    // Ten columns: those of two minutes, the one at their beginning, and one to spare.
    assert_eq!(samples("waiting"), (10..20).map(f64::from).collect::<Vec<_>>());
    let held =
        || reader.pod("shop", "web-0").unwrap().targets()[0].page(podgauge_store::Page::heap_bytes).unwrap();
    let bytes = held();
    // Another layout, and another policy: what is still asked for is carried over.
    let longer = recorder.intern(shape(true));
    record(recorder, &longer, &[0.0, 20.0, 20.0, 20.0], 300);
    assert_eq!(samples("waiting"), (11..=20).map(f64::from).collect::<Vec<_>>());
    reader.keeper().keep(|name| Duration::from_secs(if name == "waiting" { 45 } else { 0 }));
    record(recorder, &longer, &[0.0, 21.0, 21.0, 21.0], 315);
    assert_eq!(samples("waiting"), (17..=21).map(f64::from).collect::<Vec<_>>());
    reader.keeper().keep(|_| Duration::ZERO);
    record(recorder, &longer, &[0.0, 22.0, 22.0, 22.0], 330);
    assert_eq!(samples("waiting"), [22.0]);
    assert!(held() < bytes);
}
