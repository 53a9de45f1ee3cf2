//! How often one client may order: a bucket of permits for each, filled at a steady rate.
//!
//! A client is an IPv4 address or an IPv6 /64, which is what one line is given. The table is bounded: when it is full
//! of clients that are not back at a full bucket, newcomers share one bucket, so that a flood from many addresses
//! can neither grow the table nor go round the limit.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Orders per minute in the long run; 0 for no limit.
    pub per_minute: u32,
    /// Orders at once.
    pub burst: u32,
    /// Clients that are told apart, each some 50 bytes.
    pub clients: usize,
}

/// Who may order when.
#[derive(Debug)]
pub(super) struct Limiter {
    rate: Rate,
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    clients: HashMap<IpAddr, Bucket>,
    /// Of all that the table has no room for.
    others: Bucket,
    /// When the table was last cleared of full buckets.
    swept: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    permits: f64,
    at: Instant,
}

/// Least time between two sweeps, which look at every client.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(1);

// === impl Rate ===

impl Default for Rate {
    fn default() -> Self {
        Self { per_minute: 300, burst: 60, clients: 10_000 }
    }
}

impl Rate {
    fn full(&self, now: Instant) -> Bucket {
        Bucket { permits: self.burst.max(1).into(), at: now }
    }

    fn per_second(&self) -> f64 {
        f64::from(self.per_minute) / 60.0
    }

    /// What is in a bucket by now.
    fn filled(&self, bucket: Bucket, now: Instant) -> f64 {
        let gained = now.saturating_duration_since(bucket.at).as_secs_f64() * self.per_second();
        (bucket.permits + gained).min(self.burst.max(1).into())
    }
}

// === impl Limiter ===

impl Limiter {
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        let buckets = Buckets { clients: HashMap::new(), others: rate.full(now), swept: now };
        Self { rate, buckets: Mutex::new(buckets) }
    }

    /// Takes a permit, or says how long until there is one.
    pub(super) fn take(&self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        if self.rate.per_minute == 0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.of(network(client), &self.rate, now);
        let permits = self.rate.filled(*bucket, now);
        if permits >= 1.0 {
            *bucket = Bucket { permits: permits - 1.0, at: now };
            return Ok(());
        }
        *bucket = Bucket { permits, at: now };
        Err(Duration::from_secs_f64((1.0 - permits) / self.rate.per_second()))
    }
}

// === impl Buckets ===

impl Buckets {
    fn of(&mut self, client: IpAddr, rate: &Rate, now: Instant) -> &mut Bucket {
        if self.clients.len() >= rate.clients && !self.clients.contains_key(&client) {
            if now.saturating_duration_since(self.swept) >= BETWEEN_SWEEPS {
                self.swept = now;
                // A full bucket says no more than one that is not there.
                self.clients.retain(|_, bucket| rate.filled(*bucket, now) < rate.burst.into());
            }
            if self.clients.len() >= rate.clients {
                return &mut self.others;
            }
        }
        self.clients.entry(client).or_insert_with(|| rate.full(now))
    }
}

/// The address that stands for a client.
pub(super) fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_minute: 60, burst: 3, clients: 2 };

    /// Permits that a client gets before it is refused.
    fn drain(limiter: &Limiter, client: &str, now: Instant) -> usize {
        let client = client.parse().unwrap();
        (0..100).take_while(|_| limiter.take(client, now).is_ok()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_gets_a_burst_and_then_the_rate() {
        let begun = Instant::now();
        let limiter = Limiter::new(RATE, begun);
        assert_eq!(drain(&limiter, "10.0.0.1", begun), 3);
        let wait = limiter.take("10.0.0.1".parse().unwrap(), begun).unwrap_err();
        assert_eq!(wait, Duration::from_secs(1));
        assert_eq!(drain(&limiter, "10.0.0.1", begun + Duration::from_secs(2)), 2);
        assert_eq!(drain(&limiter, "10.0.0.1", begun + Duration::from_secs(3600)), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_are_told_apart_by_network() {
        let now = Instant::now();
        let limiter = Limiter::new(Rate { clients: 10, ..RATE }, now);
        assert_eq!(drain(&limiter, "10.0.0.1", now), 3);
        assert_eq!(drain(&limiter, "::ffff:10.0.0.1", now), 0);
        assert_eq!(drain(&limiter, "10.0.0.2", now), 3);
        assert_eq!(drain(&limiter, "2001:db8:1:2::1", now), 3);
        assert_eq!(drain(&limiter, "2001:db8:1:2:ffff::1", now), 0);
        assert_eq!(drain(&limiter, "2001:db8:1:3::1", now), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_table_neither_grows_nor_opens_a_way_round() {
        let begun = Instant::now();
        let limiter = Limiter::new(RATE, begun);
        assert_eq!((drain(&limiter, "10.0.0.1", begun), drain(&limiter, "10.0.0.2", begun)), (3, 3));
        // All newcomers together get one burst.
        assert_eq!((drain(&limiter, "10.0.0.3", begun), drain(&limiter, "10.0.0.4", begun)), (3, 0));
        assert_eq!(limiter.buckets.lock().unwrap().clients.len(), 2);
        // Those whose buckets are full again make room.
        let later = begun + Duration::from_secs(3);
        assert_eq!((drain(&limiter, "10.0.0.5", later), drain(&limiter, "10.0.0.6", later)), (3, 3));
        assert_eq!(limiter.buckets.lock().unwrap().clients.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_of_nothing_is_no_limit() {
        let now = Instant::now();
        assert_eq!(drain(&Limiter::new(Rate { per_minute: 0, ..RATE }, now), "10.0.0.1", now), 100);
    }
}
