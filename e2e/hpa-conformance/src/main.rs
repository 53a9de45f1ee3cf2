//! Plays the scenarios of `sandbox-hpa` to the kube-controller-manager of the cluster that `KUBECONFIG` names,
//! and says where that and our algorithm differ.
//!
//! The controller meets a cluster in which everything that it reads is decided here: each scenario has a
//! namespace with an HPA, and pods that no kubelet runs; the target's scale and all metrics come from this
//! program, which the cluster knows as an aggregated API ([`server`]). So each turn of the controller begins
//! with a request that arrives here, and the world changes only while such a request is held ([`stage`]).
//!
//! Every turn that the controller takes, our algorithm takes as well, at the same instant and with the same
//! inputs ([`turn`]): the replicas written, the whole status, the events and the requests for metrics must be
//! the same. Texts of ours are not compared, nor is anything that a cluster does not show, such as logs.
//!
//! It leaves nothing behind: namespaces, APIServices and the Service are removed at the end, on Ctrl-C, and
//! at the next start if it was killed.

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Args;

mod args;
mod certificate;
mod clock;
mod cluster;
mod events;
mod manifests;
mod pods;
mod registration;
mod report;
mod route;
mod run;
mod server;
mod stage;
mod turn;

#[tokio::main]
#[expect(clippy::print_stderr, reason = "what stops a run is for whoever started it")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let run = tokio::select! {
        result = run::run(&args) => result.map_err(|error| error.to_string()),
        () = interrupted() => Err("interrupted".to_owned()),
    };
    let removed = run::clean_up().await;
    if let Err(error) = &removed {
        eprintln!("not everything could be removed: {error}; the next run will try again");
    }
    match run {
        Ok(all_agree) if all_agree && removed.is_ok() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hpa-conformance: {error}");
            ExitCode::from(2)
        }
    }
}

/// Returns on Ctrl-C or SIGTERM.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
