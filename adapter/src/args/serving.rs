//! Flags about serving; names and defaults are those of Kubernetes' API servers.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use clap::{ArgAction, ValueEnum, builder::RangedU64ValueParser};
use podgauge_apiserver::{LimitsConfig, TlsVersion};

use super::units::{bytes, duration};
use crate::{app, certificates::Certificate};

/// How the API is served.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Serving")]
pub(super) struct ServingArgs {
    /// The address to serve the API on.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    bind_address: IpAddr,
    /// The port to serve the API on, over TLS; 0 takes any free one.
    #[arg(long, value_name = "PORT", default_value_t = 6443)]
    secure_port: u16,
    /// The serving certificate and its intermediates (PEM), read again when it changes [default: podgauge's own,
    /// see below].
    #[arg(long, value_name = "FILE", requires = "tls_private_key_file")]
    tls_cert_file: Option<PathBuf>,
    /// The serving certificate's private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    tls_private_key_file: Option<PathBuf>,
    /// The lowest TLS version that is spoken.
    #[arg(long, value_name = "VERSION", default_value = "VersionTLS12")]
    tls_min_version: MinVersion,
    /// The cipher suites of TLS 1.2 that are spoken, by IANA name, separated by commas [default: all secure ones].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    tls_cipher_suites: Vec<String>,
    /// Serve HTTP/1.1 alone.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
          default_missing_value = "true", action = ArgAction::Set)]
    disable_http2_serving: bool,
    /// The most requests of one HTTP/2 connection at one time.
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    http2_max_streams_per_connection: u32,
    /// The most requests at one time; more are refused with 429. 0 is no limit.
    #[arg(long, value_name = "COUNT", default_value_t = 400)]
    max_requests_inflight: usize,
    /// The most answers at one time that have to be computed, those by rules and external metrics; more wait for their
    /// turn and hold up nobody else. Each takes a processor.
    #[arg(long, value_name = "COUNT", default_value = "2", value_parser = at_least_one())]
    max_evaluations_inflight: usize,
    /// The most requests that wait for such a turn; more are refused with 429. They count among the requests at one time.
    /// 0 is no limit.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    max_evaluations_waiting: usize,
    /// The most connections at one time; more wait.
    #[arg(long, value_name = "COUNT", default_value = "4096", value_parser = at_least_one())]
    max_connections: usize,
    /// The longest that a request may take.
    #[arg(long, value_name = "DURATION", value_parser = some_duration, default_value = "1m")]
    request_timeout: Duration,
    /// The longest that a client may take to send a request's head.
    #[arg(long, value_name = "DURATION", value_parser = some_duration, default_value = "32s")]
    header_timeout: Duration,
    /// The largest head of a request, at least 8Ki.
    #[arg(long, value_name = "BYTES", value_parser = head_bytes, default_value = "128Ki")]
    header_limit: u32,
    /// How long a connection may be idle.
    #[arg(long, value_name = "DURATION", value_parser = some_duration, default_value = "90s")]
    idle_timeout: Duration,
    /// The age at which a connection is asked to go, so that clients spread over replicas.
    #[arg(long, value_name = "DURATION", value_parser = some_duration, default_value = "15m")]
    max_connection_age: Duration,
    /// After SIGTERM, how long to go on serving while /readyz fails, so that clients go elsewhere.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    shutdown_delay_duration: Duration,
    /// After that, how long requests under way may take.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "25s")]
    shutdown_timeout: Duration,
}

/// TLS versions by their Go names.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum MinVersion {
    #[value(name = "VersionTLS12")]
    Tls12,
    #[value(name = "VersionTLS13")]
    Tls13,
}

/// A duration of something that could not be done in none.
pub(super) fn some_duration(text: &str) -> Result<Duration, String> {
    let some = duration(text)?;
    if some.is_zero() { Err("must be longer than 0".to_owned()) } else { Ok(some) }
}

/// A size that a request's head may have; the HTTP library buffers no less than the least of them.
fn head_bytes(text: &str) -> Result<u32, String> {
    let size = bytes(text)?;
    let size = u32::try_from(size).map_err(|_| "must be less than 4Gi".to_owned())?;
    if size < 8 * 1024 { Err("must be at least 8Ki".to_owned()) } else { Ok(size) }
}

/// Of what is refused altogether without a single one.
pub(super) fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

// === impl ServingArgs ===

impl ServingArgs {
    /// Certificate and key, if they are given.
    pub(super) fn files(&self) -> Option<(PathBuf, PathBuf)> {
        self.tls_cert_file.clone().zip(self.tls_private_key_file.clone())
    }

    /// Where and with what to serve.
    pub(super) fn config(&self, certificate: Certificate, api_services: Option<Vec<String>>) -> app::Serving {
        app::Serving {
            bind_address: self.bind_address,
            secure_port: self.secure_port,
            certificate,
            api_services,
            min_tls_version: match self.tls_min_version {
                MinVersion::Tls12 => TlsVersion::Tls12,
                MinVersion::Tls13 => TlsVersion::Tls13,
            },
            cipher_suites: self.tls_cipher_suites.clone(),
            http2: !self.disable_http2_serving,
            shutdown_delay: self.shutdown_delay_duration,
            drain_deadline: self.shutdown_timeout,
        }
    }

    /// What a client may use up.
    pub(super) fn limits(&self) -> LimitsConfig {
        LimitsConfig {
            max_requests_in_flight: self.max_requests_inflight,
            max_evaluations: self.max_evaluations_inflight,
            max_evaluations_waiting: self.max_evaluations_waiting,
            request_timeout: self.request_timeout,
            max_connections: self.max_connections,
            header_read_timeout: self.header_timeout,
            idle_timeout: self.idle_timeout,
            max_connection_age: self.max_connection_age,
            max_header_bytes: self.header_limit,
            http2_max_streams: self.http2_max_streams_per_connection,
            ..LimitsConfig::default()
        }
    }
}
