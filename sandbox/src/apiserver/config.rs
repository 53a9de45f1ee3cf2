//! Every setting and every limit of the API server.

use crate::clock::Clock;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How the API server behaves. [`Config::default`] is what a cluster's would be.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen. Port 0 takes a free one. Default `127.0.0.1:0`.
    pub listen: SocketAddr,
    /// Tells the wall time for timestamps and certificates. Default: the machine's.
    pub clock: Clock,
    /// Whether a request without credentials is `system:anonymous`, rather than refused. Default true.
    pub anonymous: bool,
    /// How many changes of each resource watches can resume over. Default 10,000 events.
    pub history_events: usize,
    /// How often a watch that asked for bookmarks gets one. Default 60 s.
    pub bookmark_interval: Duration,
    /// How long a watch lasts at most. Default 30 min.
    pub watch_timeout: Duration,
    /// The largest body of a request. Default 3 MiB, in bytes.
    pub max_body_bytes: usize,
    /// How many answered requests are remembered for counting. Default 10,000 requests.
    pub request_log: usize,
    /// How long a TLS handshake may take. Default 10 s.
    pub handshake_timeout: Duration,
    /// How long the headers of a request may take to arrive. Default 32 s.
    pub header_timeout: Duration,
    /// How long a deleted namespace is Terminating before what is in it goes. Default 1 s.
    pub namespace_deletion_delay: Duration,
    /// How long to wait after a connection could not be accepted. Default 100 ms.
    pub accept_backoff: Duration,
    /// How long open requests may go on when the server stops. Default 2 s.
    pub drain_timeout: Duration,
    /// How often an aggregated API that is available is looked at again. Also the longest pause between two looks at one
    /// that is not. Default 30 s.
    pub probe_interval: Duration,
    /// How long one look, and any discovery request, may take. Default 5 s.
    pub probe_timeout: Duration,
    /// How often an aggregated API's discovery documents are read again. Default 60 s.
    pub discovery_interval: Duration,
    /// How long a proxied request may take until its answer begins. Default 60 s.
    pub proxy_timeout: Duration,
    /// How often a log that a client follows is looked at for more. Default 100 ms.
    pub log_poll_interval: Duration,
    /// The largest discovery document that is read from an aggregated API. Default 16 MiB, in bytes.
    pub max_backend_document_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock: Clock::system(),
            anonymous: true,
            history_events: 10_000,
            bookmark_interval: Duration::from_secs(60),
            watch_timeout: Duration::from_secs(30 * 60),
            max_body_bytes: 3 * 1024 * 1024,
            request_log: 10_000,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(32),
            namespace_deletion_delay: Duration::from_secs(1),
            accept_backoff: Duration::from_millis(100),
            drain_timeout: Duration::from_secs(2),
            probe_interval: Duration::from_secs(30),
            probe_timeout: Duration::from_secs(5),
            discovery_interval: Duration::from_secs(60),
            proxy_timeout: Duration::from_secs(60),
            log_poll_interval: Duration::from_millis(100),
            max_backend_document_bytes: 16 * 1024 * 1024,
        }
    }
}
