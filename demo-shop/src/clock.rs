//! Wall time, read in one place. Everything else gets it as an argument; waits use tokio's timers.

use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time as milliseconds since 1970.
pub type Clock = fn() -> u64;

/// The machine's clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn system() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
