//! podgauge as a process.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use bytes::Bytes;
use http::Response;
use sandbox::{
    apiserver::Handle,
    client::{Client, ClientConfig},
    kubeconfig::Credential,
};
use serde_json::Value;

/// A running podgauge; ended when dropped.
pub(crate) struct Podgauge {
    child: Child,
    /// Where the API is served.
    pub(crate) api: SocketAddr,
    /// Where probes and metrics are served.
    pub(crate) admin: SocketAddr,
    log: Arc<Mutex<String>>,
}

/// How long anything may take before a test gives up; a bound, not an expectation.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Starts podgauge against the cluster, with the roles of its service account, and waits until it is ready.
pub(crate) async fn start(cluster: &Handle, flags: &[&str]) -> Podgauge {
    let podgauge = launch(cluster, flags);
    eventually("podgauge is ready", || podgauge.admin_get("/readyz"), |(code, _)| *code == 200).await;
    podgauge
}

/// Scrapes once, and what was read is good for as long as the test runs: for tests that are about something else.
pub(crate) const ONE_SCRAPE: &str = "--metric-resolution=1h";

/// Starts podgauge and waits for its ports alone. It scrapes every second, unless the flags say otherwise.
pub(crate) fn launch(cluster: &Handle, flags: &[&str]) -> Podgauge {
    let kubeconfig = scratch("kubeconfig");
    fs::write(&kubeconfig, cluster.kubeconfig_for_service_account("podgauge", "podgauge")).unwrap();
    let is_given = flags.iter().any(|flag| flag.starts_with("--metric-resolution="));
    let resolution = (!is_given).then_some("--metric-resolution=1s");
    let mut child = Command::new(env!("CARGO_BIN_EXE_podgauge"))
        .args(["--bind-address=127.0.0.1", "--secure-port=0", "--admin-bind-address=127.0.0.1:0"])
        .args(["--logging-format=json", "--scrape-loopback"])
        .args(resolution)
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .args(flags)
        .env_remove("POD_NAMESPACE")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = Arc::new(Mutex::new(String::new()));
    let (found, addresses) = mpsc::channel();
    let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::clone(&log));
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(address) = event["address"].as_str().and_then(|address| address.parse().ok()) {
                let _ = found.send((event["message"].to_string(), address));
            }
            let mut kept = kept.lock().unwrap();
            kept.push_str(&line);
            kept.push('\n');
        }
    });
    let mut api = None;
    let mut admin = None;
    while let (None, _) | (_, None) = (api, admin) {
        let (message, address) = addresses
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("podgauge did not start:\n{}", log.lock().unwrap()));
        let slot = if message.contains("probes") { &mut admin } else { &mut api };
        *slot = Some(address);
    }
    Podgauge { child, api: api.unwrap(), admin: admin.unwrap(), log }
}

// === impl Podgauge ===

impl Podgauge {
    /// A client of the API. Its certificate is not verified here; that is what the aggregator does.
    pub(crate) fn client(&self, credential: Credential) -> Client {
        let config = ClientConfig {
            address: self.api,
            server_name: "localhost".to_owned(),
            ca_pem: None,
            credential,
            max_response_bytes: 16 << 20,
        };
        Client::new(&config).unwrap()
    }

    /// Code and body of a path on the admin port.
    pub(crate) async fn admin_get(&self, path: &str) -> (u16, String) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(self.admin).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: podgauge\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (code, body.to_owned())
    }

    /// A number of podgauge's own metrics; absent is 0.
    pub(crate) async fn own_metric(&self, series: &str) -> f64 {
        let (_, page) = self.admin_get("/metrics").await;
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or(0.0)
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits for its end and answers the exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        for _ in 0..3000 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("podgauge does not end:\n{}", self.log());
    }
}

#[expect(clippy::print_stdout, reason = "what a failed test shows")]
impl Drop for Podgauge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("podgauge's log:\n{}", self.log());
        }
    }
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
        assert!(tokio::time::Instant::now() < deadline, "never: {what}; last seen: {answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The JSON of an answer.
pub(crate) fn json(answer: &Response<Bytes>) -> Value {
    serde_json::from_slice(answer.body()).unwrap_or_default()
}

/// A fresh path for a file of this test run.
pub(crate) fn scratch(name: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{n}-{name}", std::process::id()))
}
