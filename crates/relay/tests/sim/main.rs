//! A hub and its broadcasts in virtual time: scripted streams, viewers that judge every packet.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tallies, and the log of a run asked for by its seed"
)]

mod chaos;
mod failover;
mod faults;
mod hedge;
mod slate;
mod ts;
mod viewers;
mod world;
