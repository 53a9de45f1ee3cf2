//! TLS: versions, suites, ALPN, the serving certificate, and client certificates.
//!
//! A client certificate is asked for and never refused in the handshake, whoever signed it: whether it
//! names somebody is decided for each request, so that a stranger's certificate gets a 401 that says so
//! and a CA that is rotated takes effect on open connections. What the handshake does verify is that
//! the peer holds the certificate's key.

use std::{sync::Arc, time::SystemTime};

use arc_swap::ArcSwapOption;
use rustls::{
    DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme, SupportedCipherSuite,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
    sign::SingleCertAndKey,
};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

use crate::{
    certificate::{CertificateError, PemPair},
    config::{ServingConfig, TlsVersion},
};

/// Why TLS cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A name in `--tls-cipher-suites` is not one of a suite that can be had.
    #[error("unknown or insecure cipher suite {0}; there are {1}")]
    CipherSuite(String, String),
    /// The serving certificate does not load.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// The TLS settings in force; each new connection takes the newest. There are none before the first certificate.
pub(crate) struct Tls {
    current: ArcSwapOption<ServerConfig>,
    provider: Arc<CryptoProvider>,
    versions: &'static [&'static rustls::SupportedProtocolVersion],
    alpn: Vec<Vec<u8>>,
}

static TLS13_ALONE: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// Accepts any client certificate whose key the peer can prove to hold.
#[derive(Debug)]
struct AnyClient {
    algorithms: WebPkiSupportedAlgorithms,
}

// === impl Tls ===

impl Tls {
    /// The settings, and the end of the certificate if there is one yet.
    pub(crate) fn new(
        config: &ServingConfig,
        pair: Option<&PemPair>,
    ) -> Result<(Self, Option<SystemTime>), TlsError> {
        let mut provider = rustls::crypto::ring::default_provider();
        if !config.cipher_suites.is_empty() {
            restrict(&mut provider.cipher_suites, &config.cipher_suites)?;
        }
        let provider = Arc::new(provider);
        let versions = match config.min_tls_version {
            TlsVersion::Tls12 => rustls::ALL_VERSIONS,
            TlsVersion::Tls13 => TLS13_ALONE,
        };
        let alpn: &[&[u8]] = if config.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        let alpn = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        let tls = Self { current: ArcSwapOption::empty(), provider, versions, alpn };
        let not_after = pair.map(|pair| tls.replace(pair)).transpose()?;
        Ok((tls, not_after))
    }

    /// Serves with this pair from the next connection on; returns when it ends.
    ///
    /// A new configuration starts with no sessions to resume.
    pub(crate) fn replace(&self, pair: &PemPair) -> Result<SystemTime, CertificateError> {
        let (next, not_after) = server_config(&self.provider, self.versions, &self.alpn, pair)?;
        self.current.store(Some(Arc::new(next)));
        Ok(not_after)
    }

    /// What shakes hands with the newest settings; nothing does before the first certificate.
    pub(crate) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.current.load_full().map(TlsAcceptor::from)
    }
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    versions: &[&'static rustls::SupportedProtocolVersion],
    alpn: &Vec<Vec<u8>>,
    pair: &PemPair,
) -> Result<(ServerConfig, SystemTime), CertificateError> {
    let loaded = pair.load(provider)?;
    // Passed explicitly: with a second provider among the dependencies the process-wide default panics.
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(Arc::new(AnyClient {
            algorithms: provider.signature_verification_algorithms,
        }))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(loaded.key)));
    config.alpn_protocols.clone_from(alpn);
    Ok((config, loaded.not_after))
}

/// Leaves of TLS 1.2's suites those named; TLS 1.3's stay, as in Go.
fn restrict(suites: &mut Vec<SupportedCipherSuite>, names: &[String]) -> Result<(), TlsError> {
    let name_of = |suite: &SupportedCipherSuite| suite.suite().as_str().unwrap_or_default().to_owned();
    let is_tls12 = |suite: &SupportedCipherSuite| suite.tls13().is_none();
    let known: Vec<String> = suites.iter().filter(|suite| is_tls12(suite)).map(name_of).collect();
    for name in names {
        // Go's names of the TLS 1.3 suites are valid values of the flag without an effect.
        if !known.contains(name) && !name.starts_with("TLS_AES_") && !name.starts_with("TLS_CHACHA20_") {
            return Err(TlsError::CipherSuite(name.clone(), known.join(", ")));
        }
    }
    suites.retain(|suite| !is_tls12(suite) || names.contains(&name_of(suite)));
    Ok(())
}

// === impl AnyClient ===

impl ClientCertVerifier for AnyClient {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// No hints: the CAs change while connections are open, and the front proxy presents its
    /// certificate whatever is hinted.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
