//! From what metrics ask for to what may be done now: stabilisation over recent recommendations, then limits.
//!
//! Without a `behavior` in the spec the rules are fixed ([`without_behavior`]); with one they are its own
//! ([`with_behavior`]). What was recommended and changed before is in [`History`], which lives as long as the
//! controller does and no longer.

use crate::conditions::{ABLE_TO_SCALE, SCALING_LIMITED, Verdict};

pub use self::behavior::with_behavior;
pub use self::history::{History, Recommendation, ScaleEvent};
pub use self::plain::without_behavior;

mod behavior;
mod history;
mod plain;

/// What is to be normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// The scale's `spec.replicas`.
    pub current: i32,
    /// What metrics ask for; not negative.
    pub desired: i32,
    /// The spec's `minReplicas`.
    pub min: i32,
    /// The spec's `maxReplicas`.
    pub max: i32,
}

/// What may be done now, and the two conditions that say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalized {
    /// The replicas.
    pub replicas: i32,
    /// `AbleToScale`: whether an older recommendation was applied.
    pub stabilized: Verdict,
    /// `ScalingLimited`: whether the result was cut off.
    pub limited: Verdict,
}

/// A direction in which recent recommendations hold back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Up,
    Down,
}

/// What cuts a count off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Min,
    Max,
    Up,
    Down,
}

/// Go's `int32(number)` on amd64, of a whole number: what fits none is the smallest one.
fn whole(number: f64) -> i32 {
    if (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number) {
        #[expect(clippy::cast_possible_truncation, reason = "in range")]
        return number as i32;
    }
    i32::MIN
}

// === impl Normalized ===

impl Normalized {
    fn new(replicas: i32, held: Option<Held>, limit: Option<Limit>) -> Self {
        let (reason, message) = match held {
            None => ("ReadyForNewScale", "what the metrics ask for is what will be used"),
            Some(Held::Up) => {
                ("ScaleUpStabilized", "fewer replicas were asked for recently: the least of that is used")
            }
            Some(Held::Down) => {
                ("ScaleDownStabilized", "more replicas were asked for recently: the most of that is used")
            }
        };
        let limited = match limit {
            None => Verdict::fails(
                SCALING_LIMITED,
                "DesiredWithinRange",
                "the replica count is within all limits",
            ),
            Some(limit) => {
                let (reason, message) = limit.words();
                Verdict::holds(SCALING_LIMITED, reason, message)
            }
        };
        Self { replicas, stabilized: Verdict::holds(ABLE_TO_SCALE, reason, message), limited }
    }
}

// === impl Limit ===

impl Limit {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Min => ("TooFewReplicas", "fewer replicas than the minimum would be wanted"),
            Self::Max => ("TooManyReplicas", "more replicas than the maximum would be wanted"),
            Self::Up => ("ScaleUpLimit", "more replicas would be wanted than may be added at once"),
            Self::Down => ("ScaleDownLimit", "fewer replicas would be wanted than may be removed at once"),
        }
    }
}

#[cfg(test)]
mod tests;
