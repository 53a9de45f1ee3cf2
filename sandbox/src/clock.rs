//! Wall time, as a value that is handed in.
//!
//! Timestamps of objects and certificates come from here; waiting is tokio's timers and never this clock.

use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;

/// Tells the wall time. Cheap to clone; every part of one sandbox shares one.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

// === impl Clock ===

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::from_fn(Timestamp::now)
    }

    /// A clock that asks `now`, for tests that choose the time.
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Writes an instant as `metav1.Time` does: RFC 3339, whole seconds, UTC, `Z`.
pub fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Writes an instant as `metav1.MicroTime` does: RFC 3339 with six decimals.
pub fn rfc3339_micro(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_as_kubernetes_prints_them() {
        let at = Timestamp::new(1_787_311_751, 987_654_321).unwrap();
        assert_eq!(rfc3339(at), "2026-08-21T11:29:11Z");
        assert_eq!(rfc3339_micro(at), "2026-08-21T11:29:11.987654Z");
    }
}
