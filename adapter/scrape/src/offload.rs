//! Reading large pages, off the threads that everything else runs on.
//!
//! Reading a page takes time in proportion to its length, without a pause. For what pages usually are that is less
//! than a millisecond; for the largest that are allowed it is most of a second, in which a worker of the runtime would
//! answer nobody. Those are read on threads of their own, at most half as many at a time as there are cores, so that
//! the other half is left for the rest of the process.

use std::{future::pending, num::NonZero, panic, sync::Arc, thread::available_parallelism};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

/// Bytes of a page that is read where it was fetched; a longer one is read elsewhere.
pub(crate) const INLINE_BYTES: usize = 256 << 10;

/// Gives out turns; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Offload(Arc<Semaphore>);

/// The right to a thread, until the work is done.
#[derive(Debug)]
pub(crate) struct Turn(Option<OwnedSemaphorePermit>);

// === impl Offload ===

impl Offload {
    pub(crate) fn new() -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        Self::with_turns((cores / 2).max(1))
    }

    pub(crate) fn with_turns(turns: usize) -> Self {
        Self(Arc::new(Semaphore::new(turns)))
    }

    /// Waits for a turn; whoever came first has it first.
    pub(crate) async fn turn(&self) -> Turn {
        // Only a closed semaphore fails, and nobody closes this one.
        Turn(Arc::clone(&self.0).acquire_owned().await.ok())
    }
}

// === impl Turn ===

impl Turn {
    /// Does the work on another thread. It goes on to its end, and keeps the turn, even if nobody waits for it any more.
    ///
    /// # Panics
    /// If the work does.
    pub(crate) async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let Self(permit) = self;
        let working = spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        match working.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(done) => done,
            Err(Ok(panic)) => panic::resume_unwind(panic),
            // The runtime ends, and with it whoever waits here.
            Err(Err(_cancelled)) => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{panic::AssertUnwindSafe, thread};

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn work_is_done_elsewhere() {
        let offload = Offload::with_turns(1);
        let there = offload.turn().await.run(|| thread::current().id()).await;
        assert_ne!(there, thread::current().id());
    }

    #[tokio::test]
    async fn there_are_no_more_turns_than_were_given() {
        let offload = Offload::with_turns(2);
        let turns = (offload.turn().await, offload.turn().await);
        let mut third = Box::pin(offload.turn());
        assert!(futures::poll!(&mut third).is_pending());
        drop(turns);
        third.await.run(|| ()).await;
    }

    #[tokio::test]
    async fn a_panic_comes_back_and_gives_back_the_turn() {
        let offload = Offload::with_turns(1);
        let work = offload.turn().await.run(|| panic::resume_unwind(Box::new("as expected")));
        let panic: Result<(), _> = AssertUnwindSafe(work).catch_unwind().await;
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"as expected"));
        offload.turn().await.run(|| ()).await;
    }
}
