//! From an admitted request to the handler that answers it.

use super::Core;
use super::bootstrap::group_versions;
use super::call::Call;
use super::decoding;
use super::discovery;
use super::logs;
use super::openapi;
use super::read;
use super::registry::Part;
use super::request_info::ResourcePath;
use super::resources::{self, Resource};
use super::respond::{self, Answer};
use super::reviews::{self, REVIEWS};
use super::scale;
use super::status::Status;
use super::store::Key;
use super::user::User;
use super::watch;
use super::write;
use http::Method;
use serde_json::json;
use std::sync::Arc;

/// Answers an admitted request.
pub(crate) async fn route(core: &Arc<Core>, call: &Call) -> Result<Answer, Status> {
    match &call.info.resource {
        None => outside_resources(core, call).await,
        Some(path) if logs::is_log(path) && call.info.verb == "get" => logs::answer(core, call, path).await,
        Some(path) if is_local(&path.group, &path.version) => in_resources(core, call, path),
        Some(path) => core.aggregator.proxy(core, call, &path.group, &path.version).await,
    }
}

/// Whether the sandbox itself serves this group and version.
pub(crate) fn is_local(group: &str, version: &str) -> bool {
    group_versions().contains(&(group, version))
}

async fn outside_resources(core: &Arc<Core>, call: &Call) -> Result<Answer, Status> {
    let path = call.info.path.as_str();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    if let ["apis", group, version] = *segments.as_slice()
        && !is_local(group, version)
    {
        return core.aggregator.proxy(core, call, group, version).await;
    }
    if !matches!(call.method, Method::GET | Method::HEAD) {
        return Err(Status::method_not_allowed());
    }
    match segments.as_slice() {
        ["healthz" | "livez" | "readyz"] => Ok(respond::text(200, "ok")),
        ["healthz" | "livez" | "readyz", "ping"] => Ok(respond::text(200, "ok")),
        ["version"] => Ok(respond::json(200, &discovery::version())),
        ["api"] => discovery::core_versions(core, call),
        ["api", "v1"] => Ok(respond::json(200, &discovery::resource_list("", "v1"))),
        ["apis"] => discovery::groups(core, call),
        ["apis", group] => discovery::group(core, group),
        ["apis", group, version] => Ok(respond::json(200, &discovery::resource_list(group, version))),
        ["openapi", "v2"] => openapi::v2(call),
        ["openapi", "v3", rest @ ..] => openapi::v3(core, call, &rest.join("/")).await,
        [""] => Ok(respond::json(
            200,
            &json!({"paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v2",
            "/openapi/v3", "/readyz", "/version"]}),
        )),
        _ => Err(Status::no_route()),
    }
}

fn in_resources(core: &Arc<Core>, call: &Call, path: &ResourcePath) -> Result<Answer, Status> {
    if path.surplus > 0 {
        return Err(Status::no_route());
    }
    if let Some((_, _, kind)) =
        REVIEWS.iter().find(|(group, plural, _)| *group == path.group && *plural == path.resource)
    {
        return review(core, call, path, kind);
    }
    let resource =
        resources::by_path(&path.group, &path.version, &path.resource).ok_or_else(Status::no_route)?;
    // A namespace is addressed through itself: its key has none.
    let namespace = if resource.namespaced { path.namespace.as_str() } else { "" };
    if !resource.namespaced && !path.namespace.is_empty() && resource.plural != "namespaces" {
        return Err(Status::no_route());
    }
    if path.name.is_empty() {
        return match call.info.verb.as_str() {
            "list" => read::list(core, resource, namespace, call),
            "watch" => watch::start(core, resource, namespace, call),
            "create" => write::create(core, resource, namespace, call),
            "deletecollection" => write::delete_collection(core, resource, namespace, call),
            _ => Err(Status::method_not_allowed()),
        };
    }
    if resource.namespaced && namespace.is_empty() {
        return Err(Status::no_route());
    }
    let key = Key::new(namespace, path.name.as_str());
    match (path.subresource.as_str(), call.info.verb.as_str()) {
        ("", "get") => read::get(core, resource, &key, call),
        ("", "update") => write::update(core, resource, &key, Part::Main, call),
        ("", "patch") => write::patch(core, resource, &key, Part::Main, call),
        ("", "delete") => write::delete(core, resource, &key, call),
        ("status", "get") if resource.status => read::get(core, resource, &key, call),
        ("status", "update") if resource.status => write::update(core, resource, &key, Part::Status, call),
        ("status", "patch") if resource.status => write::patch(core, resource, &key, Part::Status, call),
        ("scale", _) if resource.scale => scale::handle(core, resource, &key, call),
        ("token", "create") if resource.plural == "serviceaccounts" => {
            token_request(core, resource, &key, call)
        }
        ("attach" | "exec" | "portforward", _) if resource.kind == "Pod" => {
            Err(Status::not_implemented(&path.subresource))
        }
        ("", _) => Err(Status::method_not_allowed()),
        ("status", _) if resource.status => Err(Status::method_not_allowed()),
        _ => Err(Status::no_route()),
    }
}

fn review(core: &Core, call: &Call, path: &ResourcePath, kind: &str) -> Result<Answer, Status> {
    if call.method != Method::POST || !path.name.is_empty() {
        return Err(Status::method_not_allowed());
    }
    let (body, _) = decoding::body(call, &format!("{}/{}", path.group, path.version), kind)?;
    let answer = reviews::answer(kind, body, &call.user, &core.registry.store, &core.authenticator)?;
    Ok(respond::json(201, &answer))
}

fn token_request(core: &Core, resource: &'static Resource, key: &Key, call: &Call) -> Result<Answer, Status> {
    let account = core.registry.get(resource, key)?;
    let (mut request, _) = decoding::body(call, "authentication.k8s.io/v1", "TokenRequest")?;
    let mut user = User::service_account(&key.namespace, &key.name);
    user.uid = account["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let seconds = request["spec"]["expirationSeconds"].as_u64().unwrap_or(3600);
    let now = core.registry.clock.now();
    let expires = now.saturating_add(std::time::Duration::from_secs(seconds)).unwrap_or(now);
    request["status"] = json!({
        "token": core.issue_token(user),
        "expirationTimestamp": crate::clock::rfc3339(expires),
    });
    Ok(respond::json(201, &request))
}
