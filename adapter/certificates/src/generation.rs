//! A CA, the one certificate that it signed, and that certificate's key: what is made, kept and replaced as one.
//!
//! The CA's own key is dropped as soon as it has signed: whoever steals the Secret can pose as podgauge until the
//! certificate ends, and can never sign anything else.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    sign::CertifiedKey,
};
use thiserror::Error;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::{bundle::Bundle, x509};

/// A certificate is valid from this long before it is made, or a tenth of its life if that is shorter: clocks differ.
const MOST_BACKDATING: Duration = Duration::from_secs(3600);

/// A certificate with its key and with what it is verified against.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Generation {
    /// What signed the certificate: one CA, unless somebody else made it.
    pub(crate) ca: Bundle,
    /// The certificate and, if somebody else made it, its intermediates; PEM.
    pub(crate) certificate: Vec<u8>,
    /// Its private key, PEM.
    pub(crate) key: Vec<u8>,
    not_before: SystemTime,
    /// When the certificate or its CA ends, whichever is first.
    pub(crate) not_after: SystemTime,
}

/// Why what was found cannot be served.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Unusable {
    #[error("there is no certificate in it that can be read")]
    NoCertificate,
    #[error("there is no private key in it that can be read")]
    NoKey,
    #[error("there is no CA in it that can be read")]
    NoCa,
    #[error("the certificate is not X.509")]
    Malformed,
    #[error("the private key does not belong to the certificate, or is of a kind that is not spoken")]
    Key,
    #[error("it ended")]
    Expired,
    #[error("the certificate is not for {0}")]
    Name(String),
    #[error("its CA did not sign the certificate for serving: {0}")]
    Chain(String),
}

// === impl Generation ===

impl Generation {
    /// A new CA and a certificate for `names`, ECDSA P-256 both, valid for `lifetime` from `now` on.
    ///
    /// # Errors
    /// The library's: a name that no certificate can carry, or no randomness.
    pub(crate) fn make(names: &[String], lifetime: Duration, now: SystemTime) -> Result<Self, rcgen::Error> {
        let not_before = whole_seconds(now - backdating(lifetime));
        let not_after = whole_seconds(now + lifetime);

        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = name(&format!("podgauge CA {}", mark(&key)));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        (params.not_before, params.not_after) = (not_before.into(), not_after.into());
        let ca = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);

        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = name("podgauge");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = (not_before.into(), not_after.into());
        let certificate = params.signed_by(&key, &issuer)?.pem().into_bytes();
        let key = key.serialize_pem().into_bytes();
        Ok(Self { ca: Bundle::read(ca.as_bytes()), certificate, key, not_before, not_after })
    }

    /// What is in three PEM texts, if it could be served as `name` at `now`.
    pub(crate) fn read(
        ca: &[u8],
        certificate: &[u8],
        key: &[u8],
        name: &str,
        now: SystemTime,
    ) -> Result<Self, Unusable> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate).map_while(Result::ok).collect();
        let leaf = chain.first().ok_or(Unusable::NoCertificate)?;
        let validity = x509::validity(leaf).map_err(|_| Unusable::Malformed)?;
        let ca = Bundle::read(ca);
        let ca_until = ca.iter().map(|ca| ca.not_after).max().ok_or(Unusable::NoCa)?;
        let not_after = validity.not_after.min(ca_until);
        if not_after <= now {
            return Err(Unusable::Expired);
        }
        // Another replica's clock may be ahead of this one's.
        verify(&chain, &ca, name, now.max(validity.not_before))?;
        let private = PrivateKeyDer::from_pem_slice(key).map_err(|_| Unusable::NoKey)?;
        let provider = rustls::crypto::ring::default_provider();
        CertifiedKey::from_der(chain, private, &provider).map_err(|_| Unusable::Key)?;
        Ok(Self {
            ca,
            certificate: certificate.to_vec(),
            key: key.to_vec(),
            not_before: validity.not_before,
            not_after,
        })
    }

    /// Whether two thirds of its life are over, or of the life that one made now would have, if that is shorter.
    pub(crate) fn is_due(&self, lifetime: Duration, now: SystemTime) -> bool {
        now >= self.not_before + self.life().min(lifetime + backdating(lifetime)) * 2 / 3
    }

    /// Whether less than a third of its life is over: so long, whoever served something else before may still do so.
    pub(crate) fn is_young(&self, now: SystemTime) -> bool {
        now < self.not_before + self.life() / 3
    }

    fn life(&self) -> Duration {
        self.not_after.duration_since(self.not_before).unwrap_or_default()
    }
}

impl fmt::Debug for Generation {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificate = String::from_utf8_lossy(&self.certificate);
        f.debug_struct("Generation").field("certificate", &certificate).finish_non_exhaustive()
    }
}

/// Verifies as the API server will: the chain, the usage, the name.
pub(crate) fn verify(
    chain: &[CertificateDer<'_>],
    ca: &Bundle,
    name: &str,
    now: SystemTime,
) -> Result<(), Unusable> {
    let (leaf, intermediates) = chain.split_first().ok_or(Unusable::NoCertificate)?;
    let leaf = EndEntityCert::try_from(leaf).map_err(|_| Unusable::Malformed)?;
    let anchors: Vec<_> = ca.iter().filter_map(|ca| anchor_from_trusted_cert(&ca.der).ok()).collect();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(since);
    leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchors,
        intermediates,
        now,
        KeyUsage::server_auth(),
        None,
        None,
    )
    .map_err(|error| Unusable::Chain(error.to_string()))?;
    let is_named =
        ServerName::try_from(name).is_ok_and(|server| leaf.verify_is_valid_for_subject_name(&server).is_ok());
    if is_named { Ok(()) } else { Err(Unusable::Name(name.to_owned())) }
}

/// Eight hex digits of the public key: CAs with the same name would be hard to tell apart, for people and for verifiers.
fn mark(key: &KeyPair) -> String {
    // The first byte says how the point is written and is always the same.
    key.public_key_raw().iter().skip(1).take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn name(common_name: &str) -> rcgen::DistinguishedName {
    let mut name = rcgen::DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn backdating(lifetime: Duration) -> Duration {
    MOST_BACKDATING.min(lifetime / 10)
}

/// Certificates tell time in seconds.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(days: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + DAY * days
    }

    fn make(days: u32) -> Generation {
        Generation::make(&["podgauge.ns.svc".to_owned(), "podgauge.ns".to_owned()], DAY * 90, at(days))
            .unwrap()
    }

    #[test]
    fn what_is_made_is_read_back() {
        let made = make(0);
        let read = |name: &str, now| {
            Generation::read(made.ca.to_pem().as_bytes(), &made.certificate, &made.key, name, now)
        };
        assert_eq!(read("podgauge.ns.svc", at(0)).as_ref(), Ok(&made));
        assert_eq!(read("podgauge.ns", at(89)).as_ref(), Ok(&made));
        // A clock that is behind is no reason to throw anything away.
        assert_eq!(read("podgauge.ns", at(0) - DAY).as_ref(), Ok(&made));
        assert_eq!(read("podgauge.ns.svc", at(90)), Err(Unusable::Expired));
        assert_eq!(read("other.ns.svc", at(0)), Err(Unusable::Name("other.ns.svc".to_owned())));
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }

    #[test]
    fn what_cannot_be_served_is_told_apart() {
        let (one, two) = (make(0), make(0));
        let check = |ca: &[u8], certificate: &[u8], key: &[u8], want: &str| {
            let error = Generation::read(ca, certificate, key, "podgauge.ns.svc", at(1)).unwrap_err();
            assert!(error.to_string().contains(want), "{error}");
        };
        let ca = one.ca.to_pem();
        let foreign = two.ca.to_pem();
        check(ca.as_bytes(), b"", &one.key, "no certificate");
        check(b"", &one.certificate, &one.key, "no CA");
        check(b"rubbish", &one.certificate, &one.key, "no CA");
        check(ca.as_bytes(), &one.certificate, b"", "no private key");
        check(ca.as_bytes(), &one.certificate, &two.key, "does not belong");
        check(foreign.as_bytes(), &one.certificate, &one.key, "did not sign");
        // The CA is for this one signature and for no server.
        check(ca.as_bytes(), ca.as_bytes(), &one.key, "did not sign");
    }

    #[test]
    fn a_life_has_three_thirds() {
        let made = make(0);
        assert!(made.is_young(at(0)) && made.is_young(at(29)) && !made.is_young(at(31)));
        assert!(!made.is_due(DAY * 90, at(59)) && made.is_due(DAY * 90, at(61)));
        assert!(!made.is_due(DAY * 900, at(59)) && made.is_due(DAY * 900, at(61)));
        assert!(
            !made.is_due(DAY * 3, at(1)) && made.is_due(DAY * 3, at(3)),
            "shorter lives count from now on"
        );
    }
}
