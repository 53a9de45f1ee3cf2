//! Endpoints: which pods stand behind a Service, and on which port.
//!
//! EndpointSlices as `pkg/controller/endpointslice` makes them, but that a slice is never split for its size; and the
//! older Endpoints object, which kubectl before 1.31 describes Services with.

use super::{names, owner, pods};
use crate::apiserver::{Key, LabelSelector, Part, known};
use crate::local_client::{LocalClient, note};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";

/// The ports of a Service as one set of pods has them: (name, protocol, number).
type Ports = Vec<(String, String, u16)>;

/// One look at every Service.
pub(super) fn sync(client: &LocalClient) -> Option<Duration> {
    let all_pods = client.list(known("", "pods"));
    let slices = client.list(known("discovery.k8s.io", "endpointslices"));
    for (key, service) in client.list(known("", "services")) {
        let selector = &service["spec"]["selector"];
        // Without a selector whoever made the Service also makes its endpoints.
        let labels = json!({"matchLabels": selector});
        let Some(selector) =
            selector.as_object().filter(|s| !s.is_empty()).and(LabelSelector::from_object(&labels))
        else {
            continue;
        };
        let mut members: Vec<&Value> = all_pods
            .iter()
            .filter(|(pod_key, pod)| pod_key.namespace == key.namespace && selector.matches(pod))
            .map(|(_, pod)| &**pod)
            .filter(|pod| pod["status"]["podIP"].is_string() && !pods::has_ended(pod))
            .collect();
        members.sort_by_key(|pod| (pod["status"]["podIP"].as_str(), pod["metadata"]["name"].as_str()));
        let groups = by_ports(&service, &members);
        write_slices(client, &key, &service, &groups, &slices);
        write_endpoints(client, &key, &service, &groups);
    }
    None
}

/// The pods by the ports that the Service's ports mean to them: a name may stand for another number in each pod.
fn by_ports<'a>(service: &Value, members: &[&'a Value]) -> BTreeMap<Ports, Vec<&'a Value>> {
    let mut groups: BTreeMap<Ports, Vec<&Value>> = BTreeMap::new();
    for pod in members {
        let ports = service["spec"]["ports"].as_array().into_iter().flatten();
        let found = ports.filter_map(|port| {
            let text = |field: &str| port[field].as_str().unwrap_or_default().to_owned();
            Some((text("name"), text("protocol"), target_port(pod, port)?))
        });
        groups.entry(found.collect()).or_default().push(pod);
    }
    if groups.is_empty() {
        // A Service without pods has one slice that says so.
        groups.insert(Ports::new(), Vec::new());
    }
    groups
}

/// The number of the port of the pod that a Service's port leads to; a name that no container has leads nowhere.
fn target_port(pod: &Value, port: &Value) -> Option<u16> {
    let number = match &port["targetPort"] {
        Value::Null => port["port"].as_u64(),
        Value::String(name) => {
            let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
            let mut ports =
                containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
            let named = ports.find(|p| p["name"] == name.as_str() && p["protocol"] == port["protocol"]);
            named.and_then(|p| p["containerPort"].as_u64())
        }
        number => number.as_u64(),
    };
    number.and_then(|number| u16::try_from(number).ok())
}

fn write_slices(
    client: &LocalClient,
    key: &Key,
    service: &Value,
    groups: &BTreeMap<Ports, Vec<&Value>>,
    present: &[(Key, Arc<Value>)],
) {
    let resource = known("discovery.k8s.io", "endpointslices");
    let unready_too = service["spec"]["publishNotReadyAddresses"] == true;
    let mut wanted = BTreeMap::new();
    for (ports, members) in groups {
        let suffix: String = names::hash(&format!("{ports:?}")).chars().take(5).collect();
        let name = format!("{}-{suffix}", key.name);
        let endpoints: Vec<Value> = members.iter().map(|pod| endpoint(pod, unready_too)).collect();
        wanted.insert(name, (slice_ports(ports), endpoints));
    }
    for (slice_key, slice) in present.iter().filter(|(slice_key, _)| slice_key.namespace == key.namespace) {
        let labels = &slice["metadata"]["labels"];
        if labels[SERVICE_NAME] != key.name || labels[MANAGED_BY] != MANAGER {
            continue;
        }
        let uid = &slice["metadata"]["uid"];
        let updated = match wanted.remove(&slice_key.name) {
            None => client.delete(resource, slice_key, uid, None),
            Some((ports, endpoints)) => client
                .update(resource, slice_key, uid, Part::Main, |slice| {
                    slice["ports"] = ports;
                    slice["endpoints"] = endpoints.into();
                })
                .map(drop),
        };
        note("write an endpoint slice", updated);
    }
    for (name, (ports, endpoints)) in wanted {
        let slice = json!({
            "metadata": {
                "name": name,
                "labels": {SERVICE_NAME: key.name, MANAGED_BY: MANAGER},
                "ownerReferences": owner::reference(service),
            },
            "addressType": "IPv4",
            "ports": ports,
            "endpoints": endpoints,
        });
        note("create an endpoint slice", client.create(resource, &key.namespace, slice));
    }
}

fn slice_ports(ports: &Ports) -> Value {
    let entry = |(name, protocol, number): &(String, String, u16)| json!({"name": name, "protocol": protocol, "port": number});
    ports.iter().map(entry).collect()
}

fn endpoint(pod: &Value, unready_too: bool) -> Value {
    let serving = pods::is_ready(pod) || unready_too;
    let terminating = !pod["metadata"]["deletionTimestamp"].is_null();
    json!({
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": serving && !terminating, "serving": serving, "terminating": terminating},
        "nodeName": pod["spec"]["nodeName"],
        "targetRef": target_reference(pod),
    })
}

fn target_reference(pod: &Value) -> Value {
    let metadata = &pod["metadata"];
    json!({"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]})
}

fn write_endpoints(client: &LocalClient, key: &Key, service: &Value, groups: &BTreeMap<Ports, Vec<&Value>>) {
    let resource = known("", "endpoints");
    let unready_too = service["spec"]["publishNotReadyAddresses"] == true;
    let subsets: Vec<Value> = groups.iter().filter_map(|group| subset(group, unready_too)).collect();
    let written = match client.get(resource, key) {
        Some(present) => client.update(resource, key, &present["metadata"]["uid"], Part::Main, |endpoints| {
            endpoints["subsets"] = subsets.into();
        }),
        None => {
            let metadata = json!({"name": key.name, "ownerReferences": owner::reference(service)});
            client.create(resource, &key.namespace, json!({"metadata": metadata, "subsets": subsets}))
        }
    };
    note("write endpoints", written);
}

fn subset((ports, members): (&Ports, &Vec<&Value>), unready_too: bool) -> Option<Value> {
    let address = |pod: &&Value| json!({"ip": pod["status"]["podIP"], "nodeName": pod["spec"]["nodeName"], "targetRef": target_reference(pod)});
    let live = members.iter().filter(|pod| pods::is_active(pod));
    let (ready, unready): (Vec<_>, Vec<_>) = live.partition(|pod| pods::is_ready(pod) || unready_too);
    if ready.is_empty() && unready.is_empty() {
        return None;
    }
    let mut subset = json!({"ports": slice_ports(ports)});
    for (field, pods) in [("addresses", ready), ("notReadyAddresses", unready)] {
        if !pods.is_empty() {
            subset[field] = pods.into_iter().map(address).collect();
        }
    }
    Some(subset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, port: u16, ready: bool, leaving: bool) -> Value {
        let status = if ready { "True" } else { "False" };
        let deleted = if leaving { json!("2026-08-21T11:00:00Z") } else { Value::Null };
        json!({
            "metadata": {"name": name, "deletionTimestamp": deleted},
            "spec": {"containers": [{"ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}]}]},
            "status": {"phase": "Running", "podIP": format!("127.0.0.{port}"),
                "conditions": [{"type": "Ready", "status": status}]},
        })
    }

    #[test]
    fn named_ports_are_looked_up_in_each_pod() {
        let pod = pod("a", 81, true, false);
        let check =
            |port: Value, expected: Option<u16>| assert_eq!(target_port(&pod, &port), expected, "{port}");
        check(json!({"port": 80, "protocol": "TCP"}), Some(80));
        check(json!({"port": 80, "targetPort": 8080, "protocol": "TCP"}), Some(8080));
        check(json!({"port": 80, "targetPort": "http", "protocol": "TCP"}), Some(81));
        check(json!({"port": 80, "targetPort": "http", "protocol": "UDP"}), None);
        check(json!({"port": 80, "targetPort": "grpc", "protocol": "TCP"}), None);
        check(json!({"port": 80, "targetPort": 65_536, "protocol": "TCP"}), None);
    }

    #[test]
    fn pods_with_other_numbers_for_a_name_are_in_groups_of_their_own() {
        let service = json!({"spec": {"ports": [{"name": "web", "port": 80, "targetPort": "http", "protocol": "TCP"}]}});
        let (a, b, c) = (pod("a", 81, true, false), pod("b", 82, true, false), pod("c", 81, true, false));
        let groups = by_ports(&service, &[&a, &b, &c]);
        let sizes: Vec<_> = groups.iter().map(|(ports, members)| (ports[0].2, members.len())).collect();
        assert_eq!(sizes, [(81, 2), (82, 1)]);
        assert_eq!(by_ports(&service, &[]).len(), 1, "a slice that says that there is nobody");
    }

    #[test]
    fn conditions_follow_readiness_and_deletion() {
        let check = |ready, leaving, unready_too, expected: (bool, bool, bool)| {
            let conditions = &endpoint(&pod("a", 81, ready, leaving), unready_too)["conditions"];
            let expected = json!({"ready": expected.0, "serving": expected.1, "terminating": expected.2});
            assert_eq!(*conditions, expected, "{ready} {leaving} {unready_too}");
        };
        check(true, false, false, (true, true, false));
        check(false, false, false, (false, false, false));
        check(true, true, false, (false, true, true));
        check(false, false, true, (true, true, false));
    }

    #[test]
    fn old_endpoints_list_the_unready_apart_and_the_leaving_not_at_all() {
        let pods = [pod("a", 81, true, false), pod("b", 82, false, false), pod("c", 83, true, true)];
        let found = subset((&Ports::new(), &pods.iter().collect()), false).unwrap();
        assert_eq!(found["addresses"][0]["targetRef"]["name"], "a");
        assert_eq!(found["notReadyAddresses"][0]["targetRef"]["name"], "b");
        assert_eq!(found["addresses"].as_array().map(Vec::len), Some(1));
        assert!(subset((&Ports::new(), &vec![&pods[2]]), false).is_none());
    }
}
