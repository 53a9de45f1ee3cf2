//! The API server as its clients meet it: over TLS, with real credentials.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests fail by panicking and say what they skip, as the tests do"
)]

mod access;
mod aggregation;
mod kubectl;
mod objects;
mod support;
mod watches;
