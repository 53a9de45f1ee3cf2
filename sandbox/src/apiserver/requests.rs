//! What has been asked of the server, for tests that count requests.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Which requests are meant.
#[derive(Clone, Debug)]
pub struct RequestPattern {
    method: String,
    path: String,
    watch: Option<bool>,
}

/// One answered request.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenRequest {
    /// The HTTP method.
    pub method: String,
    /// The decoded path.
    pub path: String,
    /// The raw query; empty if there was none.
    pub query: String,
    /// The user as authenticated; empty if the request did not get that far.
    pub user: String,
    /// The code that was answered; 0 if the connection was reset instead.
    pub code: u16,
}

/// The newest requests, up to [`Config::request_log`](super::Config::request_log) of them.
#[derive(Debug)]
pub struct Requests {
    limit: usize,
    seen: Mutex<VecDeque<SeenRequest>>,
    total: watch::Sender<u64>,
}

// === impl RequestPattern ===

impl RequestPattern {
    /// `method` is upper-case, or `*` for any; `path` is decoded and exact, or a prefix if it ends in `*`.
    pub fn new(method: &str, path: &str) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), watch: None }
    }

    /// Only watches.
    #[must_use]
    pub fn watches(mut self) -> Self {
        self.watch = Some(true);
        self
    }

    /// Only what is no watch.
    #[must_use]
    pub fn no_watches(mut self) -> Self {
        self.watch = Some(false);
        self
    }

    pub(crate) fn matches(&self, method: &str, path: &str, query: &str) -> bool {
        let path_matches = match self.path.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path == self.path,
        };
        let is_watch = || query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1"));
        path_matches
            && (self.method == "*" || self.method == method)
            && self.watch.is_none_or(|wanted| wanted == is_watch())
    }
}

// === impl Requests ===

impl Requests {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, seen: Mutex::default(), total: watch::Sender::new(0) }
    }

    pub(crate) fn record(&self, request: SeenRequest) {
        let mut seen = self.lock();
        if seen.len() >= self.limit {
            seen.pop_front();
        }
        seen.push_back(request);
        drop(seen);
        self.total.send_modify(|total| *total += 1);
    }

    /// How many of the remembered requests match.
    pub fn count(&self, pattern: &RequestPattern) -> usize {
        self.lock().iter().filter(|seen| pattern.matches(&seen.method, &seen.path, &seen.query)).count()
    }

    /// Every remembered request that matches, oldest first.
    pub fn matching(&self, pattern: &RequestPattern) -> Vec<SeenRequest> {
        let seen = self.lock();
        seen.iter().filter(|seen| pattern.matches(&seen.method, &seen.path, &seen.query)).cloned().collect()
    }

    /// Waits until at least `count` remembered requests match.
    pub async fn wait_for(&self, pattern: &RequestPattern, count: usize) {
        let mut changes = self.total.subscribe();
        while self.count(pattern) < count {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Forgets everything seen so far.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<SeenRequest>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_and_the_limit() {
        let requests = Requests::new(2);
        for path in ["/a", "/ab", "/b"] {
            let query = if path == "/b" { "x=1&watch=true" } else { "" };
            requests.record(SeenRequest {
                method: "GET".into(),
                path: path.into(),
                query: query.into(),
                user: String::new(),
                code: 200,
            });
        }
        let check = |pattern: RequestPattern, count: usize| {
            assert_eq!(requests.count(&pattern), count, "{pattern:?}")
        };
        check(RequestPattern::new("*", "*"), 2);
        check(RequestPattern::new("GET", "/a"), 0);
        check(RequestPattern::new("GET", "/a*"), 1);
        check(RequestPattern::new("POST", "/a*"), 0);
        check(RequestPattern::new("GET", "*").watches(), 1);
        check(RequestPattern::new("GET", "*").no_watches(), 1);
    }
}
