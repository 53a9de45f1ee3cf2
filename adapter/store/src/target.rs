//! Targets: one address of a pod that serves a page, and what came of asking it.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{Layout, Page, PodKey, StoreFull, Timestamp, registry::Registry, room::Cost};

/// Where a pod serves a page.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// http or https.
    pub scheme: Scheme,
    /// The pod's own IP.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// The path, with its query if it has one; begins with `/`.
    pub path: Box<str>,
    /// Tells apart the terms on which the same page may be scraped; 0 for the usual ones.
    pub terms: u64,
}

/// How a page is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// Identifies a target for as long as the process lives; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(pub(crate) u64);

/// One endpoint of one pod, with what is known of it.
#[derive(Debug)]
pub struct Target {
    id: TargetId,
    pod: PodKey,
    endpoint: Endpoint,
    registry: Arc<Registry>,
    state: RwLock<State>,
    /// Numbers of those who read it of late; 0 for none.
    readers: [AtomicU64; READERS],
}

/// Readers that a target remembers; more of them are served as they come.
const READERS: usize = 8;

/// The one who scrapes a target, and alone writes to it.
#[derive(Debug)]
pub struct Recorder {
    target: Arc<Target>,
}

/// A scrape that succeeded.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How long it took, from connecting to the last byte.
    pub duration: Duration,
    /// Lines of the page that were skipped.
    pub rejected: u64,
    /// The first of them: line number and reason.
    pub first_rejected: Option<Box<str>>,
}

/// A scrape that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When it ended.
    pub at: Timestamp,
    /// What failed.
    pub kind: FailureKind,
    /// One line for the pod's owner: what happened and what to change.
    pub message: Box<str>,
}

/// The classes of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// Nothing accepted the connection.
    Connect,
    /// TLS was not agreed upon.
    Tls,
    /// The connection broke or spoke no HTTP.
    Protocol,
    /// The deadline passed.
    Timeout,
    /// An answer with another code than 200.
    HttpStatus,
    /// A limit was exceeded; the message names the flag.
    Limit,
    /// The page cannot be used as a whole.
    Page,
}

/// What came of a target's scrapes so far.
#[derive(Clone, Debug, Default)]
pub struct TargetStatus {
    /// When the last good scrape was taken.
    pub last_success: Option<Timestamp>,
    /// The last good scrape.
    pub last_outcome: Option<Outcome>,
    /// The last scrape, if it failed.
    pub failure: Option<Failure>,
    /// Failures since the last success.
    pub failures_in_a_row: u32,
}

#[derive(Debug, Default)]
struct State {
    page: Option<Page>,
    /// What the page takes of the store's room.
    cost: Cost,
    status: TargetStatus,
}

// === impl Target ===

impl Target {
    pub(crate) fn new(id: TargetId, pod: PodKey, endpoint: Endpoint, registry: Arc<Registry>) -> Arc<Self> {
        Arc::new(Self { id, pod, endpoint, registry, state: RwLock::default(), readers: Default::default() })
    }

    /// Which target this is.
    #[must_use]
    pub fn id(&self) -> TargetId {
        self.id
    }

    /// The pod that it belongs to.
    #[must_use]
    pub fn pod(&self) -> &PodKey {
        &self.pod
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Looks at its page, if one was ever read. Writers wait while `look` runs, so it only computes.
    pub fn page<R>(&self, look: impl FnOnce(&Page) -> R) -> Option<R> {
        self.read().page.as_ref().map(look)
    }

    /// What came of its scrapes so far.
    #[must_use]
    pub fn status(&self) -> TargetStatus {
        self.read().status.clone()
    }

    /// Whether any scrape, good or bad, has ended.
    #[must_use]
    pub fn was_tried(&self) -> bool {
        let state = self.read();
        state.status.last_success.is_some() || state.status.failure.is_some()
    }

    /// Notes that it is read by the reader of this number, which is not 0, if there is room for another one. Readers
    /// are told apart by whoever gives out the numbers.
    pub fn read_by(&self, reader: u64) {
        if self.readers.iter().any(|noted| noted.load(Ordering::Relaxed) == reader) {
            return;
        }
        for noted in &self.readers {
            if noted.compare_exchange(0, reader, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    /// Notes the readers of a target whose pod is selected by whoever selects this one's.
    pub(crate) fn read_like(&self, other: &Self) {
        for noted in &other.readers {
            match noted.load(Ordering::Relaxed) {
                0 => {}
                reader => self.read_by(reader),
            }
        }
    }

    /// Looks at the readers that are noted, and forgets those that `keep` does not want kept. Whether any are left.
    pub fn retain_readers(&self, mut keep: impl FnMut(u64) -> bool) -> bool {
        let mut any = false;
        for noted in &self.readers {
            let reader = noted.load(Ordering::Relaxed);
            if reader == 0 {
                continue;
            }
            if keep(reader) {
                any = true;
            } else {
                // Nobody else takes a place that is not empty.
                noted.store(0, Ordering::Relaxed);
            }
        }
        any
    }

    /// A panicking reader leaves the state whole, so a poisoned lock is as good as any.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.registry.room.give_back(state.cost);
    }
}

// === impl Recorder ===

impl Recorder {
    pub(crate) fn new(target: Arc<Target>) -> Self {
        Self { target }
    }

    /// The target that this one records.
    #[must_use]
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Keeps a page that was read at `taken`.
    ///
    /// `values` has one entry for each series of `layout`, NaN for none; `times` (Unix milliseconds) has as
    /// many or is empty. With the layout of the page before, nothing is allocated.
    ///
    /// # Errors
    /// [`StoreFull`] when the page takes more than the store still has room for; the page before stays, until it
    /// is too old to be served.
    pub fn record(
        &mut self,
        layout: &Arc<Layout>,
        values: &[f64],
        times: &[i64],
        taken: Timestamp,
        outcome: Outcome,
    ) -> Result<(), StoreFull> {
        let registry = &self.target.registry;
        let mut state = self.target.write();
        let columns = registry.config.columns;
        let had_times = state.page.as_ref().is_some_and(Page::has_times);
        let plan = registry.keep.plan(layout, &registry.config);
        let cost = Page::cost(layout, columns, had_times || !times.is_empty(), plan.as_deref());
        if cost != state.cost {
            registry.room.exchange(state.cost, cost)?;
            state.cost = cost;
        }
        let page = &mut state.page;
        if let Some(page) = page {
            page.keep(plan.as_ref(), layout);
        }
        match page {
            Some(page) if Arc::ptr_eq(page.layout(), layout) => page.record(values, times, taken),
            Some(page) => page.relayout(Arc::clone(layout), values, times, taken),
            none => *none = Some(Page::new(Arc::clone(layout), columns, plan.as_ref(), values, times, taken)),
        }
        state.status.last_success = Some(taken);
        state.status.last_outcome = Some(outcome);
        state.status.failure = None;
        state.status.failures_in_a_row = 0;
        Ok(())
    }

    /// Keeps that a scrape failed. The page before stays, until it is too old to be served.
    pub fn fail(&mut self, failure: Failure) {
        let mut state = self.target.write();
        state.status.failures_in_a_row = state.status.failures_in_a_row.saturating_add(1);
        state.status.failure = Some(failure);
    }

    /// The one layout equal to this one, shared with every target whose page has this shape.
    #[must_use]
    pub fn intern(&self, layout: Layout) -> Arc<Layout> {
        self.target.registry.intern(layout)
    }
}

// === impl Endpoint ===

/// Without the query, which may hold a secret: this is what logs and other people's messages show.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let path = self.path.split_once('?').map_or(&*self.path, |(path, _)| path);
        match self.address {
            IpAddr::V4(address) => write!(f, "{scheme}://{address}:{}{path}", self.port),
            IpAddr::V6(address) => write!(f, "{scheme}://[{address}]:{}{path}", self.port),
        }
    }
}

// === impl FailureKind ===

impl FailureKind {
    /// The value of a metric's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Timeout => "timeout",
            Self::HttpStatus => "http_status",
            Self::Limit => "limit",
            Self::Page => "page",
        }
    }
}
