//! A hub and its broadcasts in virtual time: scripted streams, viewers that judge every packet.

mod failover;
mod faults;
mod slate;
mod ts;
mod viewers;
mod world;
