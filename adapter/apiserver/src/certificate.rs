//! The serving certificate: where it comes from and how it stays current.
//!
//! A pair from files is read again when the files change, a pair from memory when its owner sends a
//! new one; until it sends the first, handshakes are refused. A pair that does not load, or whose key does not belong to its certificate (a rotation
//! caught half-way), is reported and the last good one stays in use.

use std::{fmt, path::PathBuf, time::SystemTime};

use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use thiserror::Error;
use tokio::sync::watch;

use crate::{files, x509};

/// Where the serving certificate comes from.
#[derive(Clone, Debug)]
pub enum CertificateSource {
    /// PEM files, read again when they change.
    Files {
        /// The certificate, followed by its intermediates (`--tls-cert-file`).
        certificate: PathBuf,
        /// Its private key (`--tls-private-key-file`).
        key: PathBuf,
    },
    /// A pair that the caller makes, now or later; what it sends then replaces it.
    Memory(watch::Receiver<Option<PemPair>>),
}

/// A certificate chain and its private key, both as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct PemPair {
    /// The certificate, followed by its intermediates.
    pub certificate: Vec<u8>,
    /// The private key: PKCS#8, PKCS#1 or SEC1.
    pub key: Vec<u8>,
}

/// Why a serving certificate was not taken.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("{flag} {}: {source}", path.display())]
    Read {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate is not PEM, or holds none.
    #[error("the serving certificate holds no PEM block CERTIFICATE that can be read")]
    NoCertificate,
    /// The key is not PEM, or holds none.
    #[error("the private key holds no PEM block PRIVATE KEY that can be read")]
    NoKey,
    /// The certificate is not an X.509 certificate.
    #[error("the serving certificate is not X.509: {0}")]
    Malformed(String),
    /// The two do not go together, or are of a kind that is not spoken.
    #[error("the serving certificate cannot be used with its key: {0}")]
    Unusable(#[from] rustls::Error),
}

/// A pair that loaded.
pub(crate) struct Loaded {
    pub(crate) key: CertifiedKey,
    pub(crate) not_after: SystemTime,
}

// === impl CertificateSource ===

impl CertificateSource {
    /// A pair that never changes.
    #[must_use]
    pub fn fixed(pair: PemPair) -> Self {
        Self::Memory(watch::channel(Some(pair)).1)
    }

    /// The pair as it is now, if there is one yet. Reads files, so not to be called where waiting matters.
    pub(crate) fn read(&self) -> Result<Option<PemPair>, CertificateError> {
        match self {
            Self::Files { certificate, key } => {
                let read = |flag: &'static str, path: &PathBuf| {
                    files::read(path).map_err(|source| CertificateError::Read {
                        flag,
                        path: path.clone(),
                        source,
                    })
                };
                Ok(Some(PemPair {
                    certificate: read("--tls-cert-file", certificate)?,
                    key: read("--tls-private-key-file", key)?,
                }))
            }
            Self::Memory(pair) => Ok(pair.borrow().clone()),
        }
    }
}

// === impl PemPair ===

impl PemPair {
    pub(crate) fn load(&self, provider: &CryptoProvider) -> Result<Loaded, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| CertificateError::NoCertificate)?;
        let leaf = chain.first().ok_or(CertificateError::NoCertificate)?;
        let not_after = x509::not_after(leaf).map_err(CertificateError::Malformed)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| CertificateError::NoKey)?;
        Ok(Loaded { key: CertifiedKey::from_der(chain, key, provider)?, not_after })
    }
}

impl fmt::Debug for PemPair {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificate = String::from_utf8_lossy(&self.certificate);
        f.debug_struct("PemPair").field("certificate", &certificate).finish_non_exhaustive()
    }
}
