//! The store through its public face: who lives how long, and what a window says.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{cell::Cell, collections::HashSet, net::IpAddr, sync::Arc, time::Duration};

use podgauge_store::{
    Config, Endpoint, Failure, FailureKind, Increase, Kind, Layout, LayoutBuilder, Observed, Outcome, Pod,
    PodKey, PodLabels, PodUpdate, Reader, Recorder, Sample, Scheme, Scrapeable, StoreFull, Timestamp, WhyNot,
    Writer, open,
};
use proptest::prelude::*;

const WINDOW: Duration = Duration::from_secs(60);

fn endpoint(port: u16) -> Endpoint {
    Endpoint {
        scheme: Scheme::Http,
        address: IpAddr::from([10, 0, 0, 1]),
        port,
        path: "/metrics".into(),
        terms: 0,
    }
}

fn update(name: &str, uid: &str, ports: &[u16]) -> PodUpdate {
    PodUpdate {
        key: PodKey::new("shop", name),
        uid: uid.into(),
        labels: PodLabels::from_iter([("app", "worker")]),
        node: None,
        endpoints: Ok(ports.iter().map(|port| endpoint(*port)).collect()),
    }
}

fn layout(series: &[(&str, Kind, &str)]) -> Layout {
    let mut layout = LayoutBuilder::default();
    for (name, kind, code) in series {
        layout.push(name, *kind, [("code", *code)]);
    }
    layout.build()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

/// A store with one pod and the recorder of its one target.
fn one_target(config: Config) -> (Writer, Reader, Recorder) {
    let (mut writer, reader) = open(config);
    let recorder = writer.apply(update("worker-0", "a", &[8080])).started.pop().unwrap();
    (writer, reader, recorder)
}

fn record(recorder: &mut Recorder, layout: &Arc<Layout>, values: &[f64], seconds: i64) {
    recorder.record(layout, values, &[], at(seconds), Outcome::default()).unwrap();
}

fn increase(recorder: &Recorder, series: u32) -> Option<Increase> {
    recorder.target().page(|page| page.increase(series, WINDOW)).unwrap()
}

#[test]
fn series_live_exactly_as_long_as_the_pod_is_a_target() {
    let (mut writer, reader, mut recorder) = one_target(Config::default());
    let shape = recorder.intern(layout(&[("messages", Kind::Gauge, "")]));
    record(&mut recorder, &shape, &[7.0], 0);
    assert_eq!(reader.totals().series, 1);

    let change =
        writer.apply(PodUpdate { endpoints: Err(WhyNot::Terminating), ..update("worker-0", "a", &[]) });
    assert_eq!(change.stopped, [recorder.target().id()]);
    assert!(change.started.is_empty());
    let pod = reader.pod("shop", "worker-0").unwrap();
    assert!(matches!(&pod.scrapeable, Scrapeable::No(WhyNot::Terminating)));
    drop((recorder, shape));
    let totals = reader.totals();
    assert_eq!((totals.series, totals.targets, totals.layouts, totals.pods), (0, 0, 0, 1));
}

#[test]
fn an_update_keeps_the_pages_of_endpoints_that_stay() {
    let (mut writer, reader, mut recorder) = one_target(Config::default());
    let shape = recorder.intern(layout(&[("messages", Kind::Gauge, "")]));
    record(&mut recorder, &shape, &[7.0], 0);

    let change = writer.apply(update("worker-0", "a", &[8080, 9090]));
    assert_eq!((change.started.len(), change.stopped.len()), (1, 0));
    let pod = reader.pod("shop", "worker-0").unwrap();
    let newest = pod.targets()[0].page(|page| page.newest(0)).unwrap();
    assert_eq!(newest, Some(Sample { value: 7.0, at: at(0) }));
    assert!(pod.targets()[1].page(|_| ()).is_none());
}

#[test]
fn a_pod_of_the_same_name_is_another_pod() {
    let (mut writer, reader, mut recorder) = one_target(Config::default());
    let shape = recorder.intern(layout(&[("messages", Kind::Gauge, "")]));
    record(&mut recorder, &shape, &[7.0], 0);

    let change = writer.apply(update("worker-0", "b", &[8080]));
    assert_eq!((change.started.len(), change.stopped.len()), (1, 1));
    assert!(reader.pod("shop", "worker-0").unwrap().targets()[0].page(|_| ()).is_none());
    assert!(
        writer.remove(&PodKey::new("shop", "worker-0"), "a").stopped.is_empty(),
        "the late delete of the old"
    );
    assert_eq!(writer.remove(&PodKey::new("shop", "worker-0"), "b").stopped.len(), 1);
    assert!(reader.pod("shop", "worker-0").is_none());
}

#[test]
fn a_complete_list_forgets_the_rest() {
    let (mut writer, reader) = open(Config::default());
    for name in ["a", "b", "c"] {
        writer.apply(update(name, name, &[8080]));
    }
    let change = writer.retain(&HashSet::from([PodKey::new("shop", "b")]));
    assert_eq!(change.stopped.len(), 2);
    let names: Vec<_> = reader.pods("shop", |_| true).iter().map(|pod| pod.key.name.to_string()).collect();
    assert_eq!(names, ["b"]);
}

#[test]
fn pods_are_selected_and_sorted() {
    let (mut writer, reader) = open(Config::default());
    for name in ["c", "a", "b"] {
        writer.apply(update(name, name, &[8080]));
    }
    let names = |wanted: &dyn Fn(&Pod) -> bool| -> Vec<String> {
        reader.pods("shop", wanted).iter().map(|pod| pod.key.name.to_string()).collect()
    };
    assert_eq!(names(&|_| true), ["a", "b", "c"]);
    assert_eq!(names(&|pod| pod.labels.get("app") == Some("worker") && &*pod.key.name != "b"), ["a", "c"]);
    assert!(names(&|pod| pod.labels.get("app") == Some("web")).is_empty());
    assert!(reader.pods("elsewhere", |_| true).is_empty());
}

#[test]
fn a_label_that_few_have_is_all_that_is_looked_at() {
    let (mut writer, reader) = open(Config::default());
    for n in 0..100 {
        let service = if n % 50 == 7 { "cart" } else { "web" };
        let labels = PodLabels::from_iter([("app", "shop"), ("service", service)]);
        let name = format!("pod-{n:02}");
        writer.apply(PodUpdate { labels, ..update(&name, &name, &[8080]) });
    }
    for (labels, expected) in [
        (vec![], 100),
        (vec![("app", "shop")], 100),
        (vec![("app", "shop"), ("service", "cart")], 2),
        (vec![("service", "cart"), ("app", "other")], 0),
        (vec![("tier", "cart")], 0),
    ] {
        let looked_at = Cell::new(0);
        let wanted = |_: &Pod| {
            looked_at.set(looked_at.get() + 1);
            true
        };
        let picked = reader.labelled_pods("shop", labels.iter().copied(), wanted);
        assert_eq!((picked.len(), looked_at.get()), (expected, expected), "{labels:?}");
        assert!(picked.is_sorted_by_key(|pod| Arc::clone(&pod.key.name)), "{labels:?}");
    }
}

/// What may happen to one of a few pods.
#[derive(Clone, Debug)]
enum Event {
    /// It is there, with these labels.
    Applied(u8, Option<u8>, Option<u8>),
    Removed(u8),
    /// All but these are gone.
    Listed(Vec<u8>),
}

fn event() -> impl Strategy<Value = Event> {
    let (pod, label) = (|| 0u8..6, || prop::option::of(0u8..3));
    prop_oneof![
        4 => (pod(), label(), label()).prop_map(|(pod, app, tier)| Event::Applied(pod, app, tier)),
        2 => pod().prop_map(Event::Removed),
        1 => prop::collection::vec(pod(), 0..6).prop_map(Event::Listed),
    ]
}

proptest! {
    /// The twin looks at every pod.
    #[test]
    fn labels_find_those_who_have_them(events in prop::collection::vec(event(), 1..40)) {
        let (mut writer, reader) = open(Config::default());
        let name = |pod: u8| format!("pod-{pod}");
        for event in events {
            match event {
                Event::Applied(pod, app, tier) => {
                    let labels = [("app", app), ("tier", tier)];
                    let labels = labels.into_iter().filter_map(|(key, value)| Some((key, value?.to_string())));
                    writer.apply(PodUpdate { labels: labels.collect(), ..update(&name(pod), "u", &[8080]) });
                }
                Event::Removed(pod) => drop(writer.remove(&PodKey::new("shop", &name(pod)), "u")),
                Event::Listed(pods) => {
                    writer.retain(&pods.into_iter().map(|pod| PodKey::new("shop", &name(pod))).collect());
                }
            }
            for (app, tier) in [(Some("0"), None), (None, Some("1")), (Some("0"), Some("1")), (None, None)] {
                let labels = [("app", app), ("tier", tier)];
                let labels = || labels.into_iter().filter_map(|(key, value)| Some((key, value?)));
                let has_them = |pod: &Pod| labels().all(|(key, value)| pod.labels.get(key) == Some(value));
                let found = reader.labelled_pods("shop", labels(), has_them);
                let naive = reader.pods("shop", has_them);
                prop_assert_eq!(found.len(), naive.len());
                prop_assert!(found.iter().zip(&naive).all(|(found, naive)| Arc::ptr_eq(found, naive)));
            }
        }
    }
}

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
fn an_endpoint_is_shown_without_its_query() {
    let endpoint = Endpoint { path: "/metrics?token=secret".into(), ..endpoint(8080) };
    assert_eq!(endpoint.to_string(), "http://10.0.0.1:8080/metrics");
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
