//! One upstream to many viewers: broadcast, ring, failover.
//!
//! Lives here: the decision what a channel's broadcast does next ([`broadcast`], pure), the buffer all its viewers
//! read from ([`ring`], pure), the measure of how a source keeps time ([`pace`], pure), and the two places that know
//! tokio: `hub`, which owns all broadcasts, and `driver`, which runs one.
//!
//! Does not live here: what a key names, HTTP, who a viewer is, where bytes come from (the program says so through
//! [`Opener`]), and what is inside a transport stream (`mpegts` says so).
#![forbid(unsafe_code)]

mod attempt;
mod audition;
mod beat;
pub mod broadcast;
mod driver;
mod failure;
mod held;
mod hub;
mod lag;
mod live;
mod opener;
pub mod pace;
pub mod ring;
mod timing;
mod viewer;

pub use failure::{Failure, FailureClass};
pub use hub::{Closed, Hub, HubTask};
pub use opener::{Candidate, Input, Opener, Role, Upstream};
pub use timing::Timing;
pub use viewer::{BroadcastStatus, Claim, Read, Reader, Ready, Viewer};
