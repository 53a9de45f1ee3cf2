//! A small shop whose worker is scaled on the length of its queue.
//!
//! ```text
//! browser --> web --> orders --STOMP--> broker --STOMP--> worker
//!              |                          ^
//!              +--- /metrics <-- depth ---+
//! ```
//!
//! One process runs any of three parts: the **store** ([`web`], [`orders`]), the **worker** ([`worker`]) and the
//! **queue** ([`broker`], when no ActiveMQ is given). Every process serves `/health`, `/livez` and `/metrics`, and on
//! `/metrics` every process reports `messages`, the length of the queue ([`depth`]).
//!
//! What store and worker tell each other beside the order stands in [`envelope`]; [`metrics`] and [`trace`] are what
//! every part tells about itself.
//!
//! [`args`] reads flags and environment, [`app`] wires the parts and ends them in order. The library exists so that
//! tests can run parts in their own process; it promises no stable interface.

pub mod app;
pub mod args;
pub mod backoff;
pub mod broker;
pub mod clock;
pub mod depth;
pub mod dial;
pub mod duration;
pub mod envelope;
pub mod health;
pub mod metrics;
pub mod orders;
pub mod random;
pub mod stomp;
pub mod trace;
pub mod web;
pub mod worker;
