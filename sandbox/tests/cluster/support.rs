//! A cluster for one test, and ways to look at it.

use http::Method;
use sandbox::apiserver::{ApiServer, Config, Handle};
use sandbox::client::Client;
use sandbox::controllers::{self, Controllers};
use sandbox::kubeconfig::Credential;
use sandbox::node::{self, Image, Images, Node, RestartBackoff};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take before a test gives up; a bound, not an expectation.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// A running cluster. End it with [`Cluster::end`].
pub(crate) struct Cluster {
    pub(crate) api: Handle,
    pub(crate) admin: Client,
    pub(crate) node_ip: Ipv4Addr,
    pub(crate) logs: PathBuf,
    stop: CancellationToken,
    node: JoinHandle<()>,
    controllers: JoinHandle<()>,
}

// === impl Cluster ===

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::with_images(Images::from([("page-server".to_owned(), page_server())])).await
    }

    pub(crate) async fn with_images(images: Images) -> Self {
        let api = ApiServer::start(Config::default()).await.unwrap();
        let logs = scratch("logs");
        let wait = Duration::from_millis(200);
        let config = node::Config {
            restart_backoff: RestartBackoff { initial: wait, max: wait * 4, ..RestartBackoff::default() },
            first_probe_after: Duration::from_millis(100),
            ..node::Config::new(images, &logs)
        };
        let node = Node::build(&api, config).unwrap();
        let controllers = Controllers::build(&api, controllers::Config::new(node.service_ips())).unwrap();
        let stop = CancellationToken::new();
        let identity = api.cluster_ca().client("admin", &["system:masters"]).unwrap();
        Self {
            admin: api.client(Credential::ClientCertificate(identity)).unwrap(),
            node_ip: node.ip(),
            logs,
            node: tokio::spawn(node.run(stop.clone())),
            controllers: tokio::spawn(controllers.run(stop.clone())),
            stop,
            api,
        }
    }

    /// Stops everything; nothing may be left afterwards.
    pub(crate) async fn end(self) {
        std::fs::remove_dir_all(self.end_but_for_logs().await).unwrap();
    }

    /// Stops everything, and answers the folder of what the containers wrote.
    pub(crate) async fn end_but_for_logs(self) -> PathBuf {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.node).await.expect("the node ends").unwrap();
        tokio::time::timeout(PATIENCE, self.controllers).await.expect("the controllers end").unwrap();
        assert_eq!(processes_of(self.node_ip), Vec::<u32>::new(), "processes are left");
        self.api.shutdown().await;
        self.logs
    }

    /// Ends the node as a panic would: its task is gone, and nobody ends anything in good order.
    pub(crate) async fn drop_node(self) {
        self.node.abort();
        self.stop.cancel();
        eventually("no processes", || async { processes_of(self.node_ip) }, Vec::is_empty).await;
        self.api.shutdown().await;
        std::fs::remove_dir_all(self.logs).unwrap();
    }

    /// Creates an object over HTTP. `path` is that of its collection.
    pub(crate) async fn create(&self, path: &str, object: &Value) -> Value {
        self.send(Method::POST, path, "application/json", object).await
    }

    pub(crate) async fn merge(&self, path: &str, patch: &Value) -> Value {
        self.send(Method::PATCH, path, "application/merge-patch+json", patch).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Value {
        self.send(Method::DELETE, path, "application/json", &json!({})).await
    }

    async fn send(&self, method: Method, path: &str, content_type: &str, body: &Value) -> Value {
        let answer = self.admin.send_json(method, path, content_type, body).await.unwrap();
        let found: Value = serde_json::from_slice(answer.body()).unwrap();
        assert!(answer.status().is_success(), "{path}: {found}");
        found
    }

    /// The pods with this label `app` that nobody has asked to end.
    pub(crate) fn pods(&self, app: &str) -> Vec<Value> {
        let mut pods = self.api.objects().list("v1", "Pod");
        pods.retain(|pod| {
            pod["metadata"]["labels"]["app"] == app && pod["metadata"]["deletionTimestamp"].is_null()
        });
        pods
    }

    pub(crate) fn pod(&self, name: &str) -> Value {
        self.api.objects().get("v1", "Pod", "default", name).unwrap_or_default()
    }

    /// Waits until so many pods of an app are ready and no others exist, and answers them.
    pub(crate) async fn ready_pods(&self, app: &str, count: usize) -> Vec<Value> {
        let all_ready = |pods: &Vec<Value>| pods.len() == count && pods.iter().all(is_ready);
        eventually(&format!("{count} ready pods of {app}"), || async { self.pods(app) }, all_ready).await
    }

    /// The reasons of the events about an object.
    pub(crate) fn event_reasons(&self, name: &str) -> Vec<String> {
        let mut events = self.api.objects().list("v1", "Event");
        events.retain(|event| event["involvedObject"]["name"] == name);
        events.iter().map(|event| text(&event["reason"])).collect()
    }

    /// Waits until there are events about an object with all of these reasons.
    pub(crate) async fn events(&self, name: &str, expected: &[&str]) {
        let all =
            |reasons: &Vec<String>| expected.iter().all(|expected| reasons.iter().any(|r| r == expected));
        eventually(&format!("{expected:?}"), || async { self.event_reasons(name) }, all).await;
    }

    /// The addresses of the endpoints of a Service that are ready.
    pub(crate) fn ready_endpoints(&self, service: &str) -> Vec<String> {
        let slices = self.api.objects().list("discovery.k8s.io/v1", "EndpointSlice");
        let own = slices
            .iter()
            .filter(|slice| slice["metadata"]["labels"]["kubernetes.io/service-name"] == service);
        let endpoints = own.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
        let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true);
        let mut found: Vec<_> = ready.map(|endpoint| text(&endpoint["addresses"][0])).collect();
        found.sort();
        found
    }

    /// What all runs of a pod's container wrote, as far as it is kept.
    pub(crate) fn log(&self, pod: &str, container: &str) -> String {
        let folder = self.logs.join(format!("default_{pod}")).join(container);
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files.map(|file| std::fs::read_to_string(file.path()).unwrap_or_default()).collect()
    }
}

/// A Deployment `name` of the page server, whose pods have the label `app: name`.
pub(crate) fn deployment(name: &str, replicas: u64) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod_spec()},
        },
    })
}

/// A pod of the page server with the label `app: name`.
pub(crate) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": pod_spec(),
    })
}

/// One failure of a probe counts at once, and only an answer is a failure: on a busy machine answers are late.
fn pod_spec() -> Value {
    let probe = |path: &str, port: Value| json!({"httpGet": {"path": path, "port": port}, "periodSeconds": 1, "timeoutSeconds": 300, "failureThreshold": 1});
    json!({
        "terminationGracePeriodSeconds": 20,
        "containers": [{
            "name": "web",
            "image": "page-server:1",
            "ports": [{"name": "http", "containerPort": 8080}],
            "readinessProbe": probe("/health", json!("http")),
            "livenessProbe": probe("/livez", json!(8080)),
        }],
    })
}

/// The program that the tests' pods run, which `cargo test -p sandbox` builds.
pub(crate) fn page_server() -> Image {
    let this = std::env::current_exe().unwrap();
    let program = this.parent().and_then(Path::parent).unwrap().join("examples/page_server");
    assert!(program.is_file(), "{} is missing: cargo build -p sandbox --examples", program.display());
    Image::new(program).listen("ADDRESS", "$(POD_IP)")
}

pub(crate) fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(crate) fn name(object: &Value) -> String {
    text(&object["metadata"]["name"])
}

/// Where a pod serves.
pub(crate) fn address(pod: &Value) -> SocketAddr {
    SocketAddr::new(text(&pod["status"]["podIP"]).parse().unwrap(), 8080)
}

/// Code and body of a GET; an error if nothing answers.
pub(crate) async fn get(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    send(address, &format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")).await
}

pub(crate) async fn send(address: SocketAddr, request: &str) -> std::io::Result<(u16, String)> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let code = code.ok_or_else(|| std::io::Error::other("no HTTP"))?;
    Ok((code, answer.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned())))
}

/// The processes that were told to listen in the node's block of addresses.
pub(crate) fn processes_of(node: Ipv4Addr) -> Vec<u32> {
    let marker = format!("ADDRESS=127.{}.", node.octets()[1]);
    let has_marker = |process: &u32| {
        // A process that has ended meanwhile, or is another user's, is none of ours.
        let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(marker.as_bytes()))
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes.filter(has_marker).collect()
}

/// Asks again and again until the answer is as wanted, and gives it.
pub(crate) async fn eventually<T: std::fmt::Debug, F: Future<Output = T>>(
    what: &str,
    ask: impl Fn() -> F,
    is_wanted: impl Fn(&T) -> bool,
) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = ask().await;
        if is_wanted(&answer) {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "never: {what}; last seen: {answer:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A fresh path for files of this test run.
pub(crate) fn scratch(name: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{n}-{name}", std::process::id()))
}
