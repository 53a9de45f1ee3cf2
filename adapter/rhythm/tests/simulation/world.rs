//! Pods, scrapes and reads on one virtual clock.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
    fmt,
    time::{Duration, Instant},
};

use podgauge_rhythm::{Allowance, Audience, Config, Pace, Past, QuestionId};

use crate::readers::{Dice, SPAN, Scenario, WARM};

const INTERVAL: f64 = 15.0;

/// When pods are scraped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Policy {
    Plain,
    Aligned { per_interval: u32 },
    ReadThrough,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Sorted.
    ages: Vec<f64>,
    /// Sorted.
    waits: Vec<f64>,
    /// From a change of a pod's number, at any time, to the read that shows it; sorted.
    delays: Vec<f64>,
    pub(crate) reads: usize,
    pub(crate) scrapes_a_minute: f64,
}

struct Pod {
    /// Its place in the interval, in seconds, when nothing is expected.
    offset: f64,
    /// When the value that is there was taken.
    taken: Option<f64>,
    started: f64,
    due: f64,
    past: Past,
    allowance: Allowance,
    questions: HashSet<QuestionId>,
    scrapes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ended(usize),
    Review(usize),
    Due(usize),
    Read(usize, usize),
}

/// Plays a scenario.
pub(crate) fn run(scenario: &Scenario, policy: Policy) -> Outcome {
    let mut dice = Dice(99);
    let epoch = Instant::now();
    let at = |seconds: f64| epoch + Duration::from_secs_f64(seconds.max(0.0));
    let per_interval = if let Policy::Aligned { per_interval } = policy { per_interval } else { 0 };
    let pace = Pace { interval: Duration::from_secs_f64(INTERVAL), per_interval };
    let mut audience = Audience::new(Config::for_interval(pace.interval));
    let mut pods: Vec<Pod> = (0..scenario.pods).map(|_| Pod::new(&mut dice, at(0.0))).collect();
    let mut events = BinaryHeap::new();
    for (reader, who) in scenario.readers.iter().enumerate() {
        events.extend(who.reads.iter().enumerate().map(|(n, read)| event(*read, Event::Read(reader, n))));
    }
    if policy != Policy::ReadThrough {
        events.extend((0..pods.len()).map(|pod| event(0.0, Event::Due(pod))));
    }
    // When the value was taken that a reader last saw of a pod.
    let mut shown: HashMap<(usize, usize), f64> = HashMap::new();
    let mut outcome =
        Outcome { ages: Vec::new(), waits: Vec::new(), delays: Vec::new(), reads: 0, scrapes_a_minute: 0.0 };
    while let Some(Reverse((nanos, what))) = events.pop() {
        let now = nanos as f64 / 1e9;
        if now >= SPAN {
            break;
        }
        match what {
            Event::Due(n) => {
                let pod = &mut pods[n];
                pod.started = now;
                pod.past.started = at(now);
                pod.allowance.spend(at(now), &pace);
                pod.scrapes += usize::from(now >= WARM);
                events.push(event(now + dice.between(scenario.fastest, scenario.slowest), Event::Ended(n)));
            }
            Event::Ended(n) => {
                let pod = &mut pods[n];
                pod.taken = Some(pod.started);
                pod.past.ended(Duration::from_secs_f64(now - pod.due));
                if pod.questions.is_empty() {
                    pod.due = pod.next_place().max(now);
                    events.push(event(pod.due, Event::Due(n)));
                } else {
                    let review = pace.review(&pod.allowance).duration_since(epoch).as_secs_f64();
                    events.push(event(review.max(now), Event::Review(n)));
                }
            }
            Event::Review(n) => {
                let pod = &mut pods[n];
                let mut expected = Vec::new();
                pod.questions.retain(|id| audience.expect(*id, at(now), &mut expected));
                let next = pace.next(at(now), &pod.allowance, &pod.past, &expected);
                let next = next.map(|next| next.duration_since(epoch).as_secs_f64());
                pod.due = next.unwrap_or_else(|| pod.next_place()).max(now);
                events.push(event(pod.due, Event::Due(n)));
            }
            Event::Read(number, _) => {
                let reader = &scenario.readers[number];
                let range = reader.pods.start..reader.pods.end.min(pods.len());
                let count = range.len();
                let heard = audience.hear(reader.question, at(now), count);
                let mut waits: f64 = 0.0;
                for (n, pod) in range.clone().zip(&mut pods[range]) {
                    if let Some(id) = heard {
                        pod.questions.insert(id);
                    }
                    let taken = if policy == Policy::ReadThrough {
                        let takes = dice.between(scenario.fastest, scenario.slowest);
                        waits = waits.max(takes);
                        pod.scrapes += usize::from(now >= WARM);
                        Some(now - takes)
                    } else {
                        pod.taken
                    };
                    if let (true, true, Some(taken)) = (reader.counts, now >= WARM, taken) {
                        outcome.ages.push(now - taken);
                        if let Some(before) = shown.insert((number, n), taken) {
                            outcome.delays.extend(changes(before, taken).map(|change| now - change));
                        }
                    }
                }
                if reader.counts && now >= WARM {
                    outcome.reads += 1;
                    outcome.waits.push(waits);
                }
            }
        }
    }
    let scrapes: usize = pods.iter().map(|pod| pod.scrapes).sum();
    outcome.scrapes_a_minute = scrapes as f64 / pods.len() as f64 / ((SPAN - WARM) / 60.0);
    outcome.ages.sort_by(f64::total_cmp);
    outcome.waits.sort_by(f64::total_cmp);
    outcome.delays.sort_by(f64::total_cmp);
    outcome
}

/// Four instants of each second between two scrapes, at which a number may have changed.
fn changes(before: f64, taken: f64) -> impl Iterator<Item = f64> {
    let count = ((taken - before) * 4.0).round() as u32;
    (0..count).map(move |n| before + (taken - before) * (f64::from(n) + 0.5) / f64::from(count))
}

fn event(at: f64, what: Event) -> Reverse<(u64, Event)> {
    Reverse(((at * 1e9) as u64, what))
}

// === impl Pod ===

impl Pod {
    fn new(dice: &mut Dice, now: Instant) -> Self {
        Self {
            offset: dice.between(0.0, INTERVAL),
            taken: None,
            started: 0.0,
            due: 0.0,
            past: Past { started: now, takes: Duration::ZERO, place: dice.between(0.0, 1.0) },
            allowance: Allowance::new(now),
            questions: HashSet::new(),
            scrapes: 0,
        }
    }

    /// Its place in the interval, half an interval from the last scrape at the earliest.
    fn next_place(&self) -> f64 {
        let earliest = self.started + INTERVAL / 2.0;
        self.offset + ((earliest - self.offset) / INTERVAL).ceil() * INTERVAL
    }
}

// === impl Outcome ===

impl Outcome {
    /// The age that this part of the reads saw at most, in seconds.
    pub(crate) fn age(&self, part: f64) -> f64 {
        percentile(&self.ages, part)
    }

    /// The time from a change to the read that shows it, in seconds, for this part of all changes at most.
    pub(crate) fn delay(&self, part: f64) -> f64 {
        percentile(&self.delays, part)
    }
}

fn percentile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len() - 1;
    sorted[((last as f64 * part).round() as usize).min(last)]
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, most, nearly_all, worst] = [0.5, 0.9, 0.99, 1.0].map(|part| self.age(part));
        write!(
            f,
            "{median:.2} s | {most:.2} s | {nearly_all:.2} s | {worst:.2} s | {:.2}",
            self.scrapes_a_minute
        )?;
        let [median, worst] = [0.5, 1.0].map(|part| percentile(&self.waits, part) * 1e3);
        write!(f, " | {median:.0} ms | {worst:.0} ms")?;
        let [median, worst] = [0.5, 1.0].map(|part| self.delay(part));
        write!(f, " | {median:.1} s | {worst:.1} s")
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => f.write_str("plain"),
            Self::Aligned { per_interval: 1 } => f.write_str("aligned"),
            Self::Aligned { per_interval } => {
                write!(f, "aligned, {per_interval} scrapes an interval allowed")
            }
            Self::ReadThrough => f.write_str("read-through"),
        }
    }
}
