//! Whom to believe: the CAs of front proxies and of clients.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::HeaderName;
use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, TrustAnchor, UnixTime, pem::PemObject},
};
use thiserror::Error;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// What is believed at the moment. Either half may be missing: then that method has no opinion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trust {
    pub(crate) request_header: Option<Arc<RequestHeader>>,
    pub(crate) client_ca: Option<Arc<CaBundle>>,
}

/// How a front proxy presents itself and the caller.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RequestHeader {
    pub(crate) ca: CaBundle,
    /// Empty allows any name.
    pub(crate) allowed_names: Vec<String>,
    pub(crate) username_headers: Vec<HeaderName>,
    pub(crate) uid_headers: Vec<HeaderName>,
    pub(crate) group_headers: Vec<HeaderName>,
    /// In lower case.
    pub(crate) extra_prefixes: Vec<String>,
}

/// The certificates of CAs.
pub(crate) struct CaBundle {
    anchors: Vec<TrustAnchor<'static>>,
    pem: Vec<u8>,
}

/// Why what to believe was not taken.
#[derive(Debug, Error)]
pub enum TrustError {
    /// A CA file cannot be read.
    #[error("{flag} {}: {source}", path.display())]
    Read {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A CA bundle is not PEM, or holds no certificate, or one that is not X.509.
    #[error("{0} is not a bundle of PEM certificates")]
    Bundle(String),
    /// A setting that should list names does not.
    #[error("{key} should be a JSON list of strings: {reason}")]
    List {
        /// The setting.
        key: &'static str,
        /// Why.
        reason: String,
    },
    /// A name that no HTTP header has.
    #[error("{0:?} cannot be the name of an HTTP header")]
    HeaderName(String),
}

/// The lists of a front proxy's configuration, as text.
pub(crate) struct HeaderLists<'a> {
    pub(crate) allowed_names: &'a [String],
    pub(crate) username_headers: &'a [String],
    pub(crate) uid_headers: &'a [String],
    pub(crate) group_headers: &'a [String],
    pub(crate) extra_headers_prefix: &'a [String],
}

// === impl RequestHeader ===

impl RequestHeader {
    pub(crate) fn new(ca: CaBundle, lists: &HeaderLists<'_>) -> Result<Self, TrustError> {
        let names = |texts: &[String]| -> Result<Vec<HeaderName>, TrustError> {
            let name = |text: &String| text.parse().map_err(|_| TrustError::HeaderName(text.clone()));
            texts.iter().map(name).collect()
        };
        Ok(Self {
            ca,
            allowed_names: lists.allowed_names.to_vec(),
            username_headers: names(lists.username_headers)?,
            uid_headers: names(lists.uid_headers)?,
            group_headers: names(lists.group_headers)?,
            // An empty prefix would make an extra of every header.
            extra_prefixes: lists
                .extra_headers_prefix
                .iter()
                .filter(|prefix| !prefix.is_empty())
                .map(|prefix| prefix.to_ascii_lowercase())
                .collect(),
        })
    }
}

// === impl CaBundle ===

impl CaBundle {
    /// `what` names the bundle in the error.
    pub(crate) fn from_pem(what: &str, pem: &[u8]) -> Result<Self, TrustError> {
        let wrong = || TrustError::Bundle(what.to_owned());
        let mut anchors = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| wrong())?;
            anchors.push(anchor_from_trusted_cert(&certificate).map_err(|_| wrong())?.to_owned());
        }
        if anchors.is_empty() {
            return Err(wrong());
        }
        Ok(Self { anchors, pem: pem.to_vec() })
    }

    /// Whether one of these CAs vouches, now, for the chain's first certificate as a client's.
    pub(crate) fn verify(&self, chain: &[CertificateDer<'_>], now: SystemTime) -> Result<(), webpki::Error> {
        let [leaf, intermediates @ ..] = chain else {
            return Err(webpki::Error::UnknownIssuer);
        };
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        EndEntityCert::try_from(leaf)?.verify_for_usage(
            ring::default_provider().signature_verification_algorithms.all,
            &self.anchors,
            intermediates,
            UnixTime::since_unix_epoch(since_epoch),
            KeyUsage::client_auth(),
            None,
            None,
        )?;
        Ok(())
    }
}

impl PartialEq for CaBundle {
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

impl Eq for CaBundle {}

impl fmt::Debug for CaBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaBundle({} certificates)", self.anchors.len())
    }
}
