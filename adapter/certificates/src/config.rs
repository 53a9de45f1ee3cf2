//! Settings, with their units and defaults.

use std::time::Duration;

use thiserror::Error;

/// How certificates are made, kept and renewed.
#[derive(Clone, Debug)]
pub struct Config {
    /// The Secret, in the namespace of the Service. Default `podgauge-tls`.
    pub secret: String,
    /// How long a certificate is valid; it is renewed at two thirds of that. Default 90 days.
    pub lifetime: Duration,
    /// How long a new CA stands in every `caBundle` before a certificate that it signed replaces another one: the time in
    /// which every API server of the cluster must have seen it. Default 1 min.
    pub propagation_delay: Duration,
    /// Which APIServices are told.
    pub publishing: Publishing,
}

/// Which APIServices are told which CA to trust.
#[derive(Clone, Debug)]
pub struct Publishing {
    /// The namespace of the Service through which podgauge is reached.
    pub namespace: String,
    /// The name of that Service. Default `podgauge`.
    pub service: String,
    /// The APIServices whose `caBundle` is written, those of them that lead to that Service.
    pub api_services: Vec<String>,
    /// How often everything is looked at. Default 10 s.
    pub interval: Duration,
    /// The longest that one request to the API server may take. Default 10 s.
    pub request_timeout: Duration,
}

/// What of the settings does not go together. The text names the flags.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// Too short to be replaced in time.
    #[error(
        "--tls-cert-lifetime must be at least 6 times --tls-propagation-delay and --tls-sync-interval together"
    )]
    ShortLife,
    /// Longer than anybody should trust a key.
    #[error("--tls-cert-lifetime must be at most 87600h, which is 10 years")]
    LongLife,
    /// Replicas would not all have looked when a CA counts as known.
    #[error("--tls-propagation-delay must be at least twice --tls-sync-interval")]
    ShortDelay,
    /// Would ask the API server all the time.
    #[error("--tls-sync-interval must be longer than 0")]
    Interval,
    /// A name that no certificate can carry.
    #[error("--namespace and --service-name must be names of Kubernetes objects, not {0:?}")]
    Name(String),
}

const MOST_LIFE: Duration = Duration::from_secs(87_600 * 3600);

// === impl Config ===

impl Config {
    /// Checks that the settings go together.
    ///
    /// # Errors
    /// What does not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Publishing { namespace, service, interval, .. } = &self.publishing;
        let is_label = |name: &&String| {
            let is_legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !(1..=63).contains(&name.len())
                || !name.bytes().all(is_legal)
                || name.starts_with('-')
                || name.ends_with('-')
        };
        if let Some(wrong) = [namespace, service].into_iter().find(is_label) {
            return Err(ConfigError::Name(wrong.clone()));
        }
        if interval.is_zero() {
            return Err(ConfigError::Interval);
        }
        if self.propagation_delay < interval.saturating_mul(2) {
            return Err(ConfigError::ShortDelay);
        }
        if self.lifetime > MOST_LIFE {
            return Err(ConfigError::LongLife);
        }
        let least = self.propagation_delay.saturating_add(*interval).saturating_mul(6);
        if self.lifetime < least { Err(ConfigError::ShortLife) } else { Ok(()) }
    }
}

// === impl Publishing ===

impl Publishing {
    /// The name that the API server verifies: `SERVICE.NAMESPACE.svc`.
    #[must_use]
    pub fn server_name(&self) -> String {
        format!("{}.{}.svc", self.service, self.namespace)
    }

    /// Every name of the Service inside the cluster, the one that is verified first.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = self.server_name();
        vec![name.clone(), format!("{}.{}", self.service, self.namespace), format!("{name}.cluster.local")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_go_together_is_named() {
        let check = |change: fn(&mut Config), want: Result<(), ConfigError>| {
            let mut config = Config {
                secret: "podgauge-tls".to_owned(),
                lifetime: Duration::from_secs(90 * 86_400),
                propagation_delay: Duration::from_secs(60),
                publishing: Publishing {
                    namespace: "podgauge".to_owned(),
                    service: "podgauge".to_owned(),
                    api_services: Vec::new(),
                    interval: Duration::from_secs(10),
                    request_timeout: Duration::from_secs(10),
                },
            };
            change(&mut config);
            assert_eq!(config.validate(), want);
        };
        check(|_| {}, Ok(()));
        check(|c| c.lifetime = Duration::from_secs(420), Ok(()));
        check(|c| c.lifetime = Duration::from_secs(419), Err(ConfigError::ShortLife));
        check(|c| c.lifetime = Duration::from_secs(87_600 * 3600 + 1), Err(ConfigError::LongLife));
        check(|c| c.propagation_delay = Duration::MAX, Err(ConfigError::ShortLife));
        check(|c| c.propagation_delay = Duration::from_secs(19), Err(ConfigError::ShortDelay));
        check(|c| c.publishing.interval = Duration::ZERO, Err(ConfigError::Interval));
        for name in ["", "a.b", "Upper", "-a", "a-", "a\nb"] {
            let name = name.to_owned();
            let publishing = Publishing {
                namespace: name.clone(),
                service: "s".to_owned(),
                api_services: Vec::new(),
                interval: Duration::from_secs(1),
                request_timeout: Duration::from_secs(1),
            };
            let config = Config {
                secret: String::new(),
                lifetime: Duration::from_secs(600),
                propagation_delay: Duration::from_secs(1),
                publishing,
            };
            assert_eq!(config.validate(), Err(ConfigError::Name(name)));
        }
    }
}
