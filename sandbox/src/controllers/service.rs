//! Addresses of Services.
//!
//! A real API server gives them out while it stores the Service. Here a controller does, a moment later. An address is
//! chosen by the Service's name, so that one that is deleted and made again has the same: the processes of the sandbox
//! learn a Service's address once, when they start.

use super::{Config, names};
use crate::apiserver::{Key, Part, known};
use crate::local_client::{LocalClient, note, object_at};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

/// One look at every Service.
pub(super) fn sync(client: &LocalClient, config: &Config) -> Option<Duration> {
    let services = client.list(known("", "services"));
    let mut ips = taken_ips(&services);
    let mut ports = taken_ports(&services);
    for (key, service) in &services {
        let wants_ip = wants_ip(service).then(|| free_ip(config, key, &ips)).flatten();
        let wanted = ports_to_fill(service);
        if wants_ip.is_none() && wanted.is_empty() {
            continue;
        }
        let node_ports: Vec<(usize, u16)> = wanted
            .into_iter()
            .filter_map(|index| {
                let port = free_port(config, key, index, &ports)?;
                ports.insert(port);
                Some((index, port))
            })
            .collect();
        ips.extend(wants_ip);
        let written =
            client.update(known("", "services"), key, &service["metadata"]["uid"], Part::Main, |service| {
                let spec = object_at(service, &["spec"]);
                if let Some(ip) = wants_ip {
                    spec.insert("clusterIP".into(), ip.to_string().into());
                    spec.insert("clusterIPs".into(), json!([ip.to_string()]));
                    spec.insert("ipFamilies".into(), json!(["IPv4"]));
                    spec.insert("ipFamilyPolicy".into(), "SingleStack".into());
                    spec.insert("internalTrafficPolicy".into(), "Cluster".into());
                }
                let mut ports = spec.get_mut("ports").and_then(Value::as_array_mut);
                for (index, port) in node_ports {
                    // The array may have shrunk since it was looked at.
                    if let Some(entry) = ports.as_mut().and_then(|ports| ports.get_mut(index)) {
                        object_at(entry, &[]).insert("nodePort".into(), port.into());
                    }
                }
            });
        note("give a service its addresses", written);
    }
    None
}

fn wants_ip(service: &Value) -> bool {
    service["spec"]["type"] != "ExternalName"
        && service["spec"]["clusterIP"].as_str().is_none_or(str::is_empty)
}

/// The positions of the ports that are to have a node port and have none.
fn ports_to_fill(service: &Value) -> Vec<usize> {
    if !matches!(service["spec"]["type"].as_str(), Some("NodePort" | "LoadBalancer")) {
        return Vec::new();
    }
    let ports = service["spec"]["ports"].as_array().into_iter().flatten().enumerate();
    ports.filter(|(_, port)| port["nodePort"].as_u64().unwrap_or(0) == 0).map(|(index, _)| index).collect()
}

fn taken_ips(services: &[(Key, Arc<Value>)]) -> BTreeSet<Ipv4Addr> {
    services.iter().filter_map(|(_, service)| service["spec"]["clusterIP"].as_str()?.parse().ok()).collect()
}

fn taken_ports(services: &[(Key, Arc<Value>)]) -> BTreeSet<u16> {
    let ports =
        services.iter().flat_map(|(_, service)| service["spec"]["ports"].as_array().into_iter().flatten());
    ports.filter_map(|port| u16::try_from(port["nodePort"].as_u64()?).ok()).collect()
}

/// The free address that the name leads to; `None` if none is free.
fn free_ip(config: &Config, key: &Key, taken: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
    let (first, last) = (config.service_ips.start().to_bits(), config.service_ips.end().to_bits());
    let free = |ip: &Ipv4Addr| !taken.contains(ip) && !matches!(ip.octets()[3], 0 | 255);
    around(first, last, names::fnv(&format!("{}/{}", key.namespace, key.name)))
        .map(Ipv4Addr::from_bits)
        .find(free)
}

fn free_port(config: &Config, key: &Key, index: usize, taken: &BTreeSet<u16>) -> Option<u16> {
    let (first, last) = (u32::from(*config.node_ports.start()), u32::from(*config.node_ports.end()));
    around(first, last, names::fnv(&format!("{}/{}#{index}", key.namespace, key.name)))
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| !taken.contains(port))
}

/// Every number from `first` to `last` once, beginning somewhere that `seed` decides.
fn around(first: u32, last: u32, seed: u32) -> impl Iterator<Item = u32> {
    let size = u64::from(last.saturating_sub(first)) + 1;
    (0..size).filter_map(move |step| u32::try_from(u64::from(first) + (u64::from(seed) + step) % size).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_free_inside_the_range_and_follow_the_name() {
        let range = Ipv4Addr::new(127, 1, 2, 0)..=Ipv4Addr::new(127, 1, 2, 4);
        let config = Config { node_ports: 30_000..=30_001, ..Config::new(range) };
        let mut taken = BTreeSet::new();
        let key = Key::new("default", "queue");
        let first = free_ip(&config, &key, &taken).unwrap();
        assert_eq!(free_ip(&config, &key, &taken), Some(first));
        while let Some(ip) = free_ip(&config, &key, &taken) {
            assert!(config.service_ips.contains(&ip) && ip.octets()[3] != 0, "{ip}");
            assert!(taken.insert(ip), "{ip} twice");
        }
        assert_eq!(taken.len(), 4);
        let mut ports = BTreeSet::new();
        while let Some(port) = free_port(&config, &key, 0, &ports) {
            ports.insert(port);
        }
        assert_eq!(ports.into_iter().collect::<Vec<_>>(), [30_000, 30_001]);
    }

    #[test]
    fn what_has_an_address_keeps_it() {
        let check = |spec: Value, ip: bool, ports: &[usize]| {
            let service = json!({"spec": spec});
            assert_eq!((wants_ip(&service), ports_to_fill(&service)), (ip, ports.to_vec()), "{service}");
        };
        check(json!({"type": "ClusterIP", "ports": [{"port": 1}]}), true, &[]);
        check(json!({"type": "ClusterIP", "clusterIP": "None"}), false, &[]);
        check(json!({"type": "ExternalName"}), false, &[]);
        check(
            json!({"type": "NodePort", "clusterIP": "127.0.0.9", "ports": [{"nodePort": 32000}, {}]}),
            false,
            &[1],
        );
    }
}
