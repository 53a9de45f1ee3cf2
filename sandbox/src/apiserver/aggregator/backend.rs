//! Where an APIService's server is and how to recognise it.

use super::{Aggregator, State};
use crate::apiserver::Core;
use crate::apiserver::resources::known;
use crate::apiserver::store::Key;
use crate::client::{Client, ClientConfig};
use crate::kubeconfig::Credential;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};

/// A server behind an APIService.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Backend {
    address: SocketAddr,
    server_name: String,
    /// What its certificate is verified against; `None` verifies nothing.
    ca_pem: Option<String>,
}

/// Why an APIService is not available: the condition's reason and message.
#[derive(Debug, PartialEq)]
pub(super) struct Unavailable {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

// === impl Unavailable ===

impl Unavailable {
    pub(super) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl Aggregator {
    /// A client of the server behind an APIService, with the checks that kube-aggregator makes on the way.
    pub(super) fn client(&self, core: &Core, spec: &Value) -> Result<Client, Unavailable> {
        let backend = resolve(core, &self.lock(), spec)?;
        if let Some(client) = self.lock().clients.get(&backend) {
            return Ok(client.clone());
        }
        let config = ClientConfig {
            address: backend.address,
            server_name: backend.server_name.clone(),
            ca_pem: backend.ca_pem.clone(),
            credential: Credential::ClientCertificate(self.identity.clone()),
            max_response_bytes: core.config.max_backend_document_bytes,
        };
        let client = Client::new(&config)
            .map_err(|error| Unavailable::new("FailedDiscoveryCheck", error.to_string()))?;
        // Two that came at once make two; the later stays.
        self.lock().clients.insert(backend, client.clone());
        Ok(client)
    }
}

fn resolve(core: &Core, state: &State, spec: &Value) -> Result<Backend, Unavailable> {
    let service = &spec["service"];
    let (namespace, name) = (text(&service["namespace"]), text(&service["name"]));
    let port = service["port"].as_u64().unwrap_or(443);
    let address = match state.routes.get(&(namespace.to_owned(), name.to_owned())) {
        Some(address) => *address,
        None => endpoint(core, namespace, name, port)?,
    };
    let ca_pem = if spec["insecureSkipTLSVerify"] == true {
        None
    } else {
        let bundle =
            BASE64_STANDARD.decode(text(&spec["caBundle"])).ok().and_then(|b| String::from_utf8(b).ok());
        let bundle = bundle
            .ok_or_else(|| Unavailable::new("FailedDiscoveryCheck", "caBundle is not base64 of PEM"))?;
        Some(bundle)
    };
    Ok(Backend { address, server_name: format!("{name}.{namespace}.svc"), ca_pem })
}

/// A ready endpoint of a Service.
fn endpoint(core: &Core, namespace: &str, name: &str, port: u64) -> Result<SocketAddr, Unavailable> {
    let store = &core.registry.store;
    let full = format!("{namespace}/{name}");
    let service = store.get(known("", "services"), &Key::new(namespace, name)).ok_or_else(|| {
        Unavailable::new("ServiceNotFound", format!("service/{name} in {namespace:?} is not present"))
    })?;
    let ports = service["spec"]["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    let service_port = ports.iter().find(|p| p["port"].as_u64() == Some(port)).ok_or_else(|| {
        let message = format!("service/{name} in {namespace:?} is not listening on port {port}");
        Unavailable::new("ServicePortError", message)
    })?;
    let port_name = text(&service_port["name"]);
    let slices = store.list(known("discovery.k8s.io", "endpointslices")).objects;
    let of_service = |(key, slice): &&(Key, std::sync::Arc<Value>)| {
        key.namespace == namespace && slice["metadata"]["labels"]["kubernetes.io/service-name"] == name
    };
    let mut slices = slices.iter().filter(of_service).map(|(_, slice)| slice).peekable();
    if slices.peek().is_none() {
        let message = format!("cannot find endpointslices for service/{name} in {namespace:?}");
        return Err(Unavailable::new("EndpointsNotFound", message));
    }
    slices.find_map(|slice| ready_address(slice, port_name)).ok_or_else(|| {
        let message = format!("endpoints for service/{full} have no addresses with port name {port_name:?}");
        Unavailable::new("MissingEndpoints", message)
    })
}

fn ready_address(slice: &Value, port_name: &str) -> Option<SocketAddr> {
    let port = slice["ports"].as_array()?.iter().find(|port| text(&port["name"]) == port_name)?;
    let port = u16::try_from(port["port"].as_u64()?).ok()?;
    // An absent condition means that it is not known to be unready.
    let ready =
        slice["endpoints"].as_array()?.iter().filter(|endpoint| endpoint["conditions"]["ready"] != false);
    let mut addresses = ready.flat_map(|endpoint| endpoint["addresses"].as_array().into_iter().flatten());
    addresses.find_map(|address| Some(SocketAddr::new(address.as_str()?.parse::<IpAddr>().ok()?, port)))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_endpoint_must_be_ready_and_name_the_port() {
        let check = |endpoints: Value, port_name: &str, expected: Option<&str>| {
            let slice = json!({"ports": [{"name": "https", "port": 6443}], "endpoints": endpoints});
            assert_eq!(
                ready_address(&slice, port_name).map(|a| a.to_string()).as_deref(),
                expected,
                "{slice}"
            );
        };
        check(json!([{"addresses": ["10.0.0.1"]}]), "https", Some("10.0.0.1:6443"));
        check(json!([{"addresses": ["10.0.0.1"]}]), "", None);
        let mixed =
            json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": false}}, {"addresses": ["fd00::1"]}]);
        check(mixed, "https", Some("[fd00::1]:6443"));
        check(json!([]), "https", None);
        check(json!(null), "https", None);
    }
}
