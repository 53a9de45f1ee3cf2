//! How far a run has come: one worker, an order, more workers, an empty queue, one worker again.

use super::record::{Queue, Sample, Workers};

/// What has been seen since the order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// The most workers that were ready at once.
    pub most: u64,
    /// The most that the autoscaler asked for.
    pub most_wanted: u64,
    /// When more than one worker was ready, in seconds since the order.
    pub rose_at: Option<f64>,
    /// When the queue was empty after that.
    pub drained_at: Option<f64>,
    /// When one worker was left after that, and no other one ending.
    pub closed_at: Option<f64>,
    /// Whether an order has been seen to wait.
    has_filled: bool,
    last: Option<Sample>,
    /// When the last sample came that said something new.
    changed_at: f64,
}

/// Something that a run had to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// More than one worker is ready.
    Rose,
    /// The queue is empty.
    Drained,
    /// One worker again: the loop has closed.
    Closed,
}

/// Whether everything stands still and is known, so that an order shows what the autoscaler makes of it: one worker, an
/// empty queue, a value that is served, and an autoscaler that acts on it.
pub fn is_calm(sample: &Sample) -> bool {
    let is_empty = sample.queue.is_some_and(|queue| queue.messages == 0);
    let (one, served) = (sample.workers, sample.served);
    (one.wanted, one.ready, one.pods) == (1, 1, 1) && is_empty && served.is_some() && sample.autoscaler.active
}

/// What [`is_calm`] still lacks, for people.
pub fn unrest(sample: &Sample) -> String {
    let mut lacks = Vec::new();
    if sample.workers.wanted != 1 || sample.workers.pods != 1 || sample.workers.ready != 1 {
        let workers = sample.workers;
        lacks.push(format!("one worker (there are {}, {} of them ready)", workers.pods, workers.ready));
    }
    match sample.queue {
        None => lacks.push("an answer from the shop".to_owned()),
        Some(queue) if queue.messages > 0 => lacks.push(format!("an empty queue ({} wait)", queue.messages)),
        Some(_) => {}
    }
    if sample.served.is_none() {
        lacks.push("a value of messages from podgauge".to_owned());
    }
    if !sample.autoscaler.active {
        let reasons = &sample.autoscaler.reasons;
        let says = if reasons.is_empty() { "it has said nothing yet" } else { reasons };
        lacks.push(format!("an autoscaler that can act ({says})"));
    }
    lacks.join(", ")
}

/// What a run waits for to change.
fn said(sample: &Sample) -> (Option<Queue>, Workers, &str) {
    (sample.queue, sample.workers, &sample.autoscaler.reasons)
}

// === impl Progress ===

impl Progress {
    /// Takes a sample in and answers what it reached.
    pub fn observe(&mut self, sample: &Sample) -> Option<Milestone> {
        let workers = sample.workers;
        self.most = self.most.max(workers.ready);
        self.most_wanted = self.most_wanted.max(workers.wanted);
        self.has_filled |= sample.queue.is_some_and(|queue| queue.messages > 0);
        if self.last.as_ref().is_none_or(|last| said(last) != said(sample)) {
            self.changed_at = sample.at;
        }
        self.last = Some(sample.clone());
        let is_empty = sample.queue.is_some_and(|queue| queue.messages == 0);
        let (reached, milestone) = match (self.rose_at, self.drained_at, self.closed_at) {
            (None, _, _) if workers.ready > 1 => (&mut self.rose_at, Milestone::Rose),
            (Some(_), None, _) if is_empty => (&mut self.drained_at, Milestone::Drained),
            (Some(_), Some(_), None)
                if is_empty && (workers.wanted, workers.ready, workers.pods) == (1, 1, 1) =>
            {
                (&mut self.closed_at, Milestone::Closed)
            }
            _ => return None,
        };
        *reached = Some(sample.at);
        Some(milestone)
    }

    /// Whether everything stands still again and a second worker was never ready: the orders were worked off before, as
    /// happens where processes are slow to start. `ordered` is how many items were ordered.
    pub fn has_missed(&self, sample: &Sample, ordered: u64) -> bool {
        let is_done = sample.queue.and_then(|queue| queue.done).is_some_and(|done| done >= ordered);
        self.rose_at.is_none() && is_calm(sample) && (self.has_filled || is_done)
    }

    /// More was ordered, because the first order was over too soon.
    pub fn begin_again(&mut self) {
        self.has_filled = false;
    }

    /// For how many seconds nothing has changed.
    pub fn still_for(&self) -> f64 {
        self.last.as_ref().map_or(0.0, |last| last.at - self.changed_at)
    }

    /// What has not been reached, in words; `None` when the loop has closed.
    pub fn missing(&self) -> Option<String> {
        let last = self.last.clone().unwrap_or_default();
        let says = match last.autoscaler.reasons.as_str() {
            "" => "the autoscaler has said nothing".to_owned(),
            reasons => format!("the autoscaler says {reasons}"),
        };
        let queue = match last.queue {
            Some(queue) => format!("{} orders wait", queue.messages),
            None => "the shop does not answer".to_owned(),
        };
        match self {
            Self { closed_at: Some(_), .. } => None,
            Self { rose_at: None, most_wanted: 0 | 1, .. } => {
                Some(format!("the worker never became more than one: {says}, {queue}"))
            }
            Self { rose_at: None, most_wanted, .. } => Some(format!(
                "the worker never became more than one: {most_wanted} were wanted and one was ready, {queue}"
            )),
            Self { drained_at: None, most, .. } => {
                Some(format!("the queue did not run empty: {queue}, {most} workers at most"))
            }
            Self { most, .. } => Some(format!(
                "the worker went 1 -> {most} and not back to 1: {} are wanted, {} are there, {queue}, {says}",
                last.workers.wanted, last.workers.pods
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Autoscaler, Served};
    use super::*;

    fn sample(at: f64, messages: Option<u64>, workers: (u64, u64, u64)) -> Sample {
        let (wanted, ready, pods) = workers;
        Sample {
            at,
            queue: messages.map(|messages| Queue { messages, done: None }),
            workers: Workers { wanted, ready, pods },
            ..Sample::default()
        }
    }

    #[test]
    fn a_run_goes_up_empties_the_queue_and_comes_back() {
        let mut progress = Progress::default();
        let mut check = |sample: Sample, expected: Option<Milestone>, missing: &str| {
            assert_eq!(progress.observe(&sample), expected, "{sample:?}");
            let found = progress.missing().unwrap_or_default();
            assert!(found.starts_with(missing) && missing.is_empty() == found.is_empty(), "{found}");
        };
        check(
            sample(0.0, Some(100), (1, 1, 1)),
            None,
            "the worker never became more than one: the autoscaler",
        );
        // An empty queue before more workers is not what was to be shown.
        check(sample(1.0, Some(0), (1, 1, 1)), None, "the worker never became");
        check(sample(2.0, Some(90), (5, 1, 5)), None, "the worker never became more than one: 5 were wanted");
        check(
            sample(3.0, Some(80), (5, 2, 5)),
            Some(Milestone::Rose),
            "the queue did not run empty: 80 orders",
        );
        check(sample(4.0, None, (10, 10, 10)), None, "the queue did not run empty: the shop does not answer");
        check(
            sample(5.0, Some(0), (10, 10, 10)),
            Some(Milestone::Drained),
            "the worker went 1 -> 10 and not back",
        );
        // One is wanted, and others are still ending.
        check(sample(6.0, Some(0), (1, 1, 4)), None, "the worker went 1 -> 10 and not back");
        check(sample(7.0, Some(0), (1, 1, 1)), Some(Milestone::Closed), "");
        check(sample(8.0, Some(50), (5, 5, 5)), None, "");
        assert_eq!((progress.most, progress.closed_at), (10, Some(7.0)));
    }

    #[test]
    fn an_order_that_is_over_too_soon_is_missed_and_stillness_is_measured() {
        let calm = |at: f64, messages: u64, done: u64| Sample {
            queue: Some(Queue { messages, done: Some(done) }),
            served: Some(Served { value: 0.0, age: 1.0 }),
            autoscaler: Autoscaler { active: true, ..Autoscaler::default() },
            ..sample(at, None, (1, 1, 1))
        };
        let mut progress = Progress::default();
        let mut check = |sample: Sample, missed: bool, still: f64| {
            progress.observe(&sample);
            assert_eq!(
                (progress.has_missed(&sample, 100), progress.still_for()),
                (missed, still),
                "{sample:?}"
            );
        };
        // The shop has not told of the order yet.
        check(calm(0.0, 0, 0), false, 0.0);
        check(calm(5.0, 0, 0), false, 5.0);
        check(calm(6.0, 99, 1), false, 0.0);
        check(calm(7.0, 0, 100), true, 0.0);
        progress.begin_again();
        let again = calm(9.0, 0, 100);
        progress.observe(&again);
        assert!(!progress.has_missed(&again, 200));
        // Nobody looked while the second order waited.
        assert!(progress.has_missed(&calm(10.0, 0, 200), 200));
        progress.observe(&sample(11.0, Some(5), (2, 2, 2)));
        assert!(!progress.has_missed(&calm(12.0, 0, 200), 200));
    }

    #[test]
    fn calm_is_one_worker_nothing_to_do_and_an_autoscaler_that_sees_it() {
        let calm = Sample {
            served: Some(Served { value: 0.0, age: 1.0 }),
            autoscaler: Autoscaler { active: true, ..Autoscaler::default() },
            ..sample(-1.0, Some(0), (1, 1, 1))
        };
        let check = |sample: Sample, lacks: &str| {
            assert_eq!(is_calm(&sample), lacks.is_empty(), "{sample:?}");
            assert_eq!(unrest(&sample), lacks);
        };
        check(calm.clone(), "");
        check(
            Sample { workers: Workers { wanted: 1, ready: 0, pods: 1 }, ..calm.clone() },
            "one worker (there are 1, 0 of them ready)",
        );
        check(
            Sample { queue: Some(Queue { messages: 3, done: None }), ..calm.clone() },
            "an empty queue (3 wait)",
        );
        check(Sample { queue: None, ..calm.clone() }, "an answer from the shop");
        check(Sample { served: None, ..calm.clone() }, "a value of messages from podgauge");
        check(
            Sample { autoscaler: Autoscaler::default(), ..calm },
            "an autoscaler that can act (it has said nothing yet)",
        );
    }
}
