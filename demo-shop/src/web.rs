//! HTTP: the shop's pages, its machine-readable answers, probes and metrics.
//!
//! | method and path | answer |
//! |---|---|
//! | `GET /` | the store; without one the panel. The panel's numbers as JSON for who asks for JSON |
//! | `GET /admin` | the panel: numbers, the last 15 minutes as a chart; `?refresh=off` for a page that stands still |
//! | `GET /admin/events` | the same as server-sent events |
//! | `POST /submit`, form fields `quantity` and `token` | orders; 303 to the confirmation for browsers, 200 JSON for programs |
//! | `GET /submit?quantity=N` | the same |
//! | `GET /confirmation?order=ID&quantity=N` | the page that says thank you |
//! | `GET /health` | readiness: 200, or 503 with the reasons while a part is not connected to the broker |
//! | `GET /livez` | 200 as long as this process answers |
//! | `GET /metrics` | Prometheus text |
//! | `GET /assets/...` | style, script and icon, embedded in the binary |
//!
//! Pages work without script: forms, and a panel that loads itself anew. The script makes the panel live (`live`).
//! Buying is bounded by client (`limit`), and a form is good for one order (`once`). Every answer but `/health`'s
//! is the same whether the worker or the store runs here; without a store `/submit` and the form are missing. Limits
//! are fields of [`Config`].

mod accept;
mod chart;
mod forms;
mod history;
mod limit;
mod live;
mod markup;
mod once;
mod pages;
mod patient;
mod respond;
mod routes;
mod seats;
mod server;
mod submit;
mod view;

pub use limit::Rate;
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
    /// Connections of one client at once; more are closed without an answer. Default 128.
    pub max_connections_each: usize,
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
    /// How often one client may order. Default 300 a minute and 60 at once, for 10,000 clients.
    pub rate: Rate,
    /// Used form tokens that are remembered, each some 300 bytes; of older ones a second click orders again.
    /// Default 10,000.
    pub tokens: usize,
    /// Browsers that may watch the panel at once; more are told to ask now and then. Default 64.
    pub viewers: usize,
    /// How long one stream of events lasts; a browser comes back after it. Default 10 min.
    pub stream_life: Duration,
    /// How often the queue is looked at for the chart. Default 5 s.
    pub sample_every: Duration,
    /// Longest wait for a client to read. Default 30 s.
    pub write_timeout: Duration,
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
            max_connections_each: 128,
            head_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(10),
            body_bytes: 4 << 10,
            order_timeout: Duration::from_secs(30),
            retry_after: Duration::from_secs(5),
            rate: Rate::default(),
            tokens: 10_000,
            viewers: 64,
            stream_life: Duration::from_secs(600),
            sample_every: Duration::from_secs(5),
            write_timeout: Duration::from_secs(30),
        }
    }
}
