//! Which core does what: the server that is measured on one, everything it is measured with on another.

use anyhow::{Context as _, Result, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores of one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cores {
    /// The server's.
    pub(super) server: usize,
    /// The clients'.
    pub(super) clients: usize,
    /// The upstream's; on two cores it shares the clients'.
    pub(super) upstream: usize,
}

impl Cores {
    /// Shares out what this process may use.
    pub(super) fn share() -> Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let server = cores.next().context("no core")?;
        let mut others = cores.rev();
        let Some(clients) = others.next() else {
            bail!("one core: the clients would be measured with the server");
        };
        let upstream = others.next().unwrap_or(clients);
        Ok(Self {
            server,
            clients,
            upstream,
        })
    }
}

/// Does `work` in a thread at `core`. What it starts stays there too: threads and processes inherit their place.
pub(super) fn at<T: Send>(core: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            pin(core)?;
            work()
        });
        match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Keeps the calling thread at `core`.
pub(super) fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}
