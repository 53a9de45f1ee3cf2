//! The binary `sandbox`: the parts of the sandbox from the command line.

mod args;

use args::{ApiServerArgs, Args, Command};
use clap::Parser as _;
use sandbox::apiserver::{ApiServer, Config};
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let args = Args::parse();
    args.start_logging();
    let result = match args.command {
        Command::Apiserver(args) => apiserver(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a log there is still the exit code.
            let _ = writeln!(std::io::stderr(), "sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn apiserver(args: ApiServerArgs) -> Result<(), Box<dyn Error>> {
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
