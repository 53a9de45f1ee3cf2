//! The HPA controller at work: what it asks, what it writes, and whom it leaves alone.

use crate::metrics_api::MetricsApi;
use crate::support::{PATIENCE, eventually};
use sandbox::apiserver::{ApiServer, Config, Handle};
use sandbox::controllers::autoscaler::{self, Pace};
use sandbox::controllers::{self, Controllers};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// An API server and its controllers, without a node: pods are what the test says they are.
struct World {
    api: Handle,
    stop: CancellationToken,
    controllers: JoinHandle<()>,
}

// === impl World ===

impl World {
    /// The autoscaler takes ten turns a second; its windows are as long as usual.
    async fn start() -> Self {
        let autoscaler = autoscaler::Config {
            sync_period: Duration::from_secs(15),
            pace: Pace::new(150),
            ..autoscaler::Config::default()
        };
        let api = ApiServer::start(Config::default()).await.unwrap();
        let addresses = "127.200.0.1".parse().unwrap()..="127.200.0.9".parse().unwrap();
        let config = controllers::Config { autoscaler, ..controllers::Config::new(addresses) };
        let controllers = Controllers::build(&api, config).unwrap();
        let stop = CancellationToken::new();
        let controllers = tokio::spawn(controllers.run(stop.clone()));
        Self { api, stop, controllers }
    }

    /// A target that no controller of the sandbox touches, and its ready pods.
    fn workload(&self, name: &str, replicas: u32) {
        let create = |object: Value| self.api.objects().create(object).unwrap();
        create(json!({
            "apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"app": name}},
            "status": {"replicas": replicas},
        }));
        for number in 0..replicas {
            create(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": format!("{name}-{number}"), "labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
                "status": {"phase": "Running", "podIP": "127.0.0.1", "startTime": "2026-08-21T11:29:11Z",
                    "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-08-21T11:29:12Z"}]},
            }));
        }
    }

    fn autoscaler(&self, name: &str, target: &str, average: &str) {
        let object = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name},
            "spec": {
                "scaleTargetRef": {"apiVersion": "v1", "kind": "ReplicationController", "name": target},
                "minReplicas": 1, "maxReplicas": 8,
                // The longest there is. However fast time passes, a busy test sees what it does.
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 3600}},
                "metrics": [{"type": "Pods", "pods": {"metric": {"name": "messages"},
                    "target": {"type": "AverageValue", "averageValue": average}}}],
            },
        });
        self.api.objects().create(object).unwrap();
    }

    fn scale_down_window(&self, name: &str, seconds: u64) {
        let patch = json!({"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": seconds}}}});
        let hpas = self.api.objects();
        hpas.merge("autoscaling/v2", "HorizontalPodAutoscaler", "default", name, &patch).unwrap();
    }

    fn get(&self, kind: &str, name: &str) -> Value {
        let api_version = if kind == "ReplicationController" { "v1" } else { "autoscaling/v2" };
        self.api.objects().get(api_version, kind, "default", name).unwrap_or_default()
    }

    fn replicas(&self, name: &str) -> u64 {
        self.get("ReplicationController", name)["spec"]["replicas"].as_u64().unwrap()
    }

    /// Waits until a condition of an HPA has this reason, and answers the HPA.
    async fn condition(&self, name: &str, kind: &str, reason: &str) -> Value {
        let look = || async { self.get("HorizontalPodAutoscaler", name) };
        let holds = |hpa: &Value| condition(hpa, kind)["reason"] == reason;
        eventually(&format!("{kind} {reason}"), look, holds).await
    }

    fn events(&self, name: &str) -> Vec<(String, String)> {
        let mut events = self.api.objects().list("v1", "Event");
        events.retain(|event| event["involvedObject"]["name"] == name);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        events.iter().map(|event| (text(&event["reason"]), text(&event["message"]))).collect()
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.controllers).await.expect("the controllers end").unwrap();
        self.api.shutdown().await;
    }
}

fn condition<'a>(hpa: &'a Value, kind: &str) -> &'a Value {
    let conditions = hpa["status"]["conditions"].as_array();
    conditions.into_iter().flatten().find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_follows_its_metric_up_and_down() {
    let world = World::start().await;
    let metrics = MetricsApi::start(&world.api).await;
    world.workload("worker", 2);
    metrics.answer_with(&[("worker-0", "30"), ("worker-1", "30")]);
    world.autoscaler("worker", "worker", "10");
    let up = || async { world.replicas("worker") };
    eventually("6 replicas", up, |replicas| *replicas == 6).await;
    let hpa = world.condition("worker", "ScalingActive", "ValidMetricFound").await;
    let current = &hpa["status"]["currentMetrics"][0]["pods"]["current"]["averageValue"];
    assert_eq!(current, "30", "{hpa}");
    // What is told of time is true for everybody, however fast the controller's own time passes.
    let written: jiff::Timestamp = hpa["status"]["lastScaleTime"].as_str().unwrap().parse().unwrap();
    let created: jiff::Timestamp = hpa["metadata"]["creationTimestamp"].as_str().unwrap().parse().unwrap();
    assert!((created..=jiff::Timestamp::now()).contains(&written), "{hpa}");
    let rescaled =
        ("SuccessfulRescale".to_owned(), "New size: 6; reason: pods metric messages above target".to_owned());
    assert!(world.events("worker").contains(&rescaled), "{:?}", world.events("worker"));

    // The queue is empty, and the window keeps what was wanted until it is taken away.
    metrics.answer_with(&[("worker-0", "0"), ("worker-1", "0")]);
    world.condition("worker", "AbleToScale", "ScaleDownStabilized").await;
    assert_eq!(world.replicas("worker"), 6);
    world.scale_down_window("worker", 0);
    eventually("1 replica", up, |replicas| *replicas == 1).await;

    let asked = "system:serviceaccount:kube-system:horizontal-pod-autoscaler \
        /apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/%2A/messages?labelSelector=app%3Dworker";
    assert!(metrics.reads().iter().all(|read| read == asked), "{:?}", metrics.reads());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_what_the_api_said() {
    let world = World::start().await;
    world.workload("worker", 1);
    world.autoscaler("worker", "worker", "10");
    let message = |hpa: &Value| condition(hpa, "ScalingActive")["message"].as_str().unwrap().to_owned();
    let hpa = world.condition("worker", "ScalingActive", "FailedGetPodsMetric").await;
    assert!(message(&hpa).contains("no custom metrics API (custom.metrics.k8s.io) registered"), "{hpa}");

    let metrics = MetricsApi::start(&world.api).await;
    metrics.refuse_with(404, "no pod shows messages");
    let look = || async { message(&world.get("HorizontalPodAutoscaler", "worker")) };
    eventually("the API's own words", look, |text| text.contains("no pod shows messages")).await;
    metrics.answer_with(&[]);
    eventually("no metrics", look, |text| text.contains("no metrics returned from custom metrics API")).await;
    assert_eq!(world.replicas("worker"), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_that_cannot_be_scaled_are_told_apart() {
    let world = World::start().await;
    world.autoscaler("nowhere", "nothing", "10");
    let hpa = world.condition("nowhere", "AbleToScale", "FailedGetScale").await;
    let message = condition(&hpa, "AbleToScale")["message"].as_str().unwrap();
    assert!(message.contains("replicationcontrollers \"nothing\" not found"), "{message}");

    // Two HPAs for the same pods: neither does anything.
    let metrics = MetricsApi::start(&world.api).await;
    world.workload("worker", 2);
    metrics.answer_with(&[("worker-0", "10"), ("worker-1", "10")]);
    world.autoscaler("one", "worker", "10");
    world.autoscaler("two", "worker", "10");
    world.condition("one", "ScalingActive", "AmbiguousSelector").await;
    world.condition("two", "ScalingActive", "AmbiguousSelector").await;
    // One goes, and the other takes over.
    let hpas = world.api.objects();
    hpas.delete("autoscaling/v2", "HorizontalPodAutoscaler", "default", "two").unwrap();
    world.condition("one", "ScalingActive", "ValidMetricFound").await;
    world.end().await;
}
