//! The HorizontalPodAutoscaler controller's algorithm, as functions.
//!
//! [`reconcile::reconcile`] is one turn of the stock controller over one HPA: what it reads goes in, the
//! replica count that it would set, the conditions, the status and the events come out. Nothing here opens a
//! connection, reads a clock or a file: whoever calls it makes the requests that [`metrics::requests`] names
//! and says what time it is.
//!
//! What it promises: replica counts, condition types, statuses and reasons, and event reasons are those of
//! kube-controller-manager 1.36 (`pkg/controller/podautoscaler`), down to how numbers round, truncate and
//! overflow. What it leaves out: the wording of messages, which only means the same; the feature
//! HPAScaleToZero, which is off by default; waiting, work queues and retries on conflict, which are the
//! caller's.
//!
//! [`scenario`] holds it to that: a file says what a cluster looks like at given times and what the
//! controller must then have done. The fields are such that the same file can be played to a real controller.

pub mod conditions;
pub mod metrics;
pub mod normalize;
pub mod pod;
pub mod quantity;
pub mod reconcile;
pub mod replicas;
pub mod scenario;
pub mod selector;
pub mod spec;
pub mod time;
