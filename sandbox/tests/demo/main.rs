//! The demo as people start it: the binary, its words, its exit codes, and what it leaves.
//!
//! Needs `target/debug/podgauge` and `target/debug/demo-shop`, which `cargo build -p podgauge -p demo-shop` makes; without
//! them the tests say so and pass, unless `CI` is set.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as the tests do")]

use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// How long processes may take to be gone; a bound, not an expectation.
const PATIENCE: Duration = Duration::from_secs(300);

/// A demo that was started.
struct Demo {
    child: Child,
    out: BufReader<ChildStdout>,
    folder: PathBuf,
    said: String,
}

/// How a demo ended.
struct End {
    code: Option<i32>,
    said: String,
    complaint: String,
}

// === impl Demo ===

impl Demo {
    /// Starts it with a folder of its own, and any free port if the flags name none.
    fn start(name: &str, flags: &[&str]) -> Self {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("demo-{}-{name}", std::process::id()));
        let mut child = Command::new(env!("CARGO_BIN_EXE_sandbox"))
            .args(["demo", "--cluster=sandbox"])
            .env("PORT", "0")
            .arg(format!("--out={}", folder.display()))
            .args(flags)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, folder, said: String::new() }
    }

    /// Reads on until it says this.
    fn until(&mut self, text: &str) {
        while !self.said.contains(text) {
            let read = self.out.read_line(&mut self.said).unwrap();
            assert!(read > 0, "it ended without saying {text:?}:\n{}", self.said);
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    fn end(mut self) -> End {
        self.out.read_to_string(&mut self.said).unwrap();
        let mut complaint = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        let code = self.child.wait().unwrap().code();
        End { code, said: std::mem::take(&mut self.said), complaint }
    }
}

/// The processes of a demo: its pods listen in the node's block of addresses, podgauge has its files in the folder.
fn processes_of(said: &str, folder: &Path) -> Vec<(u32, String)> {
    let node = said.split("127.").find_map(|rest| rest.split_once(".0.1, logs").map(|(block, _)| block));
    let marker = node.map(|block| format!("ADDRESS=127.{block}."));
    let has = |process: u32, file: &str, text: &str| {
        // A process that has ended meanwhile, or is another user's, is none of ours.
        let bytes = std::fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(text)
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_ours = |process: &u32| {
        has(*process, "cmdline", &format!("{}/", folder.display()))
            || marker.as_ref().is_some_and(|marker| has(*process, "environ", marker))
    };
    let named =
        |process| (process, std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default());
    processes.filter(is_ours).map(named).collect()
}

async fn assert_nothing_is_left(said: &str, folder: &Path) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let left = processes_of(said, folder);
        if left.is_empty() {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{left:?} are left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether the programs are there.
#[expect(clippy::print_stdout, reason = "whoever runs the tests should know that some have not run")]
fn can_run() -> bool {
    let beside = |name: &str| Path::new(env!("CARGO_BIN_EXE_sandbox")).with_file_name(name).is_file();
    let there = beside("podgauge") && beside("demo-shop");
    assert!(there || std::env::var_os("CI").is_none(), "target/debug/podgauge or demo-shop is missing");
    if !there {
        println!("SKIPPED: needs cargo build -p podgauge -p demo-shop");
    }
    there
}

#[tokio::test]
async fn the_loop_closes_and_the_report_says_so() {
    if !can_run() {
        return;
    }
    let demo = Demo::start("once", &["--once", "--pace=15"]);
    let folder = demo.folder.clone();
    let End { code, said, complaint } = demo.end();
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{said}");
    let run: Value = serde_json::from_slice(&std::fs::read(folder.join("run.json")).unwrap()).unwrap();
    let account = &run["account"];
    let (ordered, once) = (account["ordered"].as_u64().unwrap(), account["once"].as_u64().unwrap());
    // A slow machine may lose a connection, for which an item comes again, or take a second order to get there.
    let redelivered = account["redelivered"].as_array().unwrap().len() as u64;
    assert!(ordered >= 100 && once + redelivered == ordered, "{account}");
    assert_eq!(
        (&account["lost"], &account["repeated"], &run["missing"]),
        (&json!([]), &json!([]), &Value::Null)
    );
    let ready = run["samples"].as_array().unwrap().iter().map(|sample| sample["workers"]["ready"].as_u64());
    let most = ready.flatten().max().unwrap();
    assert!(most > 1, "{most} workers");
    let counted = format!("worker 1 -> {most} -> 1; {once} of {ordered} items processed exactly once");
    for expected in ["The loop has closed", counted.as_str(), "report.html"] {
        assert!(said.contains(expected), "{expected:?} is not in:\n{said}");
    }
    assert!(said.lines().all(|line| line.chars().count() <= 110 && !line.contains('\x1b')), "{said}");
    let report = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(
        report.contains("The loop has closed.") && report.contains(&format!("<dd>{once} / {ordered}</dd>"))
    );
    assert_nothing_is_left(&said, &folder).await;
    std::fs::remove_dir_all(folder).unwrap();
}

/// Ends a demo with a signal once it has said something.
async fn check_end(name: &str, said: &str, signal: Signal, code: Option<i32>) {
    if !can_run() {
        return;
    }
    let mut demo = Demo::start(name, &[]);
    let folder = demo.folder.clone();
    demo.until(said);
    demo.signal(signal);
    let end = demo.end();
    assert_eq!(end.code, code, "{}{}", end.said, end.complaint);
    assert_nothing_is_left(&end.said, &folder).await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn it_can_be_stopped_while_it_starts() {
    check_end("early", "ok  node", Signal::INT, Some(130)).await;
}

#[tokio::test]
async fn it_can_be_stopped_while_it_waits() {
    check_end("middle", "ok  metrics API", Signal::TERM, Some(130)).await;
}

#[tokio::test]
async fn it_can_be_stopped_while_orders_are_worked_off() {
    check_end("late", "ok  ordered", Signal::INT, Some(130)).await;
}

#[tokio::test]
async fn nothing_outlives_it_when_it_is_killed() {
    check_end("killed", "ok  shop", Signal::KILL, None).await;
}

#[test]
fn what_it_cannot_do_it_says_in_one_line() {
    let check = |name: &str, flags: &[&str], code: i32, expected: &[&str]| {
        let demo = Demo::start(name, flags);
        let folder = demo.folder.clone();
        let End { code: found, complaint, said } = demo.end();
        assert_eq!(found, Some(code), "{said}{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
        for expected in expected {
            assert!(complaint.contains(expected), "{expected:?} is not in {complaint}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    check("busy", &["--port", &port], 2, &[&port, "make demo PORT="]);
    check("no-shop", &["--shop=/nowhere/shop"], 2, &["/nowhere/shop", "cargo build -p demo-shop"]);
    check(
        "no-podgauge",
        &["--podgauge=/nowhere/podgauge", "--shop=/bin/false"],
        2,
        &["cargo build -p podgauge"],
    );
    check(
        "bad-podgauge",
        &["--podgauge=/bin/false", "--shop=/bin/false"],
        1,
        &["podgauge ended at its start"],
    );
    if can_run() {
        let expected = ["pod queue-", "CrashLoopBackOff", "its log: ", "/logs/default_queue-"];
        check("crash-loop", &["--once", "--shop=/bin/false"], 1, &expected);
    }
}
