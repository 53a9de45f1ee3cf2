//! The shop against brokers and as processes.
//!
//! [`suite`] is what every broker has to do; it runs against the embedded queue and against a real ActiveMQ.
//! [`process`] starts the binary as a user does, and [`storm`] kills it in the middle of everything. Ports are free ones
//! on loopback, and every process that is started here ends with its test. [`browser`] opens the pages in a real browser,
//! [`tracing`] follows an order through a trace.

#![expect(clippy::print_stderr, reason = "the harness keeps it until a test fails")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod activemq;
mod browser;
mod devtools;
mod directory;
mod embedded;
mod full_disk;
mod hostile;
mod process;
mod proxy;
mod storm;
mod suite;
mod tracing;
mod wait;
