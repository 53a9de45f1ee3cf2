//! Asking the cluster: one `TokenReview` or `SubjectAccessReview`, with upstream's retries.
//!
//! What the caller learns of a failure is its class and what an administrator can do about it; the
//! cluster's own words go to the log.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    time::Duration,
};

use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use tokio::time::{self, Instant};

use crate::{causes::causes, config::ReviewConfig, metrics::Metrics};

pub(crate) mod cache;
#[cfg(test)]
mod tests;

/// The longest answer that is read, in bytes: a user in very many groups.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// What the log keeps of a refusal, in characters.
const MAX_LOGGED_CHARS: usize = 300;

/// Asks one kind of question.
#[derive(Clone)]
pub(crate) struct Reviewer {
    kind: &'static str,
    path: &'static str,
    client: kube::Client,
    config: ReviewConfig,
    metrics: Metrics,
}

/// Why the cluster gave no answer. The text is for the caller.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum ReviewError {
    #[error("it did not answer within {0:?}")]
    Timeout(Duration),
    #[error(
        "it refused this server itself with 403: bind this server's service account to the ClusterRole system:auth-delegator"
    )]
    Forbidden,
    #[error(
        "it does not accept this server's own credentials (401): its service-account token or kubeconfig is expired, revoked or of another cluster"
    )]
    Unauthorized,
    #[error("it answered with {code}")]
    Code { code: u16, may_pass: bool },
    #[error("it cannot be reached")]
    Unreachable,
    #[error("its answer cannot be understood")]
    Malformed,
}

// === impl Reviewer ===

impl Reviewer {
    /// `kind` is the metrics' label, `path` the collection that the review is posted to.
    pub(crate) fn new(
        kind: &'static str,
        path: &'static str,
        client: kube::Client,
        config: ReviewConfig,
        metrics: Metrics,
    ) -> Self {
        Self { kind, path, client, config, metrics }
    }

    /// Posts `review` and returns it as the cluster completed it.
    pub(crate) async fn ask<T: Serialize + DeserializeOwned>(&self, review: &T) -> Result<T, ReviewError> {
        let started = Instant::now();
        let outcome = self.ask_until_answered(review).await;
        let result = if outcome.is_ok() { "success" } else { "error" };
        self.metrics.review(self.kind, result, started.elapsed());
        outcome
    }

    async fn ask_until_answered<T: Serialize + DeserializeOwned>(
        &self,
        review: &T,
    ) -> Result<T, ReviewError> {
        let body = serde_json::to_vec(review).map_err(|_| ReviewError::Malformed)?;
        let mut pause = self.config.backoff;
        let mut tries_left = self.config.tries;
        loop {
            let error = match self.ask_once(&body).await {
                Ok(json) => return self.decode(&json),
                Err(error) => error,
            };
            tries_left = tries_left.saturating_sub(1);
            if tries_left == 0 || !error.may_pass() {
                return Err(error);
            }
            time::sleep(pause + jitter(pause / 5)).await;
            pause = pause * 3 / 2;
        }
    }

    async fn ask_once(&self, body: &[u8]) -> Result<Vec<u8>, ReviewError> {
        let answer = time::timeout(self.config.timeout, self.post(body.to_vec())).await;
        answer.unwrap_or_else(|_| {
            tracing::warn!(kind = self.kind, after = ?self.config.timeout, "review timed out");
            Err(ReviewError::Timeout(self.config.timeout))
        })
    }

    async fn post(&self, body: Vec<u8>) -> Result<Vec<u8>, ReviewError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(Body::from(body))
            .expect("a constant path and constant headers make a request");
        let unreachable = |error: &(dyn std::error::Error + 'static)| {
            tracing::warn!(kind = self.kind, error = causes(error), "review failed");
            ReviewError::Unreachable
        };
        let response = self.client.send(request).await.map_err(|error| unreachable(&error))?;
        let code = response.status();
        let asks_to_retry = response.headers().contains_key(header::RETRY_AFTER);
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
        let body = body.collect().await.map_err(|error| unreachable(error.as_ref()))?.to_bytes();
        if code.is_success() {
            return Ok(body.into());
        }
        let said: String = String::from_utf8_lossy(&body).chars().take(MAX_LOGGED_CHARS).collect();
        tracing::warn!(kind = self.kind, code = code.as_u16(), said, "review refused");
        Err(match code.as_u16() {
            401 => ReviewError::Unauthorized,
            403 => ReviewError::Forbidden,
            code => {
                ReviewError::Code { code, may_pass: asks_to_retry || matches!(code, 429 | 500 | 503 | 504) }
            }
        })
    }

    /// Not by the client itself, which would log the text, and with it the token, when it does not decode.
    fn decode<T: DeserializeOwned>(&self, json: &[u8]) -> Result<T, ReviewError> {
        serde_json::from_slice(json).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            tracing::warn!(kind = self.kind, line, column, "review's answer does not decode");
            ReviewError::Malformed
        })
    }
}

// === impl ReviewError ===

impl ReviewError {
    /// Whether trying again may help (apiserver's `webhook.DefaultShouldRetry`; every transport error
    /// counts, since a review changes nothing).
    fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Code { may_pass: true, .. })
    }
}

/// A random part of `up_to`, so that many who wait do not come back at once.
///
/// The standard library's hash keys are random enough for that.
pub(crate) fn jitter(up_to: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() >> 32;
    up_to.mul_f64(f64::from(u32::try_from(random).unwrap_or(0)) / f64::from(u32::MAX))
}
