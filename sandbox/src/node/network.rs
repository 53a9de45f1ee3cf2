//! Addresses of the node, its pods and the Services: one `127.N.0.0/16` of the machine's loopback network.
//!
//! Linux answers on all of 127.0.0.0/8 without any set-up, so that each pod has an address of its own and may listen on
//! the port that its manifest names. Sandboxes on one machine keep apart by taking different blocks: who has bound the
//! claim port of `127.N.0.1` has the block, until its process ends.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpSocket;

/// A block of addresses that is ours.
#[derive(Debug)]
pub(super) struct Network {
    block: u8,
    pods: Arc<Mutex<Pods>>,
    /// Bound, and never listening: it keeps others from binding, and refuses who connects.
    _claim: TcpSocket,
}

/// An address of a pod, free again when dropped.
#[derive(Debug)]
pub(super) struct PodIp {
    ip: Ipv4Addr,
    pods: Arc<Mutex<Pods>>,
}

#[derive(Debug, Default)]
struct Pods {
    taken: BTreeSet<u32>,
    /// How many addresses were given out. The next one follows the last, so that an address rests before it comes again.
    given: u32,
}

/// No block of addresses could be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "no free block of loopback addresses from 127.{first}.0.1 to 127.{last}.0.1 (claimed by binding port {port}): {error}; \
     end another sandbox or set another claim_port in the node's Config"
)]
pub struct ClaimError {
    first: u8,
    last: u8,
    port: u16,
    error: io::Error,
}

/// Pods have `127.N.1.0` to `127.N.127.255`.
const POD_IPS: RangeInclusive<u32> = 0x0100..=0x7fff;
/// Services have `127.N.128.0` to `127.N.255.255`.
const SERVICE_IPS: RangeInclusive<u32> = 0x8000..=0xffff;

// === impl Network ===

impl Network {
    /// Takes the first of `blocks` that nobody has.
    pub(super) fn claim(blocks: &RangeInclusive<u8>, port: u16) -> Result<Self, ClaimError> {
        let mut last_error = io::Error::other("no block was allowed");
        for block in blocks.clone() {
            match bind(SocketAddr::from((Ipv4Addr::new(127, block, 0, 1), port))) {
                Ok(claim) => return Ok(Self { block, pods: Arc::default(), _claim: claim }),
                Err(error) => last_error = error,
            }
        }
        Err(ClaimError { first: *blocks.start(), last: *blocks.end(), port, error: last_error })
    }

    /// The node's own address.
    pub(super) fn node_ip(&self) -> Ipv4Addr {
        self.address(1)
    }

    /// The addresses for Services.
    pub(super) fn service_ips(&self) -> RangeInclusive<Ipv4Addr> {
        self.address(*SERVICE_IPS.start())..=self.address(*SERVICE_IPS.end())
    }

    /// Whether `ip` is one of the addresses for Services.
    pub(super) fn has_service_ip(&self, ip: Ipv4Addr) -> bool {
        self.service_ips().contains(&ip)
    }

    /// An address for a pod; `None` if thousands of pods have all of them.
    pub(super) fn pod_ip(&self) -> Option<PodIp> {
        let mut pods = lock(&self.pods);
        let size = POD_IPS.end() - POD_IPS.start() + 1;
        for _ in 0..size {
            let offset = POD_IPS.start() + pods.given % size;
            pods.given = pods.given.wrapping_add(1) % size;
            // Some programs take the first and the last of 256 for no host's address.
            if !matches!(offset & 0xff, 0 | 0xff) && pods.taken.insert(offset) {
                return Some(PodIp { ip: self.address(offset), pods: self.pods.clone() });
            }
        }
        None
    }

    fn address(&self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits((127 << 24) | (u32::from(self.block) << 16) | offset)
    }
}

/// Without SO_REUSEADDR, with which two could bind as long as neither listens.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(address)?;
    Ok(socket)
}

// === impl PodIp ===

impl PodIp {
    pub(super) fn get(&self) -> Ipv4Addr {
        self.ip
    }
}

impl Drop for PodIp {
    fn drop(&mut self) {
        lock(&self.pods).taken.remove(&(self.ip.to_bits() & 0xffff));
    }
}

fn lock(pods: &Mutex<Pods>) -> MutexGuard<'_, Pods> {
    pods.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Away from the port of sandboxes that run on the machine meanwhile.
    const PORT: u16 = 61_251;

    #[tokio::test]
    async fn a_block_has_one_owner_at_a_time() {
        let first = Network::claim(&(200..=201), PORT).unwrap();
        let second = Network::claim(&(200..=201), PORT).unwrap();
        assert_ne!(first.node_ip(), second.node_ip());
        let error = Network::claim(&(200..=201), PORT).unwrap_err().to_string();
        assert!(error.contains("127.200.0.1") && error.contains("61251"), "{error}");
        let freed = first.node_ip();
        drop(first);
        assert_eq!(Network::claim(&(200..=201), PORT).unwrap().node_ip(), freed);
    }

    #[tokio::test]
    async fn pods_have_addresses_of_their_own_which_rest_before_they_come_again() {
        let network = Network::claim(&(202..=202), PORT).unwrap();
        let first = network.pod_ip().unwrap();
        assert_eq!(first.get(), Ipv4Addr::new(127, 202, 1, 1));
        let rested = first.get();
        drop(first);
        let mut held = Vec::new();
        while let Some(ip) = network.pod_ip() {
            assert!(!network.has_service_ip(ip.get()));
            held.push(ip);
        }
        let distinct: BTreeSet<_> = held.iter().map(PodIp::get).collect();
        assert_eq!((distinct.len(), held.len()), (127 * 254, 127 * 254));
        assert_eq!(held.last().map(PodIp::get), Some(rested));
        held.clear();
        assert!(network.pod_ip().is_some());
    }
}
