//! Gives memory that was freed back to the system.
//!
//! The one place of the workspace with `unsafe`, and a crate of its own so that every other one can forbid it. What was
//! freed, and when that was much, is the callers' knowledge.
//!
//! Lists are read, replaced and dropped by the hundred megabytes, each in a thread of its own. The allocator of glibc
//! keeps what a thread freed for the next thread that gets the same arena, of which there are eight for each core: with
//! 500,000 entries 300 MiB stay resident after the second list, and 158 MiB when they are given back each time. An
//! allocator that gives back by itself (mimalloc 2) stays as low and needs 272 MiB where this one needs 170 at the first
//! list, and 35 MiB instead of 14 when idle.

/// Gives back what is free, whole pages of it, from all arenas. It takes each arena's lock in turn, for milliseconds
/// where hundreds of megabytes were freed: for moments when much was.
///
/// Does nothing with other C libraries than glibc.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // Whether there was anything to give back is nobody's decision.
    let _had_any = trim();
}

/// Whether anything was given back: `malloc_trim(3)`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "what is freed stays resident otherwise; no safe library offers it"
)]
fn trim() -> bool {
    // SAFETY: `malloc_trim` takes a number and no pointer, and may be called by any thread at any time (MT-Safe in the
    // manual). It touches free chunks only, each under its arena's lock; what is allocated stays where it is. Memory that
    // comes from another allocator, should a program have one, is not known to it.
    unsafe { libc::malloc_trim(0) == 1 }
}
