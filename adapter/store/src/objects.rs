//! Objects that stand for pods (Services, Deployments and their like), as far as who their pods are.
//!
//! An object is known by its selector alone, as text. Which kinds are known is said once, at the start; what there is of
//! each kind is told by whoever watches it. Looking never waits for more than a copy in memory takes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// The objects that are known, by kind. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Objects(Arc<RwLock<BTreeMap<Box<str>, Entry>>>);

/// What people call a kind of object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectKind {
    /// `Deployment`.
    pub kind: Box<str>,
    /// `apps/v1`.
    pub api_version: Box<str>,
}

/// An object that selects pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSet {
    /// The kind of the object.
    pub kind: Arc<ObjectKind>,
    /// Which pods it selects, as a label selector's text. Never empty.
    pub selector: Arc<str>,
}

/// Why an object is not one that selects pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPodSet {
    /// Objects of this resource are not known at all; these are.
    Resource {
        /// The resources that are, as paths name them.
        known: Vec<Box<str>>,
    },
    /// Those of this resource have not been listed so far.
    NotListed,
    /// They cannot be listed, for this reason.
    Unavailable(Arc<str>),
    /// There is no object of this name.
    Missing,
    /// It selects no pods by their labels.
    SelectsNothing,
}

/// Selectors of one kind, by namespace and name; none for an object that selects nothing.
pub type Selectors = HashMap<(Box<str>, Box<str>), Option<Arc<str>>>;

#[derive(Debug, Default)]
struct Entry {
    kind: Option<Arc<ObjectKind>>,
    state: State,
    selectors: Selectors,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    NotListed,
    Listed,
    Unavailable(Arc<str>),
}

// === impl Objects ===

impl Objects {
    /// Knows these resources (`services`, `deployments.apps`), and no object yet.
    pub fn new(resources: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        let entries = resources.into_iter().map(|resource| (resource.into(), Entry::default()));
        Self(Arc::new(RwLock::new(entries.collect())))
    }

    /// The pods that an object stands for. `resource` may leave out its group where that leaves no doubt.
    ///
    /// # Errors
    /// Why there are none.
    pub fn find(&self, resource: &str, namespace: &str, name: &str) -> Result<PodSet, NoPodSet> {
        let entries = self.read();
        let entry = entries.get(resource).or_else(|| {
            let mut same = entries.iter().filter(|(known, _)| known.split('.').next() == Some(resource));
            same.next().filter(|_| same.next().is_none()).map(|(_, entry)| entry)
        });
        let Some(entry) = entry else {
            return Err(NoPodSet::Resource { known: entries.keys().cloned().collect() });
        };
        match (entry.selectors.get(&(namespace.into(), name.into())), &entry.kind, &entry.state) {
            (Some(Some(selector)), Some(kind), _) => {
                Ok(PodSet { kind: Arc::clone(kind), selector: Arc::clone(selector) })
            }
            (Some(_), ..) => Err(NoPodSet::SelectsNothing),
            (None, _, State::Unavailable(why)) => Err(NoPodSet::Unavailable(Arc::clone(why))),
            (None, _, State::NotListed) => Err(NoPodSet::NotListed),
            (None, _, State::Listed) => Err(NoPodSet::Missing),
        }
    }

    /// The resources that are known, as paths name them.
    #[must_use]
    pub fn resources(&self) -> Vec<Box<str>> {
        self.read().keys().cloned().collect()
    }

    /// A resource of which nothing is known yet, neither its objects nor why it has none. None once all were asked for.
    #[must_use]
    pub fn unsettled(&self) -> Option<Box<str>> {
        let entries = self.read();
        let mut waiting = entries.iter().filter(|(_, entry)| matches!(entry.state, State::NotListed));
        waiting.next().map(|(resource, _)| resource.clone())
    }

    /// Objects of a resource that was not named at the start are not kept.
    pub fn replace(&self, resource: &str, kind: ObjectKind, selectors: Selectors) {
        if let Some(entry) = self.write().get_mut(resource) {
            *entry = Entry { kind: Some(Arc::new(kind)), state: State::Listed, selectors };
        }
    }

    /// An object is new or has changed.
    pub fn put(&self, resource: &str, namespace: &str, name: &str, selector: Option<Arc<str>>) {
        if let Some(entry) = self.write().get_mut(resource) {
            entry.selectors.insert((namespace.into(), name.into()), selector);
            entry.heard();
        }
    }

    /// An object is gone.
    pub fn remove(&self, resource: &str, namespace: &str, name: &str) {
        if let Some(entry) = self.write().get_mut(resource) {
            entry.selectors.remove(&(namespace.into(), name.into()));
            entry.heard();
        }
    }

    /// The objects of a resource cannot be listed. Those that are known stay known.
    pub fn unavailable(&self, resource: &str, why: &str) {
        if let Some(entry) = self.write().get_mut(resource) {
            entry.state = State::Unavailable(why.into());
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Box<str>, Entry>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Box<str>, Entry>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Entry ===

impl Entry {
    /// A watch goes on after it was interrupted, without a new list.
    fn heard(&mut self) {
        if self.kind.is_some() {
            self.state = State::Listed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployments() -> ObjectKind {
        ObjectKind { kind: "Deployment".into(), api_version: "apps/v1".into() }
    }

    fn listed(objects: &Objects, resource: &str, known: &[(&str, Option<&str>)]) {
        let selectors =
            known.iter().map(|(name, selector)| (("shop".into(), Box::from(*name)), selector.map(Arc::from)));
        objects.replace(resource, deployments(), selectors.collect());
    }

    #[test]
    fn an_object_is_found_or_said_why_not() {
        let objects = Objects::new(["services", "deployments.apps", "jobs.batch", "jobs.example.com"]);
        let check = |resource: &str, name: &str, expected: Result<&str, NoPodSet>| {
            let found = objects.find(resource, "shop", name).map(|set| set.selector.to_string());
            assert_eq!(found, expected.map(str::to_owned), "{resource}/{name}");
        };
        let known = || NoPodSet::Resource { known: objects.resources() };
        check("deployments.apps", "web", Err(NoPodSet::NotListed));
        listed(&objects, "deployments.apps", &[("web", Some("app=web")), ("idle", None)]);
        check("deployments.apps", "web", Ok("app=web"));
        check("deployments", "web", Ok("app=web"));
        check("deployments.apps", "idle", Err(NoPodSet::SelectsNothing));
        check("deployments.apps", "other", Err(NoPodSet::Missing));
        check("daemonsets.apps", "web", Err(known()));
        check("deployments.example.com", "web", Err(known()));
        // Two groups have jobs: the group must be said.
        check("jobs", "a", Err(known()));
        objects.put("deployments.apps", "shop", "web", Some("app=new".into()));
        check("deployments.apps", "web", Ok("app=new"));
        objects.remove("deployments.apps", "shop", "web");
        check("deployments.apps", "web", Err(NoPodSet::Missing));
    }

    #[test]
    fn what_is_known_stays_known_while_it_cannot_be_listed() {
        let objects = Objects::new(["services"]);
        objects.unavailable("services", "forbidden");
        assert_eq!(objects.find("services", "shop", "web"), Err(NoPodSet::Unavailable("forbidden".into())));
        listed(&objects, "services", &[("web", Some("app=web"))]);
        objects.unavailable("services", "away");
        assert!(objects.find("services", "shop", "web").is_ok());
        assert_eq!(objects.find("services", "shop", "new"), Err(NoPodSet::Unavailable("away".into())));
        objects.remove("services", "shop", "web");
        assert_eq!(objects.find("services", "shop", "web"), Err(NoPodSet::Missing), "the watch goes on");
    }

    #[test]
    fn all_is_settled_once_every_resource_was_asked_for() {
        let objects = Objects::new(["jobs.batch", "services"]);
        assert_eq!(objects.unsettled().as_deref(), Some("jobs.batch"));
        objects.unavailable("jobs.batch", "forbidden");
        assert_eq!(objects.unsettled().as_deref(), Some("services"));
        listed(&objects, "services", &[]);
        assert_eq!(objects.unsettled(), None);
    }
}
