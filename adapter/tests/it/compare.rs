//! `podgauge compare`: two servers of the same cluster, and what autoscalers would see of each.

use std::{fs, process::Output};

use sandbox::{apiserver::Handle, kubeconfig::Credential};
use serde_json::{Value, json};

use crate::{
    cluster, pages,
    podgauge::{self, Podgauge, eventually, scratch},
};

/// Makes one of the pods twice as busy, and leaves the other out.
const RULES: &str = "
rules:
- seriesQuery: 'messages{pod=\"backend-1\"}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>) + sum(<<.Series>>{pod=\"backend-1\",<<.LabelMatchers>>}) by (<<.GroupBy>>)
";

fn autoscaled(name: &str, metrics: &Value) -> [Value; 2] {
    let labels = json!({"app": "backend"});
    [
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": "app"}]}}},
        }),
        json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "minReplicas": 1, "maxReplicas": 9, "metrics": metrics,
            },
        }),
    ]
}

/// Runs the command with the rights of the autoscalers' controller.
async fn compare(cluster: &Handle, sides: [&Podgauge; 2], more: &[&str]) -> Output {
    let kubeconfig = scratch("kubeconfig-of-autoscalers");
    let text = cluster.kubeconfig_for_service_account("kube-system", "horizontal-pod-autoscaler");
    fs::write(&kubeconfig, text).unwrap();
    let [ours, theirs] = sides.map(|side| format!("https://{}", side.api));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_podgauge"));
    command
        .args(["compare", "--podgauge", &ours, "--with", &theirs, "--kubeconfig"])
        .arg(&kubeconfig)
        .args(more);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    fs::remove_file(kubeconfig).unwrap();
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn what_autoscalers_use_is_compared() {
    let cluster = cluster::start().await;
    for (name, messages) in [("backend-0", 30), ("backend-1", 12)] {
        let page = pages::serve(format!("# TYPE messages gauge\nmessages {messages}\n")).await;
        cluster.objects().put(cluster::pod(name, "backend", page)).unwrap();
    }
    let target = json!({"type": "AverageValue", "averageValue": "10"});
    let pods = |name: &str| json!({"type": "Pods", "pods": {"metric": {"name": name}, "target": target}});
    let described = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "backend"});
    let metrics = json!([
        pods("messages"),
        pods("unknown"),
        {"type": "Object", "object": {"describedObject": described, "metric": {"name": "messages"}, "target": target}},
        {"type": "External", "external": {"metric": {"name": "messages"}, "target": target}},
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
    ]);
    for object in autoscaled("backend", &metrics) {
        cluster.objects().put(object).unwrap();
    }
    let file = scratch("rules.yaml");
    fs::write(&file, RULES).unwrap();
    let plain = podgauge::start(&cluster, &[]).await;
    let ruled = podgauge::start(&cluster, &[&format!("--config={}", file.display())]).await;
    let token = cluster.service_account_token("kube-system", "horizontal-pod-autoscaler");
    for (podgauge, want) in [(&plain, "12"), (&ruled, "24")] {
        let client = podgauge.client(Credential::Token(token.clone()));
        let ask = || async {
            let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/backend-1/messages";
            podgauge::json(&client.get(path).await.unwrap())["items"][0]["value"].to_string()
        };
        eventually("the pod is served", ask, |value: &String| value.contains(want)).await;
    }

    let same = compare(&cluster, [&plain, &plain], &[]).await;
    let said = String::from_utf8_lossy(&same.stdout).into_owned();
    assert_eq!(same.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&same.stderr));
    assert!(said.ends_with("5 same, 0 different, 0 not compared\n"), "{said}");
    assert!(said.contains("Pods unknown") && said.contains("neither has it"), "{said}");

    let different =
        compare(&cluster, [&plain, &ruled], &["-o", "json", "--tolerance=40", "--namespace=default"]).await;
    assert_eq!(different.status.code(), Some(1), "{}", String::from_utf8_lossy(&different.stderr));
    let rows: Value = serde_json::from_slice(&different.stdout).unwrap();
    let differing: Vec<String> = rows
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["isSame"] == false)
        .map(|row| {
            format!(
                "{} {} {} {} {}",
                row["metric"], row["object"], row["podgauge"], row["other"], row["verdict"]
            )
        })
        .collect();
    assert_eq!(
        differing,
        [
            r#""Pods messages" "backend-0" 30.0 null "the other lacks it""#,
            r#""Pods messages" "backend-1" 12.0 24.0 "50 % apart""#,
        ]
    );

    // Whoever is not there, or may not be asked, was not compared.
    let nobody = scratch("kubeconfig-of-nobody");
    fs::write(&nobody, cluster.kubeconfig_for_service_account("default", "nobody")).unwrap();
    let flags = ["compare", "--with=v1beta1", "--kubeconfig"];
    let refused =
        std::process::Command::new(env!("CARGO_BIN_EXE_podgauge")).args(flags).arg(&nobody).output();
    assert_eq!(refused.unwrap().status.code(), Some(2));
    fs::remove_file(nobody).unwrap();
    fs::remove_file(&file).unwrap();
    cluster.shutdown().await;
}
