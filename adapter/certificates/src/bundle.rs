//! A set of CA certificates, as `caBundle` and `ca.crt` hold it.

use std::time::SystemTime;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::x509;

/// The most certificates of a bundle that are read or kept. podgauge needs two, and a few more for a while after somebody
/// has meddled.
const MOST: usize = 16;
/// Characters in a line of PEM (RFC 7468).
const PEM_LINE: usize = 64;

/// CA certificates, each once, in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bundle(Vec<Ca>);

/// A CA certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ca {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) not_after: SystemTime,
}

// === impl Bundle ===

impl Bundle {
    /// The certificates in `pem`; whatever is none is passed over.
    pub(crate) fn read(pem: &[u8]) -> Self {
        let mut bundle = Self::default();
        for der in CertificateDer::pem_slice_iter(pem).map_while(Result::ok).take(MOST) {
            if let Ok(validity) = x509::validity(&der) {
                bundle.add(&Ca { der, not_after: validity.not_after });
            }
        }
        bundle
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Ca> {
        self.0.iter()
    }

    pub(crate) fn contains(&self, ca: &Ca) -> bool {
        self.0.contains(ca)
    }

    pub(crate) fn contains_all(&self, other: &Self) -> bool {
        other.0.iter().all(|ca| self.contains(ca))
    }

    /// Adds a CA at the end unless it is there already or there is no room.
    pub(crate) fn add(&mut self, ca: &Ca) {
        if self.0.len() < MOST && !self.contains(ca) {
            self.0.push(ca.clone());
        }
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        other.0.iter().for_each(|ca| self.add(ca));
    }

    /// The PEM text, one block after the other.
    pub(crate) fn to_pem(&self) -> String {
        self.0.iter().map(|ca| pem(&ca.der)).collect()
    }
}

fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII, so every index is a boundary.
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::generation::Generation;

    #[test]
    fn text_comes_back_as_it_was_and_rubbish_is_passed_over() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let make = || Generation::make(&["a.b.svc".to_owned()], Duration::from_secs(3600), now).unwrap().ca;
        let (one, two) = (make(), make());
        let mut both = one.clone();
        both.add_all(&two);
        both.add_all(&one);
        assert_eq!(both.iter().count(), 2);
        assert_eq!(Bundle::read(both.to_pem().as_bytes()), both);
        assert!(both.contains_all(&one) && !one.contains_all(&both));

        let check = |pem: &str, want: &Bundle| assert_eq!(&Bundle::read(pem.as_bytes()), want, "{pem}");
        check("", &Bundle::default());
        check("rubbish", &Bundle::default());
        check(&format!("a comment\n{}\nanother\n", one.to_pem()), &one);
        check("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &Bundle::default());
        // Only so many.
        let many: String = (0..MOST + 4).map(|_| make().to_pem()).collect();
        assert_eq!(Bundle::read(many.as_bytes()).iter().count(), MOST);
    }
}
