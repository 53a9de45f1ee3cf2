//! Who is asking: front proxy, client certificate, bearer token, or nobody, in that order.
//!
//! The order and its outcomes are those of apiserver's delegating authenticator
//! (`pkg/authentication/authenticatorfactory/delegating.go`, `request/union`): the first method that
//! recognizes the caller wins; when none does and one of them failed, the request is refused; when none
//! had an opinion, the caller is anonymous. One answer differs: when the cluster could not be asked
//! about a token the caller gets a 500 that says so, rather than a 401 that blames the token.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName, header};
use percent_encoding::percent_decode_str;

use crate::{
    Clock,
    authn::{
        peer::{Peer, Proxied},
        token::Tokens,
        trust::{RequestHeader, Trust},
    },
    metrics::Metrics,
    status::{Reason, Status},
    user::User,
};

pub(crate) mod cluster;
pub(crate) mod loader;
pub(crate) mod peer;
pub(crate) mod token;
pub(crate) mod trust;

/// Tells who is asking.
pub(crate) struct Authenticator {
    trust: Arc<ArcSwap<Trust>>,
    /// `None` without a cluster to ask: then bearer tokens mean nothing.
    tokens: Option<Tokens>,
    clock: Clock,
    metrics: Metrics,
}

/// What memory alone says of a caller.
pub(crate) enum Known {
    /// This is who it is.
    User(Arc<User>),
    /// The token must be looked up; if it names nobody, the certificate was refused for this reason.
    Token(String, Option<Status>),
}

// === impl Authenticator ===

impl Authenticator {
    pub(crate) fn new(
        trust: Arc<ArcSwap<Trust>>,
        tokens: Option<Tokens>,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        Self { trust, tokens, clock, metrics }
    }

    /// Goes as far as memory goes.
    ///
    /// # Errors
    /// 401 when a credential was presented that names nobody, as far as is remembered.
    pub(crate) fn without_asking(&self, peer: &Peer, headers: &HeaderMap) -> Result<Known, Status> {
        let refused = match self.by_certificate(peer, headers) {
            Ok(Some(user)) => return Ok(Known::User(user)),
            Ok(None) => None,
            Err(status) => Some(status),
        };
        match (bearer_token(headers).zip(self.tokens.as_ref()), refused) {
            (Some((token, tokens)), refused) => match tokens.remembered(token) {
                Some(reviewed) => self.reviewed(reviewed, refused).map(Known::User),
                None => Ok(Known::Token(token.to_owned(), refused)),
            },
            (None, Some(status)) => {
                self.metrics.attempt("certificate", "failure");
                Err(status)
            }
            (None, None) => {
                self.metrics.attempt("anonymous", "success");
                Ok(Known::User(Arc::new(User::anonymous())))
            }
        }
    }

    /// Asks the cluster about a token.
    ///
    /// # Errors
    /// 401 when it names nobody, 500 when the cluster gave no answer.
    pub(crate) async fn by_token(&self, token: &str, refused: Option<Status>) -> Result<Arc<User>, Status> {
        // A token is only ever `Known::Token` with somebody to ask.
        let Some(tokens) = &self.tokens else { return Ok(Arc::new(User::anonymous())) };
        match tokens.review(token).await {
            Ok(reviewed) => self.reviewed(reviewed, refused),
            Err(error) => {
                self.metrics.attempt("token", "error");
                Err(Status::new(
                    Reason::InternalError,
                    format!("the bearer token could not be reviewed by the cluster's API server: {error}"),
                ))
            }
        }
    }

    fn reviewed(
        &self,
        reviewed: Result<Arc<User>, token::Refused>,
        refused: Option<Status>,
    ) -> Result<Arc<User>, Status> {
        let result = if reviewed.is_ok() { "success" } else { "failure" };
        self.metrics.attempt("token", result);
        reviewed.map_err(|token::Refused| {
            refused.unwrap_or_else(|| {
                unauthorized("the cluster does not accept the bearer token: it is wrong, expired or revoked")
            })
        })
    }

    fn by_certificate(&self, peer: &Peer, headers: &HeaderMap) -> Result<Option<Arc<User>>, Status> {
        let Some(verified) = peer.verified(&self.trust.load_full(), &self.clock) else { return Ok(None) };
        if let (Proxied::Yes, Some(request_header)) = (&verified.front_proxy, &verified.trust.request_header)
            && let Some(user) = forwarded(request_header, headers)?
        {
            self.metrics.attempt("front_proxy", "success");
            return Ok(Some(Arc::new(user)));
        }
        if let Some(Ok(Some(user))) = &verified.client {
            self.metrics.attempt("x509", "success");
            return Ok(Some(user.clone()));
        }
        match verified.refusal() {
            None => Ok(None),
            Some(reason) => Err(unauthorized(reason)),
        }
    }
}

/// The caller that a front proxy vouches for; `None` when it names none.
///
/// # Errors
/// 401 when a name is not UTF-8: it cannot be compared with anything.
fn forwarded(rules: &RequestHeader, headers: &HeaderMap) -> Result<Option<User>, Status> {
    let text = |value: &http::HeaderValue| {
        String::from_utf8(value.as_bytes().to_vec())
            .map_err(|_| unauthorized("the front proxy's headers are not UTF-8"))
    };
    // Only the first value of each name, as Go's `Header.Get`.
    let first = |names: &[HeaderName]| -> Result<String, Status> {
        for name in names {
            if let Some(value) = headers.get(name).filter(|value| !value.is_empty()) {
                return text(value);
            }
        }
        Ok(String::new())
    };
    let name = first(&rules.username_headers)?;
    if name.is_empty() {
        return Ok(None);
    }
    let mut groups = Vec::new();
    for name in &rules.group_headers {
        for value in headers.get_all(name).iter().filter(|value| !value.is_empty()) {
            groups.push(text(value)?);
        }
    }
    let mut extra = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in headers {
        let is_extra = |prefix: &String| name.as_str().strip_prefix(prefix.as_str());
        let Some(key) = rules.extra_prefixes.iter().find_map(is_extra) else { continue };
        // Header names are lower-case here already; a key that does not decode stays as it is.
        let key = percent_decode_str(key).decode_utf8().map_or_else(|_| key.to_owned(), Into::into);
        extra.entry(key).or_default().push(text(value)?);
    }
    Ok(Some(User { name, uid: first(&rules.uid_headers)?, groups, extra }.authenticated()))
}

/// The token of `Authorization: Bearer <token>`; anything else is not for us.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut parts = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split(' ');
    let scheme = parts.next()?;
    parts.next().filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}

fn unauthorized(why: impl std::fmt::Display) -> Status {
    Status::new(Reason::Unauthorized, format!("Unauthorized: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_tokens() {
        for (value, expected) in [
            ("Bearer abc", Some("abc")),
            ("bearer abc", Some("abc")),
            ("  BEARER abc  ", Some("abc")),
            ("Bearer abc def", Some("abc")),
            ("Bearer", None),
            ("Bearer ", None),
            ("Bearer  abc", None),
            ("Basic abc", None),
            ("abc", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(bearer_token(&headers), expected, "{value:?}");
        }
        assert_eq!(bearer_token(&HeaderMap::new()), None);
    }
}
