//! A small shop whose worker is scaled on the length of its queue: the binary `demo-shop`.

use clap::Parser;
use demo_shop::app::{self, App};
use demo_shop::args::{Args, usage_error};
use demo_shop::clock;
use std::error::Error;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage_error(&error),
    };
    args.start_logging();
    let config = match args.config() {
        Ok(config) => config,
        Err(error) => return usage_error(&error),
    };
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(%error, "demo-shop cannot go on");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(config: app::Config) -> Result<(), Box<dyn Error>> {
    let stop = CancellationToken::new();
    let app = App::build(config, clock::system).await?;
    // Before anybody can know that this runs, and end it.
    tokio::spawn(app::cancel_on_signal(stop.clone())?);
    let queue = app.queue_address().map(tracing::field::display);
    info!(http = %app.http_address(), queue, "demo-shop has started");
    app.run(stop).await?;
    info!("demo-shop has stopped");
    Ok(())
}
