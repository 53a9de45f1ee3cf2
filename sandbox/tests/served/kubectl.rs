//! kubectl itself against the sandbox, as a transcript.
//!
//! `kubectl/transcript.txt` holds commands (`$ ...`) and what they printed. `BLESS=1 cargo test -p sandbox` writes it anew.
//! Without kubectl on PATH the test says so and passes, unless `CI` is set.

use sandbox::apiserver::{ApiServer, Config};
use sandbox::clock::{Clock, rfc3339};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn commands_print_what_they_print_against_a_cluster() {
    // Time stands still, so that every age is 0s.
    let now = jiff::Timestamp::now();
    let cluster =
        ApiServer::start(Config { clock: Clock::from_fn(move || now), ..Config::default() }).await.unwrap();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kubectl-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let kubeconfig = home.join("config");
    std::fs::write(&kubeconfig, cluster.kubeconfig_for("admin", &["system:masters"]).unwrap()).unwrap();

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/served/kubectl");
    let golden = folder.join("transcript.txt");
    let expected = std::fs::read_to_string(&golden).unwrap();
    let commands: Vec<String> =
        expected.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect();
    let run_home = home.clone();
    let found = tokio::task::spawn_blocking(move || {
        let mut transcript = String::new();
        for command in &commands {
            let output = run(command, &run_home, &kubeconfig, &folder)?;
            transcript.push_str(&format!("$ {command}\n{output}"));
        }
        Some(transcript)
    });
    let found = found.await.unwrap();
    std::fs::remove_dir_all(&home).unwrap();
    let Some(found) = found else {
        assert!(std::env::var_os("CI").is_none(), "kubectl is not on PATH");
        println!("skipped: kubectl is not on PATH");
        return;
    };
    let local = now.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();
    let found = found.replace(&cluster.url(), "SERVER").replace(&rfc3339(now), "NOW").replace(&local, "NOW");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&golden, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&golden).unwrap());
    cluster.shutdown().await;
}

/// Standard output and error of one command line; `None` if kubectl does not exist.
fn run(command: &str, home: &Path, kubeconfig: &PathBuf, folder: &Path) -> Option<String> {
    let words = command.split(' ').map(|word| word.trim_matches('\''));
    let mut words = words.skip_while(|word| *word == "kubectl");
    let output = Command::new("kubectl")
        .args(words.by_ref())
        .env("HOME", home)
        .env("KUBECONFIG", kubeconfig)
        .env("TZ", "UTC")
        .current_dir(folder)
        .output();
    match output {
        Ok(output) => {
            let lines = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&lines).into_owned();
            // Trailing blanks in a golden file get lost too easily.
            Some(text.lines().map(|line| format!("{}\n", line.trim_end())).collect())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("{command}: {error}"),
    }
}
