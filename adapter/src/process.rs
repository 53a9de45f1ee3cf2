//! What the process uses, in the names that every exporter has for it.

use std::fs;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};

/// Reads /proc when it is asked.
#[derive(Debug)]
pub(crate) struct Process;

/// Linux' unit of CPU time in /proc; fixed at 100 for user space on every architecture that it runs on.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: f64 = 4096.0;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, value: Option<f64>| match value {
            Some(value) => ConstGauge::new(value).encode(encoder.encode_descriptor(
                name,
                help,
                unit,
                MetricType::Gauge,
            )?),
            None => Ok(()),
        };
        let help = "Total user and system CPU time spent";
        gauge("process_cpu_seconds_total", help, None, cpu_seconds())?;
        let help = "Resident memory size in bytes";
        gauge("process_resident_memory_bytes", help, None, resident_bytes())?;
        let help = "Number of open file descriptors";
        gauge("process_open_fds", help, None, open_files())
    }
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, which may hold blanks, ends with the last parenthesis; user and system time are 12th and 13th after.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

fn resident_bytes() -> Option<f64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    statm.split_whitespace().nth(1)?.parse::<f64>().ok().map(|pages| pages * PAGE_BYTES)
}

fn open_files() -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "there are fewer files than a double can count")]
    fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64)
}
