//! What a pod's spec asks the node to do, read once.
//!
//! What the sandbox cannot honour is an error that stands in the container's status: better a container that says why it
//! waits than one that runs without what it needs. Resources, security contexts and `emptyDir` volumes are passed over.

use super::probe::Probe;
use crate::local_client::seconds;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// A pod's spec.
#[derive(Debug)]
pub(super) struct PodSpec {
    pub(super) containers: Vec<Container>,
    pub(super) restart: RestartPolicy,
    /// How long containers may take to end after SIGTERM. Default 30 s.
    pub(super) grace: Duration,
}

/// A container of a pod's spec.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    /// The container as it was sent.
    pub(super) spec: Value,
    /// What to run, or why it cannot be.
    pub(super) plan: Result<Plan, String>,
}

/// What belongs to running a container.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) command: Vec<String>,
    pub(super) args: Vec<String>,
    pub(super) readiness: Option<Probe>,
    pub(super) liveness: Option<Probe>,
    pub(super) startup: Option<Probe>,
}

/// Which containers are started again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

// === impl PodSpec ===

impl PodSpec {
    pub(super) fn parse(pod: &Value) -> Self {
        let spec = &pod["spec"];
        let restart = match spec["restartPolicy"].as_str() {
            Some("Never") => RestartPolicy::Never,
            Some("OnFailure") => RestartPolicy::OnFailure,
            _ => RestartPolicy::Always,
        };
        let containers = items(&spec["containers"]).iter().map(|container| Container::parse(spec, container));
        Self {
            containers: containers.collect(),
            restart,
            grace: seconds(spec["terminationGracePeriodSeconds"].as_u64().unwrap_or(30)),
        }
    }
}

// === impl Container ===

impl Container {
    fn parse(pod: &Value, container: &Value) -> Self {
        let text = |field: &str| container[field].as_str().unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            image: text("image"),
            spec: container.clone(),
            plan: Plan::parse(pod, container),
        }
    }
}

// === impl Plan ===

impl Plan {
    fn parse(pod: &Value, container: &Value) -> Result<Self, String> {
        // The name becomes part of a path.
        let name = container["name"].as_str().unwrap_or_default();
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 63 || !name.chars().all(legal) {
            return Err(format!("{name:?} is no name of a container"));
        }
        if !items(&pod["initContainers"]).is_empty() {
            return Err("the sandbox runs no init containers".to_owned());
        }
        if !container["lifecycle"].is_null() {
            return Err("the sandbox runs no lifecycle hooks".to_owned());
        }
        for mount in items(&container["volumeMounts"]) {
            let mut volumes = items(&pod["volumes"]).iter();
            let volume = volumes.find(|volume| volume["name"] == mount["name"]);
            if volume.is_none_or(|volume| !volume["emptyDir"].is_object()) {
                return Err(format!("the sandbox mounts no volume such as {}", mount["name"]));
            }
        }
        let ports = items(&container["ports"]).iter().filter_map(|port| {
            let number = u16::try_from(port["containerPort"].as_u64()?).ok()?;
            Some((port["name"].as_str()?.to_owned(), number))
        });
        let ports: BTreeMap<String, u16> = ports.collect();
        let probe = |field: &str| {
            Probe::parse(&container[field], &ports).map_err(|error| format!("{field}: {error}"))
        };
        Ok(Self {
            command: words(&container["command"]),
            args: words(&container["args"]),
            readiness: probe("readinessProbe")?,
            liveness: probe("livenessProbe")?,
            startup: probe("startupProbe")?,
        })
    }
}

// === impl RestartPolicy ===

impl RestartPolicy {
    /// Whether a container that ended with this code is started again.
    pub(super) fn restarts(self, code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => code != 0,
            Self::Never => false,
        }
    }
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn words(list: &Value) -> Vec<String> {
    items(list).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_cannot_be_honoured_is_said() {
        let check = |pod: Value, container: Value, expected: Result<(), &str>| {
            let mut spec = pod;
            spec["containers"] = json!([container]);
            let pod = PodSpec::parse(&json!({"spec": spec}));
            match (&pod.containers[0].plan, expected) {
                (Ok(_), Ok(())) => {}
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, expected) => panic!("{found:?} instead of {expected:?}"),
            }
        };
        check(json!({}), json!({"name": "web-1"}), Ok(()));
        check(json!({}), json!({"name": "../web"}), Err("../web"));
        check(json!({}), json!({}), Err("no name"));
        check(json!({"initContainers": [{"name": "a"}]}), json!({"name": "a"}), Err("init"));
        check(json!({}), json!({"name": "a", "lifecycle": {"preStop": {}}}), Err("lifecycle"));
        check(json!({}), json!({"name": "a", "livenessProbe": {"exec": {}}}), Err("livenessProbe"));
        let mount = json!({"name": "a", "volumeMounts": [{"name": "v", "mountPath": "/v"}]});
        check(json!({"volumes": [{"name": "v", "emptyDir": {}}]}), mount.clone(), Ok(()));
        check(json!({"volumes": [{"name": "v", "configMap": {}}]}), mount.clone(), Err("\"v\""));
        check(json!({}), mount, Err("\"v\""));
    }

    #[test]
    fn the_policy_decides_by_the_exit_code() {
        let check = |policy: &str, expected: [bool; 2]| {
            let pod = PodSpec::parse(&json!({"spec": {"restartPolicy": policy}}));
            assert_eq!([0, 1].map(|code| pod.restart.restarts(code)), expected, "{policy}");
        };
        check("Always", [true, true]);
        check("OnFailure", [false, true]);
        check("Never", [false, false]);
    }
}
