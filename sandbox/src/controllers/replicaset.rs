//! ReplicaSets: keeps as many pods as wanted. Follows `pkg/controller/replicaset`.

mod ranking;

use super::{names, owner, pods};
use crate::apiserver::{Key, Part, known};
use crate::local_client::{EventKind, LocalClient, note, seconds};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const COMPONENT: &str = "replicaset-controller";
/// The most pods that one look makes, as upstream's burst; the changes that they are bring the next look.
const BURST: usize = 500;

/// One look at every ReplicaSet; answers when to look again although nothing has changed.
pub(super) fn sync(client: &LocalClient) -> Option<Duration> {
    let all_pods = client.list(known("", "pods"));
    let mut again: Option<Duration> = None;
    for (key, set) in client.list(known("apps", "replicasets")) {
        let mut own: Vec<_> = all_pods
            .iter()
            .filter(|(pod_key, pod)| pod_key.namespace == key.namespace && owner::controls(&set, pod))
            .filter(|(_, pod)| pods::is_active(pod))
            .cloned()
            .collect();
        if set["metadata"]["deletionTimestamp"].is_null() {
            scale(client, &key, &set, &mut own);
        }
        let missing = write_status(client, &key, &set, &own);
        again = again.into_iter().chain(missing).min();
    }
    again
}

/// Makes or ends pods until there are as many as wanted. What it ended is no longer in `own` afterwards.
fn scale(client: &LocalClient, key: &Key, set: &Arc<Value>, own: &mut Vec<(Key, Arc<Value>)>) {
    let wanted = set["spec"]["replicas"].as_u64().unwrap_or(1);
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    for _ in (own.len()..wanted).take(BURST) {
        // A namespace that takes nothing new takes none of the rest either.
        let Some(pod) = create_pod(client, key, set) else { break };
        own.push(pod);
    }
    if own.len() > wanted {
        own.sort_by(|(_, a), (_, b)| ranking::first_to_go(a, b));
        let surplus = own.len() - wanted;
        for (pod_key, pod) in own.drain(..surplus) {
            let deleted = client.delete(known("", "pods"), &pod_key, &pod["metadata"]["uid"], None);
            if note("delete a pod", deleted).is_some() {
                let message = format!("Deleted pod: {}", pod_key.name);
                client.record(COMPONENT, set, "", EventKind::Normal, "SuccessfulDelete", &message);
            }
        }
    }
}

fn create_pod(client: &LocalClient, key: &Key, set: &Value) -> Option<(Key, Arc<Value>)> {
    let template = &set["spec"]["template"];
    let name = names::with_suffix(&key.name, client.random());
    let mut metadata = template["metadata"].clone();
    if !metadata.is_object() {
        metadata = json!({});
    }
    metadata["name"] = name.as_str().into();
    metadata["generateName"] = format!("{}-", key.name).into();
    metadata["namespace"] = key.namespace.as_str().into();
    metadata["ownerReferences"] = owner::reference(set);
    let pod = json!({"metadata": metadata, "spec": template["spec"]});
    let pod = match client.create(known("", "pods"), &key.namespace, pod) {
        Ok(pod) => pod,
        Err(error) => {
            let message = format!("Error creating: {error}");
            client.record(COMPONENT, set, "", EventKind::Warning, "FailedCreate", &message);
            return None;
        }
    };
    let pod_key = Key::new(&key.namespace, name);
    // A set that was deleted meanwhile took its pods with it, but not this one, which nobody would ever end.
    let owner = client.get(known("apps", "replicasets"), key);
    if owner.is_none_or(|owner| owner["metadata"]["uid"] != set["metadata"]["uid"]) {
        note("delete a late pod", client.delete(known("", "pods"), &pod_key, &pod["metadata"]["uid"], None));
        return None;
    }
    let message = format!("Created pod: {}", pod_key.name);
    client.record(COMPONENT, set, "", EventKind::Normal, "SuccessfulCreate", &message);
    Some((pod_key, pod))
}

/// Writes the counts; answers how long until the next ready pod becomes available.
fn write_status(client: &LocalClient, key: &Key, set: &Value, own: &[(Key, Arc<Value>)]) -> Option<Duration> {
    let min_ready = seconds(set["spec"]["minReadySeconds"].as_u64().unwrap_or(0));
    let now = client.now();
    let availability: Vec<_> = own.iter().map(|(_, pod)| pods::availability(pod, min_ready, now)).collect();
    let status = json!({
        "replicas": own.len(),
        "fullyLabeledReplicas": own.len(),
        "readyReplicas": own.iter().filter(|(_, pod)| pods::is_ready(pod)).count(),
        "availableReplicas": availability.iter().filter(|available| available.is_ok()).count(),
        "observedGeneration": set["metadata"]["generation"],
    });
    let written =
        client.update(known("apps", "replicasets"), key, &set["metadata"]["uid"], Part::Status, |set| {
            set["status"] = status;
        });
    note("write the status of a replica set", written);
    availability.into_iter().filter_map(|available| available.err().flatten()).min()
}
