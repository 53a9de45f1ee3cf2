//! Whether this instance can do its job: readiness, apart from liveness.
//!
//! Each part that needs the broker registers a [`Link`] and says when it is up or down. The instance is ready when
//! every link is up and no shutdown has begun. Liveness needs no state: a process that answers is alive, and a
//! part that ends ends the process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The state of all links. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<State>>);

/// One part's connection to the broker, as its owner reports it.
#[derive(Clone, Debug)]
pub struct Link {
    health: Health,
    index: usize,
}

/// What a link was last reported to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// The part's name, as `store` or `worker`.
    pub name: &'static str,
    /// Why it is down, or none when it is up.
    pub down: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    links: Vec<LinkState>,
    stopping: bool,
}

// === impl Health ===

impl Health {
    /// Adds a link, down until reported otherwise.
    pub fn register(&self, name: &'static str) -> Link {
        let mut state = self.lock();
        state.links.push(LinkState { name, down: Some("connecting".into()) });
        Link { health: self.clone(), index: state.links.len() - 1 }
    }

    /// The links in the order of their registration.
    pub fn links(&self) -> Vec<LinkState> {
        self.lock().links.clone()
    }

    /// From now on not ready, so that traffic goes elsewhere.
    pub fn begin_shutdown(&self) {
        self.lock().stopping = true;
    }

    /// Why this instance is not ready, one line a reason; empty when it is.
    pub fn complaints(&self) -> Vec<String> {
        let state = self.lock();
        let stopping = state.stopping.then(|| "shutting down".to_owned());
        let down = |link: &LinkState| Some(format!("{}: {}", link.name, link.down.as_ref()?));
        stopping.into_iter().chain(state.links.iter().filter_map(down)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Link ===

impl Link {
    /// The connection stands.
    pub fn up(&self) {
        self.report(None);
    }

    /// The connection is gone, and why.
    pub fn down(&self, reason: impl ToString) {
        self.report(Some(reason.to_string()));
    }

    fn report(&self, down: Option<String>) {
        if let Some(link) = self.health.lock().links.get_mut(self.index) {
            link.down = down;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_when_all_links_are_up_and_nothing_stops() {
        let health = Health::default();
        assert_eq!(health.complaints(), [""; 0]);
        let (store, worker) = (health.register("store"), health.register("worker"));
        assert_eq!(health.complaints(), ["store: connecting", "worker: connecting"]);
        store.up();
        worker.down("refused");
        assert_eq!(health.complaints(), ["worker: refused"]);
        worker.up();
        assert_eq!(health.complaints(), [""; 0]);
        health.begin_shutdown();
        assert_eq!(health.complaints(), ["shutting down"]);
    }
}
