//! May the caller: `system:masters` and a few paths always, everybody else as the cluster says.
//!
//! The order is that of apiserver's delegated authorization (`pkg/server/options/authorization.go`).
//! Selectors are left out of the question: it is then the broader one, which RBAC answers alike.

use std::sync::Arc;

use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};

use crate::{
    config::AuthorizationConfig,
    metrics::Metrics,
    request_info::RequestInfo,
    review::{
        ReviewError, Reviewer,
        cache::{Outcome, ReviewCache},
    },
    status::{Details, Reason, Status},
    user::User,
};

const PATH: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/// Decides who may.
pub(crate) struct Authorizer {
    always_allowed: Vec<String>,
    /// `None` without a cluster to ask: then nobody else may.
    asks: Option<Asks>,
    metrics: Metrics,
}

/// What only the cluster can say.
#[derive(Debug)]
pub(crate) struct Question {
    spec: SubjectAccessReviewSpec,
    /// What it is remembered by.
    text: Vec<u8>,
}

struct Asks {
    reviewer: Reviewer,
    cache: ReviewCache<(), Arc<str>>,
}

// === impl Authorizer ===

impl Authorizer {
    pub(crate) fn new(
        client: Option<kube::Client>,
        config: AuthorizationConfig,
        metrics: Metrics,
    ) -> Result<Self, ring::error::Unspecified> {
        let asks = match client {
            None => None,
            Some(client) => Some(Asks {
                reviewer: Reviewer::new("access", PATH, client, config.review, metrics.clone()),
                cache: ReviewCache::new(config.allow_cache_ttl, config.deny_cache_ttl, config.cache_size)?,
            }),
        };
        Ok(Self { always_allowed: config.always_allow_paths, asks, metrics })
    }

    /// Whether anybody may, whoever it is.
    pub(crate) fn is_open(&self, info: &RequestInfo) -> bool {
        let RequestInfo::Path { path, .. } = info else { return false };
        self.always_allowed.iter().any(|open| match open.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path == open,
        })
    }

    /// Goes as far as memory goes: `None` when the caller may, otherwise what to [`ask`](Self::ask).
    ///
    /// # Errors
    /// 403 when the caller may not.
    pub(crate) fn without_asking(&self, user: &User, info: &RequestInfo) -> Result<Option<Question>, Status> {
        if user.is_master() {
            self.metrics.decision(true, "privileged");
            return Ok(None);
        }
        if self.is_open(info) {
            self.metrics.decision(true, "path");
            return Ok(None);
        }
        let Some(asks) = &self.asks else {
            self.metrics.decision(false, "none");
            return Err(forbidden(user, info, "this server has no cluster to ask"));
        };
        let spec = spec(user, info);
        let text = serde_json::to_vec(&spec).unwrap_or_default();
        match asks.cache.remembered(&text) {
            Some(decision) => self.decided(decision, "cache", user, info).map(|()| None),
            None => Ok(Some(Question { spec, text })),
        }
    }

    /// Asks the cluster.
    ///
    /// # Errors
    /// 403 when the caller may not, 500 when the cluster gave no answer.
    pub(crate) async fn ask(
        &self,
        question: Question,
        user: &User,
        info: &RequestInfo,
    ) -> Result<(), Status> {
        // A question only ever arises with somebody to ask.
        let Some(asks) = &self.asks else { return Err(forbidden(user, info, "")) };
        let Question { spec, text } = question;
        let ask = || {
            let reviewer = asks.reviewer.clone();
            async move { ask(&reviewer, spec).await }
        };
        let (outcome, remembered) = asks.cache.get(&text, ask).await;
        match outcome {
            Ok(decision) => self.decided(decision, if remembered { "cache" } else { "review" }, user, info),
            Err(error) => {
                self.metrics.decision(false, "error");
                Err(Status::new(
                    Reason::InternalError,
                    format!("the cluster's API server could not be asked whether this is allowed: {error}"),
                ))
            }
        }
    }

    fn decided(
        &self,
        decision: Result<(), Arc<str>>,
        source: &'static str,
        user: &User,
        info: &RequestInfo,
    ) -> Result<(), Status> {
        self.metrics.decision(decision.is_ok(), source);
        decision.map_err(|reason| forbidden(user, info, &reason))
    }
}

async fn ask(reviewer: &Reviewer, spec: SubjectAccessReviewSpec) -> Outcome<(), Arc<str>> {
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let status = reviewer.ask(&review).await?.status.unwrap_or_default();
    match (status.allowed, status.denied == Some(true)) {
        (true, false) => Ok(Ok(())),
        (false, _) => Ok(Err(status.reason.unwrap_or_default().into())),
        (true, true) => {
            tracing::warn!("access review both allowed and denied");
            Err(ReviewError::Malformed)
        }
    }
}

fn spec(user: &User, info: &RequestInfo) -> SubjectAccessReviewSpec {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let (resource_attributes, non_resource_attributes) = match info {
        RequestInfo::Resource(a) => {
            let attributes = ResourceAttributes {
                namespace: a.namespace.clone(),
                verb: some(a.verb),
                group: some(&a.group),
                version: some(&a.version),
                resource: some(&a.resource),
                subresource: a.subresource.clone(),
                name: a.name.clone(),
                field_selector: None,
                label_selector: None,
            };
            (Some(attributes), None)
        }
        RequestInfo::Path { verb, path } => {
            (None, Some(NonResourceAttributes { path: some(path), verb: some(verb) }))
        }
    };
    SubjectAccessReviewSpec {
        resource_attributes,
        non_resource_attributes,
        user: some(&user.name),
        groups: (!user.groups.is_empty()).then(|| user.groups.clone()),
        extra: (!user.extra.is_empty()).then(|| user.extra.clone()),
        uid: some(&user.uid),
    }
}

/// The 403 in the words of kube-apiserver, which say what a role would have to allow.
fn forbidden(user: &User, info: &RequestInfo, reason: &str) -> Status {
    let (subject, what, details) = match info {
        RequestInfo::Path { verb, path } => {
            ("forbidden".to_owned(), format!("{verb} path {path:?}"), Details::default())
        }
        RequestInfo::Resource(a) => {
            let resource = match &a.subresource {
                Some(subresource) => format!("{}/{subresource}", a.resource),
                None => a.resource.clone(),
            };
            let place = match &a.namespace {
                Some(namespace) => format!("in the namespace {namespace:?}"),
                None => "at the cluster scope".to_owned(),
            };
            let dot = if a.group.is_empty() { "" } else { "." };
            let name = a.name.clone().unwrap_or_default();
            (
                format!("{}{dot}{} {name:?} is forbidden", a.resource, a.group),
                format!("{} resource {resource:?} in API group {:?} {place}", a.verb, a.group),
                Details { name, group: a.group.clone(), kind: a.resource.clone(), ..Details::default() },
            )
        }
    };
    let mut message = format!("{subject}: User {:?} cannot {what}", user.name);
    if !reason.is_empty() {
        message.push_str(": ");
        message.push_str(reason);
    }
    // Upstream's shield against browsers that take the body for a page.
    let message = message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Status::new(Reason::Forbidden, message).with_details(details)
}

#[cfg(test)]
mod tests;
