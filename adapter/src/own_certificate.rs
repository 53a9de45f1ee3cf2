//! A serving certificate for when none is given.

use podgauge_apiserver::PemPair;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};

/// A fresh self-signed certificate (ECDSA P-256) for localhost and for the Service `podgauge`.
///
/// Nothing can verify it, so it serves for trying out alone: an APIService that is worth trusting has the
/// `caBundle` of a certificate from `--tls-cert-file`.
///
/// # Errors
/// The library's, if it finds no randomness.
pub(crate) fn make() -> Result<PemPair, rcgen::Error> {
    let namespace = std::env::var("POD_NAMESPACE").unwrap_or_else(|_| "podgauge".to_owned());
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), format!("podgauge.{namespace}.svc")];
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "podgauge");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(PemPair { certificate: certificate.pem().into_bytes(), key: key.serialize_pem().into_bytes() })
}
