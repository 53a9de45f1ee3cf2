//! The shop against brokers and as processes.
//!
//! [`suite`] is what every broker has to do; it runs against the embedded queue and against a real ActiveMQ.
//! [`process`] starts the binary as a user does. Ports are free ones on loopback, and every process that is started
//! here ends with its test.

#![expect(clippy::print_stderr, reason = "the harness keeps it until a test fails")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod activemq;
mod embedded;
mod process;
mod suite;
mod wait;
