//! The environment of a container: the image's, then `envFrom`, then `env`, as a kubelet builds it.
//!
//! Two things are the sandbox's own: Services' names become addresses (see `cluster_dns`), and the variables that tell
//! the program where to listen get the pod's address (see [`Image::listen`](super::Image::listen)). Left out: variables
//! for every Service (`enableServiceLinks`) and `resourceFieldRef`.

use super::cluster_dns;
use super::image::Image;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Where programs are looked up, as most images have it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) type Environment = BTreeMap<String, String>;

/// What values may refer to.
pub(super) struct References<'a> {
    pub(super) pod: &'a Value,
    pub(super) pod_ip: Ipv4Addr,
    pub(super) host_ip: Ipv4Addr,
    /// Looks up an object of the core group: (plural, namespace, name).
    pub(super) get: &'a Lookup<'a>,
}

type Lookup<'a> = dyn Fn(&'static str, &str, &str) -> Option<Arc<Value>> + 'a;

/// Builds the environment; the error says what is missing, for the container's status.
pub(super) fn build(
    container: &Value,
    image: &Image,
    references: &References<'_>,
) -> Result<Environment, String> {
    let mut env = image.env.clone();
    env.entry("PATH".to_owned()).or_insert_with(|| PATH.to_owned());
    env.insert("HOSTNAME".to_owned(), references.text(&["metadata", "name"]));
    for source in items(&container["envFrom"]) {
        references.add_all(source, &mut env)?;
    }
    for variable in items(&container["env"]) {
        let name = variable["name"].as_str().unwrap_or_default();
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(format!("{name:?} is no name of an environment variable"));
        }
        let value = match &variable["valueFrom"] {
            Value::Null => Some(expand(variable["value"].as_str().unwrap_or_default(), &env)),
            source => references.value_from(source)?,
        };
        if let Some(value) = value {
            env.insert(name.to_owned(), value);
        }
    }
    let namespace = references.text(&["metadata", "namespace"]);
    for value in env.values_mut() {
        *value =
            cluster_dns::substitute(value, &namespace, |namespace, name| references.service(namespace, name))
                .map_err(|error| error.to_string())?;
    }
    for (name, default) in &image.listen {
        let value = match env.get(name) {
            Some(given) => instead_of_every_address(given, references.pod_ip),
            None => with_pod_ip(default, references.pod_ip),
        };
        env.insert(name.clone(), value);
    }
    match env.iter().find(|(_, value)| value.contains('\0')) {
        Some((name, _)) => Err(format!("the value of {name} holds a NUL")),
        None => Ok(env),
    }
}

/// Replaces `$(NAME)` by the variable's value; `$$` stands for `$`, and what is not known stays.
pub(super) fn expand(text: &str, env: &Environment) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        let after = &after[1..];
        result.push_str(before);
        rest = after;
        if let Some(escaped) = after.strip_prefix('$') {
            result.push('$');
            rest = escaped;
            continue;
        }
        let name = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        match name {
            Some((name, behind)) => {
                match env.get(name) {
                    Some(value) => result.push_str(value),
                    None => result.push_str(&format!("$({name})")),
                }
                rest = behind;
            }
            None => result.push('$'),
        }
    }
    result.push_str(rest);
    result
}

/// Replaces `$(POD_IP)`.
pub(super) fn with_pod_ip(text: &str, ip: Ipv4Addr) -> String {
    expand(text, &Environment::from([("POD_IP".to_owned(), ip.to_string())]))
}

/// Replaces an address that stands for every address, with or without a port, by the pod's.
fn instead_of_every_address(value: &str, ip: Ipv4Addr) -> String {
    let is_every = |host: &str| host.parse::<IpAddr>().is_ok_and(|host| host.is_unspecified());
    if is_every(value) {
        return ip.to_string();
    }
    match value.rsplit_once(':') {
        // An empty host means every address to many programs.
        Some((host, port)) if host.is_empty() || is_every(host.trim_matches(['[', ']'])) => {
            format!("{ip}:{port}")
        }
        _ => value.to_owned(),
    }
}

// === impl References ===

impl References<'_> {
    fn text(&self, path: &[&str]) -> String {
        path.iter().fold(self.pod, |value, field| &value[*field]).as_str().unwrap_or_default().to_owned()
    }

    fn value_from(&self, source: &Value) -> Result<Option<String>, String> {
        if let Some(path) = source["fieldRef"]["fieldPath"].as_str() {
            return self.field(path).map(Some);
        }
        for (field, plural) in [("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")] {
            let reference = &source[field];
            if reference.is_object() {
                let key = reference["key"].as_str().unwrap_or_default();
                let data = self.data(plural, reference)?;
                return match data.and_then(|mut data| data.remove(key)) {
                    None if reference["optional"] != true => {
                        Err(format!("couldn't find key {key} in {field} {}", reference["name"]))
                    }
                    value => Ok(value),
                };
            }
        }
        Err("the sandbox knows values from fieldRef, configMapKeyRef and secretKeyRef alone".to_owned())
    }

    fn field(&self, path: &str) -> Result<String, String> {
        if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
            let map = map.strip_prefix("metadata.").filter(|map| matches!(*map, "labels" | "annotations"));
            if let Some(map) = map {
                return Ok(self.text(&["metadata", map, key]));
            }
        }
        Ok(match path {
            "metadata.name" => self.text(&["metadata", "name"]),
            "metadata.namespace" => self.text(&["metadata", "namespace"]),
            "metadata.uid" => self.text(&["metadata", "uid"]),
            "spec.nodeName" => self.text(&["spec", "nodeName"]),
            "spec.serviceAccountName" => self.text(&["spec", "serviceAccountName"]),
            "status.podIP" | "status.podIPs" => self.pod_ip.to_string(),
            "status.hostIP" | "status.hostIPs" => self.host_ip.to_string(),
            _ => return Err(format!("the sandbox does not know the field {path:?}")),
        })
    }

    /// Adds all of a ConfigMap or Secret.
    fn add_all(&self, source: &Value, env: &mut Environment) -> Result<(), String> {
        let prefix = source["prefix"].as_str().unwrap_or_default();
        for (field, plural) in [("configMapRef", "configmaps"), ("secretRef", "secrets")] {
            if source[field].is_object() {
                let data = self.data(plural, &source[field])?.unwrap_or_default();
                env.extend(data.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)));
            }
        }
        Ok(())
    }

    /// What a ConfigMap or Secret holds; `None` if it is optional and does not exist.
    fn data(&self, plural: &'static str, reference: &Value) -> Result<Option<Environment>, String> {
        let name = reference["name"].as_str().unwrap_or_default();
        let namespace = self.text(&["metadata", "namespace"]);
        let Some(object) = (self.get)(plural, &namespace, name) else {
            return match reference["optional"] == true {
                true => Ok(None),
                false => Err(format!("{} {name:?} not found", plural.trim_end_matches('s'))),
            };
        };
        let entries = object["data"].as_object().into_iter().flatten();
        let entries = entries.filter_map(|(key, value)| {
            let text = value.as_str()?;
            let text = match plural {
                "secrets" => String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok()?,
                _ => text.to_owned(),
            };
            Some((key.clone(), text))
        });
        Ok(Some(entries.collect()))
    }

    fn service(&self, namespace: &str, name: &str) -> Option<String> {
        let service = (self.get)("services", namespace, name)?;
        let ip = service["spec"]["clusterIP"].as_str()?;
        ip.parse::<IpAddr>().ok().map(|ip| ip.to_string())
    }
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn get(plural: &'static str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let object = match (plural, namespace, name) {
            ("services", "shop", "queue") => json!({"spec": {"clusterIP": "127.9.128.1"}}),
            ("services", "shop", "headless") => json!({"spec": {"clusterIP": "None"}}),
            ("configmaps", "shop", "settings") => json!({"data": {"A": "1", "B": "http://queue"}}),
            ("secrets", "shop", "keys") => json!({"data": {"K": "c2VjcmV0"}}),
            _ => return None,
        };
        Some(Arc::new(object))
    }

    fn built(container: &Value) -> Result<Environment, String> {
        let pod = json!({
            "metadata": {"name": "web-1", "namespace": "shop", "uid": "u", "labels": {"app": "web"}},
            "spec": {"nodeName": "sandbox"},
        });
        let references = References {
            pod: &pod,
            pod_ip: Ipv4Addr::new(127, 9, 1, 1),
            host_ip: Ipv4Addr::new(127, 9, 0, 1),
            get: &get,
        };
        let image =
            Image::new("/bin/shop").listen("ADDRESS", "$(POD_IP)").listen("QUEUE_LISTEN", "$(POD_IP):61613");
        build(container, &image, &references)
    }

    /// What `env` makes of the variable `X`.
    #[track_caller]
    fn check(env: Value, expected: Result<&str, &str>) {
        let found = built(&json!({"env": env})).map(|env| env.get("X").cloned().unwrap_or_default());
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{env}"),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{env}: {found}"),
            (found, expected) => panic!("{env}: {found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn values_come_from_where_the_spec_says() {
        let field = |path: &str| json!([{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}]);
        check(json!([{"name": "X", "value": "a"}]), Ok("a"));
        check(json!([{"name": "X"}]), Ok(""));
        check(
            json!([{"name": "Y", "value": "b"}, {"name": "X", "value": "$(Y)$(HOSTNAME)$(Z)$$(Y)"}]),
            Ok("bweb-1$(Z)$(Y)"),
        );
        check(field("metadata.name"), Ok("web-1"));
        check(field("status.podIP"), Ok("127.9.1.1"));
        check(field("status.hostIP"), Ok("127.9.0.1"));
        check(field("metadata.labels['app']"), Ok("web"));
        check(field("metadata.labels['none']"), Ok(""));
        check(field("spec.hostname"), Err("spec.hostname"));
        check(json!([{"name": "X", "value": "stomp://queue:61613"}]), Ok("stomp://127.9.128.1:61613"));
        check(json!([{"name": "X", "value": "http://headless"}]), Err("\"headless\""));
        check(json!([{"name": "X", "value": "http://nobody"}]), Err("\"nobody\""));
        let map = |name: &str, key: &str, optional: bool| {
            let reference = json!({"name": name, "key": key, "optional": optional});
            json!([{"name": "X", "valueFrom": {"configMapKeyRef": reference}}])
        };
        check(map("settings", "A", false), Ok("1"));
        check(map("settings", "none", false), Err("couldn't find key none"));
        check(map("settings", "none", true), Ok(""));
        check(map("none", "A", false), Err("configmap \"none\" not found"));
        check(map("none", "A", true), Ok(""));
        check(
            json!([{"name": "X", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "K"}}}]),
            Ok("secret"),
        );
        check(json!([{"name": "X", "valueFrom": {"resourceFieldRef": {}}}]), Err("fieldRef"));
        check(json!([{"name": "X=", "value": ""}]), Err("\"X=\""));
        check(json!([{"name": "X", "value": "a\0"}]), Err("NUL"));
    }

    #[test]
    fn whole_maps_can_be_taken_over_with_a_prefix() {
        let env = built(&json!({"envFrom": [
            {"configMapRef": {"name": "settings"}},
            {"secretRef": {"name": "keys"}, "prefix": "S_"},
            {"secretRef": {"name": "none", "optional": true}},
        ]}));
        let env = env.unwrap();
        assert_eq!((&*env["A"], &*env["B"], &*env["S_K"]), ("1", "http://127.9.128.1", "secret"));
        assert!(built(&json!({"envFrom": [{"secretRef": {"name": "none"}}]})).is_err());
    }

    #[test]
    fn every_container_knows_its_name_and_where_to_listen() {
        let env = built(&json!({"env": [{"name": "QUEUE_LISTEN", "value": "0.0.0.0:1"}]})).unwrap();
        assert_eq!((&*env["HOSTNAME"], &*env["PATH"]), ("web-1", PATH));
        assert_eq!((&*env["ADDRESS"], &*env["QUEUE_LISTEN"]), ("127.9.1.1", "127.9.1.1:1"));
        assert_eq!(built(&json!({})).unwrap()["QUEUE_LISTEN"], "127.9.1.1:61613");
    }

    #[test]
    fn only_every_address_becomes_the_pods() {
        let check = |value: &str, expected: &str| {
            assert_eq!(instead_of_every_address(value, Ipv4Addr::new(127, 1, 2, 3)), expected, "{value}");
        };
        check("0.0.0.0", "127.1.2.3");
        check("::", "127.1.2.3");
        check("0.0.0.0:80", "127.1.2.3:80");
        check("[::]:80", "127.1.2.3:80");
        check(":80", "127.1.2.3:80");
        check("127.0.0.1:80", "127.0.0.1:80");
        check("localhost:80", "localhost:80");
        check("", "");
    }
}
