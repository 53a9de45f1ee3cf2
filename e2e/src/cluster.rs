//! The cluster, as the tests meet it: kubectl for what people would do, a client for what must be quick.

use crate::wait::until;
use crate::{Failure, Outcome};
use http::Request;
use kube::{Client, Config};
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Where podgauge is installed.
pub(crate) const PODGAUGE: &str = "podgauge";
/// The API and its versions.
pub(crate) const GROUP: &str = "custom.metrics.k8s.io";
pub(crate) const VERSIONS: [&str; 2] = ["v1beta1", "v1beta2"];
/// How long anything may take that has no reason to take long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The cluster, and the namespace of the test that runs.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

/// An answer of the API server.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: String,
}

// === impl Cluster ===

impl Cluster {
    pub(crate) async fn connect() -> Outcome<Self> {
        let mut config = Config::infer().await.map_err(|error| {
            format!("no cluster: {error}; set KUBECONFIG or choose one with `kubectl config use-context`")
        })?;
        // A failed read is what these tests look for; asked again, it would look like a slow one.
        config.default_retry = false;
        let client = Client::try_from(config)?;
        Ok(Self { client, namespace: "default".to_owned() })
    }

    /// Version and nodes, for the transcript.
    pub(crate) async fn description(&self) -> Outcome<String> {
        let version = self.get("/version").await?.json()?;
        let nodes = self.get("/api/v1/nodes").await?.json()?;
        let nodes = nodes["items"].as_array().map_or(0, Vec::len);
        Ok(format!("Kubernetes {}, {nodes} node(s)", version["gitVersion"].as_str().unwrap_or("?")))
    }

    /// Makes the namespace of a test, at the strictest Pod Security level.
    pub(crate) async fn with_namespace(&self, test: &str) -> Outcome<Self> {
        let namespace = format!("podgauge-e2e-{test}");
        let this = Self { client: self.client.clone(), namespace: namespace.clone() };
        this.apply(&serde_json::json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        }))
        .await?;
        Ok(this)
    }

    /// Removes the namespace, and waits until it is gone: one that stays is a fault of somebody's.
    pub(crate) async fn remove_namespace(&self) -> Outcome {
        self.kubectl(&["delete", "namespace", &self.namespace, "--ignore-not-found", "--timeout=120s"])
            .await
            .map(drop)
    }

    /// GETs a path of the API server. Refusals are answers; only a broken connection fails.
    pub(crate) async fn get(&self, path: &str) -> Outcome<Answer> {
        let request = Request::get(path.replace('*', "%2A")).body(Vec::new())?;
        match self.client.request_text(request).await {
            Ok(body) => Ok(Answer { code: 200, body }),
            Err(kube::Error::Api(status)) => Ok(Answer { code: status.code, body: status.message.clone() }),
            Err(error) => Err(error.into()),
        }
    }

    /// The path of a metric of every pod of the test's namespace.
    pub(crate) fn metric_path(&self, version: &str, metric: &str) -> String {
        format!("/apis/{GROUP}/{version}/namespaces/{}/pods/*/{metric}", self.namespace)
    }

    /// Runs kubectl in the test's namespace and gives what it printed; a failure carries what it said.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> Outcome<String> {
        self.run("kubectl", &[&["--namespace", &self.namespace], arguments].concat(), "").await
    }

    /// Runs kubectl in podgauge's namespace.
    pub(crate) async fn on_podgauge(&self, arguments: &[&str]) -> Outcome<String> {
        self.run("kubectl", &[&["--namespace", PODGAUGE], arguments].concat(), "").await
    }

    /// Applies an object, in the test's namespace if it names none.
    pub(crate) async fn apply(&self, object: &Value) -> Outcome {
        let arguments =
            ["--namespace", &self.namespace, "apply", "--server-side", "--force-conflicts", "-f", "-"];
        self.run("kubectl", &arguments, &object.to_string()).await.map(drop)
    }

    /// Runs a program; `input` is what it reads.
    pub(crate) async fn run(&self, program: &str, arguments: &[&str], input: &str) -> Outcome<String> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().map_err(|error| format!("{program}: {error}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read to the end has its reasons, and tells them itself.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output = child.wait_with_output().await?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if output.status.success() {
            return Ok(out.into_owned());
        }
        let said = format!("{program} {}: {} {}", arguments.join(" "), out.trim(), err.trim());
        Err(Failure::from(said))
    }

    /// Waits until every APIService of podgauge's has this status of `Available`.
    pub(crate) async fn available(&self, status: &str, patience: Duration) -> Outcome {
        for version in VERSIONS {
            let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/{version}.{GROUP}");
            let look = async || {
                let service = self.get(&path).await?.json()?;
                let conditions = service["status"]["conditions"].as_array().cloned().unwrap_or_default();
                let available = conditions.into_iter().find(|condition| condition["type"] == "Available");
                Ok(available.unwrap_or_default())
            };
            let what = format!("{version}.{GROUP} has Available={status}");
            until(&what, patience, look, |condition| condition["status"] == status).await?;
        }
        Ok(())
    }

    /// Waits until a rollout of podgauge has ended.
    pub(crate) async fn podgauge_rolled_out(&self) -> Outcome {
        self.on_podgauge(&["rollout", "status", "deployment/podgauge", "--timeout=180s"]).await.map(drop)
    }

    /// The names of podgauge's pods that nobody has asked to end.
    pub(crate) async fn podgauge_pods(&self) -> Outcome<Vec<String>> {
        let path =
            format!("/api/v1/namespaces/{PODGAUGE}/pods?labelSelector=app.kubernetes.io/name%3Dpodgauge");
        let pods = self.get(&path).await?.json()?;
        let pods = pods["items"].as_array().cloned().unwrap_or_default();
        let alive = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        Ok(alive.filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned)).collect())
    }

    /// Prints all that could say why a test failed.
    pub(crate) async fn show_state(&self) {
        let here: &[&[&str]] = &[
            &["get", "pods,hpa,deployments", "-o", "wide"],
            &["describe", "pods"],
            &["describe", "hpa"],
            &["get", "events", "--sort-by=.lastTimestamp"],
        ];
        let there: &[&[&str]] = &[
            &["get", "pods", "-o", "wide"],
            &["describe", "pods"],
            &["get", "events", "--sort-by=.lastTimestamp"],
            &["logs", "-l", "app.kubernetes.io/name=podgauge", "--prefix", "--tail=60"],
            &[
                "get",
                "apiservice",
                "v1beta1.custom.metrics.k8s.io",
                "v1beta2.custom.metrics.k8s.io",
                "-o",
                "yaml",
            ],
        ];
        for arguments in here {
            show(arguments, self.kubectl(arguments).await);
        }
        for arguments in there {
            show(arguments, self.on_podgauge(arguments).await);
        }
    }
}

fn show(arguments: &[&str], said: Outcome<String>) {
    println!("$ kubectl {}", arguments.join(" "));
    println!("{}", said.unwrap_or_else(|error| error.to_string()).trim_end());
}

// === impl Answer ===

impl Answer {
    /// The document of an answer that must be one.
    pub(crate) fn json(&self) -> Outcome<Value> {
        if self.code != 200 {
            return Err(format!("{}: {}", self.code, self.body).into());
        }
        Ok(serde_json::from_str(&self.body)?)
    }
}
