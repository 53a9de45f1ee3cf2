//! The whole server over TLS on loopback, with certificates made for each test and a cluster that is a
//! function: who gets in, what is answered, and what hostile, slow and unlucky peers do to it.

#![expect(clippy::unwrap_used, reason = "what goes wrong in a helper fails its test")]

mod api;
mod client;
mod cluster;
mod fixture;
mod pki;

mod build;
mod callers;
mod drain;
mod golden;
mod hostile;
mod limits;
mod lookups;
mod metrics;
mod reload;
