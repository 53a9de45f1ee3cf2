//! The answer of ActiveMQ's statistics plugin, in the form that `transformation:jms-map-json` asks for.

use super::queue::Queue;
use serde_json::{Value, json};

/// The numbers about one queue; those that a queue in memory does not have are left out.
pub(super) fn answer(name: &str, queue: &Queue) -> String {
    let long = |name: &str, value: u64| json!({"string": name, "long": value});
    let entries: Vec<Value> = vec![
        json!({"string": ["destinationName", format!("queue://{name}")]}),
        long("size", queue.len() as u64),
        long("inflightCount", queue.in_flight() as u64),
        long("consumerCount", queue.consumers() as u64),
        long("enqueueCount", queue.enqueued()),
        long("dequeueCount", queue.dequeued()),
    ];
    json!({"map": {"entry": entries}}).to_string()
}
