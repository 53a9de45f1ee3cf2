//! Starts each scrape when it is due.
//!
//! One loop knows when every target is due and starts tasks; a target without a scrape under way is a few words in a
//! map. There is at most one scrape of a target at a time, at most a configured number over all, and at most half of
//! those for targets whose last scrape failed: a node that takes a thousand hanging pods with it does not hold up the
//! pods that answer. A target that is gone is let go of at once, in the midst of its scrape if need be.
//!
//! When a target is due next is [`Cadence`]'s to say, or, when reads of it are to be expected, [`Pace`]'s: the latter
//! moves scrapes and adds none. What a scrape is, is [`Scrape`]'s.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    convert::Infallible,
    future::Future,
    panic,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use podgauge_rhythm::{Allowance, Expected, Pace, Past};
use podgauge_store::{PodKey, Recorder, Target, TargetId};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinError, JoinSet},
    time::{Instant, sleep_until},
};

use crate::{
    cadence::Cadence, discover::Command, health::Signs, metrics::Metrics, readers::Readers, terms::Terms,
};

/// The least time between two scrapes of a target whose pod became ready in between.
const READY_PAUSE: Duration = Duration::from_secs(1);

/// How long after the first scrape of a target the second one comes if it failed. The pause doubles until [`NEW_TRIES`]
/// have failed so; then the cadence holds. Most pods answer some seconds after they have an address, and not all of them
/// say when.
const NEW_PAUSE: Duration = Duration::from_secs(1);
const NEW_TRIES: u32 = 4;

/// How one target is scraped.
pub(crate) trait Scrape: Send + Sync + 'static {
    /// What a target keeps from one scrape to the next.
    type Slot: Send + 'static;

    /// For a new target, on terms of its own if it has some.
    fn open(&self, recorder: Recorder, terms: Option<Arc<Terms>>) -> Self::Slot;

    /// Scrapes once; whether that went well. Ends by itself, within its deadline.
    fn scrape(&self, slot: &mut Self::Slot) -> impl Future<Output = bool> + Send;
}

/// Limits of the scheduler.
#[derive(Clone, Debug)]
pub(crate) struct ScheduleConfig {
    pub(crate) cadence: Cadence,
    pub(crate) pace: Pace,
    /// Scrapes under way at one time.
    pub(crate) concurrency: usize,
    /// How long after the first complete list every target has had its chance.
    pub(crate) warmup: Duration,
}

/// Knows the targets, and when each is due.
#[derive(Debug)]
pub(crate) struct Scheduler<S: Scrape> {
    config: ScheduleConfig,
    scrape: Arc<S>,
    readers: Readers,
    /// Of the target that is being looked at.
    expected: Vec<Expected>,
    metrics: Metrics,
    signs: Arc<Signs>,
    targets: HashMap<TargetId, Entry<S::Slot>>,
    by_pod: HashMap<PodKey, Vec<TargetId>>,
    /// Idle targets in the order in which they are due: those that answered last time, or never were asked.
    due: BTreeSet<(Instant, TargetId)>,
    /// Idle targets whose last scrape failed, likewise.
    due_suspects: BTreeSet<(Instant, TargetId)>,
    running: JoinSet<(TargetId, Box<S::Slot>, bool)>,
    running_suspects: HashSet<TargetId>,
    warmup: Warmup,
}

#[derive(Debug)]
struct Entry<Slot> {
    target: Arc<Target>,
    /// An interval of its own, in which it stays: reads do not move its scrapes.
    interval: Option<Duration>,
    /// Its place within the interval.
    offset: Duration,
    due: Instant,
    /// It is due for another thought about when it is due for a scrape.
    is_review: bool,
    /// When the last scrape began; when it came to be, if there was none.
    started: Instant,
    past: Past,
    allowance: Allowance,
    /// It has just come to be, or to be ready, and did not answer since: what it is scraped until then is no part of what
    /// readers may move.
    is_new: bool,
    /// Scrapes so far, as long as none went well and the target is new.
    tries: Option<u32>,
    /// Failures in a row, as far as they count for back-off.
    failures: u32,
    /// The pod changed while it was being scraped.
    has_changed: bool,
    /// The pod became ready while it was being scraped: what was read may be from before.
    is_awaited: bool,
    /// `None` while it is being scraped: the task has it then.
    slot: Option<Box<Slot>>,
    /// The task, while it is being scraped.
    task: Option<AbortHandle>,
}

/// Which targets of the first complete list have not been tried yet.
#[derive(Debug)]
enum Warmup {
    Listing(HashSet<TargetId>),
    Trying(HashSet<TargetId>, Instant),
    Done,
}

// === impl Scheduler ===

impl<S: Scrape> Scheduler<S> {
    pub(crate) fn new(
        config: ScheduleConfig,
        scrape: S,
        readers: Readers,
        metrics: Metrics,
        signs: Arc<Signs>,
    ) -> Self {
        Self {
            config,
            scrape: Arc::new(scrape),
            readers,
            expected: Vec::new(),
            metrics,
            signs,
            targets: HashMap::new(),
            by_pod: HashMap::new(),
            due: BTreeSet::new(),
            due_suspects: BTreeSet::new(),
            running: JoinSet::new(),
            running_suspects: HashSet::new(),
            warmup: Warmup::Listing(HashSet::new()),
        }
    }

    /// Scrapes for ever. Dropping the future ends all scrapes.
    pub(crate) async fn run(mut self, commands: mpsc::Receiver<Command>) -> Infallible {
        let signs = Arc::clone(&self.signs);
        signs.schedule.beat_while(self.follow(commands)).await
    }

    async fn follow(&mut self, mut commands: mpsc::Receiver<Command>) -> Infallible {
        let mut sleep = pin!(sleep_until(Instant::now()));
        loop {
            let now = Instant::now();
            self.start_due(now);
            self.check_warmup(now);
            let wake = self.next_wake(now);
            if sleep.deadline() != wake {
                sleep.as_mut().reset(wake);
            }
            tokio::select! {
                Some(command) = commands.recv() => self.take_command(command, Instant::now()),
                Some(ended) = self.running.join_next() => {
                    let now = Instant::now();
                    self.take_ended(ended, now);
                    // Those that began together end together.
                    while let Some(ended) = self.running.try_join_next() {
                        self.take_ended(ended, now);
                    }
                }
                () = &mut sleep => {}
            }
            self.metrics.in_flight.set(i64::try_from(self.running.len()).unwrap_or(i64::MAX));
        }
    }

    fn take_command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Start(started) => {
                started.into_iter().for_each(|(recorder, terms)| self.open(recorder, terms, now));
            }
            Command::Stop(ids) => ids.into_iter().for_each(|id| self.close(id)),
            Command::Changed(pod) => self.hurry(&pod, now),
            Command::Ready(pod) => self.ask_again(&pod, now),
            Command::Synced => {
                if let Warmup::Listing(untried) = &mut self.warmup {
                    self.warmup = Warmup::Trying(std::mem::take(untried), now + self.config.warmup);
                }
            }
        }
    }

    fn open(&mut self, recorder: Recorder, terms: Option<Arc<Terms>>, now: Instant) {
        let target = Arc::clone(recorder.target());
        let id = target.id();
        let interval = terms.as_ref().and_then(|terms| terms.interval);
        let offset = self.config.cadence.every(interval).offset(target.pod(), target.endpoint());
        self.by_pod.entry(target.pod().clone()).or_default().push(id);
        if let Warmup::Listing(untried) = &mut self.warmup {
            untried.insert(id);
        }
        let slot = Some(Box::new(self.scrape.open(recorder, terms)));
        self.targets.insert(
            id,
            Entry {
                target,
                interval,
                offset,
                due: now,
                is_review: false,
                started: now,
                past: Past {
                    started: now.into_std(),
                    takes: Duration::ZERO,
                    place: offset.div_duration_f64(self.config.cadence.interval),
                },
                allowance: Allowance::new(now.into_std()),
                is_new: true,
                tries: Some(0),
                failures: 0,
                has_changed: false,
                is_awaited: false,
                slot,
                task: None,
            },
        );
        self.due.insert((now, id));
    }

    fn close(&mut self, id: TargetId) {
        let Some(entry) = self.targets.remove(&id) else { return };
        if let Some(task) = entry.task {
            task.abort();
        }
        self.due.remove(&(entry.due, id));
        self.due_suspects.remove(&(entry.due, id));
        self.running_suspects.remove(&id);
        self.warmup.tried(id);
        if let Some(ids) = self.by_pod.get_mut(entry.target.pod()) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_pod.remove(entry.target.pod());
            }
        }
    }

    /// Ends the back-off of a pod's targets.
    fn hurry(&mut self, pod: &PodKey, now: Instant) {
        for id in self.by_pod.get(pod).into_iter().flatten() {
            let Some(entry) = self.targets.get_mut(id).filter(|entry| entry.failures > 0) else { continue };
            if entry.slot.is_none() {
                entry.has_changed = true;
                continue;
            }
            entry.failures = 1;
            self.due_suspects.remove(&(entry.due, *id));
            let cadence = self.config.cadence.every(entry.interval);
            let next = cadence.next(entry.offset, entry.started, entry.failures);
            entry.due = entry.due.min(next).max(now);
            self.due_suspects.insert((entry.due, *id));
        }
    }

    /// Makes a pod's targets due now, wherever their places in the interval are.
    ///
    /// A pod is often scraped first when it has an address, and says what it is scaled on only once it is ready. One
    /// that becomes ready over and over costs a scrape each [`READY_PAUSE`] at most.
    fn ask_again(&mut self, pod: &PodKey, now: Instant) {
        for id in self.by_pod.get(pod).into_iter().flatten() {
            let Some(entry) = self.targets.get_mut(id) else { continue };
            if entry.slot.is_none() {
                entry.is_awaited = true;
                continue;
            }
            let queue = if entry.failures > 0 { &mut self.due_suspects } else { &mut self.due };
            queue.remove(&(entry.due, *id));
            entry.failures = entry.failures.min(1);
            entry.is_review = false;
            entry.is_new = true;
            entry.due = entry.due.min(entry.started + READY_PAUSE).max(now);
            queue.insert((entry.due, *id));
        }
    }

    fn start_due(&mut self, now: Instant) {
        while let Some((due, id)) = self.take_due(now) {
            let Some(entry) = self.targets.get_mut(&id) else { continue };
            if std::mem::take(&mut entry.is_review) {
                self.review(id, now);
                continue;
            }
            let Some(mut slot) = entry.slot.take() else { continue };
            if entry.failures > 0 {
                self.running_suspects.insert(id);
            }
            let scrape = Arc::clone(&self.scrape);
            entry.started = now;
            entry.past.started = now.into_std();
            if entry.is_new {
                entry.allowance = Allowance::new(now.into_std());
            }
            entry.allowance.spend(now.into_std(), &self.config.pace);
            entry.task = Some(self.running.spawn(async move {
                let is_good = scrape.scrape(&mut slot).await;
                (id, slot, is_good)
            }));
            self.metrics.start_delay.observe(now.saturating_duration_since(due).as_secs_f64());
        }
    }

    /// Says when a target is to be scraped next, now that the reads which its last scrape was for are over.
    fn review(&mut self, id: TargetId, now: Instant) {
        let Some(entry) = self.targets.get_mut(&id) else { return };
        self.readers.expect(&entry.target, now.into_std(), &mut self.expected);
        let next = self.config.pace.next(now.into_std(), &entry.allowance, &entry.past, &self.expected);
        if next.is_some() {
            self.metrics.scrapes_for_readers.inc();
        }
        let usual = || self.config.cadence.next(entry.offset, entry.started, 0);
        let before_read = |at| self.config.cadence.together(Instant::from_std(at));
        entry.due = next.map_or_else(usual, before_read).max(now);
        self.due.insert((entry.due, id));
    }

    /// The target that has been due for longest, if one is and there is a place for it.
    fn take_due(&mut self, now: Instant) -> Option<(Instant, TargetId)> {
        let next = self.startable().into_iter().flatten().min().filter(|(due, _)| *due <= now)?;
        if !self.due.remove(&next) {
            self.due_suspects.remove(&next);
        }
        Some(next)
    }

    /// The first targets of both queues, as far as there is a place for them.
    fn startable(&self) -> [Option<(Instant, TargetId)>; 2] {
        if self.running.len() >= self.config.concurrency {
            return [None, None];
        }
        let has_room = self.running_suspects.len() < self.config.concurrency / 2;
        [self.due.first().copied(), self.due_suspects.first().copied().filter(|_| has_room)]
    }

    /// When there is something to do that no command and no task announces.
    fn next_wake(&self, now: Instant) -> Instant {
        let due = self.startable().into_iter().flatten().map(|(due, _)| due).min();
        let warm = match &self.warmup {
            Warmup::Trying(_, deadline) => Some(*deadline),
            Warmup::Listing(_) | Warmup::Done => None,
        };
        due.into_iter().chain(warm).min().unwrap_or(now + self.config.cadence.interval)
    }

    fn take_ended(&mut self, ended: Result<(TargetId, Box<S::Slot>, bool), JoinError>, now: Instant) {
        let (id, slot, is_good) = match ended {
            Ok(ended) => ended,
            Err(error) => match error.try_into_panic() {
                // A scrape catches its own panics; this one is ours, and a process that restarts is better than a
                // target that nobody asks again.
                Ok(panic) => panic::resume_unwind(panic),
                Err(_cancelled) => return,
            },
        };
        self.running_suspects.remove(&id);
        self.warmup.tried(id);
        // Gone meanwhile: dropping the slot lets go of it.
        let Some(entry) = self.targets.get_mut(&id) else { return };
        let took = now.saturating_duration_since(entry.due);
        let new_tries = entry.tries.take().filter(|tries| !is_good && *tries < NEW_TRIES);
        entry.tries = new_tries.map(|tries| tries + 1);
        entry.failures = match is_good {
            true => 0,
            // A pod that is just starting has not failed.
            false if entry.has_changed || new_tries.is_some() => 1,
            false => entry.failures.saturating_add(1),
        };
        entry.has_changed = false;
        entry.slot = Some(slot);
        entry.task = None;
        let cadence = self.config.cadence.every(entry.interval);
        let next = cadence.next(entry.offset, entry.started, entry.failures);
        let soon = new_tries.map(|tries| entry.started + NEW_PAUSE * (1 << tries));
        entry.due = soon.map_or(next, |soon| soon.min(next)).max(now);
        if is_good {
            entry.is_new = false;
            entry.past.ended(took);
            let may_move = self.config.pace.per_interval > 0 && entry.interval.is_none();
            if may_move && entry.target.retain_readers(|_| true) {
                entry.is_review = true;
                let review = Instant::from_std(self.config.pace.review(&entry.allowance));
                entry.due = self.config.cadence.together(review).max(now);
            }
        }
        if std::mem::take(&mut entry.is_awaited) {
            entry.is_review = false;
            entry.is_new = true;
            entry.due = entry.due.min(entry.started + READY_PAUSE).max(now);
        }
        let queue = if is_good { &mut self.due } else { &mut self.due_suspects };
        queue.insert((entry.due, id));
    }

    fn check_warmup(&mut self, now: Instant) {
        if let Warmup::Trying(untried, deadline) = &self.warmup
            && (untried.is_empty() || now >= *deadline)
        {
            self.warmup = Warmup::Done;
            self.signs.set_warm();
        }
    }
}

// === impl Warmup ===

impl Warmup {
    fn tried(&mut self, id: TargetId) {
        if let Self::Listing(untried) | Self::Trying(untried, _) = self {
            untried.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests;
