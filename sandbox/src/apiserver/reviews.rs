//! The review APIs: objects that are asked, not stored.

use super::authn::Authenticator;
use super::rbac::{self, Attributes, Target};
use super::status::Status;
use super::store::Store;
use super::user::User;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The review resources as (group, plural, kind). All are created and none is read.
pub(crate) const REVIEWS: &[(&str, &str, &str)] = &[
    ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview"),
    ("authentication.k8s.io", "tokenreviews", "TokenReview"),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    ("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview"),
];

/// Answers the review `kind` of `body` for the caller `user`.
pub(crate) fn answer(
    kind: &str,
    body: Value,
    user: &User,
    store: &Store,
    authenticator: &Authenticator,
) -> Result<Value, Status> {
    let mut review = body;
    if !review.is_object() {
        return Err(Status::bad_request("the body must be a JSON object"));
    }
    review["status"] = match kind {
        "TokenReview" => token(&review["spec"], authenticator)?,
        "SubjectAccessReview" => access(store, &subject(&review["spec"])?, &review["spec"])?,
        "SelfSubjectAccessReview" => access(store, user, &review["spec"])?,
        _ => json!({"userInfo": user.to_json()}),
    };
    Ok(review)
}

fn token(spec: &Value, authenticator: &Authenticator) -> Result<Value, Status> {
    let token = spec["token"].as_str().unwrap_or_default();
    if token.is_empty() {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    }
    Ok(match authenticator.token_user(token) {
        Some(user) => json!({"authenticated": true, "user": user.to_json()}),
        None => json!({"user": {}, "error": "invalid bearer token"}),
    })
}

fn access(store: &Store, user: &User, spec: &Value) -> Result<Value, Status> {
    let attributes = attributes(spec)?;
    Ok(match rbac::authorize(store, user, &attributes) {
        Some(reason) => json!({"allowed": true, "reason": format!("RBAC: allowed by {reason}")}),
        None => json!({"allowed": false}),
    })
}

fn subject(spec: &Value) -> Result<User, Status> {
    let text = |field: &str| spec[field].as_str().unwrap_or_default().to_owned();
    let groups = strings(&spec["groups"]);
    if text("user").is_empty() && groups.is_empty() {
        let message = "SubjectAccessReview is invalid: at least one of user or group must be specified";
        return Err(Status::with_code(422, message));
    }
    let extra = spec["extra"].as_object().into_iter().flatten();
    let extra: BTreeMap<_, _> = extra.map(|(key, values)| (key.clone(), strings(values))).collect();
    Ok(User { name: text("user"), uid: text("uid"), groups, extra })
}

fn attributes(spec: &Value) -> Result<Attributes, Status> {
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    if resource.is_object() == path.is_object() {
        let message = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        return Err(Status::with_code(422, message));
    }
    let text = |field: &str| resource[field].as_str().unwrap_or_default().to_owned();
    if resource.is_object() {
        let target = Target::Resource {
            group: text("group"),
            namespace: text("namespace"),
            resource: text("resource"),
            subresource: text("subresource"),
            name: text("name"),
        };
        return Ok(Attributes { verb: text("verb"), target });
    }
    let text = |field: &str| path[field].as_str().unwrap_or_default().to_owned();
    Ok(Attributes { verb: text("verb"), target: Target::NonResource { path: text("path") } })
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
