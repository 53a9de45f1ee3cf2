//! The metrics APIs as functions of (request, store, now).
//!
//! [`CustomMetrics`] is `custom.metrics.k8s.io`, once for each version. It answers from memory, and the
//! same store, request and instant give the same bytes. It knows no socket, no pod and no credential:
//! who may ask is settled before it is asked, and what it reads is the [store](podgauge_store).
//!
//! ```text
//! custom ── path, selectors, which pods
//!   names ── a metric's name -> which series of a layout, and what to do with them
//!   tally ── those series' numbers -> one value, its time and its window
//!   explain ── no value -> a message that says why and what to do
//!   document, table, discovery, schema ── what leaves
//! ```

mod age;
mod custom;
mod discovery;
mod document;
mod explain;
mod fields;
mod histogram;
mod names;
mod quantity;
mod schema;
mod table;
mod tally;

pub use age::AgeMetrics;
pub use custom::{Config, CustomMetrics, Version};
pub use quantity::Quantity;
