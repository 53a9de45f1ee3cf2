//! What frames change among the kept messages, between being decided and being done.
//!
//! Without a directory a change is done at once. With one it waits here until it is on the disk: only then do new
//! messages become visible and receipts leave, so that nobody acts on what a crash could take back. What the disk has
//! no room for is undone and refused.

use super::core::Core;
use super::journal::{Entry, Op};
use super::protocol::error;
use super::queue::{ConsumerId, Message, SessionId, Taken};
use crate::stomp::{Command, Frame};
use std::sync::Arc;

/// A change and who waits for it.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) change: Change,
    pub(super) by: Option<SessionId>,
    /// The receipt that is owed when it is done.
    pub(super) receipt: Option<String>,
}

/// What happens at once or not at all.
#[derive(Debug)]
pub(super) enum Change {
    /// Nothing; the receipt for it must not overtake those before it.
    None,
    /// The connection ends with this frame, which must not overtake receipts either.
    End(Frame),
    /// New messages.
    Put(Vec<Placed>),
    /// A message is done with. It is out of its queue already.
    Settle(u64, Hand),
    /// A message goes to the end of another queue. It is out of its own already.
    Move { hand: Hand, taken: Taken, queue: Arc<str>, sequence: u64 },
    /// Messages are written once more, so that an old file can go.
    Copy(Vec<Placed>),
}

/// Where a message was that a consumer is done with.
#[derive(Clone, Debug)]
pub(super) struct Hand {
    pub(super) queue: Arc<str>,
    pub(super) consumer: ConsumerId,
}

/// A message and its place.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) queue: Arc<str>,
    pub(super) sequence: u64,
    pub(super) message: Arc<Message>,
}

/// Bytes of messages that may wait for the disk; connections that send more are not read from meanwhile.
const MOST_STAGED: usize = 8 << 20;

// === impl Change ===

impl Change {
    /// Bytes of messages that wait with it.
    fn cost(&self) -> usize {
        match self {
            Self::Put(placed) => placed.iter().map(|placed| placed.message.cost()).sum(),
            _ => 0,
        }
    }

    /// Whether nothing has to reach the disk.
    fn is_nothing(&self) -> bool {
        match self {
            Self::None | Self::End(_) => true,
            Self::Put(placed) | Self::Copy(placed) => placed.is_empty(),
            Self::Settle(..) | Self::Move { .. } => false,
        }
    }
}

// === impl Staged ===

impl Staged {
    /// What the log is told.
    pub(super) fn op(&self) -> Op {
        let put = |Placed { queue, sequence, message }: &Placed| Entry::Put {
            id: *sequence,
            queue: Arc::clone(queue),
            message: Arc::clone(message),
        };
        let entries = match &self.change {
            Change::None | Change::End(_) => Vec::new(),
            Change::Put(placed) | Change::Copy(placed) => placed.iter().map(put).collect(),
            Change::Settle(id, _) => vec![Entry::Settle { id: *id }],
            Change::Move { taken, queue, sequence, .. } => {
                vec![Entry::Move { id: taken.sequence, to: *sequence, queue: Arc::clone(queue) }]
            }
        };
        Op { entries, refusable: self.refusable() }
    }

    /// Acknowledgements are never refused: room for them is reserved.
    pub(super) fn refusable(&self) -> bool {
        !self.change.is_nothing() && !matches!(self.change, Change::Settle(..))
    }
}

// === impl Core ===

impl Core {
    /// Does a change, now or when it is on the disk, and then sends the receipt.
    pub(super) fn stage(&mut self, by: Option<SessionId>, change: Change, receipt: Option<String>) {
        let session = by.and_then(|id| self.sessions.get_mut(&id));
        let behind_others = session.as_ref().is_some_and(|session| session.staged > 0);
        let staged = Staged { change, by, receipt };
        if !self.journaled || (staged.change.is_nothing() && !behind_others) {
            return self.done(staged);
        }
        if let Some(session) = session {
            session.staged += 1;
        }
        self.staged_bytes += staged.change.cost();
        self.staged.push(staged);
    }

    /// Whether so much waits for the disk that more should not be read.
    pub(super) fn is_behind(&self) -> bool {
        self.staged_bytes >= MOST_STAGED
    }

    /// Whether something waits for the disk.
    pub(super) fn has_staged(&self) -> bool {
        !self.staged.is_empty()
    }

    /// What waits for the disk, to be given to [`Core::finish`] afterwards.
    pub(super) fn take_staged(&mut self) -> Vec<Staged> {
        std::mem::take(&mut self.staged)
    }

    /// Does what is on the disk now, and undoes what was `refused`.
    pub(super) fn finish(&mut self, staged: Vec<Staged>, refused: Option<&str>) {
        for staged in staged {
            self.staged_bytes -= staged.change.cost();
            if let Some(session) = staged.by.and_then(|id| self.sessions.get_mut(&id)) {
                session.staged -= 1;
            }
            match refused.filter(|_| staged.refusable()) {
                Some(why) => self.undone(staged, why),
                None => self.done(staged),
            }
        }
        self.wake_waiting();
    }

    /// Has messages written once more that are still in their queues.
    pub(super) fn copy(&mut self, sequences: &[u64]) {
        let find = |&sequence: &u64| {
            self.queues.iter().find_map(|(queue, open)| {
                let message = Arc::clone(open.get(sequence)?);
                Some(Placed { queue: Arc::clone(queue), sequence, message })
            })
        };
        let placed = sequences.iter().filter_map(find).collect();
        self.stage(None, Change::Copy(placed), None);
    }

    fn done(&mut self, Staged { change, by, receipt }: Staged) {
        match change {
            Change::None | Change::Copy(_) => {}
            Change::Settle(_, hand) => self.free(&hand),
            Change::Put(placed) => placed.into_iter().for_each(|placed| self.enqueue(placed)),
            Change::Move { hand, taken, queue, sequence } => {
                self.free(&hand);
                self.enqueue(Placed { queue, sequence, message: taken.message });
            }
            Change::End(frame) => {
                if let Some(id) = by {
                    self.reply(id, frame);
                    self.end(id);
                }
            }
        }
        if let (Some(id), Some(receipt)) = (by, receipt) {
            self.reply(id, Frame::new(Command::Receipt).with("receipt-id", receipt));
        }
    }

    fn undone(&mut self, Staged { change, by, receipt }: Staged, why: &str) {
        match change {
            Change::Put(placed) => placed.iter().for_each(|placed| self.usage.release(&placed.message)),
            Change::Move { hand, taken, .. } => {
                self.restore(&hand.queue, taken);
                self.free(&hand);
            }
            Change::None | Change::End(_) | Change::Settle(..) | Change::Copy(_) => {}
        }
        // At once, so that no receipt for a later frame leaves before it.
        if let Some(id) = by {
            self.reply(id, error(why, receipt.as_deref()));
            self.end(id);
        }
    }
}

#[cfg(test)]
mod tests;
