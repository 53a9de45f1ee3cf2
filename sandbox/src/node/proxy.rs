//! The way to Services: a listener for each port of a cluster IP and each node port, and copying bytes from there to a
//! ready endpoint.
//!
//! Endpoints take turns, connection by connection. What it promises: only ready endpoints are used, or, where there is
//! none, those that are ending and still serve. What differs from a cluster: the endpoint sees a connection from the
//! machine rather than from the client; without endpoints a connection is opened and reset rather than refused; UDP and
//! session affinity are left out; ports below 1024 need the right to bind them.

use super::Shared;
use crate::apiserver::{Key, known};
use crate::local_client::{EventKind, LocalClient};
use serde_json::Value;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Target {
    service: Key,
    /// The port's name, by which EndpointSlices know it; empty for the only port of a Service.
    port: String,
}

/// All listeners. Dropping it closes them and every connection.
pub(super) struct Proxy {
    shared: Arc<Shared>,
    connections: Arc<Semaphore>,
    listeners: HashMap<(SocketAddr, Target), AbortHandle>,
    tasks: JoinSet<()>,
}

// === impl Proxy ===

impl Proxy {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let connections = Arc::new(Semaphore::new(shared.config.max_proxied_connections));
        Self { shared, connections, listeners: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Opens and closes listeners so that there is one for each port of each Service.
    pub(super) fn sync(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        let mut wanted = HashMap::new();
        for (key, service) in self.shared.client.list(known("", "services")) {
            for address in addresses(&self.shared, &service) {
                let (address, port) = address;
                wanted
                    .entry((address, Target { service: key.clone(), port }))
                    .or_insert_with(|| service.clone());
            }
        }
        self.listeners.retain(|listener, task| {
            let keep = wanted.contains_key(listener);
            if !keep {
                task.abort();
            }
            keep
        });
        for (listener, service) in wanted {
            if !self.listeners.contains_key(&listener) {
                let (address, target) = listener.clone();
                let (shared, connections) = (self.shared.clone(), self.connections.clone());
                let task = self.tasks.spawn(listen(shared, connections, address, target, service));
                self.listeners.insert(listener, task);
            }
        }
    }

    /// Closes everything and waits until it is closed.
    pub(super) async fn close(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Where the ports of a Service are served, each with its name.
fn addresses(shared: &Shared, service: &Value) -> Vec<(SocketAddr, String)> {
    let spec = &service["spec"];
    // An address that somebody else chose may be anywhere, and is not ours to listen on.
    let ip = spec["clusterIP"].as_str().and_then(|ip| ip.parse::<Ipv4Addr>().ok());
    let ip = ip.filter(|ip| shared.network.has_service_ip(*ip));
    let mut found = Vec::new();
    for port in spec["ports"].as_array().into_iter().flatten().filter(|port| port["protocol"] == "TCP") {
        let name = port["name"].as_str().unwrap_or_default();
        let number = |field: &str| port[field].as_u64().and_then(|number| u16::try_from(number).ok());
        if let (Some(ip), Some(number)) = (ip, number("port")) {
            found.push((SocketAddr::from((ip, number)), name.to_owned()));
        }
        if let Some(number) = number("nodePort").filter(|number| *number > 0) {
            let own = IpAddr::V4(shared.network.node_ip());
            let ips = shared.config.node_port_ips.iter().copied().chain([own]);
            found.extend(ips.map(|ip| (SocketAddr::new(ip, number), name.to_owned())));
        }
    }
    found
}

/// Serves one address until the task is aborted.
async fn listen(
    shared: Arc<Shared>,
    connections: Arc<Semaphore>,
    address: SocketAddr,
    target: Target,
    service: Arc<Value>,
) {
    let mut told = false;
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    let message = format!("cannot listen on {address}: {error}; trying on");
                    tracing::warn!(service = %target.service.name, "{message}");
                    let kind = EventKind::Warning;
                    shared.client.record("kube-proxy", &service, "", kind, "FailedListen", &message);
                }
            }
        }
        tokio::time::sleep(shared.config.listen_retry).await;
    };
    let mut open = JoinSet::new();
    for turn in 0_usize.. {
        while open.try_join_next().is_some() {}
        let client = match listener.accept().await {
            Ok((client, _)) => client,
            Err(error) => {
                tracing::debug!(%error, %address, "cannot accept a connection");
                tokio::time::sleep(shared.config.listen_retry).await;
                continue;
            }
        };
        // Beyond the limit one client of each port waits here, and all others wait to be accepted.
        let Ok(permit) = connections.clone().acquire_owned().await else { return };
        let (shared, target) = (shared.clone(), target.clone());
        open.spawn(async move {
            serve(&shared, &target, turn, client).await;
            drop(permit);
        });
    }
}

/// Connects a client with an endpoint, and copies until both have ended.
async fn serve(shared: &Shared, target: &Target, turn: usize, mut client: TcpStream) {
    let mut endpoints = endpoints(&shared.client, target);
    let turn = turn.checked_rem(endpoints.len()).unwrap_or(0);
    endpoints.rotate_left(turn);
    // An endpoint that has just gone is passed over.
    for endpoint in endpoints {
        let connect = TcpStream::connect(endpoint);
        let Ok(Ok(mut server)) = tokio::time::timeout(shared.config.proxy_connect_timeout, connect).await
        else {
            continue;
        };
        // Either side may break off at any time; that is between the two of them.
        let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        return;
    }
    // Closing with a reset tells a client more than an orderly end without an answer.
    let _ = client.set_zero_linger();
}

/// The endpoints to use for a port of a Service, in a stable order.
fn endpoints(client: &LocalClient, target: &Target) -> Vec<SocketAddr> {
    let slices = client.list(known("discovery.k8s.io", "endpointslices"));
    let own = slices.iter().filter(|(key, slice)| {
        key.namespace == target.service.namespace
            && slice["metadata"]["labels"]["kubernetes.io/service-name"] == target.service.name
    });
    usable(own.map(|(_, slice)| &**slice), &target.port)
}

fn usable<'a>(slices: impl Iterator<Item = &'a Value>, port_name: &str) -> Vec<SocketAddr> {
    let (mut ready, mut ending) = (Vec::new(), Vec::new());
    for slice in slices {
        let mut ports = slice["ports"].as_array().into_iter().flatten();
        let port = ports.find(|port| port["name"].as_str().unwrap_or_default() == port_name);
        let Some(port) = port.and_then(|port| u16::try_from(port["port"].as_u64()?).ok()) else { continue };
        for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
            let conditions = &endpoint["conditions"];
            let kind = if conditions["ready"] != false {
                &mut ready
            } else if conditions["serving"] == true && conditions["terminating"] == true {
                &mut ending
            } else {
                continue;
            };
            let ips = endpoint["addresses"].as_array().into_iter().flatten();
            let ips = ips.filter_map(|ip| ip.as_str()?.parse::<IpAddr>().ok());
            kind.extend(ips.map(|ip| SocketAddr::new(ip, port)));
        }
    }
    let mut found = if ready.is_empty() { ending } else { ready };
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ready_endpoints_are_used_and_ending_ones_only_without_any() {
        let endpoint = |ip: &str, ready: bool, serving: bool, terminating: bool| {
            json!({"addresses": [ip],
                "conditions": {"ready": ready, "serving": serving, "terminating": terminating}})
        };
        let check = |port: &str, endpoints: Vec<Value>, expected: &[&str]| {
            let slice =
                json!({"ports": [{"name": "http", "port": 80}, {"port": 81}], "endpoints": endpoints});
            let found = usable([&slice].into_iter(), port);
            let expected: Vec<SocketAddr> = expected.iter().map(|address| address.parse().unwrap()).collect();
            assert_eq!(found, expected, "{port} {slice}");
        };
        let (ready, ready_too) =
            (endpoint("127.0.0.2", true, true, false), endpoint("127.0.0.1", true, true, false));
        let ending = endpoint("127.0.0.3", false, true, true);
        let unready = endpoint("127.0.0.4", false, false, false);
        let over = endpoint("127.0.0.5", false, false, true);
        let all = vec![ready, ready_too, ending.clone(), unready.clone(), over.clone()];
        check("http", all.clone(), &["127.0.0.1:80", "127.0.0.2:80"]);
        check("", all.clone(), &["127.0.0.1:81", "127.0.0.2:81"]);
        check("other", all, &[]);
        check("http", vec![ending, unready.clone(), over.clone()], &["127.0.0.3:80"]);
        check("http", vec![unready, over], &[]);
        // A condition that nobody set counts as true, as the API has it.
        check("http", vec![json!({"addresses": ["127.0.0.9"]})], &["127.0.0.9:80"]);
        check("http", vec![json!({"addresses": ["no address"]}), json!(null)], &[]);
    }
}
