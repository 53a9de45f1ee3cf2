//! Memory for the pages that are being read: reused, and bounded over all of them.
//!
//! Idle targets hold none. A scrape leases a [`Workspace`] when the first byte of its page is there, and gives it
//! back when the numbers are in the store; what it may grow to is bounded page by page and, by a [`Budget`], over all
//! pages that are being read.

use std::sync::{Arc, Mutex, PoisonError};

use podgauge_exposition::Values;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Workspaces kept for the next scrapes.
const KEPT: usize = 16;
/// Bytes that a kept buffer may hold; a larger one is given back to the allocator.
const KEPT_BYTES: usize = 256 << 10;
/// What a buffer first grows to, unless less is enough.
const FIRST_BYTES: usize = 16 << 10;
/// Bytes in one permit of the budget.
const UNIT: usize = 1024;

/// What reading a page needs.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// The page.
    pub(crate) page: Buffer,
    /// The other buffer, for inflating.
    pub(crate) spare: Buffer,
    /// Its numbers.
    pub(crate) values: Values,
    /// Its samples' times, or nothing.
    pub(crate) times: Vec<i64>,
}

/// Bytes, and their share of the budget.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    pub(crate) bytes: Vec<u8>,
    /// Where the page begins in it: behind the head of the answer.
    pub(crate) start: usize,
    permit: Option<OwnedSemaphorePermit>,
}

/// Bytes of all buffers together.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Semaphore>);

/// Workspaces for reuse; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool(Arc<Mutex<Vec<Workspace>>>);

/// A workspace that goes back to its pool.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) workspace: Workspace,
    pool: Pool,
}

// === impl Budget ===

impl Budget {
    #[cfg(test)]
    pub(crate) fn available_bytes(&self) -> usize {
        self.0.available_permits() * UNIT
    }

    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / UNIT).min(Semaphore::MAX_PERMITS))))
    }

    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        // Only a closed semaphore fails, and nobody closes this one.
        Arc::clone(&self.0).acquire_many_owned(units).await.ok()
    }
}

// === impl Buffer ===

impl Buffer {
    /// The page.
    pub(crate) fn page(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Bytes that may still be put there.
    pub(crate) fn room(&self) -> usize {
        self.held().min(self.bytes.capacity()).saturating_sub(self.bytes.len())
    }

    fn held(&self) -> usize {
        self.permit.as_ref().map_or(0, |permit| permit.num_permits() * UNIT)
    }

    /// Makes room for `len` bytes in all, waiting while other pages have the memory. Never more than `limit`, as long
    /// as `len` is not.
    ///
    /// Buffers double, so they hold no more than twice what they were given. Full ones that all want more wait for
    /// each other: whoever waits does so within a deadline, and with it gives back what it has.
    pub(crate) async fn make_room(&mut self, len: usize, limit: usize, budget: &Budget) {
        let held = self.held();
        if len <= held.min(self.bytes.capacity()) {
            return;
        }
        let doubled = held.saturating_mul(2).max(self.bytes.capacity()).max(FIRST_BYTES);
        let capacity = len.max(doubled.min(limit));
        if let Some(more) = budget.take(capacity.saturating_sub(held)).await {
            match &mut self.permit {
                Some(permit) => permit.merge(more),
                none => *none = Some(more),
            }
        }
        self.bytes.reserve_exact(capacity - self.bytes.len());
    }

    fn reset(&mut self) {
        self.permit = None;
        self.start = 0;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
    }
}

// === impl Pool ===

impl Pool {
    pub(crate) fn lease(&self) -> Lease {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lease { workspace: kept.unwrap_or_default(), pool: self.clone() }
    }
}

// === impl Lease ===

impl Drop for Lease {
    fn drop(&mut self) {
        let mut workspace = std::mem::take(&mut self.workspace);
        workspace.page.reset();
        workspace.spare.reset();
        workspace.values.clear();
        workspace.values.values.shrink_to(KEPT_BYTES / size_of::<f64>());
        workspace.values.timestamps_ms.shrink_to(KEPT_BYTES / size_of::<Option<i64>>());
        workspace.times.clear();
        workspace.times.shrink_to(KEPT_BYTES / size_of::<i64>());
        let mut kept = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(workspace);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const LIMIT: usize = 1 << 20;

    #[tokio::test]
    async fn a_buffer_stays_within_its_limit() {
        let budget = Budget::new(4 * LIMIT);
        let mut buffer = Buffer::default();
        for len in [1, FIRST_BYTES, FIRST_BYTES + 1, 100_000, LIMIT - 1, LIMIT] {
            buffer.make_room(len, LIMIT, &budget).await;
            assert!((len..=LIMIT).contains(&buffer.bytes.capacity()), "{len}: {}", buffer.bytes.capacity());
            buffer.bytes.resize(len, b'x');
        }
        assert_eq!(budget.0.available_permits(), 3 * LIMIT / UNIT);
    }

    #[tokio::test(start_paused = true)]
    async fn pages_wait_for_memory() {
        let budget = Budget::new(LIMIT);
        let pool = Pool::default();
        let mut first = pool.lease();
        first.workspace.page.make_room(LIMIT, LIMIT, &budget).await;
        let mut second = pool.lease();
        let wait = Duration::from_secs(1);
        timeout(wait, second.workspace.page.make_room(1, LIMIT, &budget)).await.unwrap_err();
        drop(first);
        timeout(wait, second.workspace.page.make_room(1, LIMIT, &budget)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn pages_that_wait_for_each_other_end_at_their_deadline() {
        let budget = Budget::new(LIMIT);
        let grow = |deadline| {
            let mut buffer = Buffer::default();
            let budget = &budget;
            async move {
                let fill = async {
                    for len in (1..=LIMIT).step_by(1000) {
                        buffer.make_room(len, LIMIT, budget).await;
                        buffer.bytes.resize(len, b'x');
                        assert!(buffer.bytes.capacity() <= FIRST_BYTES.max(2 * len), "{len}");
                        tokio::task::yield_now().await;
                    }
                };
                timeout(Duration::from_secs(deadline), fill).await.is_ok()
            }
        };
        // The first to give up leaves the other one all it needs.
        assert_eq!(tokio::join!(grow(1), grow(2)), (false, true));
        assert_eq!(budget.available_bytes(), LIMIT);
    }

    #[tokio::test]
    async fn what_is_kept_is_small_and_clean() {
        let budget = Budget::new(4 * LIMIT);
        let pool = Pool::default();
        let leases: Vec<Lease> = (0..2 * KEPT).map(|_| pool.lease()).collect();
        for mut lease in leases {
            lease.workspace.page.make_room(LIMIT, LIMIT, &budget).await;
            lease.workspace.page.bytes.resize(LIMIT, b'x');
            lease.workspace.times.resize(LIMIT, 1);
        }
        assert_eq!(budget.0.available_permits(), 4 * LIMIT / UNIT);
        let kept = pool.0.lock().unwrap();
        assert_eq!(kept.len(), KEPT);
        for workspace in &*kept {
            assert!(workspace.page.bytes.is_empty() && workspace.times.is_empty());
            assert!(workspace.page.bytes.capacity() <= KEPT_BYTES);
            assert!(workspace.times.capacity() * size_of::<i64>() <= KEPT_BYTES);
        }
    }
}
