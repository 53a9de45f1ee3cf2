//! The other end of a connection, and what its certificate is worth at the moment.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::pki_types::CertificateDer;
use tokio::time::Instant;

use super::trust::Trust;
use crate::{
    Clock,
    user::User,
    x509::{self, Subject},
};

/// How long a verification stands: a certificate that expires is noticed this late at most.
const VERIFIED_FOR: Duration = Duration::from_secs(10);

/// The key under which a client certificate names itself (apiserver's `user.CredentialIDKey`).
const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// The other end of a connection, which has proved to hold its certificate's key.
#[derive(Default)]
pub(crate) struct Peer {
    /// Its certificate and intermediates; empty when it showed none.
    chain: Vec<CertificateDer<'static>>,
    verified: Mutex<Option<Arc<Verified>>>,
}

/// What a certificate is worth under some [`Trust`].
pub(crate) struct Verified {
    pub(crate) trust: Arc<Trust>,
    pub(crate) front_proxy: Proxied,
    /// `None` without a client CA; no user when the certificate has no common name.
    pub(crate) client: Option<Result<Option<Arc<User>>, String>>,
    at: Instant,
}

/// Whether the peer is a front proxy.
pub(crate) enum Proxied {
    Yes,
    /// There is no CA of front proxies.
    Unknown,
    No(String),
}

// === impl Peer ===

impl Peer {
    pub(crate) fn new(chain: Vec<CertificateDer<'static>>) -> Self {
        Self { chain, verified: Mutex::new(None) }
    }

    /// What the certificate is worth now; `None` without one.
    ///
    /// Verifying costs as much as a handshake, so the outcome stands for a while, unless what to
    /// believe changes.
    pub(crate) fn verified(&self, trust: &Arc<Trust>, clock: &Clock) -> Option<Arc<Verified>> {
        let leaf = self.chain.first()?;
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(verified) = verified
            .as_ref()
            .filter(|v| Arc::ptr_eq(&v.trust, trust) && now.duration_since(v.at) < VERIFIED_FOR)
        {
            return Some(verified.clone());
        }
        let subject = x509::subject(leaf);
        let fresh = Arc::new(Verified {
            front_proxy: self.as_front_proxy(trust, subject.as_ref(), clock),
            client: self.as_client(trust, leaf, subject.as_ref(), clock),
            trust: trust.clone(),
            at: now,
        });
        *verified = Some(fresh.clone());
        Some(fresh)
    }

    fn as_front_proxy(&self, trust: &Trust, subject: Result<&Subject, &String>, clock: &Clock) -> Proxied {
        let Some(rules) = &trust.request_header else { return Proxied::Unknown };
        if let Err(error) = rules.ca.verify(&self.chain, clock()) {
            return Proxied::No(format!("it is no front proxy's ({})", reason(&error)));
        }
        match subject {
            Err(error) => Proxied::No(format!("its subject cannot be read ({error})")),
            Ok(subject)
                if !rules.allowed_names.is_empty() && !rules.allowed_names.contains(&subject.common_name) =>
            {
                Proxied::No(format!(
                    "its common name {:?} is not one of the allowed front proxies",
                    subject.common_name
                ))
            }
            Ok(_) => Proxied::Yes,
        }
    }

    fn as_client(
        &self,
        trust: &Trust,
        leaf: &CertificateDer<'_>,
        subject: Result<&Subject, &String>,
        clock: &Clock,
    ) -> Option<Result<Option<Arc<User>>, String>> {
        let ca = trust.client_ca.as_ref()?;
        if let Err(error) = ca.verify(&self.chain, clock()) {
            return Some(Err(format!("the client CA does not vouch for it ({})", reason(&error))));
        }
        let subject = match subject {
            Ok(subject) => subject,
            Err(error) => return Some(Err(format!("its subject cannot be read ({error})"))),
        };
        if subject.common_name.is_empty() {
            return Some(Ok(None));
        }
        let id = format!("X509SHA256={}", x509::fingerprint(leaf));
        let user = User {
            name: subject.common_name.clone(),
            uid: String::new(),
            groups: subject.organizations.clone(),
            extra: BTreeMap::from([(CREDENTIAL_ID.to_owned(), vec![id])]),
        };
        Some(Ok(Some(Arc::new(user.authenticated()))))
    }
}

// === impl Verified ===

impl Verified {
    /// Why the certificate names nobody, if it counts against the caller that it does not.
    pub(crate) fn refusal(&self) -> Option<String> {
        match (&self.front_proxy, &self.client) {
            (Proxied::No(proxy), Some(Err(client))) => {
                Some(format!("the client certificate is not accepted: {proxy}, and {client}"))
            }
            (Proxied::No(reason), _) => Some(format!("the client certificate is not accepted: {reason}")),
            (Proxied::Yes, Some(Err(_))) => {
                Some("the front proxy named no user: its user header is absent or empty".to_owned())
            }
            (Proxied::Unknown, Some(Err(reason))) => {
                Some(format!("the client certificate is not accepted: {reason}"))
            }
            (Proxied::Yes | Proxied::Unknown, Some(Ok(_)) | None) => None,
        }
    }
}
/// Why a CA does not vouch, in words for whoever holds the certificate.
fn reason(error: &webpki::Error) -> String {
    match error {
        webpki::Error::UnknownIssuer => "another CA signed it".to_owned(),
        webpki::Error::CertExpired { .. } => "it has expired".to_owned(),
        webpki::Error::CertNotValidYet { .. } => "it is not valid yet".to_owned(),
        webpki::Error::RequiredEkuNotFoundContext(_) => "it is not for client authentication".to_owned(),
        other => other.to_string(),
    }
}
