//! Which pods there are, and who is found.

use std::{cell::Cell, collections::HashSet, sync::Arc};

use podgauge_store::{
    Config, Endpoint, Kind, Pod, PodKey, PodLabels, PodUpdate, Sample, Scrapeable, WhyNot, open,
};
use proptest::prelude::*;

use crate::{at, endpoint, layout, one_target, record, update};

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
fn an_endpoint_is_shown_without_its_query() {
    let endpoint = Endpoint { path: "/metrics?token=secret".into(), ..endpoint(8080) };
    assert_eq!(endpoint.to_string(), "http://10.0.0.1:8080/metrics");
}

/// Who reads a workload reads all of its pods; a revision or an ordinal makes no other workload, a label of its owner's does.
#[test]
fn a_new_pod_has_the_readers_of_the_others_of_its_workload() {
    let (mut writer, _reader) = open(Config::default());
    let mut readers_of = |name: &str, labels: &[(&str, &str)]| {
        let labels = PodLabels::from_iter(labels.iter().copied());
        let change = writer.apply(PodUpdate { labels, ..update(name, name, &[8080]) });
        let target = Arc::clone(change.started[0].target());
        let mut readers = Vec::new();
        target.retain_readers(|reader| {
            readers.push(reader);
            true
        });
        (target, readers)
    };
    let (first, none) = readers_of("worker-0", &[("app", "worker"), ("pod-template-hash", "a")]);
    assert!(none.is_empty());
    first.read_by(7);
    first.read_by(9);
    assert_eq!(readers_of("worker-1", &[("app", "worker"), ("pod-template-hash", "b")]).1, [7, 9]);
    assert_eq!(readers_of("worker-2", &[("app", "worker"), ("tier", "gold")]).1, [0; 0]);
    assert_eq!(readers_of("front", &[("app", "front")]).1, [0; 0]);
}
