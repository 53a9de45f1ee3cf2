//! Bearer tokens: the cluster is asked with a `TokenReview`, and its answer remembered.

use std::sync::Arc;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};

use crate::{
    config::AuthenticationConfig,
    metrics::Metrics,
    review::{
        Reviewer,
        cache::{Outcome, ReviewCache},
    },
    user::User,
};

const PATH: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

/// Knows or finds out whose a token is.
pub(crate) struct Tokens {
    reviewer: Reviewer,
    cache: ReviewCache<Arc<User>, Refused>,
}

/// The cluster's definite word that a token names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

// === impl Tokens ===

impl Tokens {
    pub(crate) fn new(
        client: kube::Client,
        config: &AuthenticationConfig,
        metrics: Metrics,
    ) -> Result<Self, ring::error::Unspecified> {
        let ttl = config.token_cache_ttl;
        Ok(Self {
            reviewer: Reviewer::new("token", PATH, client, config.review.clone(), metrics),
            cache: ReviewCache::new(ttl, ttl, config.token_cache_size)?,
        })
    }

    /// What the cluster said of the token a short while ago.
    pub(crate) fn remembered(&self, token: &str) -> Option<Result<Arc<User>, Refused>> {
        self.cache.remembered(token.as_bytes())
    }

    pub(crate) async fn review(&self, token: &str) -> Outcome<Arc<User>, Refused> {
        let ask = || {
            let reviewer = self.reviewer.clone();
            let token = token.to_owned();
            async move { ask(&reviewer, token).await }
        };
        self.cache.get(token.as_bytes(), ask).await.0
    }
}

async fn ask(reviewer: &Reviewer, token: String) -> Outcome<Arc<User>, Refused> {
    let spec = TokenReviewSpec { token: Some(token), audiences: None };
    let review = TokenReview { spec, ..TokenReview::default() };
    let status = reviewer.ask(&review).await?.status.unwrap_or_default();
    let (true, Some(user)) = (status.authenticated == Some(true), status.user) else {
        tracing::debug!(error = status.error, "token refused");
        return Ok(Err(Refused));
    };
    let user = User {
        name: user.username.unwrap_or_default(),
        uid: user.uid.unwrap_or_default(),
        groups: user.groups.unwrap_or_default(),
        extra: user.extra.unwrap_or_default().into_iter().collect(),
    };
    // A user without a name is nobody in particular; no role could name it.
    if user.name.is_empty() { Ok(Err(Refused)) } else { Ok(Ok(Arc::new(user.authenticated()))) }
}
