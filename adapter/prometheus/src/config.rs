//! How Prometheus is asked, and what that may cost.

use std::time::Duration;

/// How Prometheus is asked. The flags' help has the defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// How queries are sent.
    pub verb: Verb,
    /// The longest that a query may take, from waiting for its turn to the last byte.
    pub timeout: Duration,
    /// The largest answer, in bytes.
    pub body_bytes: usize,
    /// Queries under way at one time; eight times as many wait for their turn, and more are refused.
    pub in_flight: usize,
    /// How long an answer is good for whoever asks the same again; zero for not at all.
    pub cache_ttl: Duration,
    /// The most bytes of answers that are remembered, as they were sent.
    pub cache_bytes: usize,
    /// After how many failures in a row nobody is let through for a while.
    pub failures: u32,
    /// How long that while is, give or take half of it.
    pub pause: Duration,
}

/// How queries are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// In the path, which has to be short.
    Get,
    /// In the body.
    Post,
}
