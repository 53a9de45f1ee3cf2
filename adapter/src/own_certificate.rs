//! A serving certificate for a run outside of any cluster's namespace.

use podgauge_apiserver::PemPair;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};

/// A fresh self-signed certificate (ECDSA P-256) for localhost and for a Service `podgauge` in namespace `podgauge`.
///
/// Nothing can verify it, so it serves for trying out alone.
///
/// # Errors
/// The library's, if it finds no randomness.
pub(crate) fn make() -> Result<PemPair, rcgen::Error> {
    let names = ["localhost", "127.0.0.1", "podgauge.podgauge.svc"].map(str::to_owned);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "podgauge");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(PemPair { certificate: certificate.pem().into_bytes(), key: key.serialize_pem().into_bytes() })
}
