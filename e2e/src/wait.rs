//! Waiting for what a cluster does in its own time.

use crate::{Failure, Outcome};
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long between two looks.
const INTERVAL: Duration = Duration::from_millis(500);

/// Looks until `done` holds for what is seen and answers that; fails with the last that was seen when `patience` ends.
///
/// A look that fails counts as one that saw nothing yet.
pub(crate) async fn until<T: Debug>(
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Outcome<T>,
    mut done: impl FnMut(&T) -> bool,
) -> Outcome<T> {
    let begun = Instant::now();
    loop {
        let seen = look().await;
        match seen {
            Ok(seen) if done(&seen) => return Ok(seen),
            seen if begun.elapsed() >= patience => {
                let seen = seen.map(|seen| format!("{seen:?}")).unwrap_or_else(|error| error.to_string());
                return Err(Failure::from(format!(
                    "not within {} s: {what}; last seen: {seen}",
                    patience.as_secs()
                )));
            }
            _ => tokio::time::sleep(INTERVAL).await,
        }
    }
}

/// Fails with `message` unless `holds`.
pub(crate) fn ensure(holds: bool, message: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(message().into()) }
}
