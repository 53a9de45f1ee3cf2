//! Flags about who may ask; names and defaults are those of Kubernetes' aggregated API servers.

use std::{path::PathBuf, time::Duration};

use clap::ArgAction;
use podgauge_apiserver::{AuthenticationConfig, AuthorizationConfig, RequestHeaderConfig};

use super::{serving::at_least_one, units::duration};

/// Who may ask.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Authentication and authorization")]
pub(super) struct AuthArgs {
    /// The CA (PEM) of ordinary client certificates [default: looked up in kube-system].
    #[arg(long, value_name = "FILE")]
    client_ca_file: Option<PathBuf>,
    /// The CA (PEM) of the front proxy's certificate [default: looked up in kube-system].
    #[arg(long, value_name = "FILE")]
    requestheader_client_ca_file: Option<PathBuf>,
    /// The common names that the front proxy's certificate may have [default: any].
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "requestheader_client_ca_file")]
    requestheader_allowed_names: Vec<String>,
    /// The headers that name the user.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "x-remote-user")]
    requestheader_username_headers: Vec<String>,
    /// The headers that give the user's uid [default: none].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    requestheader_uid_headers: Vec<String>,
    /// The headers that name the user's groups.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "x-remote-group")]
    requestheader_group_headers: Vec<String>,
    /// The prefixes of headers that give more about the user.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "x-remote-extra-")]
    requestheader_extra_headers_prefix: Vec<String>,
    /// Do not look up the authentication configuration in kube-system.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
          default_missing_value = "true", action = ArgAction::Set)]
    authentication_skip_lookup: bool,
    /// Start even if that look-up fails; certificates that need it are then refused.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
          default_missing_value = "true", action = ArgAction::Set)]
    authentication_tolerate_lookup_failure: bool,
    /// How long a token's review is remembered.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    authentication_token_webhook_cache_ttl: Duration,
    /// The most token reviews that are remembered, and as many refusals.
    #[arg(long, value_name = "COUNT", default_value_t = 8192)]
    authentication_token_webhook_cache_size: usize,
    /// The most requests at one time that wait for a token's review, or are anonymous and wait for an access review;
    /// more are refused with 429.
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = at_least_one())]
    authentication_token_webhook_inflight: usize,
    /// Paths that everybody may read.
    #[arg(long, value_name = "PATHS", value_delimiter = ',', default_value = "/healthz,/readyz,/livez")]
    authorization_always_allow_paths: Vec<String>,
    /// How long a permission is remembered.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    authorization_webhook_cache_authorized_ttl: Duration,
    /// How long a refusal is remembered.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    authorization_webhook_cache_unauthorized_ttl: Duration,
    /// The most permissions that are remembered, and as many refusals.
    #[arg(long, value_name = "COUNT", default_value_t = 8192)]
    authorization_webhook_cache_size: usize,
    /// The most requests of known callers at one time that wait for an access review; more are refused with 429.
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = at_least_one())]
    authorization_webhook_inflight: usize,
}

// === impl AuthArgs ===

impl AuthArgs {
    /// How a caller is told.
    pub(super) fn authentication(&self) -> Result<AuthenticationConfig, String> {
        if self.authentication_skip_lookup
            && self.client_ca_file.is_none()
            && self.requestheader_client_ca_file.is_none()
        {
            tracing::warn!("without look-up and CA files, only tokens identify a caller");
        }
        Ok(AuthenticationConfig {
            client_ca_file: self.client_ca_file.clone(),
            request_header: self.requestheader_client_ca_file.clone().map(|client_ca_file| {
                RequestHeaderConfig {
                    client_ca_file,
                    allowed_names: self.requestheader_allowed_names.clone(),
                    username_headers: self.requestheader_username_headers.clone(),
                    uid_headers: self.requestheader_uid_headers.clone(),
                    group_headers: self.requestheader_group_headers.clone(),
                    extra_headers_prefix: self.requestheader_extra_headers_prefix.clone(),
                }
            }),
            skip_lookup: self.authentication_skip_lookup,
            tolerate_lookup_failure: self.authentication_tolerate_lookup_failure,
            token_cache_ttl: self.authentication_token_webhook_cache_ttl,
            token_cache_size: self.authentication_token_webhook_cache_size,
            reviews_in_flight: self.authentication_token_webhook_inflight,
            ..AuthenticationConfig::default()
        })
    }

    /// How a caller is let in.
    pub(super) fn authorization(&self) -> AuthorizationConfig {
        AuthorizationConfig {
            always_allow_paths: self.authorization_always_allow_paths.clone(),
            allow_cache_ttl: self.authorization_webhook_cache_authorized_ttl,
            deny_cache_ttl: self.authorization_webhook_cache_unauthorized_ttl,
            cache_size: self.authorization_webhook_cache_size,
            reviews_in_flight: self.authorization_webhook_inflight,
            ..AuthorizationConfig::default()
        }
    }
}
