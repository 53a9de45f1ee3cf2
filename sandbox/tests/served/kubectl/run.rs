//! A cluster, a kubectl and a shell for one session.

use super::folder;
use sandbox::apiserver::{ApiServer, Config, Handle};
use sandbox::clock::{Clock, rfc3339};
use sandbox::controllers::{self, Controllers};
use sandbox::node::{self, Image, Images, Node, RestartBackoff};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) type Kubectl = PathBuf;

/// Waits, for a bounded time, until a file has so many lines.
const UNTIL_LINES: &str = "#!/bin/sh
tries=0
while [ \"$(wc -l < \"$2\")\" -lt \"$1\" ] && [ $tries -lt 6000 ]; do tries=$((tries + 1)); sleep 0.05; done
";

/// The kubectls to run.
pub(crate) fn kubectls() -> Vec<Kubectl> {
    if let Some(list) = std::env::var_os("SANDBOX_KUBECTL") {
        return std::env::split_paths(&list).collect();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("kubectl"))
        .find(|path| path.is_file())
        .into_iter()
        .collect()
}

/// What a session runs in.
pub(crate) struct World {
    api: Handle,
    now: jiff::Timestamp,
    home: PathBuf,
    stop: CancellationToken,
    parts: Vec<JoinHandle<()>>,
}

// === impl World ===

impl World {
    pub(crate) async fn start(whole: bool, kubectl: &Kubectl) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        // Time stands still, so that every age that the server tells is 0s.
        let now = jiff::Timestamp::now();
        let clock = Clock::from_fn(move || now);
        let api = ApiServer::start(Config { clock, ..Config::default() }).await.unwrap();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let home =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kubectl-{}-{number}", std::process::id()));
        std::fs::create_dir_all(home.join("bin")).unwrap();
        let kubeconfig = api.kubeconfig_for("admin", &["system:masters"]).unwrap();
        std::fs::write(home.join("config"), kubeconfig).unwrap();
        script(&home.join("bin/kubectl"), &format!("#!/bin/sh\nexec '{}' \"$@\"\n", kubectl.display()));
        script(&home.join("bin/until_lines"), UNTIL_LINES);
        let stop = CancellationToken::new();
        let mut parts = Vec::new();
        if whole {
            let images = Images::from([("page-server".to_owned(), page_server())]);
            let wait = Duration::from_millis(200);
            let config = node::Config {
                restart_backoff: RestartBackoff { initial: wait, max: wait, ..RestartBackoff::default() },
                ..node::Config::new(images, home.join("logs"))
            };
            let node = Node::build(&api, config).unwrap();
            let controllers = Controllers::build(&api, controllers::Config::new(node.service_ips())).unwrap();
            parts.push(tokio::spawn(node.run(stop.clone())));
            parts.push(tokio::spawn(controllers.run(stop.clone())));
        }
        Self { api, now, home, stop, parts }
    }

    /// Which kubectl this is, such as `1.33`, as it says beside this server.
    pub(crate) async fn version(&self) -> String {
        let text = self.shell("kubectl version -o json").await;
        let version: Value = serde_json::from_str(text.split_inclusive("\n}\n").next().unwrap()).unwrap();
        let part = |field: &str| {
            let text = version["clientVersion"][field].as_str().unwrap();
            text.trim_end_matches(|c: char| !c.is_ascii_digit()).to_owned()
        };
        format!("{}.{}", part("major"), part("minor"))
    }

    /// What a command prints, with everything taken out that is another the next time.
    pub(crate) async fn run(&self, command: &str) -> String {
        let output = self.shell(command).await;
        self.normalised(&output)
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        for part in self.parts {
            part.await.unwrap();
        }
        self.api.shutdown().await;
        std::fs::remove_dir_all(self.home).unwrap();
    }

    async fn shell(&self, command: &str) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        shell
            .args(["-c", command])
            .env("PATH", format!("{}:{path}", self.home.join("bin").display()))
            .env("HOME", &self.home)
            .env("KUBECONFIG", self.home.join("config"))
            .env("REPOSITORY", Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .env("SESSIONS", folder())
            .env("TZ", "UTC")
            .current_dir(&self.home);
        let output = tokio::task::spawn_blocking(move || shell.output()).await.unwrap().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    fn normalised(&self, output: &str) -> String {
        let moment = self.now.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();
        let home = self.home.display().to_string();
        let mut text = output
            .replace(&self.api.url(), "SERVER")
            .replace(&self.api.url().replace("https://", ""), "SERVER")
            .replace(&rfc3339(self.now), "NOW")
            .replace(&moment, "NOW")
            .replace(&home, "HOME")
            .replace(env!("CARGO_MANIFEST_DIR"), "SANDBOX");
        let mut random = Vec::new();
        for kind in ["Pod", "Event"] {
            for object in self.api.objects().list("v1", kind) {
                let of = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
                random.push((of("name"), of("generateName")));
            }
        }
        for (name, prefix) in random {
            if let Some(suffix) = name.strip_prefix(&prefix).filter(|_| !prefix.is_empty()) {
                text = text.replace(&name, &format!("{prefix}{}", "x".repeat(suffix.len())));
            }
        }
        // Trailing blanks in a golden file get lost too easily.
        let lines = text.lines().map(|line| format!("{}\n", words(line.trim_end())));
        lines.collect()
    }
}

/// Replaces the words of a line that are another each time. A line with such a word of changing length loses its columns.
fn words(line: &str) -> String {
    let mut collapse = line.starts_with("  ") && line.contains("  ");
    let mut text = String::new();
    for piece in line.split_inclusive([' ', '"', ',', '(', ')', '/', '=', '\t']) {
        let end = piece.trim_end_matches([' ', '"', ',', '(', ')', '/', '=', '\t']).len();
        let (word, rest) = piece.split_at(end);
        let is_process = text.ends_with("process://");
        let new = if is_uuid(word) {
            "00000000-0000-0000-0000-000000000000"
        } else if is_process {
            "PROCESS"
        } else if is_age(word) {
            "0s"
        } else if word.starts_with("127.") && word.matches('.').count() == 3 {
            collapse = true;
            "ADDRESS"
        } else {
            word
        };
        text.push_str(new);
        text.push_str(rest);
    }
    for field in ["resourceVersion: ", "Resource Version:  "] {
        if let Some((before, _)) = text.split_once(field) {
            text = format!("{before}{field}RV");
        }
    }
    if collapse { collapsed(&text) } else { text }
}

fn is_uuid(word: &str) -> bool {
    word.len() == 36
        && word.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && word.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

fn is_age(word: &str) -> bool {
    let seconds = word.strip_suffix('s').unwrap_or_default();
    !seconds.is_empty() && seconds.len() <= 3 && seconds.chars().all(|c| c.is_ascii_digit())
}

/// Keeps how far a line is indented and no other run of blanks.
fn collapsed(line: &str) -> String {
    let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
    let words: Vec<&str> = rest.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
    format!("{indent}{}", words.join("  "))
}

fn script(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The example that Cargo builds beside these tests.
fn page_server() -> Image {
    let program = std::env::current_exe().unwrap();
    let folder = program.parent().and_then(Path::parent).unwrap().join("examples");
    Image::new(folder.join("page_server")).listen("ADDRESS", "$(POD_IP)")
}
