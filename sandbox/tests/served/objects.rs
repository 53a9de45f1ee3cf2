//! Reading and writing objects over TLS.

use crate::support::{admin, get, patch, pod, send, start};
use http::Method;
use serde_json::{Value, json};

const PODS: &str = "/api/v1/namespaces/default/pods";

#[tokio::test]
async fn an_object_lives_from_post_to_delete() {
    let cluster = start().await;
    let client = admin(&cluster);
    let (code, made) = send(&client, Method::POST, PODS, pod("a", "web")).await;
    assert_eq!((code, &made["metadata"]["namespace"]), (201, &json!("default")));
    assert_eq!(get(&client, &format!("{PODS}/a")).await, (200, made.clone()));

    let mut changed = made.clone();
    changed["metadata"]["labels"]["app"] = "db".into();
    let (code, changed) = send(&client, Method::PUT, &format!("{PODS}/a"), changed).await;
    assert_eq!((code, &changed["metadata"]["labels"]["app"]), (200, &json!("db")));
    let (code, conflict) = send(&client, Method::PUT, &format!("{PODS}/a"), made).await;
    assert_eq!((code, &conflict["reason"]), (409, &json!("Conflict")));

    let status = json!({"status": {"phase": "Running"}});
    let merge = "application/merge-patch+json";
    let (_, ignored) = patch(&client, &format!("{PODS}/a"), merge, status.clone()).await;
    assert_eq!(ignored["status"]["phase"], "Pending");
    let (_, running) = patch(&client, &format!("{PODS}/a/status"), merge, status).await;
    assert_eq!(running["status"]["phase"], "Running");

    let (code, _) = send(&client, Method::DELETE, &format!("{PODS}/a"), json!({})).await;
    assert_eq!(code, 200);
    let (code, gone) = get(&client, &format!("{PODS}/a")).await;
    assert_eq!((code, &gone["message"]), (404, &json!("pods \"a\" not found")));
    cluster.shutdown().await;
}

#[tokio::test]
async fn every_kind_of_patch_works() {
    let cluster = start().await;
    let client = admin(&cluster);
    cluster.objects().create(pod("a", "web")).unwrap();
    let path = format!("{PODS}/a");
    let check = async |content_type: &str, body: Value, code: u16, pointer: &str, expected: Value| {
        let (found, object) = patch(&client, &path, content_type, body.clone()).await;
        assert_eq!((found, object.pointer(pointer).unwrap_or(&Value::Null)), (code, &expected), "{body}");
    };
    let labels = json!({"metadata": {"labels": {"x": "1"}}});
    check(
        "application/merge-patch+json",
        labels.clone(),
        200,
        "/metadata/labels",
        json!({"app": "web", "x": "1"}),
    )
    .await;
    let add = json!([{"op": "add", "path": "/metadata/labels/y", "value": "2"}]);
    check("application/json-patch+json", add, 200, "/metadata/labels/y", json!("2")).await;
    let image = json!({"spec": {"containers": [{"name": "c", "image": "i"}]}});
    check("application/strategic-merge-patch+json", image, 200, "/spec/containers/0/image", json!("i")).await;
    check("application/json", labels, 415, "/reason", json!("UnsupportedMediaType")).await;
    let applied = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"z": "3"}}});
    check("application/apply-patch+yaml", applied.clone(), 400, "/reason", json!("BadRequest")).await;
    let query = "?fieldManager=me&force=true";
    let (code, _) =
        patch(&client, &format!("{path}{query}"), "application/apply-patch+yaml", applied.clone()).await;
    assert_eq!(code, 200);
    let mut new = applied;
    new["metadata"]["name"] = "b".into();
    new["spec"] = json!({"containers": [{"name": "c"}]});
    let (code, _) = patch(&client, &format!("{PODS}/b{query}"), "application/apply-patch+yaml", new).await;
    assert_eq!(code, 201);
    cluster.shutdown().await;
}

#[tokio::test]
async fn lists_select_and_page() {
    let cluster = start().await;
    let client = admin(&cluster);
    let objects = cluster.objects();
    objects.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}})).unwrap();
    for (name, app) in [("a", "web"), ("b", "db"), ("c", "web")] {
        objects.create(pod(name, app)).unwrap();
    }
    let mut elsewhere = pod("d", "web");
    elsewhere["metadata"]["namespace"] = "other".into();
    elsewhere["spec"]["nodeName"] = "n".into();
    objects.create(elsewhere).unwrap();
    let names = |list: &Value| {
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|i| i["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let check = async |path: &str, expected: &str| {
        let (code, list) = get(&client, path).await;
        assert_eq!((code, names(&list)), (200, expected.to_owned()), "{path}");
    };
    check("/api/v1/pods", "a b c d").await;
    check(PODS, "a b c").await;
    check(&format!("{PODS}?labelSelector=app%3Dweb"), "a c").await;
    check("/api/v1/pods?labelSelector=app+in+(db),app", "b").await;
    check("/api/v1/pods?fieldSelector=spec.nodeName%3Dn", "d").await;
    check("/api/v1/pods?fieldSelector=metadata.name=a,status.phase=Pending", "a").await;

    let (_, first) = get(&client, "/api/v1/pods?limit=3").await;
    assert_eq!((names(&first), &first["metadata"]["remainingItemCount"]), ("a b c".to_owned(), &json!(1)));
    objects.delete("v1", "Pod", "other", "d").unwrap();
    objects.create(pod("e", "web")).unwrap();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let next = format!("/api/v1/pods?limit=3&continue={token}");
    // Pages show the moment of the first one.
    check(&next, "d").await;
    cluster.faults().compact();
    let (code, gone) = get(&client, &next).await;
    assert_eq!((code, &gone["reason"]), (410, &json!("Expired")));
    cluster.shutdown().await;
}

#[tokio::test]
async fn bad_requests_are_told_apart() {
    let cluster = start().await;
    let client = admin(&cluster);
    cluster.objects().create(pod("a", "web")).unwrap();
    let check = async |method: Method, path: &str, body: Value, code: u16, reason: &str| {
        let (found, status) = send(&client, method.clone(), path, body).await;
        assert_eq!((found, status["reason"].as_str().unwrap()), (code, reason), "{method} {path}");
        assert_eq!((&status["kind"], &status["code"]), (&json!("Status"), &json!(code)), "{method} {path}");
    };
    let nothing = || Value::Null;
    check(Method::GET, "/api/v1/things", nothing(), 404, "NotFound").await;
    check(Method::GET, "/apis/none.io/v1/things", nothing(), 404, "NotFound").await;
    check(Method::GET, "/api/v1/pods?labelSelector=a%20b", nothing(), 400, "BadRequest").await;
    check(Method::GET, "/api/v1/pods?fieldSelector=spec.x%3D1", nothing(), 400, "BadRequest").await;
    check(Method::GET, "/api/v1/pods?limit=x", nothing(), 400, "BadRequest").await;
    check(Method::GET, "/api/v1/pods?continue=x", nothing(), 400, "BadRequest").await;
    check(Method::GET, "/api/v1/pods?resourceVersion=x", nothing(), 400, "BadRequest").await;
    check(Method::GET, "/api/v1/pods?resourceVersion=999999", nothing(), 504, "Timeout").await;
    check(Method::GET, "/api/v1/pods?resourceVersionMatch=Exact", nothing(), 422, "Invalid").await;
    check(Method::GET, "/api/v1/pods?watch=1&sendInitialEvents=true", nothing(), 422, "Invalid").await;
    check(Method::POST, PODS, pod("a", "x"), 409, "AlreadyExists").await;
    check(Method::POST, PODS, json!([]), 400, "BadRequest").await;
    check(Method::POST, PODS, json!({"metadata": {"name": "b"}}), 422, "Invalid").await;
    check(Method::POST, "/api/v1/namespaces/none/pods", pod("b", "x"), 404, "NotFound").await;
    check(Method::POST, &format!("{PODS}/a"), pod("a", "x"), 405, "MethodNotAllowed").await;
    check(Method::PUT, &format!("{PODS}/b"), pod("b", "x"), 404, "NotFound").await;
    check(Method::PUT, &format!("{PODS}/a"), pod("b", "x"), 400, "BadRequest").await;
    check(Method::GET, &format!("{PODS}/a/b/c"), nothing(), 404, "NotFound").await;
    let large = json!({"metadata": {"name": "b", "annotations": {"x": "y".repeat(3 << 20)}}});
    check(Method::POST, PODS, large, 413, "RequestEntityTooLarge").await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn scale_writes_the_replicas() {
    let cluster = start().await;
    let client = admin(&cluster);
    cluster
        .objects()
        .create(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"selector": {"matchLabels": {"app": "d"}}, "template": {
                "metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c"}]}}}}))
        .unwrap();
    let path = "/apis/apps/v1/namespaces/default/deployments/d/scale";
    let (code, mut scale) = get(&client, path).await;
    assert_eq!(
        (code, &scale["spec"]["replicas"], &scale["status"]["selector"]),
        (200, &json!(1), &json!("app=d"))
    );
    scale["spec"]["replicas"] = 4.into();
    let (code, written) = send(&client, Method::PUT, path, scale.clone()).await;
    assert_eq!((code, &written["spec"]["replicas"]), (200, &json!(4)));
    let (code, _) = send(&client, Method::PUT, path, scale).await;
    assert_eq!(code, 409, "the version is old by now");
    let one = json!({"spec": {"replicas": 2}});
    let (code, _) = patch(&client, path, "application/merge-patch+json", one).await;
    assert_eq!(code, 200);
    let deployment = cluster.objects().get("apps/v1", "Deployment", "default", "d").unwrap();
    assert_eq!(
        (&deployment["spec"]["replicas"], &deployment["metadata"]["generation"]),
        (&json!(2), &json!(3))
    );
    let negative = json!({"spec": {"replicas": -1}});
    assert_eq!(patch(&client, path, "application/merge-patch+json", negative).await.0, 422);
    cluster.shutdown().await;
}
