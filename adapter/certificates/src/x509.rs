//! What is read of a certificate beyond what webpki verifies: from when until when it is valid.

use std::time::{Duration, SystemTime};

use x509_parser::{parse_x509_certificate, time::ASN1Time};

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

/// The validity of a certificate in DER.
///
/// # Errors
/// When it is not X.509.
pub(crate) fn validity(der: &[u8]) -> Result<Validity, String> {
    let (_, certificate) = parse_x509_certificate(der).map_err(|error| error.to_string())?;
    let validity = certificate.validity();
    Ok(Validity { not_before: instant(validity.not_before), not_after: instant(validity.not_after) })
}

/// What is before 1970 counts as its beginning: over is over.
fn instant(time: ASN1Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}
