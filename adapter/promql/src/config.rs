//! What an expression may cost, and whose semantics count.

use std::time::Duration;

/// How expressions are read and evaluated.
#[derive(Clone, Debug)]
pub struct Config {
    /// What one expression and one evaluation may use up.
    pub bounds: Bounds,
    /// Which Prometheus' answers are given where versions differ. Default: version 3.
    pub dialect: Dialect,
    /// How old the newest sample of a series may be for an instant selector to see it. Default 5 min, as Prometheus has it.
    pub lookback: Duration,
    /// The step of a subquery that names none (`x[5m:]`). Default 1 min, as Prometheus has it; never less than 1 ms.
    pub subquery_step: Duration,
}

/// What one expression and one evaluation may use up. Past any of them the expression is refused, never cut short.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The longest expression, in bytes. Default 256 KiB: a matcher that lists the pods of a deployment of thousands fits.
    pub expression_bytes: usize,
    /// The deepest tree of sub-expressions, counted in nodes; a chain such as `a + b + c` is as deep as it is long. Default
    /// 64, which takes less than 1 MiB of stack even where the compiler optimises nothing; more takes more.
    pub depth: usize,
    /// The most selectors in one expression; each asks the source once. Default 256.
    pub selectors: usize,
    /// The most entries of one list: matchers, labels, arguments. Default 128.
    pub list: usize,
    /// The most regular expressions in one expression, those that are plain lists of values (`a|b|c`) not counted.
    /// Default 32.
    pub regexes: usize,
    /// The memory of one compiled regular expression, in bytes. Default 1 MiB.
    pub regex_bytes: usize,
    /// The most steps of a range query, and of one window of a subquery. Default 11,000, as Prometheus' API has it.
    pub steps: usize,
    /// The most samples that one evaluation may touch: loaded, or read or made by any node at any step. Default 5,000,000.
    pub samples: usize,
    /// The most series of any selection, intermediate or final result. Default 100,000.
    pub series: usize,
    /// The longest label value, in bytes, that `label_replace` and `label_join` may make. Default 4,096.
    pub label_value_bytes: usize,
}

/// The version of Prometheus whose answers are given where they differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// 3.x: a range, a look-back and a subquery's window leave out the instant at which they begin; `.` in a regular
    /// expression matches a line feed too; half an average gap bounds what `rate` extrapolates to a counter's zero point.
    #[default]
    Prometheus3,
    /// 2.x: a range, a look-back and a subquery's window include the instant at which they begin; `.` does not match a line
    /// feed; a counter's zero point may be further away than half an average gap.
    Prometheus2,
}

// === impl Config ===

impl Config {
    /// The look-back in milliseconds.
    pub(crate) fn lookback_ms(&self) -> i64 {
        millis(self.lookback)
    }

    /// The step of a subquery without one, in milliseconds, at least 1.
    pub(crate) fn subquery_step_ms(&self) -> i64 {
        millis(self.subquery_step).max(1)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bounds: Bounds::default(),
            dialect: Dialect::default(),
            lookback: Duration::from_secs(300),
            subquery_step: Duration::from_secs(60),
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            expression_bytes: 256 * 1024,
            depth: 64,
            selectors: 256,
            list: 128,
            regexes: 32,
            regex_bytes: 1024 * 1024,
            steps: 11_000,
            samples: 5_000_000,
            series: 100_000,
            label_value_bytes: 4_096,
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
