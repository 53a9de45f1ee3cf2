//! The accounting of orders: what the shop confirmed against what the workers' logs say was done.
//!
//! An item counts as processed when a worker logged `worked off` with its id, which it does after the queue has confirmed
//! the acknowledgement. Every item must have been processed exactly once. A second time is let pass in one case: the
//! queue delivers at least once, so that a worker whose end was forced, or whose connection broke, may have done an item
//! that the queue then gave to another. For this the log must show the further deliveries as `redelivered=true`, and
//! some log must show such an end.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An order that the shop confirmed. Its items are named `ID-1` to `ID-ITEMS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: String,
    /// How many items it has.
    pub items: u32,
}

/// What one run of a worker wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerLog {
    /// The pod.
    pub pod: String,
    /// The text.
    pub text: String,
    /// Whether the worker still runs, so that its log has no end yet.
    pub runs: bool,
}

/// What became of the orders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Items ordered.
    pub ordered: u64,
    /// Items processed exactly once.
    pub once: u64,
    /// Items that no log shows as processed.
    pub lost: Vec<String>,
    /// Items processed more than once without an explanation.
    pub repeated: Vec<String>,
    /// Items processed more than once because a worker's end was forced.
    pub redelivered: Vec<String>,
    /// Items of other orders that the logs show as processed.
    pub others: u64,
    /// Workers of which there is a log.
    pub workers: u64,
    /// Runs of workers whose end was forced or that lost the queue.
    pub interrupted: u64,
}

/// One processing of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Processing<'a> {
    item: &'a str,
    redelivered: bool,
}

/// Counts.
pub fn account(orders: &[Order], logs: &[WorkerLog]) -> Account {
    let mut seen: BTreeMap<&str, Vec<Processing<'_>>> = BTreeMap::new();
    for processing in logs.iter().flat_map(|log| processings(&log.text)) {
        seen.entry(processing.item).or_default().push(processing);
    }
    let mut workers: Vec<&str> = logs.iter().map(|log| log.pod.as_str()).collect();
    workers.sort_unstable();
    workers.dedup();
    let interrupted = logs.iter().filter(|log| is_interrupted(log)).count() as u64;
    let mut found = Account { workers: workers.len() as u64, interrupted, ..Account::default() };
    for order in orders {
        for number in 1..=order.items {
            let item = format!("{}-{number}", order.id);
            found.ordered += 1;
            let times = seen.remove(item.as_str()).unwrap_or_default();
            let is_explained =
                interrupted > 0 && times.iter().filter(|processing| !processing.redelivered).count() <= 1;
            match times.len() {
                0 => found.lost.push(item),
                1 => found.once += 1,
                _ if is_explained => found.redelivered.push(item),
                _ => found.repeated.push(item),
            }
        }
    }
    found.others = seen.len() as u64;
    found
}

// === impl Account ===

impl Account {
    /// Whether every item was processed as often as it should be.
    pub fn is_right(&self) -> bool {
        self.lost.is_empty() && self.repeated.is_empty()
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        let Self { ordered, once, .. } = self;
        let mut text = format!("{once} of {ordered} items processed exactly once");
        for (items, what) in [
            (&self.lost, "lost"),
            (&self.repeated, "processed more than once without a reason"),
            (&self.redelivered, "redelivered after a worker's forced end"),
        ] {
            if let [first, rest @ ..] = items.as_slice() {
                let more = if rest.is_empty() { "" } else { ", ..." };
                text.push_str(&format!("; {} {what} ({first}{more})", items.len()));
            }
        }
        text
    }
}

/// The processings in a log, in its order.
fn processings(log: &str) -> impl Iterator<Item = Processing<'_>> {
    log.lines().filter(|line| line.contains(" worked off ")).filter_map(|line| {
        let item = field(line, "order")?;
        Some(Processing { item, redelivered: field(line, "redelivered") == Some("true") })
    })
}

/// The value of `name=value` or `name="value"` in a log line.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let words = line.split_ascii_whitespace();
    let value = words.filter_map(|word| word.strip_prefix(name)?.strip_prefix('=')).next()?;
    Some(value.trim_matches('"'))
}

/// Whether what the worker had in hand may have been given to another: it lost the queue, gave an order back, or ended
/// without a word.
fn is_interrupted(log: &WorkerLog) -> bool {
    let says = |text: &str| log.text.contains(text);
    says("handed back") || lost_the_queue(&log.text) || !(log.runs || says("the worker has stopped"))
}

/// Whether the connection to the queue broke. One that fails before it is made has no order in hand.
fn lost_the_queue(log: &str) -> bool {
    let connections = log.lines().filter_map(|line| {
        let is_made = line.contains("the worker is connected to the broker");
        (is_made || line.contains("the worker is not connected to the broker")).then_some(is_made)
    });
    connections.skip_while(|is_made| !is_made).any(|is_made| !is_made)
}

#[cfg(test)]
mod tests;
