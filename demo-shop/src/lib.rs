//! A small shop whose worker is scaled on the length of its queue.
//!
//! The library exists so that tests can run parts in their own process; it promises no stable interface.

pub mod backoff;
pub mod broker;
pub mod clock;
pub mod depth;
pub mod dial;
pub mod duration;
pub mod health;
pub mod metrics;
pub mod orders;
pub mod random;
pub mod stomp;
pub mod worker;
