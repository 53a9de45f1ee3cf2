//! Deployments: one ReplicaSet for each template, and the way from one to the next. Follows `pkg/controller/deployment`.
//!
//! Each look takes one step (a new set, some pods up, some pods down) and writes the status; the change that the step
//! makes brings the next look. `rollout` decides how many, `status` says how far it is, `parse` reads the wish.

mod parse;
mod rollout;
mod sets;
mod status;

use super::{names, owner};
use crate::apiserver::{Key, Part, known};
use crate::local_client::{EventKind, LocalClient, note, object_at};
use parse::{Strategy, Wish};
use rollout::{Limits, Size};
use serde_json::{Value, json};
use sets::{HASH_LABEL, REVISION, Set, Sets};
use std::sync::Arc;
use std::time::Duration;

const COMPONENT: &str = "deployment-controller";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";

/// One look at every Deployment; answers when one of them runs out of time.
pub(super) fn sync(client: &LocalClient) -> Option<Duration> {
    let all_sets = client.list(known("apps", "replicasets"));
    let mut again: Option<Duration> = None;
    for (key, deployment) in client.list(known("apps", "deployments")) {
        let wish = Wish::parse(&deployment);
        let own = all_sets
            .iter()
            .filter(|(set, object)| set.namespace == key.namespace && owner::controls(&deployment, object))
            .map(|(key, object)| Set { key: key.clone(), object: object.clone() });
        let sets = Sets::sort(own, wish.template);
        let created = if deployment["metadata"]["deletionTimestamp"].is_null() {
            step(client, &key, &deployment, &wish, &sets)
        } else {
            None
        };
        let left = write_status(client, &key, &deployment, &wish, &sets, created.as_deref());
        again = again.into_iter().chain(left).min();
    }
    again
}

/// Takes the next step; answers the name of the ReplicaSet that it created, if that was the step.
fn step(
    client: &LocalClient,
    key: &Key,
    deployment: &Arc<Value>,
    wish: &Wish<'_>,
    sets: &Sets,
) -> Option<String> {
    if wish.paused {
        // Nothing rolls while it is paused, but the count is still obeyed.
        if let Some(set) = sets.largest() {
            let others: u64 =
                sets.all().filter(|other| other.key != set.key).map(|other| other.size().spec).sum();
            scale(client, deployment, wish, set, wish.replicas.saturating_sub(others));
        }
        return None;
    }
    let limits = wish.limits();
    if wish.strategy == Strategy::Recreate {
        for set in &sets.old {
            scale(client, deployment, wish, set, 0);
        }
        // Not even a pod that is just ending may overlap with a new one.
        if sets.new.is_none() && sets.old.iter().any(|set| has_pods(client, set)) {
            return None;
        }
    }
    let old: Vec<Size> = sets.old.iter().map(Set::size).collect();
    let Some(new) = &sets.new else {
        let replicas = match wish.strategy {
            Strategy::Recreate => wish.replicas,
            Strategy::RollingUpdate { .. } => rollout::new_set(wish.replicas, limits, Size::default(), &old),
        };
        return create_set(client, key, deployment, wish, sets, replicas);
    };
    write_revision(client, key, deployment, wish, sets, new);
    if wish.strategy == Strategy::Recreate {
        if !sets.old.iter().any(|set| has_pods(client, set)) {
            scale(client, deployment, wish, new, wish.replicas);
        }
        return None;
    }
    let up = rollout::new_set(wish.replicas, limits, new.size(), &old);
    if scale(client, deployment, wish, new, up) {
        return None;
    }
    let mut scaled = false;
    for (set, down) in sets.old.iter().zip(rollout::old_sets(wish.replicas, limits, new.size(), &old)) {
        scaled |= scale(client, deployment, wish, set, down);
    }
    if !scaled && status::is_complete(deployment, wish.replicas) {
        forget_history(client, wish, sets);
    }
    None
}

/// Writes the size of a ReplicaSet if it is another; answers whether it was.
fn scale(client: &LocalClient, deployment: &Value, wish: &Wish<'_>, set: &Set, replicas: u64) -> bool {
    let before = set.size().spec;
    let annotations = size_annotations(wish);
    let annotated =
        annotations.iter().all(|(name, value)| set.object["metadata"]["annotations"][name] == **value);
    if before == replicas && annotated {
        return false;
    }
    let resource = known("apps", "replicasets");
    let written = client.update(resource, &set.key, &set.object["metadata"]["uid"], Part::Main, |object| {
        object_at(object, &["spec"]).insert("replicas".into(), replicas.into());
        let present = object_at(object, &["metadata", "annotations"]);
        present.extend(annotations.map(|(name, value)| (name.to_owned(), value.into())));
    });
    if note("scale a replica set", written).is_none() || before == replicas {
        return false;
    }
    announce(client, deployment, &set.key.name, before, replicas);
    true
}

fn announce(client: &LocalClient, deployment: &Value, set: &str, before: u64, after: u64) {
    let direction = if after > before { "up" } else { "down" };
    let message = format!("Scaled {direction} replica set {set} from {before} to {after}");
    client.record(COMPONENT, deployment, "", EventKind::Normal, "ScalingReplicaSet", &message);
}

fn size_annotations(wish: &Wish<'_>) -> [(&'static str, String); 2] {
    let max = wish.replicas.saturating_add(wish.limits().max_surge);
    [(DESIRED, wish.replicas.to_string()), (MAX, max.to_string())]
}

fn create_set(
    client: &LocalClient,
    key: &Key,
    deployment: &Arc<Value>,
    wish: &Wish<'_>,
    sets: &Sets,
    replicas: u64,
) -> Option<String> {
    let collisions = deployment["status"]["collisionCount"].as_u64().unwrap_or(0);
    let hash = names::template_hash(wish.template, collisions);
    let name = format!("{}-{hash}", key.name);
    let mut template = wish.template.clone();
    object_at(&mut template, &["metadata", "labels"]).insert(HASH_LABEL.into(), hash.as_str().into());
    let mut selector = deployment["spec"]["selector"].clone();
    object_at(&mut selector, &["matchLabels"]).insert(HASH_LABEL.into(), hash.as_str().into());
    let mut annotations = json!({REVISION: sets.next_revision().to_string()});
    for (field, value) in size_annotations(wish) {
        annotations[field] = value.into();
    }
    let set = json!({
        "metadata": {
            "name": name,
            "labels": template["metadata"]["labels"],
            "annotations": annotations,
            "ownerReferences": owner::reference(deployment),
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": wish.min_ready_seconds,
            "selector": selector,
            "template": template,
        },
    });
    let resource = known("apps", "replicasets");
    match client.create(resource, &key.namespace, set) {
        Ok(set) => {
            let set_key = Key::new(&key.namespace, &name);
            // A Deployment that was deleted meanwhile took its sets with it, but not this one.
            let owner = client.get(known("apps", "deployments"), key);
            if owner.is_none_or(|owner| owner["metadata"]["uid"] != deployment["metadata"]["uid"]) {
                note("delete a late set", client.delete(resource, &set_key, &set["metadata"]["uid"], None));
                return None;
            }
            if replicas > 0 {
                announce(client, deployment, &name, 0, replicas);
            }
            Some(name)
        }
        // Another template, or another owner's set, has this name: the count of collisions makes the next name another.
        Err(error) if error.reason == "AlreadyExists" => {
            let uid = &deployment["metadata"]["uid"];
            let counted = client.update(known("apps", "deployments"), key, uid, Part::Status, |deployment| {
                let next = collisions.saturating_add(1);
                object_at(deployment, &["status"]).insert("collisionCount".into(), next.into());
            });
            note("count a collision", counted);
            None
        }
        Err(error) => {
            let message = format!("Failed to create new replica set {name:?}: {error}");
            client.record(COMPONENT, deployment, "", EventKind::Warning, "ReplicaSetCreateError", &message);
            None
        }
    }
}

/// Gives the current ReplicaSet the highest revision, as it has after a rollback, and the Deployment the same.
fn write_revision(
    client: &LocalClient,
    key: &Key,
    deployment: &Value,
    wish: &Wish<'_>,
    sets: &Sets,
    new: &Set,
) {
    let newest_old = sets.old.iter().map(Set::revision).max().unwrap_or(0);
    let revision = if new.revision() > newest_old { new.revision() } else { newest_old.saturating_add(1) };
    let text = revision.to_string();
    if new.revision() != revision || new.object["spec"]["minReadySeconds"] != wish.min_ready_seconds {
        let uid = &new.object["metadata"]["uid"];
        let written = client.update(known("apps", "replicasets"), &new.key, uid, Part::Main, |set| {
            object_at(set, &["metadata", "annotations"]).insert(REVISION.into(), text.as_str().into());
            object_at(set, &["spec"]).insert("minReadySeconds".into(), wish.min_ready_seconds.into());
        });
        note("write a revision", written);
    }
    if deployment["metadata"]["annotations"][REVISION] != text.as_str() {
        let uid = &deployment["metadata"]["uid"];
        let written = client.update(known("apps", "deployments"), key, uid, Part::Main, |deployment| {
            object_at(deployment, &["metadata", "annotations"]).insert(REVISION.into(), text.as_str().into());
        });
        note("write a revision", written);
    }
}

/// Deletes the oldest empty ReplicaSets beyond `revisionHistoryLimit`.
fn forget_history(client: &LocalClient, wish: &Wish<'_>, sets: &Sets) {
    let surplus = sets.old.len().saturating_sub(usize::try_from(wish.history_limit).unwrap_or(usize::MAX));
    let mut by_revision: Vec<&Set> = sets.old.iter().collect();
    by_revision.sort_by_key(|set| set.revision());
    for set in by_revision.into_iter().take(surplus) {
        if set.size().spec == 0 && set.object["status"]["replicas"].as_u64().unwrap_or(0) == 0 {
            let uid = &set.object["metadata"]["uid"];
            let deleted = client.delete(known("apps", "replicasets"), &set.key, uid, None);
            note("forget an old replica set", deleted);
        }
    }
}

/// Whether a ReplicaSet still has pods, those that are just ending included.
fn has_pods(client: &LocalClient, set: &Set) -> bool {
    let pods = client.list(known("", "pods"));
    pods.iter().any(|(_, pod)| owner::controls(&set.object, pod) && !super::pods::has_ended(pod))
}

/// Writes the status; answers how long the rollout may still take without progress.
fn write_status(
    client: &LocalClient,
    key: &Key,
    deployment: &Value,
    wish: &Wish<'_>,
    sets: &Sets,
    created: Option<&str>,
) -> Option<Duration> {
    let counts =
        status::Counts::of(sets.new.as_ref().map(|set| &*set.object), sets.all().map(|set| &*set.object));
    let progress = status::Progress {
        deadline: wish.progress_deadline,
        paused: wish.paused,
        created,
        new_set: sets.new.as_ref().map(|set| set.key.name.as_str()),
    };
    let now = client.now();
    let status =
        status::next(deployment, wish.replicas, wish.limits().max_unavailable, &counts, &progress, now);
    let left = status::time_left(&status, wish.replicas, &progress, now);
    let uid = &deployment["metadata"]["uid"];
    let written = client.update(known("apps", "deployments"), key, uid, Part::Status, |deployment| {
        deployment["status"] = status;
    });
    note("write the status of a deployment", written);
    left
}

impl Wish<'_> {
    fn limits(&self) -> Limits {
        match &self.strategy {
            Strategy::Recreate => Limits { max_surge: 0, max_unavailable: self.replicas },
            Strategy::RollingUpdate { max_surge, max_unavailable } => {
                Limits::resolve(*max_surge, *max_unavailable, self.replicas)
            }
        }
    }
}
