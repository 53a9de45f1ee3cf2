//! A cluster-shaped stand-in for one machine.
//!
//! The sandbox lets a program that expects a Kubernetes cluster run unchanged where there is none: for the tests of
//! the adapter and for the demo. It is met over the network only, with a kubeconfig, like a real cluster.
//!
//! What it promises: what it answers, it answers as kube-apiserver does (codes, reasons, order and meaning of watch
//! events, headers of proxied requests). What it leaves out: durability (all state is in memory), answers in protobuf, CBOR,
//! upgrades of a connection (exec, port-forward), and API groups that no part of this repository meets.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use sandbox::apiserver::{ApiServer, Config};
//!
//! let cluster = ApiServer::start(Config::default()).await?;
//! std::fs::write("kubeconfig", cluster.kubeconfig_for("admin", &["system:masters"])?)?;
//! cluster.shutdown().await;
//! # Ok(())
//! # }
//! ```

pub mod apiserver;
pub mod client;
pub mod clock;
pub mod controllers;
pub mod demo;
pub mod kubeconfig;
mod local_client;
pub mod node;
pub mod pki;
pub mod tls;
