//! `kubectl --as`: acting as somebody else, for who may.

use super::rbac::{self, Attributes, Target};
use super::status::Status;
use super::store::Store;
use super::user::User;
use http::HeaderMap;
use serde_json::json;

/// The user that the request is to count as: the caller, or whom the `Impersonate-*` headers name.
pub(crate) fn resolve(store: &Store, caller: User, headers: &HeaderMap) -> Result<User, Status> {
    let all = |name: &str| -> Vec<String> {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
    };
    let (name, groups) =
        (all("impersonate-user").into_iter().next().unwrap_or_default(), all("impersonate-group"));
    if name.is_empty() {
        if !groups.is_empty() {
            return Err(Status::with_code(500, "requested groups without impersonating a user"));
        }
        return Ok(caller);
    }
    let wanted = std::iter::once(("users", &name)).chain(groups.iter().map(|group| ("groups", group)));
    for (resource, name) in wanted {
        let target = Target::Resource {
            group: String::new(),
            namespace: String::new(),
            resource: resource.to_owned(),
            subresource: String::new(),
            name: name.clone(),
        };
        if rbac::authorize(store, &caller, &Attributes { verb: "impersonate".to_owned(), target }).is_none() {
            let message = format!(
                "{resource} {name:?} is forbidden: User {:?} cannot impersonate resource {resource:?} in API group \"\" \
                 at the cluster scope",
                caller.name
            );
            return Err(Status::forbidden(message, json!({"kind": resource, "name": name})));
        }
    }
    let service_account = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let user = match service_account {
        Some((namespace, account)) if groups.is_empty() => User::service_account(namespace, account),
        _ if name == "system:anonymous" => return Ok(User::anonymous()),
        _ => User { name, groups, ..User::default() },
    };
    Ok(user.authenticated())
}

#[cfg(test)]
mod tests {
    use super::super::user::MASTERS;
    use super::*;

    #[test]
    fn masters_may_be_anybody_and_others_nobody() {
        let store = Store::new(1);
        let check = |caller: User, headers: &[(&'static str, &str)], expected: Result<&str, u16>| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().unwrap());
            }
            let found = resolve(&store, caller, &map)
                .map(|user| format!("{} {}", user.name, user.groups.join(",")))
                .map_err(|status| status.code);
            assert_eq!(found, expected.map(str::to_owned), "{headers:?}");
        };
        let root = || User::new("root", &[MASTERS]);
        check(root(), &[], Ok("root system:masters"));
        check(
            root(),
            &[("impersonate-user", "jane"), ("impersonate-group", "a"), ("impersonate-group", "b")],
            Ok("jane a,b,system:authenticated"),
        );
        check(
            root(),
            &[("impersonate-user", "system:serviceaccount:x:y")],
            Ok(
                "system:serviceaccount:x:y system:serviceaccounts,system:serviceaccounts:x,system:authenticated",
            ),
        );
        check(
            root(),
            &[("impersonate-user", "system:anonymous")],
            Ok("system:anonymous system:unauthenticated"),
        );
        check(root(), &[("impersonate-group", "a")], Err(500));
        check(User::new("jane", &[]), &[("impersonate-user", "root")], Err(403));
    }
}
