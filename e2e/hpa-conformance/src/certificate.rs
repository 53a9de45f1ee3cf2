//! The certificate that kube-apiserver meets: made anew for each run, and its own authority.

use std::sync::Arc;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;

/// A certificate and what serves with it.
pub(crate) struct Certificate {
    /// What an APIService's `caBundle` holds, PEM.
    pub(crate) pem: String,
    /// TLS over h2 and HTTP/1.1; no client is asked for a certificate.
    pub(crate) tls: Arc<ServerConfig>,
}

/// The certificate could not be made or used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// There was no randomness, or the name is no DNS name.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// TLS does not take it.
    #[error("cannot serve with the certificate: {0}")]
    Serve(#[from] rustls::Error),
}

// === impl Certificate ===

impl Certificate {
    /// Makes one for the DNS name `name`.
    pub(crate) fn make(name: &str) -> Result<Self, CertificateError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.self_signed(&key)?;
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let mut tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { pem: certificate.pem(), tls: Arc::new(tls) })
    }
}
