//! What the controller remembers of one HPA.
//!
//! Entries that are too old to matter are not removed but overwritten, one per turn, as upstream does it: so
//! a window that grows may find an entry again that a shorter one had passed over. The lists stay as long as
//! the most turns that ever fell into the longest window, plus one.

use crate::time::Time;

/// Recommendations and changes of one HPA since the controller started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// What the metrics asked for, in no particular order.
    pub recommendations: Vec<Recommendation>,
    /// Replicas added, in no particular order.
    pub scale_ups: Vec<ScaleEvent>,
    /// Replicas removed, in no particular order.
    pub scale_downs: Vec<ScaleEvent>,
}

/// What the metrics asked for at a time, before it was stabilised or limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recommendation {
    /// The replicas.
    pub replicas: i32,
    /// When.
    pub at: Time,
}

/// A change of the replica count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaleEvent {
    /// How many replicas came or went; positive.
    pub change: i32,
    /// When.
    pub at: Time,
    /// It was older than every policy's period when another came, and may be overwritten.
    pub outdated: bool,
}

// === impl History ===

impl History {
    /// Remembers `current` as the first recommendation, if there is none: after a start of the controller
    /// nothing shrinks for as long as the window is.
    pub fn begin(&mut self, current: i32, now: Time) {
        if self.recommendations.is_empty() {
            self.recommendations.push(Recommendation { replicas: current, at: now });
        }
    }

    /// Remembers what the metrics ask for now, in the place of the last entry that `is_old`.
    pub(super) fn recommend(&mut self, replicas: i32, now: Time, is_old: impl Fn(Time) -> bool) {
        let new = Recommendation { replicas, at: now };
        match self.recommendations.iter_mut().rev().find(|old| is_old(old.at)) {
            Some(old) => *old = new,
            None => self.recommendations.push(new),
        }
    }

    /// Remembers that the replica count changed. `longest_period` is the longest of the policies of that
    /// direction, in seconds.
    pub(crate) fn changed(&mut self, from: i32, to: i32, longest_period: i32, now: Time) {
        let (events, change) = if to > from {
            (&mut self.scale_ups, to.saturating_sub(from))
        } else {
            (&mut self.scale_downs, from.saturating_sub(to))
        };
        let cutoff = now.minus_seconds(longest_period);
        for event in events.iter_mut().filter(|event| event.at < cutoff) {
            event.outdated = true;
        }
        let new = ScaleEvent { change, at: now, outdated: false };
        match events.iter_mut().rev().find(|event| event.outdated) {
            Some(event) => *event = new,
            None => events.push(new),
        }
    }

    /// The replica count at the start of the period of so many seconds that ends now.
    pub(super) fn at_start_of(&self, period_seconds: i32, current: i32, now: Time) -> i32 {
        let cutoff = now.minus_seconds(period_seconds);
        let sum = |events: &[ScaleEvent]| {
            let recent = events.iter().filter(|event| event.at > cutoff);
            recent.fold(0i32, |sum, event| sum.wrapping_add(event.change))
        };
        current.wrapping_sub(sum(&self.scale_ups)).wrapping_add(sum(&self.scale_downs))
    }
}
