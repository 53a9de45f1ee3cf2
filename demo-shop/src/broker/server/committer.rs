//! The thread that brings to the disk what connections have changed: all that came while it flushed is its next flush.

use super::Broker;
use crate::broker::journal::{Committed, Journal};
use crate::broker::staging::Staged;
use std::sync::PoisonError;
use tracing::{error, info, warn};

/// Tells the thread that writes to the disk to end, also when the task is dropped in the middle.
pub(super) struct EndsCommitting(pub(super) Broker);

// === impl Broker ===

impl Broker {
    /// Brings what is staged to the disk, group by group: what comes while one is being flushed makes up the next.
    pub(super) fn commit_until_stopped(&self, mut journal: Journal) {
        let mut full = false;
        while let Some(staged) = self.next_group() {
            let ops: Vec<_> = staged.iter().map(Staged::op).collect();
            let refused = match journal.commit(&ops) {
                Ok(Committed::All) => None,
                Ok(Committed::Refused(reason)) => Some(reason),
                Err(reason) => {
                    error!(%reason, "cannot write to the queue's directory; ending, to start anew from what is there");
                    return;
                }
            };
            match (&refused, full) {
                (Some(reason), false) => warn!(%reason, "the queue's disk is full; new messages are refused"),
                (None, true) if staged.iter().any(Staged::refusable) => {
                    info!("the queue's disk has room again");
                }
                _ => {}
            }
            full = refused.is_some() || (full && !staged.iter().any(Staged::refusable));
            let refused = refused.map(|reason| format!("the queue's disk is full: {reason}"));
            let again = journal.tidy();
            let mut shared = self.lock();
            shared.core.finish(staged, refused.as_deref());
            if !again.is_empty() {
                shared.core.copy(&again);
            }
            shared.wake_others();
        }
    }

    /// What waits for the disk, as soon as something does; none when nothing more will.
    fn next_group(&self) -> Option<Vec<Staged>> {
        let mut shared = self.lock();
        while !shared.core.has_staged() {
            if shared.stopping {
                return None;
            }
            shared = self.to_commit.wait(shared).unwrap_or_else(PoisonError::into_inner);
        }
        Some(shared.core.take_staged())
    }
}

// === impl EndsCommitting ===

impl Drop for EndsCommitting {
    fn drop(&mut self) {
        self.0.lock().stopping = true;
        self.0.to_commit.notify_all();
    }
}
