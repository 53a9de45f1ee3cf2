//! Learns when values will be read, and says when to take them.
//!
//! An autoscaler asks the same question every 15.0 s. A scrape that ends just before it gives an answer that is a
//! fraction of a second old; one at any other time gives one that is half an interval old on average, at the same
//! price. So each question's rhythm is learned from the reads that arrive, and the next scrape is put before the next
//! read.
//!
//! ```text
//! read ── Audience ── Question ── Beat: next, period, jitter
//!                                   │ Expected reads
//! scrape ended ── Pace + Allowance ─┴─> when the next one begins
//! ```
//!
//! # Promises
//! - Reads move scrapes; they never add any beyond [`Pace::per_interval`]: an [`Allowance`] that is spent over time, not
//!   a rule of thumb, bounds them, whatever arrives.
//! - Without an expected read there is no advice, and the caller's own schedule holds. A single read is a guess at a rhythm;
//!   it counts where nothing better is known.
//! - What is remembered is bounded by [`Config`]. Whoever makes up questions loses others nothing but rhythm.
//! - Nothing here reads a clock, waits, or draws a random number: the same reads at the same instants give the same
//!   advice.
//!
//! # Left to others
//! Which pods a question is about, scraping, and what happens when a scrape fails.

mod audience;
mod beat;
mod pace;
mod question;

pub use self::{
    audience::{Audience, Config, QuestionId, Totals},
    beat::Expected,
    pace::{Allowance, Pace, Past},
};
