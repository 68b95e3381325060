//! How busy a thread of the bench itself is, and how long it waits for its core while others have it.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;

use crate::bench::process::schedstat;

/// One thread's account, kept by itself and read by others.
#[derive(Debug, Default)]
pub(super) struct Load {
    ran_ns: AtomicU64,
    waited_ns: AtomicU64,
}

impl Load {
    /// The calling thread's account as it is now.
    pub(super) fn update(&self) -> Result<()> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
        let (ran, waited) = schedstat(&text)?;
        self.ran_ns.store(ran, Ordering::Relaxed);
        self.waited_ns.store(waited, Ordering::Relaxed);
        Ok(())
    }

    /// Nanoseconds that it ran, and that it was ready to run and did not.
    pub(super) fn so_far(&self) -> (u64, u64) {
        (
            self.ran_ns.load(Ordering::Relaxed),
            self.waited_ns.load(Ordering::Relaxed),
        )
    }
}
