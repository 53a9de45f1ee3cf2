//! podgauge as it ships, as a process.

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command},
    time::{Duration, Instant},
};

use sandbox::{
    apiserver::Handle,
    client::{Client, ClientConfig},
    clock::Clock,
    kubeconfig::Credential,
    pki::Authority,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::sleep,
};

use crate::{cluster, process};

/// A running podgauge; ended when dropped.
pub(crate) struct Podgauge {
    child: Child,
    folder: PathBuf,
    api: SocketAddr,
    admin: SocketAddr,
    authority: Authority,
    /// From its start until it was ready.
    pub(crate) ready_after: Duration,
}

/// What came of scrapes.
#[derive(Default)]
pub(crate) struct Scrapes {
    pub(crate) good: f64,
    pub(crate) failed: BTreeMap<String, f64>,
}

impl Podgauge {
    /// Starts it with its service account, and waits until it is ready.
    pub(crate) async fn start(cluster: &Handle) -> Self {
        let folder = std::env::temp_dir().join(format!("podgauge-scale-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, text: &str| {
            fs::write(folder.join(name), text).unwrap();
            folder.join(name).display().to_string()
        };
        let authority = Authority::new("podgauge-ca", Clock::system().now()).unwrap();
        let identity = authority.server("podgauge", &["podgauge.podgauge.svc"]).unwrap();
        let kubeconfig = cluster.kubeconfig_for_service_account("podgauge", "podgauge");
        let (api, admin) = (free_address(), free_address());
        let started = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_podgauge"))
            .args(["--bind-address=127.0.0.1", "--scrape-loopback"])
            .args([format!("--secure-port={}", api.port()), format!("--admin-bind-address={admin}")])
            .arg(format!("--kubeconfig={}", file("kubeconfig", &kubeconfig)))
            .arg(format!("--tls-cert-file={}", file("tls.crt", &identity.certificate_pem)))
            .arg(format!("--tls-private-key-file={}", file("tls.key", &identity.key_pem)))
            .stderr(fs::File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut podgauge = Self { child, folder, api, admin, authority, ready_after: Duration::ZERO };
        while !podgauge.admin_get("/readyz").await.is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            assert!(podgauge.child.try_wait().unwrap().is_none(), "podgauge ended");
            sleep(Duration::from_millis(2)).await;
        }
        podgauge.ready_after = started.elapsed();
        podgauge
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A client of the API, without the aggregator in between.
    pub(crate) fn client(&self, cluster: &Handle) -> Client {
        let config = ClientConfig {
            address: self.api,
            server_name: "podgauge.podgauge.svc".to_owned(),
            ca_pem: Some(self.authority.pem().to_owned()),
            credential: admin(cluster),
            max_response_bytes: 64 << 20,
        };
        Client::new(&config).unwrap()
    }

    /// A client of the cluster, which has podgauge as its metrics API from now on.
    pub(crate) async fn aggregated(&self, cluster: &Handle) -> Client {
        use base64::Engine as _;
        cluster.route_service("podgauge", "podgauge", self.api);
        let bundle = base64::engine::general_purpose::STANDARD.encode(self.authority.pem());
        for mut service in cluster::shipped("apiservice.yaml") {
            service["spec"]["caBundle"] = json!(bundle);
            cluster.objects().put(service).unwrap();
        }
        cluster.wait_for_api_service("v1beta2.custom.metrics.k8s.io", "True").await.unwrap();
        cluster.client(admin(cluster)).unwrap()
    }

    /// Scrapes so far, by what came of them.
    pub(crate) async fn scrapes(&self) -> Scrapes {
        let page = self.admin_get("/metrics").await.unwrap();
        let mut scrapes = Scrapes::default();
        for line in page.lines().filter_map(|line| line.strip_prefix("podgauge_scrapes_total{result=\"")) {
            let (result, count) = line.split_once("\"} ").unwrap();
            let count = count.parse().unwrap();
            match result {
                "success" => scrapes.good = count,
                _ => drop(scrapes.failed.insert(result.to_owned(), count)),
            }
        }
        scrapes
    }

    /// Waits until each of so many pods has been scraped.
    pub(crate) async fn knows(&self, pods: usize) {
        while self.scrapes().await.good < pods as f64 {
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Head and body of a path on the admin port.
    async fn admin_get(&self, path: &str) -> Option<String> {
        let mut stream = tokio::net::TcpStream::connect(self.admin).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: podgauge\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    }

    pub(crate) fn cpu(&self) -> Duration {
        process::cpu(self.id())
    }

    pub(crate) fn waited(&self) -> Duration {
        process::waited(self.id())
    }
}

impl Drop for Podgauge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn admin(cluster: &Handle) -> Credential {
    Credential::ClientCertificate(cluster.cluster_ca().client("admin", &["system:masters"]).unwrap())
}

/// An address where nobody listens.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
