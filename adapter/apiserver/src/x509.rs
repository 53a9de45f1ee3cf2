//! What this server reads of a certificate beyond what webpki verifies: its subject and its end.

use std::time::{Duration, SystemTime};

use ring::digest;
use rustls::pki_types::CertificateDer;
use x509_parser::parse_x509_certificate;

/// The parts of a subject that make a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The last common name, as Go's `pkix.Name` has it; empty when there is none.
    pub(crate) common_name: String,
    /// Every organization, in order.
    pub(crate) organizations: Vec<String>,
}

/// The certificate's subject.
///
/// # Errors
/// When it is not X.509.
pub(crate) fn subject(certificate: &CertificateDer<'_>) -> Result<Subject, String> {
    let (_, certificate) = parse_x509_certificate(certificate).map_err(|error| error.to_string())?;
    let name = certificate.subject();
    let text = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        attribute.as_str().unwrap_or_default().to_owned()
    };
    Ok(Subject {
        common_name: name.iter_common_name().last().map(text).unwrap_or_default(),
        organizations: name.iter_organization().map(text).filter(|name| !name.is_empty()).collect(),
    })
}

/// The last instant at which the certificate is valid.
///
/// # Errors
/// When it is not X.509.
pub(crate) fn not_after(certificate: &CertificateDer<'_>) -> Result<SystemTime, String> {
    let (_, certificate) = parse_x509_certificate(certificate).map_err(|error| error.to_string())?;
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// SHA-256 of the certificate, in lower-case hex: the credential's identity (`X509SHA256`).
pub(crate) fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    hex(digest::digest(&digest::SHA256, certificate).as_ref())
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
