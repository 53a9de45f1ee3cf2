//! Which columns each kind has, and what stands in them.

use super::age;
use crate::apiserver::resources::Resource;
use jiff::Timestamp;
use serde_json::Value;

/// One column of a table.
pub(super) struct Column {
    pub(super) name: &'static str,
    /// The OpenAPI type of its cells.
    pub(super) kind: &'static str,
    /// 0 is always shown, 1 only with `-o wide`.
    pub(super) priority: u8,
    pub(super) cell: fn(&Value, Timestamp) -> Value,
}

const fn text(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Column {
    Column { name, kind: "string", priority: 0, cell }
}

const fn integer(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Column {
    Column { name, kind: "integer", priority: 0, cell }
}

const fn wide(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Column {
    Column { name, kind: "string", priority: 1, cell }
}

const NAME: Column = text("Name", |o, _| o["metadata"]["name"].clone());
const AGE: Column = text("Age", |o, now| age(&o["metadata"]["creationTimestamp"], now).into());

/// The columns of a kind.
pub(super) fn columns(resource: &Resource) -> &'static [Column] {
    match (resource.group, resource.plural) {
        ("", "pods") => POD,
        ("", "services") => SERVICE,
        ("", "namespaces") => NAMESPACE,
        ("", "events") => EVENT,
        ("", "configmaps") => CONFIG_MAP,
        ("", "secrets") => SECRET,
        ("", "nodes") => NODE,
        ("apps", "deployments") => DEPLOYMENT,
        ("apps", "replicasets") => REPLICA_SET,
        ("apps", "statefulsets") => STATEFUL_SET,
        ("autoscaling", "horizontalpodautoscalers") => AUTOSCALER,
        ("apiregistration.k8s.io", "apiservices") => API_SERVICE,
        ("coordination.k8s.io", "leases") => LEASE,
        ("discovery.k8s.io", "endpointslices") => ENDPOINT_SLICE,
        ("networking.k8s.io", "networkpolicies") => NETWORK_POLICY,
        ("policy", "poddisruptionbudgets") => DISRUPTION_BUDGET,
        ("scheduling.k8s.io", "priorityclasses") => PRIORITY_CLASS,
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => BINDING,
        ("rbac.authorization.k8s.io", _) => ROLE,
        _ => &[NAME, AGE],
    }
}

static POD: &[Column] = &[
    NAME,
    text("Ready", |o, _| {
        let statuses = items(&o["status"]["containerStatuses"]);
        let ready = statuses.iter().filter(|status| status["ready"] == true).count();
        format!("{ready}/{}", items(&o["spec"]["containers"]).len()).into()
    }),
    text("Status", |o, _| pod_status(o).into()),
    integer("Restarts", |o, _| {
        let statuses = items(&o["status"]["containerStatuses"]);
        statuses.iter().filter_map(|status| status["restartCount"].as_u64()).sum::<u64>().into()
    }),
    AGE,
    wide("IP", |o, _| or_none(&o["status"]["podIP"])),
    wide("Node", |o, _| or_none(&o["spec"]["nodeName"])),
    wide("Nominated Node", |o, _| or_none(&o["status"]["nominatedNodeName"])),
    wide("Readiness Gates", |_, _| "<none>".into()),
];

static SERVICE: &[Column] = &[
    NAME,
    text("Type", |o, _| o["spec"]["type"].clone()),
    text("Cluster-IP", |o, _| or_none(&o["spec"]["clusterIP"])),
    text("External-IP", |_, _| "<none>".into()),
    text("Port(s)", |o, _| {
        let port = |port: &Value| match port["nodePort"].as_u64() {
            None => format!("{}/{}", port["port"], bare(&port["protocol"])),
            Some(node_port) => format!("{}:{node_port}/{}", port["port"], bare(&port["protocol"])),
        };
        joined(items(&o["spec"]["ports"]).iter().map(port))
    }),
    AGE,
    wide("Selector", |o, _| labels(&o["spec"]["selector"])),
];

static NAMESPACE: &[Column] = &[NAME, text("Status", |o, _| o["status"]["phase"].clone()), AGE];

static EVENT: &[Column] = &[
    text("Last Seen", |o, now| {
        let times =
            [&o["lastTimestamp"], &o["series"]["lastObservedTime"], &o["eventTime"], &o["firstTimestamp"]];
        age(times.into_iter().find(|time| time.is_string()).unwrap_or(&Value::Null), now).into()
    }),
    text("Type", |o, _| o["type"].clone()),
    text("Reason", |o, _| o["reason"].clone()),
    text("Object", |o, _| {
        let object = &o["involvedObject"];
        format!("{}/{}", bare(&object["kind"]).to_lowercase(), bare(&object["name"])).into()
    }),
    wide("Subobject", |o, _| o["involvedObject"]["fieldPath"].clone()),
    wide("Source", |o, _| o["source"]["component"].clone()),
    text("Message", |o, _| bare(&o["message"]).trim().into()),
    wide("Count", |o, _| o["count"].clone()),
    wide("Name", |o, _| o["metadata"]["name"].clone()),
];

static CONFIG_MAP: &[Column] = &[NAME, integer("Data", |o, _| size(&o["data"]).into()), AGE];

static SECRET: &[Column] =
    &[NAME, text("Type", |o, _| o["type"].clone()), integer("Data", |o, _| size(&o["data"]).into()), AGE];

static NODE: &[Column] = &[
    NAME,
    text("Status", |o, _| {
        match condition(o, "Ready") {
            "True" => "Ready",
            "False" | "Unknown" => "NotReady",
            _ => "Unknown",
        }
        .into()
    }),
    text("Roles", |_, _| "<none>".into()),
    AGE,
    text("Version", |o, _| o["status"]["nodeInfo"]["kubeletVersion"].clone()),
];

static DEPLOYMENT: &[Column] = &[
    NAME,
    text("Ready", |o, _| format!("{}/{}", count(o, "readyReplicas"), o["spec"]["replicas"]).into()),
    integer("Up-to-date", |o, _| count(o, "updatedReplicas").into()),
    integer("Available", |o, _| count(o, "availableReplicas").into()),
    AGE,
    wide("Containers", |o, _| containers(o, "name")),
    wide("Images", |o, _| containers(o, "image")),
    wide("Selector", |o, _| labels(&o["spec"]["selector"]["matchLabels"])),
];

static REPLICA_SET: &[Column] = &[
    NAME,
    integer("Desired", |o, _| o["spec"]["replicas"].clone()),
    integer("Current", |o, _| count(o, "replicas").into()),
    integer("Ready", |o, _| count(o, "readyReplicas").into()),
    AGE,
];

static STATEFUL_SET: &[Column] = &[
    NAME,
    text("Ready", |o, _| format!("{}/{}", count(o, "readyReplicas"), o["spec"]["replicas"]).into()),
    AGE,
];

static AUTOSCALER: &[Column] = &[
    NAME,
    text("Reference", |o, _| {
        let target = &o["spec"]["scaleTargetRef"];
        format!("{}/{}", bare(&target["kind"]), bare(&target["name"])).into()
    }),
    text("Targets", |o, _| autoscaler_targets(o).into()),
    text("MinPods", |o, _| match &o["spec"]["minReplicas"] {
        Value::Null => "<unset>".into(),
        min => min.to_string().into(),
    }),
    integer("MaxPods", |o, _| o["spec"]["maxReplicas"].clone()),
    integer("Replicas", |o, _| count(o, "currentReplicas").into()),
    AGE,
];

static API_SERVICE: &[Column] = &[
    NAME,
    text("Service", |o, _| match &o["spec"]["service"] {
        Value::Null => "Local".into(),
        service => format!("{}/{}", bare(&service["namespace"]), bare(&service["name"])).into(),
    }),
    text("Available", |o, _| {
        let conditions = items(&o["status"]["conditions"]);
        match conditions.iter().find(|c| c["type"] == "Available") {
            None => "Unknown".into(),
            Some(c) if c["status"] == "True" => "True".into(),
            Some(c) => format!("{} ({})", bare(&c["status"]), bare(&c["reason"])).into(),
        }
    }),
    AGE,
];

static LEASE: &[Column] = &[NAME, text("Holder", |o, _| o["spec"]["holderIdentity"].clone()), AGE];

static ENDPOINT_SLICE: &[Column] = &[
    NAME,
    text("AddressType", |o, _| o["addressType"].clone()),
    text("Ports", |o, _| joined(items(&o["ports"]).iter().map(|port| port["port"].to_string()))),
    text("Endpoints", |o, _| {
        let endpoints = items(&o["endpoints"]).iter();
        joined(endpoints.flat_map(|e| items(&e["addresses"])).map(|address| bare(address).to_owned()))
    }),
    AGE,
];

static NETWORK_POLICY: &[Column] =
    &[NAME, text("Pod-Selector", |o, _| labels(&o["spec"]["podSelector"]["matchLabels"])), AGE];

static DISRUPTION_BUDGET: &[Column] = &[
    NAME,
    text("Min Available", |o, _| or_not_applicable(&o["spec"]["minAvailable"])),
    text("Max Unavailable", |o, _| or_not_applicable(&o["spec"]["maxUnavailable"])),
    integer("Allowed Disruptions", |o, _| count(o, "disruptionsAllowed").into()),
    AGE,
];

static PRIORITY_CLASS: &[Column] = &[
    NAME,
    integer("Value", |o, _| o["value"].as_i64().unwrap_or(0).into()),
    Column {
        name: "Global-Default",
        kind: "boolean",
        priority: 0,
        cell: |o, _| (o["globalDefault"] == true).into(),
    },
    AGE,
    text("PreemptionPolicy", |o, _| o["preemptionPolicy"].clone()),
];

static BINDING: &[Column] = &[
    NAME,
    text("Role", |o, _| format!("{}/{}", bare(&o["roleRef"]["kind"]), bare(&o["roleRef"]["name"])).into()),
    AGE,
];

static ROLE: &[Column] = &[NAME, text("Created At", |o, _| o["metadata"]["creationTimestamp"].clone())];

fn pod_status(pod: &Value) -> String {
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return "Terminating".to_owned();
    }
    let states = items(&pod["status"]["containerStatuses"]).iter();
    let mut reasons = states.filter_map(|s| {
        s["state"]["waiting"]["reason"].as_str().or(s["state"]["terminated"]["reason"].as_str())
    });
    let reason = reasons.next_back().or(pod["status"]["reason"].as_str()).or(pod["status"]["phase"].as_str());
    reason.unwrap_or("Unknown").to_owned()
}

/// `CURRENT/TARGET` for each metric, at most two of them.
fn autoscaler_targets(autoscaler: &Value) -> String {
    let current = items(&autoscaler["status"]["currentMetrics"]);
    let describe = |(index, metric): (usize, &Value)| {
        let field = match metric["type"].as_str() {
            Some("Pods") => "pods",
            Some("Object") => "object",
            Some("External") => "external",
            Some("Resource") => "resource",
            Some("ContainerResource") => "containerResource",
            _ => return "<unknown type>".to_owned(),
        };
        let now = current.get(index).map_or(&Value::Null, |status| &status[field]["current"]);
        let target = &metric[field]["target"];
        let or_unknown = |value: &Value| match value {
            Value::Null => "<unknown>".to_owned(),
            value => bare(value).to_owned(),
        };
        let prefix = match field {
            "resource" => format!("{}: ", bare(&metric[field]["name"])),
            "containerResource" => {
                format!("{}/{}: ", bare(&metric[field]["container"]), bare(&metric[field]["name"]))
            }
            _ => String::new(),
        };
        if !target["averageUtilization"].is_null() {
            let now = match &now["averageUtilization"] {
                Value::Null => "<unknown>".to_owned(),
                value => format!("{value}%"),
            };
            return format!("{prefix}{now}/{}%", target["averageUtilization"]);
        }
        if !target["averageValue"].is_null() {
            let suffix = if matches!(field, "object" | "external") { " (avg)" } else { "" };
            return format!(
                "{prefix}{}/{}{suffix}",
                or_unknown(&now["averageValue"]),
                bare(&target["averageValue"])
            );
        }
        format!("{prefix}{}/{}", or_unknown(&now["value"]), bare(&target["value"]))
    };
    let all: Vec<String> = items(&autoscaler["spec"]["metrics"]).iter().enumerate().map(describe).collect();
    match all.as_slice() {
        [] => "<none>".to_owned(),
        [first, second, more @ ..] if !more.is_empty() => {
            format!("{first}, {second} + {} more...", more.len())
        }
        all => all.join(", "),
    }
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn bare(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn or_none(value: &Value) -> Value {
    match value.as_str() {
        None | Some("") => "<none>".into(),
        Some(text) => text.into(),
    }
}

/// A number or a percentage.
fn or_not_applicable(value: &Value) -> Value {
    match value {
        Value::Null => "N/A".into(),
        Value::String(text) => text.as_str().into(),
        number => number.to_string().into(),
    }
}

fn count(object: &Value, field: &str) -> u64 {
    object["status"][field].as_u64().unwrap_or(0)
}

fn size(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    let conditions = items(&object["status"]["conditions"]);
    conditions.iter().find(|c| c["type"] == kind).map_or("", |c| bare(&c["status"]))
}

fn joined(parts: impl Iterator<Item = String>) -> Value {
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { "<none>".into() } else { parts.join(",").into() }
}

fn labels(map: &Value) -> Value {
    joined(map.as_object().into_iter().flatten().map(|(key, value)| format!("{key}={}", bare(value))))
}

fn containers(object: &Value, field: &str) -> Value {
    joined(
        items(&object["spec"]["template"]["spec"]["containers"]).iter().map(|c| bare(&c[field]).to_owned()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::resources::known;
    use serde_json::json;

    #[test]
    fn cells() {
        let check = |group: &str, plural: &str, object: Value, expected: &[&str]| {
            let now = "2026-08-21T11:29:11Z".parse().unwrap();
            let shown = columns(known(group, plural)).iter().filter(|column| column.priority == 0);
            let found: Vec<String> = shown
                .map(|column| match (column.cell)(&object, now) {
                    Value::String(text) => text,
                    other => other.to_string(),
                })
                .collect();
            assert_eq!(found, expected, "{plural}");
        };
        let metadata = json!({"name": "a", "creationTimestamp": "2026-08-21T11:29:01Z"});
        check(
            "",
            "pods",
            json!({"metadata": metadata, "spec": {"containers": [{}, {}]}, "status": {"phase": "Running",
                "containerStatuses": [{"ready": true, "restartCount": 2},
                    {"ready": false, "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}}),
            &["a", "1/2", "CrashLoopBackOff", "3", "10s"],
        );
        check(
            "autoscaling",
            "horizontalpodautoscalers",
            json!({"metadata": metadata,
                "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "minReplicas": 1, "maxReplicas": 9,
                    "metrics": [
                        {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"averageValue": "10"}}},
                        {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 50}}},
                        {"type": "External", "external": {"target": {"value": "3"}}}]},
                "status": {"currentReplicas": 2, "currentMetrics": [
                    {"type": "Pods", "pods": {"current": {"averageValue": "1500m"}}}]}}),
            &["a", "Deployment/d", "1500m/10, cpu: <unknown>/50% + 1 more...", "1", "9", "2", "10s"],
        );
        check(
            "apiregistration.k8s.io",
            "apiservices",
            json!({"metadata": metadata, "spec": {"service": {"namespace": "n", "name": "s"}},
                "status": {"conditions": [{"type": "Available", "status": "False", "reason": "MissingEndpoints"}]}}),
            &["a", "n/s", "False (MissingEndpoints)", "10s"],
        );
        check(
            "",
            "services",
            json!({"metadata": metadata, "spec": {"type": "NodePort", "ports": [
                {"port": 80, "nodePort": 32000, "protocol": "TCP"}]}}),
            &["a", "NodePort", "<none>", "<none>", "80:32000/TCP", "10s"],
        );
        check(
            "policy",
            "poddisruptionbudgets",
            json!({"metadata": metadata, "spec": {"maxUnavailable": 1}}),
            &["a", "N/A", "1", "0", "10s"],
        );
        check(
            "networking.k8s.io",
            "networkpolicies",
            json!({"metadata": metadata, "spec": {"podSelector": {"matchLabels": {"app": "b"}}}}),
            &["a", "app=b", "10s"],
        );
        check(
            "scheduling.k8s.io",
            "priorityclasses",
            json!({"metadata": metadata, "value": 7, "preemptionPolicy": "Never"}),
            &["a", "7", "false", "10s", "Never"],
        );
        check("", "limitranges", json!({"metadata": metadata}), &["a", "10s"]);
    }
}
