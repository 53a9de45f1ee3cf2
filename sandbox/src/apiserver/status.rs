//! `Status`: how every failed request reads.
//!
//! Codes, reasons and wording follow `k8s.io/apimachinery/pkg/api/errors`.

use super::resources::Resource;
use serde_json::{Value, json};

/// A failure as the API reports it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// The HTTP status code.
    pub code: u16,
    /// The machine-readable reason, such as `NotFound`; empty if the code has none.
    pub reason: &'static str,
    /// What went wrong, for people.
    pub message: String,
    /// `details`: the object concerned and the causes. `Null` if there are none.
    pub details: Value,
}

// === impl Status ===

impl Status {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }

    fn about(mut self, resource: &Resource, name: &str) -> Self {
        let mut details = serde_json::Map::new();
        if !name.is_empty() {
            details.insert("name".into(), name.into());
        }
        if !resource.group.is_empty() {
            details.insert("group".into(), resource.group.into());
        }
        details.insert("kind".into(), resource.plural.into());
        self.details = Value::Object(details);
        self
    }

    /// 404 for an object that does not exist.
    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", resource.qualified()))
            .about(resource, name)
    }

    /// 404 for a path that nothing serves.
    pub(crate) fn no_route() -> Self {
        let mut status = Self::new(404, "NotFound", "the server could not find the requested resource");
        status.details = json!({});
        status
    }

    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", resource.qualified()))
            .about(resource, name)
    }

    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", resource.qualified());
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// 409 because the object changed since the caller read it.
    pub(crate) fn modified(resource: &Resource, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// 422: the object says something that cannot be honoured.
    pub(crate) fn invalid(resource: &Resource, name: &str, field: &str, problem: &str) -> Self {
        Self::invalid_fields(resource, name, &[(field.to_owned(), problem.to_owned())])
    }

    /// 422: the same with every field that is wrong and what is wrong with it.
    pub(crate) fn invalid_fields(resource: &Resource, name: &str, problems: &[(String, String)]) -> Self {
        let kind = match resource.group {
            "" => resource.kind.to_owned(),
            group => format!("{}.{group}", resource.kind),
        };
        let all: Vec<String> =
            problems.iter().map(|(field, problem)| format!("{field}: {problem}")).collect();
        let all = match all.as_slice() {
            [only] => only.clone(),
            all => format!("[{}]", all.join(", ")),
        };
        let mut status =
            Self::new(422, "Invalid", format!("{kind} {name:?} is invalid: {all}")).about(resource, name);
        let cause = |(field, problem): &(String, String)| {
            let reason = match problem.split(':').next() {
                Some("Required value") => "FieldValueRequired",
                Some("Duplicate value") => "FieldValueDuplicate",
                Some("Unsupported value") => "FieldValueNotSupported",
                Some("Forbidden") => "FieldValueForbidden",
                _ => "FieldValueInvalid",
            };
            json!({"reason": reason, "message": problem, "field": field})
        };
        if let Some(details) = status.details.as_object_mut() {
            details.insert("kind".into(), resource.kind.into());
            details.insert("causes".into(), problems.iter().map(cause).collect());
        }
        status
    }

    /// 422: a patch that makes something of an object that is none of its kind. `patch` is as much of it as is shown.
    pub(crate) fn invalid_patch(patch: &str, problem: &str) -> Self {
        let problem = format!("Invalid value: {patch:?}: {problem}");
        let cause = json!({"reason": "FieldValueInvalid", "message": problem, "field": "patch"});
        let details = json!({"causes": [cause]});
        Self { details, ..Self::new(422, "Invalid", format!(" \"\" is invalid: patch: {problem}")) }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403 with the sentence that says who may not do what.
    pub(crate) fn forbidden(message: String, details: Value) -> Self {
        Self { details, ..Self::new(403, "Forbidden", message) }
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message)
    }

    /// 501 for what upgrades a connection to reach into a pod.
    pub(crate) fn not_implemented(subresource: &str) -> Self {
        let message = format!(
            "the sandbox has no {subresource}: its pods are processes of this machine; `kubectl get pods -o wide` tells \
             their addresses, which answer from here"
        );
        Self::new(501, "NotImplemented", message)
    }

    pub(crate) fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json";
        Self::new(406, "NotAcceptable", message)
    }

    pub(crate) fn unsupported_media_type(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 410 for a position in history that is no longer kept.
    pub(crate) fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    /// 410 for a continue token whose list is no longer kept.
    pub(crate) fn continue_expired() -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. \
             You must start a new list without the continue parameter.";
        Self::new(410, "Expired", message)
    }

    /// 504 for a position that has not been reached yet.
    pub(crate) fn too_large_version(asked: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {asked}, current: {current}");
        let mut status = Self::new(504, "Timeout", message);
        let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        status.details = json!({"causes": [cause], "retryAfterSeconds": 1});
        status
    }

    /// A failure with the reason that belongs to `code`, as the faults inject.
    pub(crate) fn with_code(code: u16, message: impl Into<String>) -> Self {
        let reason = match code {
            400 => "BadRequest",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            405 => "MethodNotAllowed",
            409 => "Conflict",
            410 => "Expired",
            422 => "Invalid",
            429 => "TooManyRequests",
            500 => "InternalError",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "",
        };
        Self::new(code, reason, message)
    }

    /// The document that travels.
    pub fn to_json(&self) -> Value {
        let mut document = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        });
        if let Some(fields) = document.as_object_mut() {
            if self.reason.is_empty() {
                fields.remove("reason");
            }
            if !self.details.is_null() {
                fields.insert("details".into(), self.details.clone());
            }
        }
        document
    }
}

#[cfg(test)]
mod tests {
    use super::super::resources::known;
    use super::*;

    #[test]
    fn documents_read_as_upstreams() {
        let deployments = known("apps", "deployments");
        let table = [
            (
                Status::not_found(deployments, "web"),
                json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": "deployments.apps \"web\" not found", "reason": "NotFound", "code": 404,
                    "details": {"name": "web", "group": "apps", "kind": "deployments"}}),
            ),
            (
                Status::with_code(418, "no"),
                json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": "no", "code": 418}),
            ),
        ];
        for (status, expected) in table {
            assert_eq!(status.to_json(), expected);
        }
    }
}
