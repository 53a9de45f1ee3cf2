//! How many connections one client may have at once, so that one that opens all and says nothing leaves room for the
//! others, the probes of a cluster among them.

use super::limit::network;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who sits where. Cheap to clone. It holds no more clients than there are connections.
#[derive(Clone, Debug)]
pub(super) struct Seats {
    each: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection's right to be there, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    client: IpAddr,
}

// === impl Seats ===

impl Seats {
    /// So many for each client.
    pub(super) fn new(each: usize) -> Self {
        Self { each, taken: Arc::default() }
    }

    /// A seat; none when the client has all of its.
    pub(super) fn take(&self, client: IpAddr) -> Option<Seat> {
        let client = network(client);
        let mut taken = self.lock();
        let count = taken.get(&client).copied().unwrap_or(0);
        if count >= self.each {
            return None;
        }
        taken.insert(client, count + 1);
        drop(taken);
        Some(Seat { seats: self.clone(), client })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Seat ===

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        if let Some(count) = taken.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_and_they_come_back() {
        let seats = Seats::new(2);
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let held = [seats.take(one), seats.take(one), seats.take(other)];
        assert!(held.iter().all(Option::is_some) && seats.take(one).is_none());
        let [first, second, third] = held;
        drop(first);
        assert!(seats.take(one).is_some());
        drop((second, third));
        assert_eq!(seats.lock().len(), 0, "nothing is kept of who is gone");
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let seats = Seats::new(1);
        let _held = seats.take("2001:db8::1".parse().unwrap());
        assert!(seats.take("2001:db8::ffff".parse().unwrap()).is_none());
        assert!(seats.take("2001:db8:0:1::1".parse().unwrap()).is_some());
    }
}
