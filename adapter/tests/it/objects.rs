//! Objects that stand for pods, as the cluster has them: asked for by name, answered from the pods that they select.

use serde_json::{Value, json};

use crate::{
    cluster, pages,
    podgauge::{self, eventually},
};
use sandbox::{apiserver::Handle, kubeconfig::Credential};

/// A Deployment and a Service over the pods `app: backend`.
fn owners() -> [Value; 2] {
    let labels = json!({"app": "backend"});
    [
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "backend", "namespace": "default"},
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": "app"}]}}},
        }),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "backend", "namespace": "default"},
            "spec": {"selector": labels, "ports": [{"port": 80}]},
        }),
    ]
}

async fn two_pods(cluster: &Handle) {
    for (name, messages) in [("backend-0", 30), ("backend-1", 12)] {
        let page = pages::serve(format!("# TYPE messages gauge\nmessages {messages}")).await;
        cluster.objects().put(cluster::pod(name, "backend", page)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_answer_for_the_pods_that_they_select() {
    let cluster = cluster::start().await;
    two_pods(&cluster).await;
    for object in owners() {
        cluster.objects().put(object).unwrap();
    }
    let podgauge = podgauge::start(&cluster, &[]).await;
    let autoscaler = cluster.service_account_token("kube-system", "horizontal-pod-autoscaler");
    let client = podgauge.client(Credential::Token(autoscaler));
    let ask = |path: &'static str| {
        let client = client.clone();
        async move {
            let path = format!("/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/{path}");
            let answer = podgauge::json(&client.get(&path).await.unwrap());
            let item = &answer["items"][0];
            match item["value"].as_str() {
                Some(value) => format!("{} {value}", item["describedObject"]["kind"].as_str().unwrap()),
                None => answer["message"].as_str().unwrap_or_default().to_owned(),
            }
        }
    };
    let check = async |path: &'static str, expected: &str| {
        eventually(path, || ask(path), |seen: &String| seen.contains(expected)).await;
    };
    check("deployments.apps/backend/messages", "Deployment 42").await;
    check("services/backend/messages_max", "Service 30").await;
    check("services/frontend/messages", "there is no services default/frontend").await;

    // What changes in the cluster changes the answer: another selector, and no object at all.
    let narrower = json!({"spec": {"selector": {"app": "frontend"}}});
    cluster.objects().merge("v1", "Service", "default", "backend", &narrower).unwrap();
    check("services/backend/messages", "which selects \"app=frontend\": it has no pods").await;
    cluster.objects().delete("apps/v1", "Deployment", "default", "backend").unwrap();
    check("deployments.apps/backend/messages", "there is no deployments.apps default/backend").await;
    // What the cluster does not serve costs nobody else anything.
    check("jobs.batch/import/messages", "jobs.batch default/import is not known: ").await;
    cluster.shutdown().await;
}
