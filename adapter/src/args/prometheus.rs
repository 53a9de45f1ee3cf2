//! Flags about a Prometheus that rules ask; names are prometheus-adapter's where it has the same.

use std::{path::PathBuf, time::Duration};

use clap::ArgAction;
use http::{HeaderName, HeaderValue, Uri};
use podgauge_prometheus::Verb;

use super::{
    serving::at_least_one,
    units::{bytes, duration},
};
use crate::prometheus::{self, Credentials};

/// A Prometheus that rules ask.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Prometheus")]
pub(super) struct PrometheusArgs {
    /// Prometheus, Thanos, Mimir or VictoriaMetrics, which rules of `source: prometheus` ask; with the path that stands
    /// before /api/v1, if there is one [default: none].
    #[arg(long, value_name = "URL", value_parser = url)]
    prometheus_url: Option<Uri>,
    /// A kubeconfig with the credentials and the CA for it; its server is not looked at.
    #[arg(long, value_name = "FILE", requires = "prometheus_url",
          conflicts_with_all = ["prometheus_auth_incluster", "prometheus_token_file", "prometheus_client_tls_cert_file"])]
    prometheus_auth_config: Option<PathBuf>,
    /// Send the token of the pod's service account, and trust the cluster's CA unless --prometheus-ca-file says otherwise.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
          default_missing_value = "true", action = ArgAction::Set)]
    prometheus_auth_incluster: bool,
    /// The CA (PEM) that must have signed its certificate; read again when it changes [default: the system's].
    #[arg(long, value_name = "FILE", requires = "prometheus_url")]
    prometheus_ca_file: Option<PathBuf>,
    /// A file with a bearer token; read again when it changes.
    #[arg(
        long,
        value_name = "FILE",
        requires = "prometheus_url",
        conflicts_with = "prometheus_auth_incluster"
    )]
    prometheus_token_file: Option<PathBuf>,
    /// A client certificate (PEM), and with it --prometheus-client-tls-key-file.
    #[arg(long, value_name = "FILE", requires_all = ["prometheus_url", "prometheus_client_tls_key_file"])]
    prometheus_client_tls_cert_file: Option<PathBuf>,
    /// The key (PEM) of --prometheus-client-tls-cert-file.
    #[arg(long, value_name = "FILE", requires = "prometheus_client_tls_cert_file")]
    prometheus_client_tls_key_file: Option<PathBuf>,
    /// A header of every request to it, such as X-Scope-OrgID=shop for Mimir; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = header, requires = "prometheus_url")]
    prometheus_header: Vec<(HeaderName, HeaderValue)>,
    /// How queries are sent. A query that names many pods is too long for GET.
    #[arg(long, value_name = "VERB", value_enum, default_value = "POST")]
    prometheus_verb: VerbArg,
    /// How often the series of `source: prometheus` are listed, which names come from.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1m")]
    metrics_relist_interval: Duration,
    /// The longest that a question to Prometheus may take; at most what is left of --request-timeout.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    prometheus_timeout: Duration,
    /// The largest answer of Prometheus.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "32Mi")]
    prometheus_body_limit: usize,
    /// Questions to Prometheus under way at one time; eight times as many wait for their turn, and more are refused.
    #[arg(long, value_name = "COUNT", default_value = "8", value_parser = at_least_one())]
    prometheus_max_inflight: usize,
    /// How long an answer of Prometheus is good for whoever asks the same again; 0 for not at all [default:
    /// --metric-resolution].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    prometheus_cache_ttl: Option<Duration>,
    /// The most bytes of answers that are remembered.
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "32Mi")]
    prometheus_cache_limit: usize,
    /// After how many failures in a row Prometheus is left alone for --prometheus-pause.
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    prometheus_failures: u32,
    /// How long Prometheus is left alone, give or take half of it, before one question tries again.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    prometheus_pause: Duration,
}

/// How queries are sent.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum VerbArg {
    #[value(name = "GET")]
    Get,
    #[value(name = "POST")]
    Post,
}

// === impl PrometheusArgs ===

impl PrometheusArgs {
    /// Whom rules ask, if anybody.
    pub(super) fn config(
        &self,
        resolution: Duration,
        max_age: Duration,
    ) -> Result<Option<prometheus::Config>, String> {
        let positive = [
            ("--metrics-relist-interval", self.metrics_relist_interval),
            ("--prometheus-timeout", self.prometheus_timeout),
        ];
        if let Some((flag, _)) = positive.iter().find(|(_, duration)| duration.is_zero()) {
            return Err(format!("{flag} must be longer than 0"));
        }
        let Some(url) = self.prometheus_url.clone() else {
            return match self.prometheus_auth_incluster {
                true => Err("--prometheus-auth-incluster needs --prometheus-url".to_owned()),
                false => Ok(None),
            };
        };
        let certificate = self.prometheus_client_tls_cert_file.clone();
        let credentials = match (&self.prometheus_auth_config, self.prometheus_auth_incluster) {
            (Some(file), _) => Credentials::Kubeconfig(file.clone()),
            (None, true) => Credentials::ServiceAccount,
            (None, false) => Credentials::Files { token: self.prometheus_token_file.clone() },
        };
        Ok(Some(prometheus::Config {
            url,
            credentials,
            ca_file: self.prometheus_ca_file.clone(),
            certificate: certificate.zip(self.prometheus_client_tls_key_file.clone()),
            headers: self.prometheus_header.clone(),
            client: podgauge_prometheus::Config {
                verb: match self.prometheus_verb {
                    VerbArg::Get => Verb::Get,
                    VerbArg::Post => Verb::Post,
                },
                timeout: self.prometheus_timeout,
                body_bytes: self.prometheus_body_limit,
                in_flight: self.prometheus_max_inflight,
                cache_ttl: self.prometheus_cache_ttl.unwrap_or(resolution),
                cache_bytes: self.prometheus_cache_limit,
                failures: self.prometheus_failures,
                pause: self.prometheus_pause,
            },
            relist_interval: self.metrics_relist_interval,
            // A series that is there at all is seen by one listing at least.
            series_max_age: max_age.max(self.metrics_relist_interval),
        }))
    }
}

fn url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err("expected a URL such as https://prometheus.monitoring:9090/prefix".to_owned());
    }
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        let to_do =
            "a user and a password belong into a file: a kubeconfig, given as --prometheus-auth-config";
        return Err(to_do.to_owned());
    }
    if url.query().is_some() {
        return Err("expected a URL without a query".to_owned());
    }
    Ok(url)
}

/// As prometheus-adapter reads them: a header without a value is empty.
fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let name = HeaderName::try_from(name).map_err(|_| "expected the name of a header before =")?;
    let mut value = HeaderValue::try_from(value).map_err(|_| "the header's value has odd characters")?;
    value.set_sensitive(true);
    Ok((name, value))
}
