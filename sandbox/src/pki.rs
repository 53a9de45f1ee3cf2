//! Throw-away certificate authorities and what they sign.
//!
//! Every sandbox makes its own: nothing is read from or written to disk. Keys are ECDSA P-256. Certificates are valid
//! from the day before to about one year after the instant that the authority was made with.

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use std::fmt;

/// A certificate could not be made: a name that a certificate cannot carry, or no randomness.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a certificate for {subject:?}: {source}")]
pub struct PkiError {
    subject: String,
    source: rcgen::Error,
}

/// A self-signed authority that issues server and client certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    made_at: Timestamp,
}

/// A certificate with its private key, both PEM.
#[derive(Clone)]
pub struct Identity {
    /// The leaf certificate. The authority is not included.
    pub certificate_pem: String,
    /// The private key, PKCS #8.
    pub key_pem: String,
}

// === impl Authority ===

impl Authority {
    /// Makes a new authority whose certificate carries `common_name`.
    pub fn new(common_name: &str, now: Timestamp) -> Result<Self, PkiError> {
        let make = || {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::new(Vec::new())?;
            params.distinguished_name = subject(common_name, &[]);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
            set_validity(&mut params, now, 366);
            let certificate_pem = params.self_signed(&key)?.pem();
            Ok(Self { issuer: Issuer::new(params, key), certificate_pem, made_at: now })
        };
        make().map_err(|source| PkiError { subject: common_name.to_owned(), source })
    }

    /// The authority's own certificate, PEM: what `certificate-authority-data` and `caBundle` hold.
    pub fn pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Issues a server certificate for DNS names and IP addresses.
    pub fn server(&self, common_name: &str, names: &[&str]) -> Result<Identity, PkiError> {
        self.issue(common_name, &[], names, ExtendedKeyUsagePurpose::ServerAuth, 365)
    }

    /// Issues a client certificate. Kubernetes reads `common_name` as the user and `organizations` as its groups.
    pub fn client(&self, common_name: &str, organizations: &[&str]) -> Result<Identity, PkiError> {
        self.issue(common_name, organizations, &[], ExtendedKeyUsagePurpose::ClientAuth, 365)
    }

    /// Issues a client certificate that has expired already, for tests of its refusal.
    pub fn expired_client(&self, common_name: &str, organizations: &[&str]) -> Result<Identity, PkiError> {
        self.issue(common_name, organizations, &[], ExtendedKeyUsagePurpose::ClientAuth, 0)
    }

    fn issue(
        &self,
        common_name: &str,
        organizations: &[&str],
        names: &[&str],
        usage: ExtendedKeyUsagePurpose,
        days: i32,
    ) -> Result<Identity, PkiError> {
        let make = || {
            let key = KeyPair::generate()?;
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let mut params = CertificateParams::new(names)?;
            params.distinguished_name = subject(common_name, organizations);
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![usage];
            params.use_authority_key_identifier_extension = true;
            set_validity(&mut params, self.made_at, days);
            let certificate_pem = params.signed_by(&key, &self.issuer)?.pem();
            Ok(Identity { certificate_pem, key_pem: key.serialize_pem() })
        };
        make().map_err(|source| PkiError { subject: common_name.to_owned(), source })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("certificate", &self.certificate_pem).finish_non_exhaustive()
    }
}

// === impl Identity ===

impl fmt::Debug for Identity {
    /// Leaves the key out, so that it does not end up in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.certificate_pem).finish_non_exhaustive()
    }
}

fn subject(common_name: &str, organizations: &[&str]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    for (index, organization) in organizations.iter().enumerate() {
        // A distinguished name holds one value a type here, so further groups become custom types of the same OID.
        let kind = match index {
            0 => DnType::OrganizationName,
            _ => DnType::CustomDnType(vec![2, 5, 4, 10]),
        };
        name.push(kind, *organization);
    }
    name
}

/// Valid from the day before `now` up to midnight of the day `days` after it (UTC): with 0 days, already over.
fn set_validity(params: &mut CertificateParams, now: Timestamp, days: i32) {
    let day = |offset: i32| {
        let date = now.to_zoned(TimeZone::UTC).date().saturating_add(offset.days());
        // Months and days of a civil date are positive by construction.
        rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = day(-1);
    params.not_after = day(days);
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::pem::parse_x509_pem;

    #[test]
    fn a_client_certificate_carries_user_groups_and_dates() {
        let now = Timestamp::from_second(1_787_311_751).unwrap();
        let authority = Authority::new("a-ca", now).unwrap();
        let check = |identity: Identity, valid: bool| {
            let (_, pem) = parse_x509_pem(identity.certificate_pem.as_bytes()).unwrap();
            let certificate = pem.parse_x509().unwrap();
            let organizations: Vec<_> =
                certificate.subject().iter_organization().map(|o| o.as_str().unwrap()).collect();
            assert_eq!(organizations, ["a", "b"]);
            let user = certificate.subject().iter_common_name().next().unwrap();
            assert_eq!(user.as_str().unwrap(), "jane");
            assert_eq!(certificate.validity().not_after.timestamp() > now.as_second(), valid);
            assert!(certificate.validity().not_before.timestamp() < now.as_second());
        };
        check(authority.client("jane", &["a", "b"]).unwrap(), true);
        check(authority.expired_client("jane", &["a", "b"]).unwrap(), false);
    }

    #[test]
    fn keys_stay_out_of_debug_output() {
        let authority = Authority::new("a-ca", Timestamp::from_second(1_787_311_751).unwrap()).unwrap();
        let identity = authority.server("s", &["localhost", "127.0.0.1"]).unwrap();
        assert!(!format!("{identity:?}{authority:?}").contains("PRIVATE KEY"));
    }
}
