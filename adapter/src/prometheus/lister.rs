//! Which series Prometheus has for the rules that ask it: looked up at the start, and from time to time.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use podgauge_api::Rules;
use podgauge_prometheus::Client;
use tokio::time::{self, Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Config;
use crate::clock;

/// Lists series. What was known stays when Prometheus does not answer.
pub(crate) struct Lister {
    client: Client,
    rules: Rules,
    interval: Duration,
    max_age: Duration,
    /// When each `seriesQuery` is listed next.
    next: BTreeMap<String, Instant>,
    last_failure: String,
    /// Whether everything was tried once, or something could not be listed.
    is_tried: Arc<AtomicBool>,
}

/// How often rules are looked at for what they want.
const POLL: Duration = Duration::from_secs(1);
/// When to list again what could not be listed; the client's breaker sees to it that this costs nothing.
const RETRY: Duration = Duration::from_secs(5);

// === impl Lister ===

impl Lister {
    pub(crate) fn new(config: &Config, client: Client, rules: Rules) -> Self {
        Self {
            client,
            rules,
            interval: config.relist_interval,
            max_age: config.series_max_age,
            next: BTreeMap::new(),
            last_failure: String::new(),
            is_tried: Arc::default(),
        }
    }

    /// Whether Prometheus was asked once for everything, or has failed: before, names may be missing without need.
    pub(crate) fn is_tried(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_tried)
    }

    /// Lists until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut timer = time::interval(POLL);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let listing = async {
            loop {
                timer.tick().await;
                self.look().await;
                self.is_tried.store(true, Ordering::Relaxed);
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = listing => {}
        }
    }

    async fn look(&mut self) {
        let wanted = self.rules.wanted();
        self.next.retain(|query, _| wanted.contains(query));
        let mut is_listed = false;
        for query in wanted {
            if self.next.get(&query).is_some_and(|next| *next > Instant::now()) {
                continue;
            }
            let now_ms = clock::now().millis();
            let max_age_ms = i64::try_from(self.max_age.as_millis()).unwrap_or(i64::MAX);
            let listed = self.client.series(&query, now_ms.saturating_sub(max_age_ms), now_ms).await;
            let listed = listed.map_err(|error| error.to_string());
            self.log(&query, listed.as_ref().err());
            let (is_good, pause) = match &listed {
                Ok(_) => (true, self.interval),
                Err(_) => (false, RETRY.min(self.interval)),
            };
            is_listed |= is_good;
            self.next.insert(query.clone(), Instant::now() + pause);
            self.rules.listed([(query, listed)]);
            // One that fails would take its time for each of them.
            self.is_tried.fetch_or(!is_good, Ordering::Relaxed);
        }
        if !is_listed {
            return;
        }
        let rules = self.rules.clone();
        // Many pages take their time.
        let refreshed = tokio::task::spawn_blocking(move || rules.refresh(clock::now())).await;
        if let Err(error) = refreshed {
            warn!(%error, "the names of rules were not looked up");
        }
    }

    /// Says what is new.
    fn log(&mut self, query: &str, failure: Option<&String>) {
        match failure {
            None if !self.last_failure.is_empty() => {
                info!("Prometheus lists series again");
                self.last_failure.clear();
            }
            Some(why) if self.last_failure.is_empty() => {
                warn!(query, "Prometheus does not list series, names stay as they were: {why}");
                self.last_failure.clone_from(why);
            }
            _ => {}
        }
    }
}
