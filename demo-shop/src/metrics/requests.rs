//! How long HTTP requests took, by method, route and code.

use super::histogram::{Histogram, Snapshot};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a request is counted under. All parts are this server's own words, never a client's: so there are only so
/// many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestKind {
    /// The route, as `/submit`; `other` for addresses that there are not.
    pub route: &'static str,
    /// The method; `other` for those that no route takes.
    pub method: &'static str,
    /// The status code of the answer.
    pub code: u16,
}

/// A histogram for each kind that there was.
#[derive(Debug, Default)]
pub struct Requests(Mutex<BTreeMap<RequestKind, Histogram>>);

/// Upper bounds of `http_request_duration_seconds`: an order of 10,000 items may take seconds.
const BOUNDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

// === impl Requests ===

impl Requests {
    /// Counts one request.
    pub fn observe(&self, kind: RequestKind, duration: Duration) {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.entry(kind).or_insert_with(|| Histogram::new(BOUNDS)).observe(duration);
    }

    /// What there was, in order.
    pub fn snapshot(&self) -> Vec<(RequestKind, Snapshot)> {
        let kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.iter().map(|(kind, histogram)| (*kind, histogram.snapshot())).collect()
    }
}
