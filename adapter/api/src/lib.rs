//! The metrics APIs as functions of (request, store, now).
//!
//! [`CustomMetrics`] is `custom.metrics.k8s.io`, once for each version, and [`ExternalMetrics`] is
//! `external.metrics.k8s.io`. They answer from memory, and the
//! same store, request and instant give the same bytes. They know no socket, no pod and no credential:
//! who may ask is settled before they are asked, and what they read is the [store](podgauge_store).
//!
//! ```text
//! custom ── a request -> which pods, and what they have to say
//!   route ── its path
//!   whole, merge ── an object that stands for many pods -> one value
//!   selectors ── their texts, parsed once
//!   names ── a metric's name -> which series of a layout, and what to do with them
//!   tally ── those series' numbers -> one value, its time and its window
//!   audience ── who is told what was read
//!   ruled, rules ── names of a configuration file -> a query over the store's series
//!   explain ── no value -> a message that says why and what to do
//!   version, draft, document, table, discovery, schema, messages ── what leaves
//! ```

mod age;
mod audience;
mod custom;
mod discovery;
mod document;
mod draft;
mod explain;
mod external;
mod fields;
mod histogram;
mod merge;
mod messages;
mod names;
mod quantity;
mod route;
mod ruled;
mod rules;
mod schema;
mod selectors;
mod table;
mod tally;
mod version;
mod whole;

pub use age::AgeMetrics;
pub use audience::{Audience, Question};
pub use custom::{Config, CustomMetrics};
pub use external::ExternalMetrics;
pub use quantity::Quantity;
pub use rules::{Evaluation, Rules, SeriesNames, Upstream, UpstreamError};
pub use version::Version;
