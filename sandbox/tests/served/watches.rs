//! Watches: where they start, what they send, how they end.

use crate::support::{Watch, admin, get, pod, start};
use sandbox::apiserver::{ApiServer, Config};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn changes_arrive_as_the_selection_sees_them() {
    let cluster = start().await;
    let client = admin(&cluster);
    let objects = cluster.objects();
    objects.create(pod("old", "web")).unwrap();
    let (_, list) = get(&client, "/api/v1/pods").await;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let mut all = Watch::open(&client, &format!("/api/v1/pods?watch=true&resourceVersion={version}")).await;
    let mut web = Watch::open(&client, "/api/v1/pods?watch=true&labelSelector=app%3Dweb").await;
    assert_eq!(web.take(1).await, ["ADDED old"]);

    objects.create(pod("a", "web")).unwrap();
    objects.create(pod("b", "db")).unwrap();
    let label = |app: &str| json!({"metadata": {"labels": {"app": app}}});
    objects.merge("v1", "Pod", "default", "b", &label("web")).unwrap();
    objects.merge("v1", "Pod", "default", "a", &label("db")).unwrap();
    objects.delete("v1", "Pod", "default", "a").unwrap();
    objects.delete("v1", "Pod", "default", "b").unwrap();
    assert_eq!(
        all.take(6).await,
        ["ADDED a", "ADDED b", "MODIFIED b", "MODIFIED a", "DELETED a", "DELETED b"]
    );
    assert_eq!(web.take(4).await, ["ADDED a", "ADDED b", "DELETED a", "DELETED b"]);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_streaming_list_ends_with_its_bookmark() {
    let cluster = start().await;
    let client = admin(&cluster);
    cluster.objects().create(pod("a", "web")).unwrap();
    cluster.objects().create(pod("b", "web")).unwrap();
    let path = "/api/v1/pods?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = Watch::open(&client, path).await;
    assert_eq!(watch.take(2).await, ["ADDED a", "ADDED b"]);
    let (kind, bookmark) = watch.next().await.unwrap().unwrap();
    assert_eq!((kind.as_str(), &bookmark["kind"]), ("BOOKMARK", &json!("Pod")));
    assert_eq!(bookmark["metadata"]["annotations"], json!({"k8s.io/initial-events-end": "true"}));
    assert_eq!(bookmark["metadata"]["resourceVersion"], cluster.objects().revision().to_string());
    cluster.objects().create(pod("c", "web")).unwrap();
    assert_eq!(watch.take(1).await, ["ADDED c"]);
    cluster.shutdown().await;
}

#[tokio::test]
async fn bookmarks_follow_changes_elsewhere() {
    let config = Config { bookmark_interval: Duration::from_millis(10), ..Config::default() };
    let cluster = ApiServer::start(config).await.unwrap();
    let client = admin(&cluster);
    let start = cluster.objects().revision();
    let path = format!("/api/v1/pods?watch=1&allowWatchBookmarks=true&resourceVersion={start}");
    let mut watch = Watch::open(&client, &path).await;
    cluster
        .objects()
        .create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}))
        .unwrap();
    let mut last = 0;
    while last < cluster.objects().revision() {
        let (kind, bookmark) = watch.next().await.unwrap().unwrap();
        assert_eq!(kind, "BOOKMARK");
        let version = bookmark["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
        assert!(version >= last);
        last = version;
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn the_timeout_ends_the_watch() {
    let cluster = start().await;
    let mut watch = Watch::open(&admin(&cluster), "/api/v1/pods?watch=1&timeoutSeconds=1").await;
    assert!(watch.next().await.is_none());
    cluster.shutdown().await;
}

#[tokio::test]
async fn history_that_is_gone_is_an_error_event() {
    let cluster = start().await;
    let client = admin(&cluster);
    let version = cluster.objects().revision();
    let path = format!("/api/v1/pods?watch=1&resourceVersion={version}");
    let mut open = Watch::open(&client, &path).await;
    cluster.faults().compact();
    cluster.objects().create(pod("a", "web")).unwrap();
    assert_eq!(open.take(1).await, ["ADDED a"], "a watch that has read everything goes on");
    let mut late = Watch::open(&client, &path).await;
    let (kind, status) = late.next().await.unwrap().unwrap();
    assert_eq!(
        (kind.as_str(), &status["code"], &status["reason"]),
        ("ERROR", &json!(410), &json!("Expired"))
    );
    assert!(late.next().await.is_none());
    cluster.faults().end_watches();
    assert!(open.next().await.is_none());
    let mut cut = Watch::open(&client, "/api/v1/pods?watch=1").await;
    assert_eq!(cut.take(1).await, ["ADDED a"]);
    cluster.faults().reset_watches();
    assert!(cut.next().await.unwrap().is_err());
    cluster.shutdown().await;
}
