//! Everything that a deployment can set, with its unit and default.
//!
//! Where metrics-server has a flag for the same thing, the field's comment names the flag and the
//! default is the same; the others are bounds that upstream leaves to its libraries.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use crate::certificate::CertificateSource;

/// The server's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen and with which TLS.
    pub serving: ServingConfig,
    /// What a peer may use up.
    pub limits: LimitsConfig,
    /// How a caller is told.
    pub authentication: AuthenticationConfig,
    /// How a caller is let in.
    pub authorization: AuthorizationConfig,
    /// The program's name, as OpenAPI's title shows it.
    pub title: String,
    /// The program's version, such as `0.1.0`, as `/version` and OpenAPI show it.
    pub version: String,
}

/// Where to listen and with which TLS.
#[derive(Clone, Debug)]
pub struct ServingConfig {
    /// `--bind-address`. Default 0.0.0.0.
    pub bind_address: IpAddr,
    /// `--secure-port`; 0 takes any free one. Default 443.
    pub secure_port: u16,
    /// The serving certificate (`--tls-cert-file` and `--tls-private-key-file`, or one made by the caller).
    pub certificate: CertificateSource,
    /// How often the files are looked at for a change, of the certificate and of the CAs. Default 5 s.
    pub file_poll_interval: Duration,
    /// `--tls-min-version`. Default TLS 1.2.
    pub min_tls_version: TlsVersion,
    /// `--tls-cipher-suites`: the TLS 1.2 suites, by IANA name; those of TLS 1.3 are always on. Default
    /// empty: every suite that rustls regards as secure.
    pub cipher_suites: Vec<String>,
    /// `--disable-http2-serving`, the other way round. Default true.
    pub http2: bool,
    /// `--shutdown-delay-duration`: after the shutdown signal, how long to go on serving while `/readyz`
    /// fails, so that endpoints drop out first. Default 0 s.
    pub shutdown_delay: Duration,
    /// After the delay, how long requests in flight may take to finish before they are cut. Default 25 s,
    /// inside the 30 s that a pod has by default.
    pub drain_deadline: Duration,
}

/// The lowest TLS version that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// `VersionTLS12`.
    #[default]
    Tls12,
    /// `VersionTLS13`.
    Tls13,
}

/// What a peer may use up.
#[derive(Clone, Debug)]
pub struct LimitsConfig {
    /// `--max-requests-inflight`: requests being answered at once, each until its answer has been written
    /// or its peer is gone; more are refused with 429. Callers in `system:masters` have as many of their
    /// own. The open paths, whose answers are small, are exempt, as upstream; who waits for the cluster is
    /// counted by the two `reviews_in_flight` instead. 0 is no limit. Default 400.
    pub max_requests_in_flight: usize,
    /// `--max-evaluations-inflight`: answers at once that have to be computed
    /// ([`Answer::Later`](crate::Answer::Later)), each on a thread of its own; more wait for their turn, and hold
    /// up nobody whose answer is at hand. At least 1. Default 2.
    pub max_evaluations: usize,
    /// `--max-evaluations-waiting`: requests that wait for such a turn; more are refused with 429. They are among
    /// those in flight, so that less than these leaves room for others. 0 is no limit. Default 100.
    pub max_evaluations_waiting: usize,
    /// `--request-timeout`: the longest that a request may take; a `timeout` parameter can only shorten it.
    /// Default 60 s.
    pub request_timeout: Duration,
    /// Connections at once, counting those in the handshake; more wait in the listen queue.
    /// `--max-connections`. Default 4096.
    pub max_connections: usize,
    /// The longest TLS handshake. Default 10 s.
    pub handshake_timeout: Duration,
    /// How long a connection lives, from its start, on which no request has come from a caller who is known;
    /// what is in flight at its end is answered. Default 10 s.
    pub stranger_lifetime: Duration,
    /// The longest that a peer may take to send the head of a request; over HTTP/1.1 this is also how long
    /// a connection may idle between requests. Default 32 s.
    pub header_read_timeout: Duration,
    /// How long a connection may idle, which bounds as well how long a peer may take to read an answer.
    /// Default 90 s.
    pub idle_timeout: Duration,
    /// The age at which a connection is asked to go (GOAWAY, or `Connection: close`), so that a new
    /// connection can find another replica and is identified anew. Up to a tenth is taken off at random.
    /// Default 15 min.
    pub max_connection_age: Duration,
    /// How long a connection that was asked to go may take to close once none of its requests is in flight.
    /// Default 5 s.
    pub goaway_grace: Duration,
    /// The head of a request, in bytes. Default 128 KiB.
    pub max_header_bytes: u32,
    /// The header fields of an HTTP/1.1 request; every group of a user is one. Default 1024.
    pub max_header_fields: usize,
    /// `--http2-max-streams-per-connection`. Default 100.
    pub http2_max_streams: u32,
    /// The path of a request, in bytes as sent. Default 4 KiB.
    pub max_path_bytes: usize,
    /// The query of a request, in bytes as sent. Default 32 KiB.
    pub max_query_bytes: usize,
}

/// How a caller is told.
#[derive(Clone, Debug)]
pub struct AuthenticationConfig {
    /// `--client-ca-file`: the CA of ordinary client certificates. Default: looked up in the cluster.
    pub client_ca_file: Option<PathBuf>,
    /// `--requestheader-*`: the front proxy. Default: looked up in the cluster.
    pub request_header: Option<RequestHeaderConfig>,
    /// `--authentication-skip-lookup`: never read the cluster's configuration. Default false.
    pub skip_lookup: bool,
    /// `--authentication-tolerate-lookup-failure`: be ready without the cluster's configuration. Default
    /// false.
    pub tolerate_lookup_failure: bool,
    /// How often the cluster's configuration is read again. Default 10 s.
    pub lookup_interval: Duration,
    /// How long a read of the cluster's configuration may take. Default 10 s.
    pub lookup_timeout: Duration,
    /// `--authentication-token-webhook-cache-ttl`: how long a token's review holds, good or bad. Default
    /// 10 s.
    pub token_cache_ttl: Duration,
    /// Tokens remembered, and as many refused ones. Default 8192.
    pub token_cache_size: usize,
    /// `--authentication-token-webhook-inflight`: requests at once that wait for a token's review, or are
    /// anonymous and wait for an access review; more are refused with 429. 0 is no limit. Default 100.
    pub reviews_in_flight: usize,
    /// How the cluster is asked.
    pub review: ReviewConfig,
}

/// `--requestheader-*`: how the front proxy presents itself and the caller.
#[derive(Clone, Debug)]
pub struct RequestHeaderConfig {
    /// `--requestheader-client-ca-file`: the CA of the front proxy's certificate.
    pub client_ca_file: PathBuf,
    /// `--requestheader-allowed-names`: the common names that a front proxy may have; empty allows any.
    pub allowed_names: Vec<String>,
    /// `--requestheader-username-headers`: the first that is not empty is the user. Default
    /// `x-remote-user`.
    pub username_headers: Vec<String>,
    /// `--requestheader-uid-headers`. Default none.
    pub uid_headers: Vec<String>,
    /// `--requestheader-group-headers`. Default `x-remote-group`.
    pub group_headers: Vec<String>,
    /// `--requestheader-extra-headers-prefix`. Default `x-remote-extra-`.
    pub extra_headers_prefix: Vec<String>,
}

/// How a caller is let in.
#[derive(Clone, Debug)]
pub struct AuthorizationConfig {
    /// `--authorization-always-allow-paths`: non-resource paths open to everybody; a trailing `*` makes a
    /// prefix. Default `/healthz`, `/readyz`, `/livez`.
    pub always_allow_paths: Vec<String>,
    /// `--authorization-webhook-cache-authorized-ttl`. Default 10 s.
    pub allow_cache_ttl: Duration,
    /// `--authorization-webhook-cache-unauthorized-ttl`. Default 10 s.
    pub deny_cache_ttl: Duration,
    /// Decisions remembered, of each kind. Default 8192.
    pub cache_size: usize,
    /// `--authorization-webhook-inflight`: requests of known callers at once that wait for an access
    /// review; more are refused with 429. 0 is no limit. Default 100.
    pub reviews_in_flight: usize,
    /// How the cluster is asked.
    pub review: ReviewConfig,
}

/// How a `TokenReview` or `SubjectAccessReview` is made.
#[derive(Clone, Debug)]
pub struct ReviewConfig {
    /// The longest that one try may take. Default 10 s.
    pub timeout: Duration,
    /// Tries in all. Default 5.
    pub tries: u32,
    /// The pause after the first failed try; each further one is half as long again, with jitter.
    /// Default 500 ms.
    pub backoff: Duration,
}

// === impl Config ===

impl Config {
    /// The defaults, with this serving certificate.
    #[must_use]
    pub fn new(certificate: CertificateSource) -> Self {
        Self {
            serving: ServingConfig {
                bind_address: IpAddr::from([0, 0, 0, 0]),
                secure_port: 443,
                certificate,
                file_poll_interval: Duration::from_secs(5),
                min_tls_version: TlsVersion::default(),
                cipher_suites: Vec::new(),
                http2: true,
                shutdown_delay: Duration::ZERO,
                drain_deadline: Duration::from_secs(25),
            },
            limits: LimitsConfig::default(),
            authentication: AuthenticationConfig::default(),
            authorization: AuthorizationConfig::default(),
            title: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

// === impl LimitsConfig ===

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_requests_in_flight: 400,
            max_evaluations: 2,
            max_evaluations_waiting: 100,
            request_timeout: Duration::from_secs(60),
            max_connections: 4096,
            handshake_timeout: Duration::from_secs(10),
            stranger_lifetime: Duration::from_secs(10),
            header_read_timeout: Duration::from_secs(32),
            idle_timeout: Duration::from_secs(90),
            max_connection_age: Duration::from_mins(15),
            goaway_grace: Duration::from_secs(5),
            max_header_bytes: 128 * 1024,
            max_header_fields: 1024,
            http2_max_streams: 100,
            max_path_bytes: 4 * 1024,
            max_query_bytes: 32 * 1024,
        }
    }
}

// === impl AuthenticationConfig ===

impl Default for AuthenticationConfig {
    fn default() -> Self {
        Self {
            client_ca_file: None,
            request_header: None,
            skip_lookup: false,
            tolerate_lookup_failure: false,
            lookup_interval: Duration::from_secs(10),
            lookup_timeout: Duration::from_secs(10),
            token_cache_ttl: Duration::from_secs(10),
            token_cache_size: 8192,
            reviews_in_flight: 100,
            review: ReviewConfig::default(),
        }
    }
}

// === impl RequestHeaderConfig ===

impl RequestHeaderConfig {
    /// The default headers, with this CA.
    #[must_use]
    pub fn new(client_ca_file: PathBuf) -> Self {
        let one = |name: &str| vec![name.to_owned()];
        Self {
            client_ca_file,
            allowed_names: Vec::new(),
            username_headers: one("x-remote-user"),
            uid_headers: Vec::new(),
            group_headers: one("x-remote-group"),
            extra_headers_prefix: one("x-remote-extra-"),
        }
    }
}

// === impl AuthorizationConfig ===

impl Default for AuthorizationConfig {
    fn default() -> Self {
        Self {
            always_allow_paths: ["/healthz", "/readyz", "/livez"].map(str::to_owned).to_vec(),
            allow_cache_ttl: Duration::from_secs(10),
            deny_cache_ttl: Duration::from_secs(10),
            cache_size: 8192,
            reviews_in_flight: 100,
            review: ReviewConfig::default(),
        }
    }
}

// === impl ReviewConfig ===

impl Default for ReviewConfig {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), tries: 5, backoff: Duration::from_millis(500) }
    }
}
