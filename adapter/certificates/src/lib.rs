//! podgauge's own certificates: made, kept in a Secret that replicas share, renewed, and made known to the API server.
//!
//! [`Keeper`] looks at the Secret and at the APIServices again and again, does the next thing that is to be done, and hands
//! over the certificate to serve. What the next thing is decides `policy` alone, a function of what was seen and the
//! time; writes go through only if nothing has changed since (compare-and-swap on `resourceVersion`), so that replicas need
//! no leader and whoever loses looks again.
//!
//! [`Publisher`] is for those who bring certificates of their own and have podgauge write their CA into its APIServices.
//!
//! It promises that a certificate is served only while every APIService of ours trusts it, that no private key is logged,
//! and that it changes no object but the Secret and the APIServices that its [`Config`] names, of these only `caBundle`,
//! and only where they lead to our Service. Serving, and reloading what is served, is left to others.

mod bundle;
mod cluster;
pub mod config;
mod generation;
pub mod health;
pub mod keeper;
mod metrics;
mod policy;
pub mod publisher;
#[cfg(test)]
mod simulation;
mod state;
mod x509;

use std::{fmt, sync::Arc, time::SystemTime};

pub use config::{Config, ConfigError, Publishing};
pub use health::Health;
pub use keeper::Keeper;
pub use publisher::Publisher;

/// The wall clock, with which the lives of certificates are measured.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// A certificate and its private key, both as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate, followed by its intermediates if it has any.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

impl fmt::Debug for Pair {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificate = String::from_utf8_lossy(&self.certificate);
        f.debug_struct("Pair").field("certificate", &certificate).finish_non_exhaustive()
    }
}
