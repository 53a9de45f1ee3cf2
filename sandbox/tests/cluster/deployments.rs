//! Deployments: from a wish to ready pods, up, down, over to the next template, and gone.

use crate::support::{Cluster, address, deployment, eventually, get, is_ready, name, processes_of, text};
use http::Method;
use serde_json::{Value, json};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn status(cluster: &Cluster, deployment: &str) -> Value {
    let object = cluster.api.objects().get("apps/v1", "Deployment", "default", deployment);
    object.map(|object| object["status"].clone()).unwrap_or_default()
}

fn reason(status: &Value, kind: &str) -> String {
    let conditions = status["conditions"].as_array();
    let condition = conditions.into_iter().flatten().find(|condition| condition["type"] == kind);
    condition
        .map(|condition| format!("{} {}", text(&condition["status"]), text(&condition["reason"])))
        .unwrap_or_default()
}

async fn complete(cluster: &Cluster, deployment: &str, replicas: u64) -> Value {
    let is_complete = |status: &Value| {
        ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"]
            .iter()
            .all(|field| status[field] == replicas)
            && reason(status, "Progressing") == "True NewReplicaSetAvailable"
    };
    eventually("a complete deployment", || async { status(cluster, deployment) }, is_complete).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_becomes_pods_that_serve() {
    let cluster = Cluster::start().await;
    cluster.create(DEPLOYMENTS, &deployment("web", 2)).await;
    let pods = cluster.ready_pods("web", 2).await;
    let status = complete(&cluster, "web", 2).await;
    assert_eq!(reason(&status, "Available"), "True MinimumReplicasAvailable");
    assert_eq!((&status["observedGeneration"], &status["unavailableReplicas"]), (&json!(1), &json!(0)));

    let sets = cluster.api.objects().list("apps/v1", "ReplicaSet");
    let set = name(&sets[0]);
    let hash = text(&pods[0]["metadata"]["labels"]["pod-template-hash"]);
    assert_eq!((sets.len(), set.as_str()), (1, format!("web-{hash}").as_str()));
    assert_eq!(sets[0]["metadata"]["ownerReferences"][0]["kind"], "Deployment");
    for pod in &pods {
        let name = name(pod);
        let suffix = name.strip_prefix(&format!("{set}-")).unwrap();
        assert_eq!(suffix.len(), 5, "{name}");
        let owner = &pod["metadata"]["ownerReferences"][0];
        assert_eq!(
            (&owner["kind"], &owner["name"], &owner["controller"]),
            (&json!("ReplicaSet"), &json!(set), &json!(true))
        );
        assert_eq!(pod["spec"]["nodeName"], "sandbox");
        assert_eq!(pod["status"]["phase"], "Running");
        assert_eq!(
            get(address(pod), "/who").await.unwrap(),
            (200, name.clone()),
            "on the port of the manifest"
        );
        cluster.events(&name, &["Scheduled", "Pulled", "Created", "Started"]).await;
    }
    assert_ne!(address(&pods[0]), address(&pods[1]));
    cluster.events("web", &["ScalingReplicaSet"]).await;
    assert_eq!(cluster.event_reasons("web").len(), 1);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scale_subresource_makes_and_ends_pods() {
    let cluster = Cluster::start().await;
    cluster.create(DEPLOYMENTS, &deployment("web", 1)).await;
    let first = cluster.ready_pods("web", 1).await.remove(0);
    let path = format!("{DEPLOYMENTS}/web/scale");
    let scale = |replicas: u64| {
        let body = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": replicas}});
        let (client, path) = (&cluster.admin, &path);
        async move { client.send_json(Method::PUT, path, "application/json", &body).await.unwrap() }
    };
    assert_eq!(scale(3).await.status(), 200);
    let pods = cluster.ready_pods("web", 3).await;
    complete(&cluster, "web", 3).await;
    assert_eq!(processes_of(cluster.node_ip).len(), 3);
    let current: Value = serde_json::from_slice(cluster.admin.get(&path).await.unwrap().body()).unwrap();
    assert_eq!(
        (&current["status"]["replicas"], &current["status"]["selector"]),
        (&json!(3), &json!("app=web"))
    );

    // The one that is not ready goes first, although it is the oldest.
    get(address(&first), "/unready").await.unwrap();
    eventually("one that is not ready", || async { cluster.pod(&name(&first)) }, |pod| !is_ready(pod)).await;
    scale(2).await;
    let left = cluster.ready_pods("web", 2).await;
    let mut expected: Vec<_> = pods.iter().map(name).filter(|pod| *pod != name(&first)).collect();
    let mut found: Vec<_> = left.iter().map(name).collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    eventually("two processes", || async { processes_of(cluster.node_ip) }, |found| found.len() == 2).await;
    scale(0).await;
    complete(&cluster, "web", 0).await;
    eventually("no processes", || async { processes_of(cluster.node_ip) }, Vec::is_empty).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_template_rolls_out_without_a_gap_and_back() {
    let cluster = Cluster::start().await;
    let mut object = deployment("web", 3);
    object["spec"]["strategy"] = json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    cluster.create(DEPLOYMENTS, &object).await;
    cluster.ready_pods("web", 3).await;
    let hash = |pods: &[Value]| {
        let mut hashes: Vec<_> =
            pods.iter().map(|p| text(&p["metadata"]["labels"]["pod-template-hash"])).collect();
        hashes.dedup();
        hashes
    };
    let before = hash(&complete_pods(&cluster).await);
    let path = format!("{DEPLOYMENTS}/web");
    let template =
        |version: Value| json!({"spec": {"template": {"metadata": {"annotations": {"version": version}}}}});
    cluster.merge(&path, &template(json!("2"))).await;
    let rolled = || async {
        let pods = cluster.pods("web");
        let ready = pods.iter().filter(|pod| is_ready(pod)).count();
        assert!(ready >= 3, "a gap: {ready} are ready");
        assert!(pods.len() <= 4, "{} pods at once", pods.len());
        pods
    };
    let is_over =
        |pods: &Vec<Value>| pods.len() == 3 && !hash(pods).contains(&before[0]) && pods.iter().all(is_ready);
    let after = hash(&eventually("the rollout", rolled, is_over).await);
    assert_eq!(after.len(), 1, "{after:?}");
    complete(&cluster, "web", 3).await;
    let revision = || {
        let object = cluster.api.objects().get("apps/v1", "Deployment", "default", "web").unwrap();
        text(&object["metadata"]["annotations"]["deployment.kubernetes.io/revision"])
    };
    assert_eq!(revision(), "2");

    // The template of before is the ReplicaSet of before, under a new revision.
    cluster.merge(&path, &template(Value::Null)).await;
    let is_back = |pods: &Vec<Value>| hash(pods) == before && pods.len() == 3;
    eventually("the way back", || async { cluster.pods("web") }, is_back).await;
    complete(&cluster, "web", 3).await;
    eventually("revision 3", || async { revision() }, |revision| revision == "3").await;
    assert_eq!(cluster.api.objects().list("apps/v1", "ReplicaSet").len(), 2);
    cluster.end().await;
}

async fn complete_pods(cluster: &Cluster) -> Vec<Value> {
    complete(cluster, "web", 3).await;
    cluster.pods("web")
}

#[tokio::test(flavor = "multi_thread")]
async fn recreate_never_runs_two_templates_at_once() {
    let cluster = Cluster::start().await;
    let mut object = deployment("queue", 1);
    object["spec"]["strategy"] = json!({"type": "Recreate"});
    cluster.create(DEPLOYMENTS, &object).await;
    let old = name(&cluster.ready_pods("queue", 1).await[0]);
    let change = json!({"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}});
    cluster.merge(&format!("{DEPLOYMENTS}/queue"), &change).await;
    let rolled = || async {
        // Those that are just ending count.
        let pods = cluster.api.objects().list("v1", "Pod");
        assert!(pods.len() <= 1, "{} pods at once", pods.len());
        pods
    };
    eventually("another pod", rolled, |pods| pods.iter().any(|pod| name(pod) != old && is_ready(pod))).await;
    complete(&cluster, "queue", 1).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_cannot_succeed_says_so_and_takes_nothing_away() {
    let cluster = Cluster::start().await;
    let mut object = deployment("web", 2);
    object["spec"]["progressDeadlineSeconds"] = 1.into();
    cluster.create(DEPLOYMENTS, &object).await;
    complete(&cluster, "web", 2).await;
    let containers = json!([{"name": "web", "image": "no-such-image"}]);
    cluster
        .merge(
            &format!("{DEPLOYMENTS}/web"),
            &json!({"spec": {"template": {"spec": {"containers": containers}}}}),
        )
        .await;
    let late = |status: &Value| {
        reason(status, "Progressing") == "False ProgressDeadlineExceeded" && status["updatedReplicas"] == 1
    };
    let status = eventually("a late rollout", || async { status(&cluster, "web") }, late).await;
    assert_eq!(status["readyReplicas"], 2);
    assert_eq!(reason(&status, "Available"), "True MinimumReplicasAvailable");
    let stuck = || async { cluster.pods("web").into_iter().find(|pod| !is_ready(pod)).unwrap_or_default() };
    let waits = |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["waiting"].is_object();
    let stuck = eventually("a pod that waits", stuck, waits).await;
    let waiting = &stuck["status"]["containerStatuses"][0]["state"]["waiting"];
    assert_eq!((&stuck["status"]["phase"], &waiting["reason"]), (&json!("Pending"), &json!("ErrImagePull")));
    assert!(text(&waiting["message"]).contains("no-such-image"), "{waiting}");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_deployment_ends_all_that_came_of_it() {
    let cluster = Cluster::start().await;
    cluster.create(DEPLOYMENTS, &deployment("web", 2)).await;
    cluster.ready_pods("web", 2).await;
    cluster.delete(&format!("{DEPLOYMENTS}/web")).await;
    let left = || async {
        let objects = cluster.api.objects();
        objects.list("apps/v1", "ReplicaSet").len()
            + objects.list("v1", "Pod").len()
            + processes_of(cluster.node_ip).len()
    };
    eventually("nothing", left, |left| *left == 0).await;
    cluster.end().await;
}
