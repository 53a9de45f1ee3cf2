//! Follows the objects that stand for pods: Services, Deployments, StatefulSets and their like, and custom resources that
//! have a selector. What it learns goes into [`Objects`], where whoever answers requests finds it.
//!
//! # Promises
//! - Each resource is followed by itself: one that is forbidden or not served costs only its own objects, and is tried
//!   again for ever, with back-off.
//! - Of an object its name and its selector are kept, and nothing else.
//!
//! Whoever wants something else of some objects has [`follow()`] tell a [`Sink`] of its own.
//!
//! # Left to others
//! The pods themselves, and what they are asked.

mod follow;
mod resource;
mod selector;
mod selectors;

pub use follow::{Sink, follow};
pub use resource::{InvalidResource, Resource};

use kube::Client;
use podgauge_store::Objects;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use selectors::SelectorSink;

/// Which objects are followed.
#[derive(Clone, Debug)]
pub struct Config {
    /// Their resources. Default: services, and what `apps` and `batch` have that runs pods.
    pub resources: Vec<Resource>,
    /// The only namespace that is looked at, if there is one.
    pub namespace: Option<String>,
}

/// Follows objects.
pub struct Follower {
    config: Config,
    client: Client,
    objects: Objects,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self { resources: Resource::defaults(), namespace: None }
    }
}

// === impl Follower ===

impl Follower {
    /// A follower that asks `client`. Does nothing until it is [`run`](Self::run).
    #[must_use]
    pub fn build(config: Config, client: Client) -> Self {
        let objects = Objects::new(config.resources.iter().map(ToString::to_string));
        Self { config, client, objects }
    }

    /// Where what it learns is found.
    #[must_use]
    pub fn objects(&self) -> Objects {
        self.objects.clone()
    }

    /// Follows until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let Self { config, client, objects } = self;
        let mut loops = JoinSet::new();
        for resource in config.resources {
            let sink = SelectorSink::new(resource.to_string(), objects.clone());
            loops.spawn(follow(client.clone(), resource, config.namespace.clone(), sink));
        }
        // They never end by themselves; they end with the set.
        stop.cancelled().await;
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("config", &self.config).finish_non_exhaustive()
    }
}
