//! Asks RBAC about a request and words the refusal.

use super::rbac::{self, Attributes, Target};
use super::request_info::RequestInfo;
use super::status::Status;
use super::store::Store;
use super::user::User;
use serde_json::{Value, json};

/// Lets the request pass or answers 403.
pub(crate) fn check(store: &Store, user: &User, info: &RequestInfo) -> Result<(), Status> {
    let attributes = attributes(info);
    match rbac::authorize(store, user, &attributes) {
        Some(_) => Ok(()),
        None => Err(refusal(user, &attributes)),
    }
}

/// The attributes of a request, as kube-apiserver derives them.
pub(crate) fn attributes(info: &RequestInfo) -> Attributes {
    let target = match &info.resource {
        None => Target::NonResource { path: info.path.clone() },
        Some(path) => Target::Resource {
            group: path.group.clone(),
            namespace: path.namespace.clone(),
            resource: path.resource.clone(),
            subresource: path.subresource.clone(),
            name: path.name.clone(),
        },
    };
    Attributes { verb: info.verb.clone(), target }
}

fn refusal(user: &User, attributes: &Attributes) -> Status {
    let (subject, verb) = (&user.name, &attributes.verb);
    match &attributes.target {
        Target::NonResource { path } => {
            Status::forbidden(format!("forbidden: User {subject:?} cannot {verb} path {path:?}"), json!({}))
        }
        Target::Resource { group, namespace, resource, subresource, name } => {
            let full = match subresource.as_str() {
                "" => resource.clone(),
                subresource => format!("{resource}/{subresource}"),
            };
            let qualified = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
            let object = if name.is_empty() { qualified } else { format!("{qualified} {name:?}") };
            let place = match namespace.as_str() {
                "" => "at the cluster scope".to_owned(),
                namespace => format!("in the namespace {namespace:?}"),
            };
            let message = format!(
                "{object} is forbidden: User {subject:?} cannot {verb} resource {full:?} in API group {group:?} {place}"
            );
            let mut details = json!({"kind": resource});
            for (field, value) in [("name", name), ("group", group)] {
                if !value.is_empty() {
                    details[field] = Value::from(value.as_str());
                }
            }
            Status::forbidden(message, details)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    #[test]
    fn refusals_name_everything() {
        let check = |path: &str, expected: &str| {
            let info = RequestInfo::parse(&Method::GET, path, &[]).unwrap();
            let status = super::check(&Store::new(1), &User::new("jane", &[]), &info).unwrap_err();
            assert_eq!((status.code, status.message.as_str()), (403, expected));
        };
        check("/metrics", "forbidden: User \"jane\" cannot get path \"/metrics\"");
        check(
            "/api/v1/pods",
            "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" at the cluster scope",
        );
        check(
            "/apis/apps/v1/namespaces/a/deployments/d/scale",
            "deployments.apps \"d\" is forbidden: User \"jane\" cannot get resource \"deployments/scale\" in API group \
             \"apps\" in the namespace \"a\"",
        );
    }
}
