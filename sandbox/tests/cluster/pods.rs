//! Pods: how they end, crash, fail their probes and wait for what is missing.

use crate::support::{Cluster, address, eventually, get, is_ready, name, pod, processes_of, text};
use serde_json::{Value, json};

const PODS: &str = "/api/v1/namespaces/default/pods";

fn container(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]
}

fn variable(pod: &mut Value, name: &str, value: &str) {
    let variable = json!({"name": name, "value": value});
    match pod["spec"]["containers"][0]["env"].as_array_mut() {
        Some(env) => env.push(variable),
        None => pod["spec"]["containers"][0]["env"] = json!([variable]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_pod_is_asked_to_end_and_then_gone() {
    let cluster = Cluster::start().await;
    cluster.create(PODS, &pod("polite")).await;
    cluster.ready_pods("polite", 1).await;
    let terminating = cluster.delete(&format!("{PODS}/polite")).await;
    assert_eq!(terminating["metadata"]["deletionGracePeriodSeconds"], 20);
    eventually("gone", || async { cluster.pod("polite") }, Value::is_null).await;
    assert_eq!(processes_of(cluster.node_ip), Vec::<u32>::new());
    assert_eq!(cluster.log("polite", "web"), "listening\nSIGTERM\n");
    cluster.events("polite", &["Killing"]).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_does_not_end_is_killed_after_its_grace() {
    let cluster = Cluster::start().await;
    let mut stubborn = pod("stubborn");
    variable(&mut stubborn, "IGNORE_SIGTERM", "true");
    stubborn["spec"]["terminationGracePeriodSeconds"] = 1.into();
    cluster.create(PODS, &stubborn).await;
    cluster.ready_pods("stubborn", 1).await;
    cluster.delete(&format!("{PODS}/stubborn")).await;
    eventually("gone", || async { cluster.pod("stubborn") }, Value::is_null).await;
    assert_eq!(processes_of(cluster.node_ip), Vec::<u32>::new());
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_deletion_can_shorten_the_grace() {
    let cluster = Cluster::start().await;
    let mut stubborn = pod("stubborn");
    variable(&mut stubborn, "IGNORE_SIGTERM", "true");
    stubborn["spec"]["terminationGracePeriodSeconds"] = 3600.into();
    cluster.create(PODS, &stubborn).await;
    let ready = cluster.ready_pods("stubborn", 1).await.remove(0);
    cluster.delete(&format!("{PODS}/stubborn")).await;
    eventually("SIGTERM", || async { cluster.log("stubborn", "web") }, |log| log.contains("SIGTERM")).await;
    // It serves on while it is ending, but Services no longer count it.
    assert_eq!(get(address(&ready), "/health").await.unwrap().0, 200);
    cluster.delete(&format!("{PODS}/stubborn?gracePeriodSeconds=0")).await;
    eventually("no process", || async { processes_of(cluster.node_ip) }, Vec::is_empty).await;
    assert!(cluster.pod("stubborn").is_null());
    assert_eq!(cluster.log("stubborn", "web"), "listening\nSIGTERM\n");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_ends_is_started_again() {
    let cluster = Cluster::start().await;
    cluster.create(PODS, &pod("web")).await;
    let first = cluster.ready_pods("web", 1).await.remove(0);
    // The connection breaks off with the process.
    let _ = get(address(&first), "/exit/3").await;
    let again = |pod: &Value| container(pod)["restartCount"] == 1 && is_ready(pod);
    let second = eventually("a restart", || async { cluster.pod("web") }, again).await;
    assert_eq!(container(&second)["lastState"]["terminated"]["exitCode"], 3);
    assert_eq!(container(&second)["lastState"]["terminated"]["reason"], "Error");
    assert_ne!(container(&second)["containerID"], container(&first)["containerID"]);
    assert_eq!(second["status"]["podIP"], first["status"]["podIP"], "the address is the pod's");
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_keeps_ending_is_in_a_crash_loop() {
    let cluster = Cluster::start().await;
    let mut crashing = pod("crashing");
    variable(&mut crashing, "EXIT_AT_START", "7");
    cluster.create(PODS, &crashing).await;
    let loops = |pod: &Value| {
        container(pod)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
            && container(pod)["restartCount"].as_u64() >= Some(2)
    };
    let found = eventually("a crash loop", || async { cluster.pod("crashing") }, loops).await;
    assert_eq!((&found["status"]["phase"], is_ready(&found)), (&json!("Running"), false));
    assert_eq!(container(&found)["lastState"]["terminated"]["exitCode"], 7);
    assert!(text(&container(&found)["state"]["waiting"]["message"]).contains("back-off"), "{found}");
    cluster.events("crashing", &["BackOff"]).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_fails_its_liveness_probe_is_replaced() {
    let cluster = Cluster::start().await;
    cluster.create(PODS, &pod("web")).await;
    let first = cluster.ready_pods("web", 1).await.remove(0);
    get(address(&first), "/unwell").await.unwrap();
    let again = |pod: &Value| container(pod)["restartCount"] == 1 && is_ready(pod);
    let second = eventually("a restart", || async { cluster.pod("web") }, again).await;
    assert_eq!(container(&second)["lastState"]["terminated"]["reason"], "Completed", "it was asked to end");
    cluster.events("web", &["Unhealthy", "Killing"]).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_not_to_be_restarted_stays_as_it_ended() {
    let cluster = Cluster::start().await;
    for (name, code, expected) in [("fine", "0", "Succeeded"), ("broken", "9", "Failed")] {
        let mut once = pod(name);
        variable(&mut once, "EXIT_AT_START", code);
        once["spec"]["restartPolicy"] = "Never".into();
        cluster.create(PODS, &once).await;
        let ended = |pod: &Value| pod["status"]["phase"] == expected;
        let found = eventually(expected, || async { cluster.pod(name) }, ended).await;
        assert_eq!(container(&found)["state"]["terminated"]["exitCode"].to_string(), code);
        cluster.delete(&format!("{PODS}/{name}")).await;
        eventually("gone", || async { cluster.pod(name) }, Value::is_null).await;
    }
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_waits_for_the_service_that_it_is_told_of() {
    let cluster = Cluster::start().await;
    let mut client = pod("client");
    variable(&mut client, "TARGET", "http://server.default.svc.cluster.local:8080/x");
    cluster.create(PODS, &client).await;
    let waits = |pod: &Value| container(pod)["state"]["waiting"]["reason"] == "CreateContainerConfigError";
    let waiting = eventually("waiting", || async { cluster.pod("client") }, waits).await;
    let message = text(&container(&waiting)["state"]["waiting"]["message"]);
    assert!(message.contains("server.default.svc.cluster.local"), "{message}");
    let service = json!({"metadata": {"name": "server"}, "spec": {"ports": [{"port": 8080}]}});
    let service = name(&cluster.create("/api/v1/namespaces/default/services", &service).await);
    let ready = cluster.ready_pods("client", 1).await.remove(0);
    let service = cluster.api.objects().get("v1", "Service", "default", &service).unwrap();
    let target = format!("http://{}:8080/x", text(&service["spec"]["clusterIP"]));
    assert_eq!(get(address(&ready), "/env/TARGET").await.unwrap().1, target);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_should_send_harms_nobody() {
    let cluster = Cluster::start().await;
    let mut odd = [pod("path"), pod("times"), pod("kinds")];
    odd[0]["spec"]["containers"][0]["name"] = "../../escape".into();
    odd[1]["spec"]["terminationGracePeriodSeconds"] = u64::MAX.into();
    odd[1]["spec"]["containers"][0]["livenessProbe"]["periodSeconds"] = u64::MAX.into();
    odd[2]["spec"]["containers"][0]["env"] = json!("text");
    odd[2]["spec"]["containers"][0]["ports"] = json!({"a": 1});
    odd[2]["metadata"]["annotations"] = json!(["list"]);
    for object in odd {
        // Refusing it is as good; the node must go on either way.
        cluster.admin.send_json(http::Method::POST, PODS, "application/json", &object).await.unwrap();
    }
    let ports = json!([1, {"port": "x"}, {"port": 1, "targetPort": {}}]);
    let odd = json!({"metadata": {"name": "odd"}, "spec": {"type": "NodePort", "selector": {"app": 1}, "ports": ports}});
    let path = "/api/v1/namespaces/default/services";
    cluster.admin.send_json(http::Method::POST, path, "application/json", &odd).await.unwrap();
    cluster.create(PODS, &pod("fine")).await;
    cluster.ready_pods("fine", 1).await;
    cluster.end().await;
}
