//! Asks a Prometheus, or whatever else speaks its HTTP API: Thanos, Mimir, VictoriaMetrics.
//!
//! ```text
//! Client::instant ── cache ──> answered before
//!   room for one more query ── breaker ──> refused at once
//!     transport ──> /api/v1/query ── answer ──> points
//! Client::series ── the same without the cache ──> /api/v1/series ──> names, and their labels' names
//! ```
//!
//! # Promises
//! - A question takes no longer than it was given, and Prometheus is told how long that is.
//! - What Prometheus sends can neither panic us nor make us allocate past [`Config`].
//! - After some failures in a row nobody waits: all are refused at once, and one in a while tries.
//! - Part of an answer is none: a partial answer of Thanos or VictoriaMetrics is a failure.
//! - Redirects are not followed. Neither headers nor queries are logged.
//!
//! # Left to others
//! The connection, its TLS and its credentials (the [`Transport`]), and what a query means.

mod answer;
mod breaker;
mod cache;
mod client;
mod config;
mod error;
mod metrics;

pub use self::{
    answer::SeriesNames,
    client::{Client, Exchange, Payload, Transport},
    config::{Config, Verb},
    error::QueryError,
};
