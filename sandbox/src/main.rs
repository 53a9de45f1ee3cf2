//! The binary `sandbox`: the parts of the sandbox from the command line.

mod args;

use args::{ApiServerArgs, Args, Command, DemoArgs};
use clap::Parser as _;
use sandbox::apiserver::{ApiServer, Config};
use sandbox::demo::{self, DemoError, Folder};
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let args = Args::parse();
    match &args.command {
        Command::Apiserver(command) => {
            args.start_logging();
            match apiserver(command) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => complain("sandbox", &error, 1),
            }
        }
        Command::Demo(command) => demo(&args, command),
    }
}

/// Says in one line what went wrong.
fn complain(who: &str, error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    // Nobody is left to tell when standard error is closed; there is still the exit code.
    let _ = writeln!(std::io::stderr(), "{who}: {error}");
    ExitCode::from(code)
}

/// 0 when all went as it should, 1 when not, 2 when it cannot run like this, 130 when it was stopped before its end.
fn demo(args: &Args, command: &DemoArgs) -> ExitCode {
    let config = match command.config() {
        Ok(config) => config,
        Err(error) => return complain("demo", &error, 2),
    };
    let folder = match Folder::claim(&command.out) {
        Ok(folder) => folder,
        Err(error) => return complain("demo", &error, 2),
    };
    match std::fs::File::create(folder.logs().join("sandbox.log")) {
        Ok(log) => args.start_logging_to(log),
        Err(error) => return complain("demo", &error, 2),
    }
    let result = run_demo(&config, &folder);
    match result {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error @ DemoError::Usage(_))) => complain("demo", &error, 2),
        Ok(Err(error @ DemoError::Failed(_))) => complain("demo: FAILED", &error, 1),
        Ok(Err(error @ DemoError::Interrupted)) => complain("demo", &error, 130),
        Err(error) => complain("demo", &error, 1),
    }
}

#[tokio::main]
async fn run_demo(config: &demo::Config, folder: &Folder) -> std::io::Result<Result<(), DemoError>> {
    let stop = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stopping = stop.clone();
    tokio::spawn(async move {
        for attempt in 0.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            // Whoever asks twice does not want to wait; the guard ends the processes.
            if attempt > 0 {
                std::process::exit(130);
            }
            stopping.cancel();
        }
    });
    Ok(demo::run(config, folder, stop).await)
}

#[tokio::main]
async fn apiserver(args: &ApiServerArgs) -> Result<(), Box<dyn Error>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let server = ApiServer::start(Config { listen: args.listen, ..Config::default() }).await?;
    let kubeconfig = server.kubeconfig_for("admin", &["system:masters"])?;
    match &args.kubeconfig {
        None => std::io::stdout().write_all(kubeconfig.as_bytes())?,
        Some(path) => {
            write_private(path, &kubeconfig)
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            tracing::info!(url = %server.url(), "serving; export KUBECONFIG={}", path.display());
        }
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    server.shutdown().await;
    Ok(())
}

/// Writes a file that only its owner can read: it holds the key of an administrator.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(text.as_bytes())
}
