//! Which certificate is served, and who looks after it.

use std::{path::PathBuf, sync::Arc};

use kube::Client;
use podgauge_apiserver::{CertificateSource, PemPair};
use podgauge_certificates::{Config, ConfigError, Keeper, Pair, Publisher, Publishing};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{admin::Check, clock, own_certificate};

/// Where the serving certificate comes from.
#[derive(Debug)]
pub(crate) enum Certificate {
    /// From files that somebody else looks after, its CA too unless it is to be published.
    Files { certificate: PathBuf, key: PathBuf, published: Option<(PathBuf, Publishing)> },
    /// podgauge makes it, keeps it in a Secret, and tells its APIServices.
    Own(Config),
    /// It is made for this run and known to nobody.
    Throwaway,
}

/// Who looks after the certificate while podgauge runs.
#[derive(Debug)]
pub(crate) enum Caretaker {
    Keeper(Box<Keeper>),
    Publisher(Box<Publisher>),
    Nobody,
}

/// Why there is no certificate to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    #[error("cannot make a serving certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error(transparent)]
    Config(#[from] ConfigError),
}

// === impl Certificate ===

impl Certificate {
    /// What to serve with and who looks after it. `api_services` are told of the CA.
    pub(crate) fn build(
        self,
        api_services: Vec<String>,
        client: Client,
        registry: &mut Registry,
    ) -> Result<(CertificateSource, Caretaker), CertificateError> {
        let wall = Arc::new(clock::wall);
        Ok(match self {
            Self::Files { certificate, key, published } => {
                let caretaker = published.map_or(Caretaker::Nobody, |(ca, publishing)| {
                    let publishing = Publishing { api_services, ..publishing };
                    Caretaker::Publisher(Box::new(Publisher::build(publishing, ca, client, wall, registry)))
                });
                (CertificateSource::Files { certificate, key }, caretaker)
            }
            Self::Own(mut config) => {
                config.publishing.api_services = api_services;
                let (sender, receiver) = watch::channel(None);
                let serve = move |Pair { certificate, key }| {
                    sender.send_replace(Some(PemPair { certificate, key }));
                };
                let keeper = Keeper::build(config, client, wall, serve, registry)?;
                (CertificateSource::Memory(receiver), Caretaker::Keeper(Box::new(keeper)))
            }
            Self::Throwaway => {
                warn!(
                    "serving with a certificate made for this run, which nothing can verify: set --namespace to have \
                     one kept in the cluster, or --tls-cert-file"
                );
                (CertificateSource::fixed(own_certificate::make()?), Caretaker::Nobody)
            }
        })
    }
}

// === impl Caretaker ===

impl Caretaker {
    /// What is still missing before anybody can be served.
    pub(crate) fn check(&self) -> Check {
        match self {
            Self::Keeper(keeper) => {
                let health = keeper.health();
                Arc::new(move || health.check(clock::wall()).err())
            }
            Self::Publisher(_) | Self::Nobody => Arc::new(|| None),
        }
    }

    /// Looks after the certificate until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        match self {
            Self::Keeper(keeper) => keeper.run(stop).await,
            Self::Publisher(publisher) => publisher.run(stop).await,
            Self::Nobody => stop.cancelled().await,
        }
    }
}
