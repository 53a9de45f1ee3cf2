//! Flags about podgauge's own certificates.

use std::{fs, path::PathBuf, time::Duration};

use podgauge_certificates::{Config, Publishing};

use super::{serving::some_duration, units::duration};
use crate::certificates::Certificate;

/// The certificate that is served without --tls-cert-file, and who is told of its CA.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Own certificates")]
pub(super) struct CertificateArgs {
    /// The namespace of the Service and the Secret. Without one to be found, and without --tls-cert-file, the certificate
    /// is made for this run alone, and nothing can verify it [default: $POD_NAMESPACE, or the service account's].
    #[arg(long, value_name = "NAMESPACE", env = "POD_NAMESPACE", hide_env = true)]
    namespace: Option<String>,
    /// The Service through which the API server reaches podgauge: the certificate's names follow from it.
    #[arg(long, value_name = "NAME", default_value = "podgauge")]
    service_name: String,
    /// The Secret in which the CA and the certificate are kept and shared with other replicas.
    #[arg(long, value_name = "NAME", default_value = "podgauge-tls")]
    tls_secret_name: String,
    /// How long a certificate is valid. It is renewed at two thirds of that; so is one that
    /// was made to live longer.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "2160h")]
    tls_cert_lifetime: Duration,
    /// How long a new CA stands in every caBundle before a certificate that it signed replaces another one.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1m")]
    tls_propagation_delay: Duration,
    /// How often the Secret and the APIServices are looked at.
    #[arg(long, value_name = "DURATION", value_parser = some_duration, default_value = "10s")]
    tls_sync_interval: Duration,
    /// The APIServices whose caBundle podgauge writes, separated by commas; those that do not lead to --service-name are
    /// left alone, and none at all are written if this is empty [default: those of the APIs that it serves].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    apiservice: Option<Vec<String>>,
    /// With --tls-cert-file: the CA (PEM) of that certificate. podgauge then writes it into its APIServices' caBundle;
    /// without this flag they are somebody else's business.
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    tls_ca_file: Option<PathBuf>,
}

/// Where a pod finds the namespace of its service account.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// How long a request about certificates may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

// === impl CertificateArgs ===

impl CertificateArgs {
    /// Where the certificate comes from. `in_pod` says whether the pod's service account is how the cluster is reached.
    pub(super) fn config(
        &self,
        files: Option<(PathBuf, PathBuf)>,
        in_pod: bool,
    ) -> Result<(Certificate, Option<Vec<String>>), String> {
        let given = self.namespace.clone().filter(|namespace| !namespace.is_empty());
        let namespace = given.or_else(|| fs::read_to_string(NAMESPACE_FILE).ok().filter(|_| in_pod));
        let publishing = namespace.map(|namespace| Publishing {
            namespace: namespace.trim().to_owned(),
            service: self.service_name.clone(),
            api_services: Vec::new(),
            interval: self.tls_sync_interval,
            request_timeout: REQUEST_TIMEOUT,
        });
        let certificate = match (files, &self.tls_ca_file, publishing) {
            (Some((certificate, key)), None, _) => Certificate::Files { certificate, key, published: None },
            (Some((certificate, key)), Some(ca), Some(publishing)) => {
                Certificate::Files { certificate, key, published: Some((ca.clone(), publishing)) }
            }
            (Some(_), Some(_), None) => return Err("--tls-ca-file needs --namespace".to_owned()),
            (None, _, Some(publishing)) => {
                let config = Config {
                    secret: self.tls_secret_name.clone(),
                    lifetime: self.tls_cert_lifetime,
                    propagation_delay: self.tls_propagation_delay,
                    publishing,
                };
                config.validate().map_err(|error| error.to_string())?;
                Certificate::Own(config)
            }
            (None, _, None) => Certificate::Throwaway,
        };
        // `--apiservice=` is a list of one empty name.
        let names = self.apiservice.clone();
        Ok((certificate, names.map(|names| names.into_iter().filter(|name| !name.is_empty()).collect())))
    }
}
