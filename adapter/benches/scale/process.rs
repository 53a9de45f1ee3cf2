//! What the kernel knows of a process.

use std::{fs, time::Duration};

/// Time on a processor of all threads that there are.
pub(crate) fn cpu(process: u32) -> Duration {
    schedstat(process, 0)
}

/// Time for which its threads were ready to run and others had the processors.
pub(crate) fn waited(process: u32) -> Duration {
    schedstat(process, 1)
}

fn schedstat(process: u32, field: usize) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let nanos = threads.filter_map(|thread| {
        let schedstat = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        schedstat.split(' ').nth(field)?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// Time on a processor of this thread.
pub(crate) fn own_cpu() -> Duration {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(schedstat.split(' ').next().unwrap().parse().unwrap())
}

/// Resident memory now, in MB.
pub(crate) fn memory(process: u32) -> f64 {
    status(process, "VmRSS:")
}

/// Resident memory at most so far, in MB.
pub(crate) fn peak_memory(process: u32) -> f64 {
    status(process, "VmHWM:")
}

/// Open file descriptors.
pub(crate) fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

fn status(process: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0 / 1e6
}
