//! What the shop does for an order: takes its time, or the processor's.

use crate::stomp::Frame;
use rustix::time::{ClockId, Timespec, clock_gettime};
use serde_json::Value;
use std::hint::black_box;
use std::time::Duration;
use thiserror::Error;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// What is done for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Wait that long, as work does that consists of waiting for others.
    Wait(Duration),
    /// Compute until one thread has used that much processor time; the fewer processors there are for the orders in
    /// hand, the longer it takes.
    Compute(Duration),
}

/// Why work on an order failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum WorkError {
    #[error("this is no order of the shop's: {0}")]
    NotAnOrder(&'static str),
    #[error("the work has crashed: {0}")]
    Crashed(String),
}

/// Rounds of computing between two looks at the clock: some tens of microseconds.
const ROUNDS: u32 = 1 << 15;

// === impl Work ===

impl Work {
    /// Does it. Dropping the future ends it early.
    pub(super) async fn on(self, order: &Frame) -> Result<(), WorkError> {
        check(order)?;
        match self {
            Self::Wait(time) => {
                sleep(time).await;
                Ok(())
            }
            Self::Compute(time) => {
                let dropped = CancellationToken::new();
                let _guard = dropped.clone().drop_guard();
                let computed = spawn_blocking(move || compute(time, &dropped)).await;
                computed.map_err(|error| WorkError::Crashed(error.to_string()))
            }
        }
    }
}

/// An order is what [`orders`](crate::orders) sends: JSON that names it and numbers its item.
fn check(order: &Frame) -> Result<(), WorkError> {
    let body: Value =
        serde_json::from_slice(&order.body).map_err(|_| WorkError::NotAnOrder("its body is not JSON"))?;
    match (body["order"].is_string(), body["item"].is_u64()) {
        (true, true) => Ok(()),
        _ => Err(WorkError::NotAnOrder("its body names no order and item")),
    }
}

fn compute(time: Duration, stop: &CancellationToken) {
    let begun = thread_time();
    let mut number = 1_u64;
    while !stop.is_cancelled() && thread_time().saturating_sub(begun) < time {
        for _ in 0..ROUNDS {
            number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
}

/// Processor time that this thread has used.
fn thread_time() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(tv_sec.unsigned_abs(), tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stomp::Command;

    #[tokio::test]
    async fn only_orders_are_worked_on() {
        use WorkError::NotAnOrder;
        let (nothing, nameless) = ("its body is not JSON", "its body names no order and item");
        let cases = [
            (r#"{"order":"a","item":1}"#, Ok(())),
            (r#"{"order":"a","item":1,"gift":true}"#, Ok(())),
            ("", Err(NotAnOrder(nothing))),
            ("hello", Err(NotAnOrder(nothing))),
            ("[]", Err(NotAnOrder(nameless))),
            (r#"{"order":1,"item":1}"#, Err(NotAnOrder(nameless))),
            (r#"{"order":"a"}"#, Err(NotAnOrder(nameless))),
        ];
        for (body, expected) in cases {
            let order = Frame::new(Command::Message).body(body);
            for work in [Work::Wait(Duration::ZERO), Work::Compute(Duration::ZERO)] {
                assert_eq!(work.on(&order).await, expected, "{body}");
            }
        }
    }

    #[test]
    fn computing_uses_the_processor_for_that_long_and_no_longer_than_wanted() {
        let time = Duration::from_millis(20);
        let stop = CancellationToken::new();
        let begun = thread_time();
        compute(time, &stop);
        assert!(thread_time() - begun >= time);
        stop.cancel();
        // Returns at all.
        compute(Duration::MAX, &stop);
    }
}
