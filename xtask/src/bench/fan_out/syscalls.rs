//! How many system calls a process makes: counted by perf, else by strace.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::tools::find;

/// How long is counted.
const SECONDS: &str = "1";

/// Who counts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Counter {
    /// `perf stat`: the kernel counts, and the process hardly notices.
    Perf,
    /// `strace -c`: exact, and the process is slowed down while it is counted.
    Strace,
    /// Nobody.
    None,
}

impl Counter {
    /// The best there is here.
    pub(super) fn find() -> Self {
        if find("perf").is_some() && perf(std::process::id(), "0.01").is_ok() {
            return Self::Perf;
        }
        if find("strace").is_some() {
            return Self::Strace;
        }
        Self::None
    }

    /// For the reader of the table.
    pub(super) fn shown(self) -> &'static str {
        match self {
            Self::Perf => "perf stat -e raw_syscalls:sys_enter",
            Self::Strace => "strace -c -f, which slows down what it counts",
            Self::None => "not counted: neither perf nor strace is installed and allowed",
        }
    }

    /// Calls of a process within a second from now on; `None` where nobody counts.
    pub(super) fn count(self, process: u32) -> Result<Option<u64>> {
        match self {
            Self::Perf => Ok(Some(perf(process, SECONDS)?)),
            Self::Strace => Ok(Some(strace(process)?)),
            Self::None => Ok(None),
        }
    }
}

fn perf(process: u32, seconds: &str) -> Result<u64> {
    let mut perf = Command::new(find("perf").context("perf is not installed")?);
    perf.args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p"]);
    perf.arg(process.to_string()).args(["--", "sleep", seconds]);
    let output = perf.stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| line.contains("sys_enter"));
    match line.and_then(|line| line.split(',').next()) {
        // It did not run at all.
        Some("<not counted>") => Ok(0),
        number => number
            .and_then(|number| number.parse().ok())
            .context("perf counts nothing"),
    }
}

fn strace(process: u32) -> Result<u64> {
    let mut strace = Command::new("timeout");
    strace.args(["--signal=INT", SECONDS, "strace", "-c", "-f", "-q", "-p"]);
    let output = strace.arg(process.to_string()).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let total = text.lines().find(|line| line.trim_end().ends_with("total"));
    // % time, seconds, usecs/call, calls.
    let calls = total.and_then(|line| line.split_whitespace().nth(3));
    calls
        .and_then(|calls| calls.parse().ok())
        .context("strace counts nothing")
}
