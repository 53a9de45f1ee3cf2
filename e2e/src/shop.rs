//! What the tests scale and read: the demo shop, all in one pod, or in its parts.

use crate::Outcome;
use crate::cluster::{Cluster, PATIENCE};
use crate::wait::until;
use http::Request;
use serde_json::{Value, json};
use std::time::Duration;

/// A Deployment of shops that each keep a queue to themselves and work nothing off, so that `messages` stays as it is.
pub(crate) fn gauges(name: &str, replicas: u32) -> Value {
    deployment(name, replicas, &[("WORKER_ENABLED", "false")])
}

/// The queue and the store in one pod, `worker`s beside it, the Service between them, and the workers' autoscaler.
pub(crate) fn scaled_shop(work: &str, metric: &Value) -> Vec<Value> {
    vec![
        deployment("store", 1, &[("WORKER_ENABLED", "false"), ("QUEUE_LISTEN", "0.0.0.0:61613")]),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "store"},
            "spec": {"selector": {"app": "store"}, "ports": [
                {"name": "http", "port": 8080}, {"name": "stomp", "port": 61613}]},
        }),
        deployment(
            "worker",
            1,
            &[
                ("STORE_ENABLED", "false"),
                ("WORK_DURATION", work),
                ("ACTIVEMQ_BROKER_URL", "stomp://store:61613"),
            ],
        ),
        autoscaler("worker", 4, metric),
    ]
}

/// An autoscaler of a Deployment, with a window that fits a test.
pub(crate) fn autoscaler(name: &str, most: u32, metric: &Value) -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1, "maxReplicas": most,
            "metrics": [metric],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}},
        },
    })
}

fn deployment(name: &str, replicas: u32, environment: &[(&str, &str)]) -> Value {
    let environment: Vec<Value> =
        environment.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}},
                "spec": {
                    "automountServiceAccountToken": false,
                    "enableServiceLinks": false,
                    "terminationGracePeriodSeconds": 5,
                    "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [{
                        "name": "shop", "image": "localhost/demo-shop:1", "imagePullPolicy": "IfNotPresent",
                        "env": environment,
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 2},
                        "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                            "capabilities": {"drop": ["ALL"]}},
                    }],
                },
            },
        },
    })
}

impl Cluster {
    /// Makes so many gauges and waits until podgauge answers for each of them.
    pub(crate) async fn make_gauges(&self, replicas: u32) -> Outcome {
        self.apply(&gauges("gauge", replicas)).await?;
        self.kubectl(&["rollout", "status", "deployment/gauge", "--timeout=120s"]).await?;
        self.values("messages", replicas as usize).await.map(drop)
    }

    /// Waits until a metric has values for so many pods, and answers them by the pod's name.
    pub(crate) async fn values(&self, metric: &str, pods: usize) -> Outcome<Vec<(String, String)>> {
        let path = self.metric_path("v1beta2", metric);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let look = async || {
            let list = self.get(&path).await?.json()?;
            let items = list["items"].as_array().cloned().unwrap_or_default();
            Ok(items
                .iter()
                .map(|item| (text(&item["describedObject"]["name"]), text(&item["value"])))
                .collect())
        };
        until(&format!("{pods} values of {metric}"), PATIENCE, look, |values: &Vec<_>| values.len() == pods)
            .await
    }

    /// Orders items at a Service or pod (`services/store:8080`), through the API server.
    pub(crate) async fn order(&self, at: &str, quantity: u32) -> Outcome {
        let path = format!("/api/v1/namespaces/{}/{at}/proxy/submit", self.namespace);
        let body = format!("quantity={quantity}").into_bytes();
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        let request = request.header("accept", "application/json").body(body)?;
        self.client.request_text(request).await?;
        Ok(())
    }

    /// Waits until an autoscaler has read its metric.
    pub(crate) async fn autoscaler_is_active(&self, name: &str, patience: Duration) -> Outcome {
        let namespace = &self.namespace;
        let path = format!("/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/{name}");
        let active = async || {
            let hpa = self.get(&path).await?.json()?;
            let conditions = hpa["status"]["conditions"].as_array().cloned().unwrap_or_default();
            Ok(conditions
                .into_iter()
                .find(|condition| condition["type"] == "ScalingActive")
                .unwrap_or_default())
        };
        until("the autoscaler reads its metric", patience, active, |condition| condition["status"] == "True")
            .await
            .map(drop)
    }

    /// Waits until a Deployment wants a number of replicas that `done` holds for.
    pub(crate) async fn replicas(
        &self,
        name: &str,
        patience: Duration,
        done: impl Fn(u64) -> bool,
    ) -> Outcome<u64> {
        let path = format!("/apis/apps/v1/namespaces/{}/deployments/{name}", self.namespace);
        let look = async || Ok(self.get(&path).await?.json()?["spec"]["replicas"].as_u64().unwrap_or(0));
        until(&format!("another number of replicas of {name}"), patience, look, |replicas| done(*replicas))
            .await
    }
}
