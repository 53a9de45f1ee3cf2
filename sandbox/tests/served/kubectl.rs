//! kubectl itself against the sandbox, as transcripts.
//!
//! A session `kubectl/NAME.golden` holds commands for a shell (`$ ...`, going on in lines that begin with `> `) and what
//! they printed, in order, standard error after standard output. Where versions of kubectl differ, `~ 1.27 1.28` begins
//! what these printed; what stands before is of all others.
//!
//! A version is compared with its own recording; of one that has none, only the start is tried, and the test says so.
//!
//! `SANDBOX_KUBECTL` lists the kubectls to run, separated by `:`; without it, the one on PATH. Without any, the tests say
//! so and pass, unless `REQUIRE_KUBECTL` is set. `UPDATE_GOLDEN=1` writes down what the listed kubectls print.

mod golden;
mod run;

use golden::{Golden, Variant};
use run::{World, kubectls};
use std::path::{Path, PathBuf};

/// The kubectls that the sessions are recordings of, 1.N. What another one prints is not known, and not compared.
const RECORDED_MINORS: std::ops::RangeInclusive<u32> = 27..=33;

/// The sessions that want nothing but an API server.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_with_an_api_server() {
    for name in ["objects", "apply", "mistakes", "discovery", "autoscaler"] {
        session(name, false).await;
    }
}

/// The sessions in which pods run.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_with_a_whole_cluster() {
    session("cluster", true).await;
}

async fn session(name: &str, whole: bool) {
    let kubectls = kubectls();
    if kubectls.is_empty() {
        assert!(std::env::var_os("REQUIRE_KUBECTL").is_none(), "kubectl is required and not on PATH");
        eprintln!("skipped: kubectl is not on PATH");
        return;
    }
    let path = folder().join(format!("{name}.golden"));
    let golden = Golden::parse(&std::fs::read_to_string(&path).unwrap());
    let commands: Vec<String> = golden.steps.iter().map(|step| step.command.clone()).collect();
    let runs: Vec<_> = kubectls
        .iter()
        .map(|kubectl| tokio::spawn(run_all(whole, kubectl.clone(), commands.clone())))
        .collect();
    let mut variants = Vec::new();
    for run in runs {
        variants.extend(run.await.unwrap());
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, golden.with(&variants).to_text()).unwrap();
        return;
    }
    for Variant { version, outputs } in &variants {
        for (step, output) in golden.steps.iter().zip(outputs) {
            assert_eq!(output, step.expected(version), "{name}, kubectl {version}: {}", step.command);
        }
    }
}

/// What one kubectl prints; `None` if there is no recording of its version. Its start is tried in any case.
async fn run_all(whole: bool, kubectl: PathBuf, commands: Vec<String>) -> Option<Variant> {
    let world = World::start(whole, &kubectl).await;
    let version = world.version().await;
    let minor = version.split('.').next_back().and_then(|minor| minor.parse::<u32>().ok());
    let mut outputs = Vec::new();
    let is_recorded = minor.is_some_and(|minor| RECORDED_MINORS.contains(&minor));
    if is_recorded {
        for command in &commands {
            outputs.push(world.run(command).await);
        }
    } else {
        let (first, last) = (RECORDED_MINORS.start(), RECORDED_MINORS.end());
        eprintln!("skipped: {} is {version}; the recordings are of 1.{first} to 1.{last}", kubectl.display());
    }
    world.end().await;
    is_recorded.then_some(Variant { version, outputs })
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/served/kubectl")
}
