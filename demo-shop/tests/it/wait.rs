//! Waiting for something to become true, by asking again until it is.

use std::time::{Duration, Instant};

/// Far longer than anything takes, on a machine that does many other things as well. Nothing is measured with it: it
/// only ends a test that would wait for ever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

const BETWEEN: Duration = Duration::from_millis(20);

/// Asks until there is an answer.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(BETWEEN).await;
    }
}
