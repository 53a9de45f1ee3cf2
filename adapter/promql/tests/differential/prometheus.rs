//! A real Prometheus on loopback, over given samples, or over what it scrapes.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use podgauge_promql::Dialect;
use serde_json::Value;

pub(crate) struct Prometheus {
    /// `None` while it is stopped.
    child: Option<Child>,
    port: u16,
    dialect: Dialect,
    folder: PathBuf,
}

impl Prometheus {
    /// Starts it with the samples of an OpenMetrics page; `None` where it is not installed.
    pub(crate) fn start(page: &str) -> Option<Self> {
        Command::new("promtool").arg("--version").output().ok()?;
        let (folder, dialect) = prepare("{}\n")?;
        fs::write(folder.join("page"), page).unwrap();
        let made = Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "openmetrics", "page", "data"])
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "promtool: {}", String::from_utf8_lossy(&made.stderr));
        Some(Self::started(folder, dialect))
    }

    /// Starts it with a configuration of its own; `None` where it is not installed.
    pub(crate) fn configured(config: &str) -> Option<Self> {
        let (folder, dialect) = prepare(config)?;
        Some(Self::started(folder, dialect))
    }

    fn started(folder: PathBuf, dialect: Dialect) -> Self {
        // The port is free now and may be taken a moment later; then another one is tried.
        let started = (0..5).find_map(|_| {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            serve(&folder, port).map(|child| (child, port))
        });
        let (child, port) = started.expect("prometheus does not start");
        Self { child: Some(child), port, dialect, folder }
    }

    /// Ends it; what it knows stays on the disk.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may be gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again after [`stop`](Self::stop), where it was.
    pub(crate) fn start_again(&mut self) {
        self.child = serve(&self.folder, self.port);
        assert!(self.child.is_some(), "prometheus does not start again");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whose answers it gives.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(crate) fn instant(&self, query: &str, at_ms: i64) -> Value {
        self.ask("query", &format!("query={}&time={}", encode(query), seconds(at_ms)))
    }

    pub(crate) fn range(&self, query: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Value {
        let (start, end, step) = (seconds(start_ms), seconds(end_ms), seconds(step_ms));
        self.ask("query_range", &format!("query={}&start={start}&end={end}&step={step}", encode(query)))
    }

    fn ask(&self, path: &str, form: &str) -> Value {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        // HTTP/1.0: the answer ends with the connection, and comes in one piece.
        write!(
            stream,
            "POST /api/v1/{path} HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a body");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in {answer}"))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.stop();
        // What is left behind is below target/.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A folder with a configuration, and whose answers it will give; `None` where Prometheus is not installed.
fn prepare(config: &str) -> Option<(PathBuf, Dialect)> {
    let version = Command::new("prometheus").arg("--version").output().ok()?;
    let said =
        String::from_utf8_lossy(&version.stdout).into_owned() + &String::from_utf8_lossy(&version.stderr);
    let dialect = if said.contains("version 2.") { Dialect::Prometheus2 } else { Dialect::Prometheus3 };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("prometheus-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("prometheus.yml"), config).unwrap();
    Some((folder, dialect))
}

/// A server that says that it is ready; `None` if it ends before.
fn serve(folder: &Path, port: u16) -> Option<Child> {
    let mut child = Command::new("prometheus")
        .args([
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            "--storage.tsdb.retention.time=100y",
        ])
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut log = BufReader::new(child.stderr.take()?).lines();
    let ready = log
        .by_ref()
        .map_while(Result::ok)
        .any(|line| line.contains("Server is ready to receive web requests"));
    if ready {
        // Somebody must read on, or it would stop at a full pipe.
        std::thread::spawn(move || log.map_while(Result::ok).for_each(drop));
        return Some(child);
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
