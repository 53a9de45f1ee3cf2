//! podgauge: Kubernetes custom metrics straight from the pods.
//!
//! This file is the table of contents: read the flags, build the parts, run until a signal, drain.

mod admin;
mod app;
mod args;
mod certificates;
mod clock;
mod cluster;
mod commands;
mod own_certificate;
mod process;
mod prometheus;
mod rules_file;
mod shutdown;
mod totals;

use std::process::ExitCode;

use tracing::{error, info};

use crate::{app::App, args::Args};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(code) => return code,
    };
    if let Some(command) = &args.command {
        return command.run();
    }
    args.logging.start();
    let config = match args.config() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "cannot start the runtime");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        info!(version = env!("CARGO_PKG_VERSION"), "podgauge starts");
        let stop = shutdown::on_signal();
        match App::build(config).await {
            Ok(app) => app.run(stop).await,
            Err(error) => {
                error!("{error}");
                ExitCode::FAILURE
            }
        }
    })
}
