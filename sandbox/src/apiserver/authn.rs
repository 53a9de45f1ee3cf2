//! Finds out who a caller is: client certificate, bearer token, or nobody in particular.
//!
//! As kube-apiserver has it, the TLS handshake lets any client certificate through; what it is worth is decided here. The
//! first success wins. A credential that is wrong is 401; only the absence of one is anonymous.

use super::status::Status;
use super::user::User;
use http::{HeaderMap, header::AUTHORIZATION};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Knows the client CA and the valid tokens.
pub(crate) struct Authenticator {
    verifier: Arc<dyn ClientCertVerifier>,
    tokens: Mutex<HashMap<String, User>>,
    anonymous: bool,
}

/// What the certificate of a connection says, found once for all of its requests.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PeerCertificate {
    /// The peer showed none.
    None,
    /// Signed by the client CA.
    Valid(User),
    /// Anything else.
    Invalid,
}

// === impl Authenticator ===

impl Authenticator {
    /// Certificates must chain to `client_ca`.
    pub(crate) fn new(client_ca: RootCertStore, anonymous: bool) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(client_ca), provider)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { verifier, tokens: Mutex::default(), anonymous })
    }

    /// Makes `token` stand for `user` from now on.
    pub(crate) fn add_token(&self, token: String, user: User) {
        self.tokens().insert(token, user);
    }

    /// Ends the validity of `token`.
    pub(crate) fn remove_token(&self, token: &str) {
        self.tokens().remove(token);
    }

    /// Whom a bearer token stands for.
    pub(crate) fn token_user(&self, token: &str) -> Option<User> {
        self.tokens().get(token).cloned().map(User::authenticated)
    }

    /// Judges the certificates that a peer sent in its handshake, the leaf first.
    pub(crate) fn certificate(
        &self,
        chain: Option<&[CertificateDer<'_>]>,
        now: jiff::Timestamp,
    ) -> PeerCertificate {
        let Some([leaf, intermediates @ ..]) = chain else { return PeerCertificate::None };
        let since_epoch = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0));
        let now = UnixTime::since_unix_epoch(since_epoch);
        match self.verifier.verify_client_cert(leaf, intermediates, now) {
            Ok(_) => certificate_user(leaf).map_or(PeerCertificate::Invalid, PeerCertificate::Valid),
            Err(_) => PeerCertificate::Invalid,
        }
    }

    /// Decides who sent a request.
    pub(crate) fn authenticate(
        &self,
        certificate: &PeerCertificate,
        headers: &HeaderMap,
    ) -> Result<User, Status> {
        if let PeerCertificate::Valid(user) = certificate {
            return Ok(user.clone().authenticated());
        }
        if let Some(user) = bearer_token(headers).map(|token| self.token_user(token)) {
            return user.ok_or_else(Status::unauthorized);
        }
        if *certificate == PeerCertificate::None && self.anonymous {
            return Ok(User::anonymous());
        }
        Err(Status::unauthorized())
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<String, User>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.trim().split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}

/// The common name is the user, the organizations are the groups.
fn certificate_user(leaf: &CertificateDer<'_>) -> Option<User> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject.iter_organization().filter_map(|o| o.as_str().ok()).map(str::to_owned).collect();
    Some(User { name, groups, ..User::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Authority, Identity};
    use rustls::pki_types::pem::PemObject as _;

    fn chain(identity: &Identity) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).unwrap()]
    }

    #[test]
    fn credentials_and_their_verdicts() {
        let now = jiff::Timestamp::from_second(1_787_311_751).unwrap();
        let (ours, foreign) = (Authority::new("ca", now).unwrap(), Authority::new("ca", now).unwrap());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ours.pem().as_bytes()).unwrap()).unwrap();
        let authenticator = Authenticator::new(roots, true).unwrap();
        authenticator.add_token("t".into(), User::new("bot", &["g"]));
        let check = |identity: Option<Identity>, header: Option<&str>, expected: Result<&str, u16>| {
            let chain = identity.as_ref().map(chain);
            let peer = authenticator.certificate(chain.as_deref(), now);
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(AUTHORIZATION, header.parse().unwrap());
            }
            let found = authenticator
                .authenticate(&peer, &headers)
                .map(|user| format!("{} {}", user.name, user.groups.join(",")))
                .map_err(|status| status.code);
            assert_eq!(found, expected.map(str::to_owned), "{header:?}");
        };
        let jane = || Some(ours.client("jane", &["a", "b"]).unwrap());
        check(None, None, Ok("system:anonymous system:unauthenticated"));
        check(None, Some("Basic abc"), Ok("system:anonymous system:unauthenticated"));
        check(None, Some("Bearer t"), Ok("bot g,system:authenticated"));
        check(None, Some("bearer  t"), Ok("bot g,system:authenticated"));
        check(None, Some("Bearer x"), Err(401));
        check(jane(), None, Ok("jane a,b,system:authenticated"));
        check(jane(), Some("Bearer x"), Ok("jane a,b,system:authenticated"));
        check(Some(foreign.client("jane", &[]).unwrap()), None, Err(401));
        check(Some(ours.expired_client("jane", &[]).unwrap()), None, Err(401));
        check(Some(foreign.client("jane", &[]).unwrap()), Some("Bearer t"), Ok("bot g,system:authenticated"));
    }
}
