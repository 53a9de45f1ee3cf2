use super::super::resources::known;
use super::*;
use proptest::prelude::*;
use serde_json::json;

fn put(store: &Store, name: &str, data: u8) {
    let object = json!({"metadata": {"name": name}, "data": data});
    store
        .transact(known("", "configmaps"), &Key::new("default", name), |_| Ok::<_, ()>(Change::Put(object)))
        .unwrap();
}

fn delete(store: &Store, name: &str) {
    store
        .transact(known("", "configmaps"), &Key::new("default", name), |_| Ok::<_, ()>(Change::Delete))
        .unwrap();
}

fn contents(snapshot: Snapshot) -> BTreeMap<String, Value> {
    snapshot.objects.into_iter().map(|(key, object)| (key.name, object["data"].clone())).collect()
}

#[test]
fn a_change_is_seen_with_its_revision_and_its_past() {
    let store = Store::new(10);
    put(&store, "a", 1);
    put(&store, "a", 2);
    delete(&store, "a");
    let (events, upto) = store.events(known("", "configmaps"), 2).unwrap();
    assert_eq!(upto, 4);
    let seen: Vec<_> = events
        .iter()
        .map(|e| {
            (e.revision, e.deleted, e.object["data"].clone(), e.previous.as_ref().unwrap()["data"].clone())
        })
        .collect();
    assert_eq!(seen, [(3, false, json!(2), json!(1)), (4, true, json!(2), json!(2))]);
    assert_eq!(events[1].object["metadata"]["resourceVersion"], "4");
}

#[test]
fn the_history_limit_and_compaction_end_the_past() {
    let configmaps = known("", "configmaps");
    let store = Store::new(2);
    for data in 0..4 {
        put(&store, "a", data); // revisions 2 to 5; events 4 and 5 are kept
    }
    assert_eq!(store.events(configmaps, 2).unwrap_err(), Compacted { oldest: 3 });
    assert_eq!(store.events(configmaps, 3).unwrap().0.len(), 2);
    store.compact();
    assert_eq!(store.check_resumable(configmaps, 5), Err(Compacted { oldest: 6 }));
    assert_eq!(store.check_resumable(configmaps, 6), Ok(()));
    put(&store, "a", 4);
    assert_eq!(store.events(configmaps, 5).unwrap().0.len(), 1, "who had read everything goes on");
    assert_eq!(store.events(configmaps, 4).unwrap_err(), Compacted { oldest: 5 });
    assert!(store.list_at(configmaps, 5).is_err());
}

#[test]
fn an_error_or_a_keep_changes_nothing() {
    let store = Store::new(2);
    put(&store, "a", 1);
    let key = Key::new("default", "a");
    let pods = known("", "configmaps");
    assert_eq!(store.transact(pods, &key, |_| Err(())), Err(()));
    let kept = store.transact(pods, &key, |_| Ok::<_, ()>(Change::Keep)).unwrap().unwrap();
    assert_eq!(kept["data"], 1);
    assert_eq!(store.revision(), 2);
}

proptest! {
    /// The naive twin keeps a full copy of the contents after each change.
    #[test]
    fn any_past_revision_can_be_listed(changes in proptest::collection::vec((0_u8..4, any::<Option<u8>>()), 0..40)) {
        let store = Store::new(100);
        let mut twin = BTreeMap::new();
        let mut copies = vec![(store.revision(), twin.clone())];
        for (name, data) in changes {
            let name = name.to_string();
            match data {
                Some(data) => { put(&store, &name, data); twin.insert(name, json!(data)); }
                None => { delete(&store, &name); twin.remove(&name); }
            }
            copies.push((store.revision(), twin.clone()));
        }
        for (revision, expected) in copies {
            let snapshot = store.list_at(known("", "configmaps"), revision).ok().unwrap();
            prop_assert_eq!(contents(snapshot), expected);
        }
    }
}

#[test]
fn owners_are_known_as_long_as_they_are_named() {
    let store = Store::new(10);
    let maps = known("", "configmaps");
    let put = |name: &str, owners: &[&str]| {
        let owners: Vec<Value> = owners.iter().map(|uid| json!({"uid": uid})).collect();
        let object = json!({"metadata": {"name": name, "ownerReferences": owners}});
        let key = Key::new("default", name);
        store.transact(maps, &key, |_| Ok::<_, ()>(Change::Put(object))).unwrap();
    };
    let owned =
        |uid| store.owned_by(maps, uid).into_iter().map(|(key, _)| key.name).collect::<Vec<_>>().concat();
    let all = || ["x", "y", "z"].map(owned);
    put("a", &["x", "y"]);
    put("b", &["x"]);
    put("c", &[]);
    assert_eq!(all(), ["ab", "a", ""]);
    put("a", &["y", "z"]);
    assert_eq!(all(), ["b", "a", "a"]);
    delete(&store, "a");
    delete(&store, "b");
    assert_eq!(all(), ["", "", ""]);
    let collections = &store.lock().collections;
    assert!(collections.values().all(|collection| collection.owned.is_empty()));
}
