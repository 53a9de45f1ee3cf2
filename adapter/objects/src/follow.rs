//! Follows the objects of one resource: found by discovery, then listed and watched.

use std::{convert::Infallible, time::Duration};

use futures::StreamExt as _;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
    discovery,
    error::DiscoveryError,
    runtime::{
        utils::Backoff as _,
        watcher::{self, DefaultBackoff, Event},
    },
};
use podgauge_store::{ObjectKind, Objects, Selectors};
use tokio::time::sleep;
use tracing::{debug, info, warn};

use crate::{Resource, selector::selector};

/// The longest pause before something is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Objects in a page of a list. Only one page is in memory at a time.
const LIST_PAGE: u32 = 250;

/// Follows for ever.
pub(crate) async fn follow(
    client: Client,
    resource: Resource,
    namespace: Option<String>,
    objects: Objects,
) -> Infallible {
    let name = resource.to_string();
    let mut backoff = DefaultBackoff::default();
    loop {
        match find(&client, &resource).await {
            Ok(found) => {
                let api = match &namespace {
                    Some(namespace) => Api::namespaced_with(client.clone(), namespace, &found),
                    None => Api::all_with(client.clone(), &found),
                };
                backoff.reset();
                watch(api, &name, &found, &objects, &mut backoff).await;
            }
            Err(why) => {
                info!(resource = name, why, "objects of this resource are not known; trying again");
                objects.unavailable(&name, &why);
            }
        }
        sleep(backoff.next().unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE)).await;
    }
}

/// The resource as the cluster serves it now.
async fn find(client: &Client, resource: &Resource) -> Result<ApiResource, String> {
    let group = discovery::group(client, &resource.group).await.map_err(|error| match &error {
        kube::Error::Discovery(DiscoveryError::MissingApiGroup(_)) => {
            format!("the cluster has no API group {:?}", resource.group)
        }
        _ => format!("discovery of the API group {:?} failed: {error}", resource.group),
    })?;
    let served = group.recommended_resources().into_iter().map(|(served, _)| served);
    let found = served.into_iter().find(|served| served.plural == resource.plural);
    found.ok_or_else(|| format!("the cluster serves no {resource}"))
}

/// Takes in what one watcher says, until it has to be made anew.
async fn watch(
    api: Api<DynamicObject>,
    name: &str,
    found: &ApiResource,
    objects: &Objects,
    backoff: &mut DefaultBackoff,
) {
    let kind =
        ObjectKind { kind: found.kind.as_str().into(), api_version: found.api_version.as_str().into() };
    let config = watcher::Config::default().page_size(LIST_PAGE);
    let mut events = std::pin::pin!(watcher::watcher(api, config));
    let mut listed = Selectors::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                let selector = selector(&object.data);
                let metadata = object.metadata;
                let key =
                    (metadata.namespace.unwrap_or_default().into(), metadata.name.unwrap_or_default().into());
                listed.insert(key, selector);
            }
            Ok(Event::InitDone) => {
                debug!(resource = name, count = listed.len(), "listed objects");
                objects.replace(name, kind.clone(), std::mem::take(&mut listed));
                backoff.reset();
            }
            Ok(Event::Apply(object)) => {
                let (namespace, object_name) = names(&object);
                objects.put(name, namespace, object_name, selector(&object.data));
                backoff.reset();
            }
            Ok(Event::Delete(object)) => {
                let (namespace, object_name) = names(&object);
                objects.remove(name, namespace, object_name);
            }
            Err(error) => {
                let code = watch_code(&error);
                let why = match code {
                    Some(403) => format!("podgauge's account may not list and watch {name}; grant both"),
                    _ => format!("listing {name} failed: {error}"),
                };
                warn!(resource = name, why, "objects cannot be followed; trying again");
                objects.unavailable(name, &why);
                // The resource may be gone, or served in another version: look for it again.
                if code == Some(404) {
                    return;
                }
                sleep(backoff.next().unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE)).await;
            }
        }
    }
}

fn names(object: &DynamicObject) -> (&str, &str) {
    let metadata = &object.metadata;
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

fn watch_code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => code(error),
        watcher::Error::WatchError(status) => Some(status.code),
        _ => None,
    }
}
