//! How the scraper is, for probes.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};

/// How often a loop that has nothing to do says that it is there.
const BEAT: Duration = Duration::from_secs(1);

/// Tells how the scraper is; cheap to clone, and valid for as long as the scraper runs.
#[derive(Clone, Debug)]
pub struct Health {
    synced: watch::Receiver<bool>,
    warm: watch::Receiver<bool>,
    loops: [Pulse; 2],
}

/// The side that reports.
#[derive(Debug)]
pub(crate) struct Signs {
    pub(crate) discovery: Pulse,
    pub(crate) schedule: Pulse,
    synced: watch::Sender<bool>,
    warm: watch::Sender<bool>,
}

/// When one loop last came round.
#[derive(Clone, Debug)]
pub(crate) struct Pulse {
    name: &'static str,
    start: Instant,
    /// Milliseconds since `start`.
    last: Arc<AtomicU64>,
}

// === impl Health ===

impl Health {
    /// Whether a complete list of pods has been taken in since the start. Stays true from then on: without the API
    /// server, the pods that are known are still scraped and served.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Whether each target of the first complete list has been tried once, well or badly, or had the time to be.
    /// From then on a new replica can answer what the one before it could. Stays true.
    #[must_use]
    pub fn is_warm(&self) -> bool {
        *self.warm.borrow()
    }

    /// Waits until [`is_synced`](Self::is_synced); returns at once if the scraper is gone.
    pub async fn synced(&self) {
        drop(self.synced.clone().wait_for(|synced| *synced).await);
    }

    /// Waits until [`is_warm`](Self::is_warm); returns at once if the scraper is gone.
    pub async fn warm(&self) {
        drop(self.warm.clone().wait_for(|warm| *warm).await);
    }

    /// The loop that has not come round for longer than `patience`, if there is one: only a restart helps then. The
    /// loops come round every second, whatever pods and API server do, so 10 s are plenty.
    #[must_use]
    pub fn stalled(&self, patience: Duration) -> Option<&'static str> {
        self.loops.iter().find(|pulse| pulse.age() > patience).map(|pulse| pulse.name)
    }
}

// === impl Signs ===

impl Signs {
    pub(crate) fn new() -> (Self, Health) {
        let (synced, synced_seen) = watch::channel(false);
        let (warm, warm_seen) = watch::channel(false);
        let signs =
            Self { discovery: Pulse::new("discovery"), schedule: Pulse::new("schedule"), synced, warm };
        let loops = [signs.discovery.clone(), signs.schedule.clone()];
        (signs, Health { synced: synced_seen, warm: warm_seen, loops })
    }

    pub(crate) fn set_synced(&self) {
        self.synced.send_replace(true);
    }

    pub(crate) fn set_warm(&self) {
        self.warm.send_replace(true);
    }
}

// === impl Pulse ===

impl Pulse {
    fn new(name: &'static str) -> Self {
        Self { name, start: Instant::now(), last: Arc::default() }
    }

    /// Beats for as long as `work` takes. They share a task, so work that blocks it stops the beat.
    pub(crate) async fn beat_while<T>(&self, work: impl Future<Output = T>) -> T {
        let mut ticks = interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return result,
                _ = ticks.tick() => self.beat(),
            }
        }
    }

    fn beat(&self) {
        self.last.store(millis(self.start.elapsed()), Ordering::Relaxed);
    }

    fn age(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_stops_is_named() {
        let patience = Duration::from_secs(10);
        let (signs, health) = Signs::new();
        let working = tokio::join!(
            signs.discovery.beat_while(sleep(Duration::from_secs(60))),
            signs.schedule.beat_while(sleep(Duration::from_secs(30))),
            async {
                sleep(Duration::from_secs(29)).await;
                health.stalled(patience)
            }
        );
        assert_eq!(working.2, None);
        assert_eq!(health.stalled(patience), Some("schedule"));
        advance(Duration::from_secs(60)).await;
        assert_eq!(health.stalled(patience), Some("discovery"));
    }

    #[tokio::test]
    async fn latches_stay_set() {
        let (signs, health) = Signs::new();
        assert!(!health.is_synced() && !health.is_warm());
        signs.set_synced();
        health.synced().await;
        assert!(health.is_synced() && !health.is_warm());
        signs.set_warm();
        health.warm().await;
        assert!(health.is_warm());
    }
}
