//! What the whole of podgauge costs and how it answers: the binary as it ships, beside Prometheus where there is one.
//!
//! The cluster is the sandbox's API server, the pods are a process that serves pages on any address of loopback; podgauge
//! and Prometheus are processes of their own. CPU is what the kernel counts for a process, which says more than wall time
//! on a machine that does other things besides; memory is all that is resident.
//!
//! `cargo bench -p podgauge --bench scale -- PART`, where PART is `thousand` (some seven minutes), `served` (its reads alone, a
//! minute) or `large`, which takes a number of minutes and needs 10,000 file descriptors in each of two processes.
#![expect(clippy::print_stdout, reason = "the report is the purpose")]
#![expect(clippy::unwrap_used, reason = "a run that fails has no figures")]
#![expect(clippy::disallowed_methods, reason = "it takes real time, much of it outside any runtime")]
#![expect(clippy::cast_precision_loss, reason = "figures are rounded anyway")]

mod bare;
mod cluster;
mod farm;
mod large;
mod podgauge;
mod process;
mod prometheus;
mod reads;
mod served;
mod spread;
mod thousand;

use std::time::Duration;

/// As long as podgauge has it by default.
const INTERVAL: Duration = Duration::from_secs(15);
/// Series of a page: one gauge, which tells the pod's time, and counters.
const SERIES: usize = 500;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        [farm::ARGUMENT] => farm::run(),
        ["thousand"] => thousand::run(),
        ["served"] => served::run(),
        ["large", minutes] => large::run(minutes.parse().unwrap()),
        _ => println!("cargo bench -p podgauge --bench scale -- thousand | served | large MINUTES"),
    }
}
