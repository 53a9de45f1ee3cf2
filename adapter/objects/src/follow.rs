//! Follows the objects of one resource: found by discovery, then listed and watched.

use std::{convert::Infallible, fmt, time::Duration};

use futures::StreamExt as _;
use kube::{
    Api, Client,
    api::ApiResource,
    core::DynamicResourceScope,
    discovery,
    error::DiscoveryError,
    runtime::{
        utils::Backoff as _,
        watcher::{self, DefaultBackoff, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use crate::Resource;

/// The longest pause before something is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Objects in a page of a list. Only one page is in memory at a time.
const LIST_PAGE: u32 = 250;

/// Takes in what there is of one resource, in the order in which it is told.
pub trait Sink<K>: Send {
    /// A complete list begins: what is put until it ends is all there is.
    fn begin(&mut self);

    /// An object that is listed, is new, or has changed.
    fn put(&mut self, object: K);

    /// The list is complete; this is how the cluster serves the resource.
    fn end(&mut self, served: &ApiResource);

    /// An object is gone.
    fn remove(&mut self, object: &K);

    /// They cannot be had for now: what is known may still be so.
    fn unavailable(&mut self, why: &str);

    /// The cluster has no such resource, and so no such object.
    fn absent(&mut self, why: &str);
}

/// Why there is nothing to watch.
enum Missing {
    /// The cluster says that it has no such resource.
    Absent(String),
    /// It could not be asked.
    Unknown(String),
}

/// Tells `sink` of the objects of `resource` for ever. A resource that is not served, is forbidden, or goes away is tried
/// again, and the log hears of it once.
///
/// `K` is the object, or the part of it that is wanted.
pub async fn follow<K, S>(
    client: Client,
    resource: Resource,
    namespace: Option<String>,
    mut sink: S,
) -> Infallible
where
    K: kube::Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
    K: Clone + fmt::Debug + DeserializeOwned + Send + 'static,
    S: Sink<K>,
{
    let mut backoff = DefaultBackoff::default();
    let mut log = Log { resource: &resource, said: None };
    loop {
        match find(&client, &resource).await {
            Ok(found) => {
                let api = match &namespace {
                    Some(namespace) => Api::namespaced_with(client.clone(), namespace, &found),
                    None => Api::all_with(client.clone(), &found),
                };
                backoff.reset();
                watch(api, &found, &mut sink, &mut backoff, &mut log).await;
            }
            Err(Missing::Absent(why)) => {
                log.absent(&why);
                sink.absent(&why);
            }
            Err(Missing::Unknown(why)) => {
                log.failed(&why);
                sink.unavailable(&why);
            }
        }
        pause(&mut backoff).await;
    }
}

/// The resource as the cluster serves it now.
async fn find(client: &Client, resource: &Resource) -> Result<ApiResource, Missing> {
    let group = discovery::group(client, &resource.group).await.map_err(|error| match &error {
        kube::Error::Discovery(DiscoveryError::MissingApiGroup(_)) => {
            Missing::Absent(format!("the cluster has no API group {:?}", resource.group))
        }
        _ => Missing::Unknown(format!("discovery of the API group {:?} failed: {error}", resource.group)),
    })?;
    let served = group.recommended_resources().into_iter().map(|(served, _)| served);
    let found = served.into_iter().find(|served| served.plural == resource.plural);
    found.ok_or_else(|| Missing::Absent(format!("the cluster serves no {resource}")))
}

/// Takes in what one watcher says, until it has to be made anew.
async fn watch<K>(
    api: Api<K>,
    found: &ApiResource,
    sink: &mut impl Sink<K>,
    backoff: &mut DefaultBackoff,
    log: &mut Log<'_>,
) where
    K: kube::Resource<DynamicType = ApiResource> + Clone + fmt::Debug + DeserializeOwned + Send + 'static,
{
    let config = watcher::Config::default().page_size(LIST_PAGE);
    let mut events = std::pin::pin!(watcher::watcher(api, config));
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => sink.begin(),
            Ok(Event::InitApply(object)) => sink.put(object),
            Ok(Event::InitDone) => {
                debug!(resource = %log.resource, "listed objects");
                log.said = None;
                sink.end(found);
                backoff.reset();
            }
            Ok(Event::Apply(object)) => {
                sink.put(object);
                backoff.reset();
            }
            Ok(Event::Delete(object)) => {
                sink.remove(&object);
                backoff.reset();
            }
            Err(error) => {
                let why = match code(&error) {
                    // The resource may be gone, or served in another version: look for it again.
                    Some(404) => return,
                    Some(403) => log.forbidden(),
                    _ => {
                        let why = format!("listing {} failed: {error}", log.resource);
                        log.failed(&why);
                        why
                    }
                };
                sink.unavailable(&why);
                pause(backoff).await;
            }
        }
    }
}

async fn pause(backoff: &mut DefaultBackoff) {
    sleep(backoff.next().unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE)).await;
}

fn code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status.code),
        _ => None,
    }
}

/// What was said last, so that what goes on as it was is not said again.
struct Log<'a> {
    resource: &'a Resource,
    said: Option<String>,
}

// === impl Log ===

impl Log<'_> {
    /// Nothing is wrong with a cluster that does not have it.
    fn absent(&mut self, why: &str) {
        if self.is_news(why) {
            info!(resource = %self.resource, why, "there are no objects of this resource; looking again from time to time");
        }
    }

    fn failed(&mut self, why: &str) {
        if self.is_news(why) {
            warn!(resource = %self.resource, why, "objects cannot be followed; trying again");
        }
    }

    /// Says which rule is missing.
    fn forbidden(&mut self) -> String {
        let Resource { plural, group } = self.resource;
        let why = format!("podgauge's account may not list and watch {}; grant both", self.resource);
        if self.is_news(&why) {
            let rule =
                format!("{{apiGroups: [{group:?}], resources: [{plural}], verbs: [get, list, watch]}}");
            warn!(resource = %self.resource, why, rule, "objects cannot be followed until a ClusterRole has this rule");
        }
        why
    }

    fn is_news(&mut self, why: &str) -> bool {
        let is_news = self.said.as_deref() != Some(why);
        if is_news {
            self.said = Some(why.to_owned());
        }
        is_news
    }
}
