//! Which pods are scraped, and where.
//!
//! A pod is scraped when something asks for it ([`Ask`]: its annotations, or what selects it), it runs, is not terminating
//! and has an address that may be asked. Whatever asks, a scrape goes to the pod's own address.
//!
//! Everything else is a [`WhyNot`] whose text says what to change.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use podgauge_store::{Endpoint, WhyNot};

use crate::{ask::Ask, config::flag, pod::Facts, terms::Terms, text::quoted};

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

/// A page to scrape, and its terms if they are its own.
pub(crate) type Place = (Endpoint, Option<Arc<Terms>>);

// === impl TargetRules ===

impl TargetRules {
    /// Where a pod is scraped, by all that asks for it. What comes first wins where two ask for the same page; what cannot be
    /// used costs itself alone.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) fn endpoints(
        &self,
        pod: &Facts,
        asks: Vec<Result<Ask, WhyNot>>,
    ) -> Result<Vec<Place>, WhyNot> {
        if asks.is_empty() {
            return Err(WhyNot::NotAnnotated);
        }
        let address = self.address(pod)?;
        let mut places: Vec<Place> = Vec::new();
        let mut unusable = None;
        for ask in asks {
            let ask = match ask {
                Ok(ask) => ask,
                Err(why) => {
                    unusable.get_or_insert(why);
                    continue;
                }
            };
            for port in ask.ports {
                // The same page in another scheme is the same page.
                let is_same = |(known, _): &Place| known.port == port && known.path == ask.path;
                if places.iter().any(is_same) {
                    continue;
                }
                if places.len() == self.targets_per_pod {
                    return Err(self.too_many());
                }
                let terms = ask.terms.as_ref().map_or(0, |terms| terms.id());
                let endpoint = Endpoint { scheme: ask.scheme, address, port, path: ask.path.clone(), terms };
                places.push((endpoint, ask.terms.clone()));
            }
        }
        if places.is_empty() { Err(unusable.unwrap_or(WhyNot::NoPort)) } else { Ok(places) }
    }

    fn too_many(&self) -> WhyNot {
        let what = format!(
            "there are more than {} ports to scrape ({}); set the annotation prometheus.io/port to the one to scrape",
            self.targets_per_pod,
            flag::TARGETS_PER_POD
        );
        WhyNot::BadAnnotation(what.into())
    }

    /// The address of a pod that runs.
    fn address(&self, pod: &Facts) -> Result<IpAddr, WhyNot> {
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
        Ok(address)
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

#[cfg(test)]
mod tests;
