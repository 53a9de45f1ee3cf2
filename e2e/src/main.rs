//! Tests of podgauge on a real cluster: `make e2e`.
//!
//! Each test gets a namespace of its own and leaves nothing behind. What fails is told with the state of everything that
//! was concerned. They run one after the other, because several of them disturb podgauge itself.
//!
//! This is the one program of the repository that prints for people: `println!` is its interface.
#![allow(clippy::print_stdout, reason = "what is printed is what the program is for")]

mod cluster;
mod reader;
mod shop;
mod tests;
mod wait;

use clap::Parser;
use cluster::Cluster;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tests::{TESTS, Test};

/// What went wrong, in words that say it all.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;
/// How a step of a test ends.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Tests podgauge on the cluster that KUBECONFIG names. podgauge is installed on it before, and removed from it after.
#[derive(Parser)]
#[command(name = "e2e", max_term_width = 100)]
struct Args {
    /// Run only the tests whose names contain one of these
    filters: Vec<String>,

    /// List the tests and what they show
    #[arg(long)]
    list: bool,

    /// Test the podgauge that is there: neither install nor remove it
    #[arg(long)]
    as_it_is: bool,

    /// What to install: a folder that kustomize renders
    #[arg(long, value_name = "DIR", default_value = "e2e")]
    kustomization: String,

    /// How long the tests that read while podgauge is disturbed go on, each
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    load_seconds: u64,

    /// The kubectl programs that must be able to talk to podgauge, separated by commas
    #[arg(long, value_name = "PROGRAMS", env = "KUBECTLS", value_delimiter = ',', default_value = "kubectl")]
    kubectls: Vec<String>,
}

/// What the tests are told.
pub(crate) struct Settings {
    pub(crate) kustomization: String,
    pub(crate) load: Duration,
    pub(crate) kubectls: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        for test in TESTS {
            println!("{:24} {}", test.name, test.about);
        }
        return ExitCode::SUCCESS;
    }
    match run(args).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            println!("{failed} failed");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("e2e: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what is asked for, and answers how many tests failed.
async fn run(args: Args) -> Outcome<usize> {
    let cluster = Cluster::connect().await?;
    let load = Duration::from_secs(args.load_seconds);
    let settings = Settings { kustomization: args.kustomization, load, kubectls: args.kubectls };
    let wanted = |test: &&Test| {
        let is_named = args.filters.iter().any(|filter| test.name.contains(filter.as_str()));
        (args.filters.is_empty() || is_named) && !(args.as_it_is && test.installs)
    };
    let tests: Vec<&Test> = TESTS.iter().filter(wanted).collect();
    if tests.is_empty() {
        return Err(
            format!("no test has {} in its name; --list shows them", args.filters.join(" or ")).into()
        );
    }
    println!("{} tests on {}", tests.len(), cluster.description().await?);
    let mut failed = 0;
    for test in tests {
        let begun = Instant::now();
        println!("=== {}: {}", test.name, test.about);
        let ended = run_one(test, &cluster, &settings).await;
        let seconds = begun.elapsed().as_secs_f64();
        match ended {
            Ok(()) => println!("--- ok: {} ({seconds:.1} s)", test.name),
            Err(error) => {
                failed += 1;
                println!("--- FAILED: {} ({seconds:.1} s): {error}", test.name);
            }
        }
    }
    Ok(failed)
}

/// Runs a test in a namespace of its own; shows what was there if it fails.
async fn run_one(test: &Test, cluster: &Cluster, settings: &Settings) -> Outcome {
    let cluster = cluster.with_namespace(test.name).await?;
    let ended = (test.run)(&cluster, settings).await;
    if ended.is_err() {
        cluster.show_state().await;
    }
    let removed = cluster.remove_namespace().await;
    ended.and(removed)
}
