//! Scripts in the format of upstream's `promqltest`: load series, evaluate expressions, compare.
//!
//! A script is a list of commands, each with its lines below it up to an empty line or a comment (`#`):
//!
//! ```text
//! load 30s
//!   requests_total{path="/"} 0+10x10 _ stale 5
//!
//! eval instant at 5m rate(requests_total[2m])
//!   {path="/"} 0.3333333333
//!
//! eval range from 0 to 1m step 30s requests_total > 5
//!   requests_total{path="/"} _ 10 20
//!
//! eval instant at 1m requests_total + on () group_left
//!   expect fail
//!
//! clear
//! ```
//!
//! `expect fail|warn|info|no_warn|no_info|ordered`, `expect string "..."` and
//! `expect range vector from T to T step D` stand below `eval`; the older `eval_fail`, `eval_warn`, `eval_info`,
//! `eval_ordered`, `expected_fail_message` and `expected_fail_regexp` are understood. Numbers may differ by a millionth.
//! An instant that was right is asked for once more, as the middle step of a range query, and must give the same.
//!
//! Native histograms (`{{...}}`, `load_with_nhcb`) are refused by name. The wording of our messages is our own:
//! [`Options::messages`] says whether `msg:` and `regex:` are compared with it.

mod run;
mod script;
mod series;

use crate::Config;

/// How a script is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How expressions are read and evaluated. [`crate::Bounds::samples`] bounds what a script may load, too.
    pub config: Config,
    /// Whether the words of failures, warnings and infos count, or only that there are some.
    pub messages: Messages,
}

/// Whether the words of failures, warnings and infos count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Messages {
    /// `msg:` and `regex:` must match our words.
    #[default]
    Compare,
    /// That there is a failure, a warning or an info is enough: for scripts that were written against other words.
    Ignore,
}

/// What came of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many evaluations gave what the script expects.
    pub passed: usize,
    /// What did not, in the script's order.
    pub failures: Vec<Failure>,
}

/// A line of a script that is wrong, or whose evaluation was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {message}")]
pub struct Failure {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Runs a script. A line that cannot be read ends it, for what follows may depend on it.
pub fn run(script: &str, options: &Options) -> Report {
    let mut report = Report::default();
    match script::parse(script, options) {
        Ok(commands) => run::run(&commands, options, &mut report),
        Err(failure) => report.failures.push(failure),
    }
    report
}

#[cfg(test)]
mod tests;
