use super::*;
use crate::apiserver::resources::known;
use jiff::Timestamp;

fn registry() -> Registry {
    let now = Timestamp::from_second(1_787_311_751).unwrap();
    let random = rustls::crypto::ring::default_provider().secure_random;
    let registry = Registry::new(Store::new(100), Clock::from_fn(move || now), random);
    create(&registry, "namespaces", "", json!({"metadata": {"name": "default"}})).unwrap();
    registry
}

fn create(registry: &Registry, plural: &str, namespace: &str, object: Value) -> Result<Arc<Value>, Status> {
    registry.create(known("", plural), namespace, object, Part::Main, false)
}

fn pod(name: &str, more: Value) -> Value {
    let mut pod = json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c"}]}});
    for (path, value) in more.as_object().unwrap() {
        let (parent, field) = path.split_once('.').unwrap();
        pod[parent][field] = value.clone();
    }
    pod
}

#[test]
fn creation_gives_identity() {
    let registry = registry();
    let made = create(&registry, "pods", "default", pod("a", json!({"status.phase": "Running"}))).unwrap();
    let metadata = &made["metadata"];
    assert_eq!(metadata["creationTimestamp"], "2026-08-21T11:29:11Z");
    assert_eq!(metadata["generation"], 1);
    assert_eq!(metadata["resourceVersion"], "3");
    assert_eq!(made["kind"], "Pod");
    assert_eq!(made["status"], json!({"phase": "Pending"}), "callers do not write the status on creation");
    let uid = metadata["uid"].as_str().unwrap();
    assert_eq!((uid.len(), &uid[14..15]), (36, "4"), "{uid}");
}

#[test]
fn creation_refuses() {
    let registry = registry();
    create(&registry, "pods", "default", pod("a", json!({}))).unwrap();
    let check = |namespace: &str, object: Value, code: u16| {
        assert_eq!(create(&registry, "pods", namespace, object.clone()).unwrap_err().code, code, "{object}");
    };
    check("default", pod("a", json!({})), 409);
    check("gone", pod("b", json!({})), 404);
    check("default", pod("b", json!({"metadata.namespace": "other"})), 400);
    check("default", json!({"kind": "Service", "metadata": {"name": "b"}}), 400);
    check("default", json!([]), 400);
    check("default", json!({"metadata": 1}), 400);
    check("default", json!({"metadata": {}}), 422);
}

#[test]
fn generated_names_are_completed() {
    let registry = registry();
    let made =
        create(&registry, "configmaps", "default", json!({"metadata": {"generateName": "a-"}})).unwrap();
    assert_eq!(made["metadata"]["name"].as_str().unwrap().len(), 7);
}

#[test]
fn an_update_keeps_what_it_may_not_change() {
    let registry = registry();
    let first = create(&registry, "pods", "default", pod("a", json!({}))).unwrap();
    let key = Key::new("default", "a");
    let update = |part, change: fn(&mut Value)| {
        registry.update(known("", "pods"), &key, part, false, |current| {
            let mut next = current.clone();
            change(&mut next);
            Ok(next)
        })
    };
    let same = update(Part::Main, |pod| pod["status"] = json!({"phase": "Failed"})).unwrap();
    assert_eq!(same, first, "the main resource does not write the status, so nothing changed");
    let next = update(Part::Status, |pod| {
        pod["status"] = json!({"phase": "Running"});
        pod["spec"] = json!({});
    })
    .unwrap();
    assert_eq!((&next["status"]["phase"], &next["spec"]), (&json!("Running"), &first["spec"]));
    assert_eq!(next["metadata"]["generation"], 1);
    let next = update(Part::Main, |pod| {
        pod["spec"]["nodeName"] = json!("n");
        pod["metadata"]["uid"] = json!("");
        pod["metadata"]["generation"] = json!(77);
    })
    .unwrap();
    assert_eq!(next["metadata"]["generation"], 2);
    assert_eq!(next["metadata"]["uid"], first["metadata"]["uid"]);
    let stale = update(Part::Main, |pod| pod["metadata"]["resourceVersion"] = json!("1"));
    assert_eq!(stale.unwrap_err().reason, "Conflict");
}

#[test]
fn deletion_waits_for_kubelet_and_finalizers() {
    let registry = registry();
    let pods = known("", "pods");
    let check = |more: Value, grace_period: Option<u64>, expected: Option<u64>| {
        create(&registry, "pods", "default", pod("a", more.clone())).unwrap();
        let key = Key::new("default", "a");
        let options = DeleteOptions { grace_period, ..DeleteOptions::default() };
        let (object, gone) = registry.delete(pods, &key, &options).unwrap();
        assert_eq!(gone, expected.is_none(), "{more}");
        if let Some(grace) = expected {
            assert_eq!(object["metadata"]["deletionGracePeriodSeconds"], grace, "{more}");
            let finish = |current: &Value| {
                let mut next = current.clone();
                next["metadata"]["finalizers"] = json!([]);
                Ok(next)
            };
            registry.update(pods, &key, Part::Main, false, finish).unwrap();
            let now = DeleteOptions { grace_period: Some(0), ..DeleteOptions::default() };
            // Without finalizers and grace the update itself was the end.
            assert_eq!(registry.delete(pods, &key, &now).is_ok(), grace > 0, "{more}");
        }
        assert!(registry.get(pods, &key).is_err(), "{more}");
    };
    check(json!({}), None, None);
    check(json!({"spec.nodeName": "n"}), None, Some(30));
    check(json!({"spec.nodeName": "n"}), Some(5), Some(5));
    check(json!({"spec.nodeName": "n"}), Some(0), None);
    check(json!({"metadata.finalizers": ["x.io/y"]}), None, Some(0));
}

#[test]
fn what_is_owned_or_contained_goes_too() {
    let registry = registry();
    let owner = create(&registry, "configmaps", "default", json!({"metadata": {"name": "o"}})).unwrap();
    let owned = json!({"metadata": {"name": "d", "ownerReferences": [{"uid": owner["metadata"]["uid"]}]}});
    create(&registry, "secrets", "default", owned).unwrap();
    create(&registry, "secrets", "default", json!({"metadata": {"name": "free"}})).unwrap();
    let names = || {
        let objects = registry.store.list(known("", "secrets")).objects;
        objects.into_iter().map(|(key, _)| key.name).collect::<Vec<_>>()
    };
    registry.delete(known("", "configmaps"), &Key::new("default", "o"), &DeleteOptions::default()).unwrap();
    assert_eq!(names(), ["free"]);
    let namespaces = known("", "namespaces");
    let key = Key::new("", "default");
    let (marked, gone) = registry.delete(namespaces, &key, &DeleteOptions::default()).unwrap();
    assert_eq!((gone, &marked["status"]["phase"]), (false, &json!("Terminating")));
    let refused = create(&registry, "secrets", "default", json!({"metadata": {"name": "late"}})).unwrap_err();
    assert_eq!(refused.code, 403);
    registry.finish_namespace("default");
    assert!(names().is_empty());
    assert!(registry.get(namespaces, &key).is_err());
}
