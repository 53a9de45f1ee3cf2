//! The end: SIGTERM or SIGINT asks for it, a second one insists.

use std::process;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The exit code of a process that was told twice: 128 and SIGINT, as shells have it.
const INSISTED: i32 = 130;

/// A token that is cancelled by the first signal. The second one ends the process at once.
pub(crate) fn on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let signalled = stop.clone();
    tokio::spawn(async move {
        let (mut term, mut int) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(term), Ok(int)) => (term, int),
            (Err(error), _) | (_, Err(error)) => {
                warn!(%error, "cannot listen for signals; the default ones end podgauge without a drain");
                return;
            }
        };
        either(&mut term, &mut int).await;
        info!("asked to stop: draining");
        signalled.cancel();
        either(&mut term, &mut int).await;
        warn!("asked again: stopping at once");
        process::exit(INSISTED);
    });
    stop
}

async fn either(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
