//! The served binary: podgauge as a process, a cluster-shaped API server beside it, pods that are tiny servers.
//!
//! Everything is met over the network: podgauge gets a kubeconfig with the token of its service account, and the roles
//! that `monitoring/` ships, nothing more.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod callers;
mod certificates;
mod closing;
mod cluster;
mod compare;
mod external;
mod hostile;
mod objects;
mod pages;
mod podgauge;
mod process;
mod prometheus;
#[path = "../../promql/tests/differential/prometheus.rs"]
#[expect(dead_code, reason = "here only podgauge asks it")]
mod real_prometheus;
mod rules;
mod sources;
