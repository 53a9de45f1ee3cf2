//! Which pods are scraped, and where.
//!
//! The rules are those that users of Prometheus know from its Kubernetes pod jobs. A pod is scraped when it carries
//! `prometheus.io/scrape: "true"`, runs, is not terminating and has an address that may be asked:
//!
//! | annotation | meaning | default |
//! |---|---|---|
//! | `prometheus.io/port` | the one port to ask | every declared TCP port, each on its own |
//! | `prometheus.io/path` | the page's path, with its query if it has one | `/metrics` |
//! | `prometheus.io/scheme` | `http` or `https` | `http` |
//!
//! Everything else is a [`WhyNot`] whose text says what to change.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::uri::PathAndQuery;
use podgauge_store::{Endpoint, Scheme, WhyNot};

use crate::{config::flag, pod::Facts, text::quoted};

/// What the operator allows.
#[derive(Clone, Debug)]
pub(crate) struct TargetRules {
    /// Pods that share their node's network are scraped.
    pub(crate) allow_node_addresses: bool,
    /// Pods on loopback addresses are scraped.
    pub(crate) allow_loopback: bool,
    /// The most targets of one pod.
    pub(crate) targets_per_pod: usize,
}

/// Services of clouds for their machines that are not link-local: who asks them is told the machine's secrets. No pod
/// has such an address; that the kubelet alone sets a pod's address is no reason to rely on it.
const METADATA: [(IpAddr, &str); 5] = [
    (IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), "the metadata service of AWS"),
    (IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)), "the credential service of AWS"),
    (IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)), "the metadata service of Google Cloud"),
    (IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), "the metadata service of Alibaba Cloud"),
    (IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)), "the host service of Azure"),
];

/// Bytes of a path and its query. Longer ones are some mistake.
const PATH_BYTES: usize = 1024;

// === impl TargetRules ===

impl TargetRules {
    /// Where a pod is scraped.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) fn endpoints(&self, pod: &Facts) -> Result<Vec<Endpoint>, WhyNot> {
        match pod.annotations.scrape.as_deref() {
            Some("true") => {}
            None | Some("false") => return Err(WhyNot::NotAnnotated),
            Some(other) => return Err(bad("scrape", other, "set it to \"true\"")),
        }
        if pod.is_terminating {
            return Err(WhyNot::Terminating);
        }
        if pod.phase.as_deref() != Some("Running") {
            return Err(WhyNot::Phase(pod.phase.as_deref().unwrap_or("unknown").into()));
        }
        let ip = pod.ip.as_deref().filter(|ip| !ip.is_empty()).ok_or(WhyNot::NoAddress)?;
        let address = ip.parse().map_err(|_| {
            let what = format!("its address (status.podIP) is {}, which is no IP address", quoted(ip));
            WhyNot::ForbiddenAddress(what.into())
        })?;
        self.check_address(address, pod).map_err(|what| WhyNot::ForbiddenAddress(what.into()))?;
        let scheme = scheme(pod.annotations.scheme.as_deref())?;
        let path = path(pod.annotations.path.as_deref())?;
        let endpoint = |port| Endpoint { scheme, address, port, path: path.clone() };
        match pod.annotations.port.as_deref() {
            Some(text) => match text.parse() {
                Ok(port) if port > 0 => Ok(vec![endpoint(port)]),
                _ => Err(bad("port", text, "set it to a number from 1 to 65535")),
            },
            None if pod.tcp_ports.is_empty() => Err(WhyNot::NoPort),
            None if pod.tcp_ports.len() > self.targets_per_pod => Err(WhyNot::BadAnnotation(
                format!(
                    "it declares {} TCP ports, more than {} ({}); set the annotation prometheus.io/port to the one to scrape",
                    pod.tcp_ports.len(),
                    self.targets_per_pod,
                    flag::TARGETS_PER_POD
                )
                .into(),
            )),
            None => Ok(pod.tcp_ports.iter().copied().map(endpoint).collect()),
        }
    }

    /// Keeps scrapes away from everything that is not the pod's own: what may patch a pod shall not be able to make
    /// us ask the node, the cloud's metadata service or ourselves.
    fn check_address(&self, address: IpAddr, pod: &Facts) -> Result<(), String> {
        let plain = plain(address);
        let refuse = |what| Err(format!("its address {address} is {what}, which is never scraped"));
        let unless =
            |what, flag| Err(format!("its address {address} is {what}, which is scraped only with {flag}"));
        if pod.has_host_network && !self.allow_node_addresses {
            return unless("its node's (hostNetwork)", flag::ALLOW_NODE_ADDRESSES);
        }
        if plain.is_loopback() {
            return if self.allow_loopback { Ok(()) } else { unless("loopback", flag::ALLOW_LOOPBACK) };
        }
        if plain.is_unspecified() {
            return refuse("unspecified");
        }
        if plain.is_multicast() {
            return refuse("multicast");
        }
        if let Some((_, whose)) = METADATA.iter().find(|(metadata, _)| *metadata == plain) {
            return refuse(whose);
        }
        match plain {
            IpAddr::V4(v4) if v4.is_link_local() => return refuse("link-local"),
            IpAddr::V6(v6) if v6.is_unicast_link_local() => return refuse("link-local"),
            IpAddr::V4(v4) if v4.is_broadcast() => return refuse("broadcast"),
            IpAddr::V4(v4) if v4.octets().first() == Some(&0) => return refuse("of this host"),
            _ => {}
        }
        let host = pod.host_ip.as_deref().and_then(|ip| ip.parse().ok()).map(self::plain);
        let is_nodes = host == Some(plain);
        if is_nodes && !self.allow_node_addresses {
            return unless("its node's (hostNetwork)", flag::ALLOW_NODE_ADDRESSES);
        }
        Ok(())
    }
}

/// The IPv4 address that an IPv6 address stands for, so that it is judged as what it leads to; any other address as it
/// is.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let stands_for = match v6.segments() {
        // Not compatible addresses, but unspecified and loopback.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // IPv4-compatible (RFC 4291, 2.5.5.1), IPv4-mapped (2.5.5.2), and NAT64 (RFC 6052, 2.1).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some((high, low)),
        _ => None,
    };
    stands_for
        .map_or(address, |(high, low)| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into())
}

fn scheme(annotation: Option<&str>) -> Result<Scheme, WhyNot> {
    match annotation {
        None | Some("http") => Ok(Scheme::Http),
        Some("https") => Ok(Scheme::Https),
        Some(other) => Err(bad("scheme", other, "set it to \"http\" or \"https\"")),
    }
}

/// A missing slash in front is forgiven, as in Prometheus.
fn path(annotation: Option<&str>) -> Result<Box<str>, WhyNot> {
    let Some(text) = annotation else { return Ok("/metrics".into()) };
    if text.contains("://") {
        return Err(bad("path", text, "set it to a path such as \"/metrics\", not to a URL"));
    }
    let path = if text.starts_with('/') { text.to_owned() } else { format!("/{text}") };
    // What the HTTP library takes for a fragment it drops silently; a request for another page than written would be
    // a riddle.
    let is_clean = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if path.len() > PATH_BYTES || !is_clean || path.parse::<PathAndQuery>().is_err() {
        return Err(bad("path", text, "set it to a path such as \"/metrics\", percent-encoded where needed"));
    }
    Ok(path.into())
}

fn bad(annotation: &str, value: &str, advice: &str) -> WhyNot {
    WhyNot::BadAnnotation(
        format!("its annotation prometheus.io/{annotation} is {}; {advice}", quoted(value)).into(),
    )
}

#[cfg(test)]
mod tests;
