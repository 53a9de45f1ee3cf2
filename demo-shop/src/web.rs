//! HTTP: the shop's pages, its machine-readable answers, probes and metrics.
//!
//! | method and path | answer |
//! |---|---|
//! | `GET /` | store page and admin panel; the panel's numbers as JSON for who asks for JSON |
//! | `POST /submit`, form field `quantity` | orders; 303 to the confirmation for browsers, 200 JSON for programs |
//! | `GET /submit?quantity=N` | the same |
//! | `GET /confirmation?order=ID&quantity=N` | the page that says thank you |
//! | `GET /health` | readiness: 200, or 503 with the reasons while a part is not connected to the broker |
//! | `GET /livez` | 200 as long as this process answers |
//! | `GET /metrics` | Prometheus text |
//! | `GET /assets/...` | style, script and icon, embedded in the binary |
//!
//! Every answer but `/health`'s is the same whether the worker or the store runs here; without a store `/submit` and
//! the form are missing. Limits are fields of [`Config`].

mod accept;
mod forms;
mod pages;
mod respond;
mod routes;
mod server;

pub use routes::Shop;
pub use server::{BindError, Task};

use std::net::SocketAddr;
use std::time::Duration;

/// Where HTTP is served, and what a client may use up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address and port; port 0 picks a free one.
    pub listen: SocketAddr,
    /// This instance's name.
    pub hostname: String,
    /// The queue's name.
    pub queue: String,
    /// Whether this instance sells.
    pub store: bool,
    /// Whether this instance works.
    pub worker: bool,
    /// Connections at once; more wait in the system's backlog. Default 512.
    pub max_connections: usize,
    /// Longest wait for a request's head, counted from the answer before it on the same connection: also how long
    /// an idle connection is kept. Default 75 s, which outlasts the usual scrape intervals.
    pub head_timeout: Duration,
    /// Longest wait for a request's body. Default 10 s.
    pub body_timeout: Duration,
    /// Bytes of a request's body. Default 4 KiB; a form has one number.
    pub body_bytes: usize,
    /// Longest time until an order is answered, waiting for those before it included. Default 30 s.
    pub order_timeout: Duration,
    /// What Retry-After says while the broker is away. Default 5 s.
    pub retry_after: Duration,
}

// === impl Config ===

impl Config {
    /// The defaults for a shop on that queue.
    pub fn new(queue: impl Into<String>) -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 8080)),
            hostname: "demo-shop".into(),
            queue: queue.into(),
            store: true,
            worker: true,
            max_connections: 512,
            head_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(10),
            body_bytes: 4 << 10,
            order_timeout: Duration::from_secs(30),
            retry_after: Duration::from_secs(5),
        }
    }
}
