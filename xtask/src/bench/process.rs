//! What a process has used so far, as the kernel counts it.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// Ticks per second of `/proc/PID/stat`: `USER_HZ`, 100 on every architecture that Linux and Rust share today.
const TICKS_PER_SECOND: u32 = 100;

/// Processor time of a process, its threads included, in user and system mode.
pub(super) fn cpu_time(process: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name is in parentheses, and may hold anything.
    let (_, fields) = stat.rsplit_once(") ").context("a stat line without a name")?;
    // proc(5): utime and stime are fields 14 and 15; the first after the name is 3.
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u32>);
    let ticks = ticks.sum::<Result<u32, _>>()?;
    Ok(Duration::from_secs(1) * ticks / TICKS_PER_SECOND)
}

/// How long the threads that a process has now were given a core: exact where [`cpu_time`] counts in steps of 10 ms,
/// and without those that have ended.
pub(super) fn run_time(process: u32) -> Result<Duration> {
    let mut all = Duration::ZERO;
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end while it is looked at.
        let Ok(account) = std::fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        let (ran, _) = schedstat(&account)?;
        all += Duration::from_nanos(ran);
    }
    Ok(all)
}

/// Reads a schedstat (Linux, Documentation/scheduler/sched-stats): time run, time waited, turns; nanoseconds.
pub(super) fn schedstat(text: &str) -> Result<(u64, u64)> {
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    let ran = numbers.next().context("an empty schedstat")??;
    let waited = numbers.next().context("a short schedstat")??;
    Ok((ran, waited))
}

/// Resident memory now, KiB.
pub(super) fn resident(process: u32) -> Result<u64> {
    status(process, "VmRSS:")
}

/// The most resident memory so far, KiB.
pub(super) fn resident_peak(process: u32) -> Result<u64> {
    status(process, "VmHWM:")
}

fn status(process: u32, field: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.with_context(|| format!("no {field}"))?.parse()?)
}

/// KiB as people read them.
pub(super) fn mib(kib: u64) -> String {
    format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024)
}

/// Times that the process's threads left their core so far, of their own will or not.
pub(super) fn context_switches(process: u32) -> Result<u64> {
    let mut all = 0;
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end while it is looked at.
        let Ok(status) = std::fs::read_to_string(task?.path().join("status")) else {
            continue;
        };
        let lines = status.lines().filter(|line| line.contains("ctxt_switches:"));
        let numbers = lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        all += numbers.sum::<u64>();
    }
    Ok(all)
}
