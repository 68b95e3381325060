//! A hub and its broadcasts in virtual time: scripted streams, viewers that judge every packet.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod failover;
mod faults;
mod slate;
mod ts;
mod viewers;
mod world;
