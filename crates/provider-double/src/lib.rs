//! A provider that misbehaves on command.
//!
//! An in-process stand-in for an IPTV panel: lists (M3U and Xtream), endless live MPEG-TS, live HLS, files, logins with
//! connection limits, and every fault that real ones show. It keeps its own count of the sockets a client holds, from
//! the request to its own read of FIN or RST: the only count that can tell whether a limit was kept.
//!
//! It shares no code with what it tests: the looper of the clips, the playlists and the HTTP are its own.
//!
//! ```no_run
//! use std::time::Duration;
//! use provider_double::{Account, Channel, Clip, Extent, Fault, Now, Plan, Provider};
//!
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = Provider::start(
//!     Plan::new()
//!         .account(Account::new("u", "p").max_connections(1))
//!         .channel(Channel::new(1, "One", Clip::H264Closed)),
//! )?;
//! provider.stream(1).fault_times(Fault::Rst(Extent::Bytes(100_000)), 1);
//! // … point the system under test at provider.base_url() or provider.live_url("u", 1) …
//! let account = provider.account("u");
//! account.wait_until(|log| log.closes.len() == 1 && log.open_now == 1, Duration::from_secs(5)).await?;
//! provider.stream(1).now(Now::Stall);
//! assert_eq!(account.peak(), 1);
//! # Ok(()) }
//! ```

#![forbid(unsafe_code)]

mod black;
mod board;
mod clip;
mod control;
mod door;
mod fault;
mod file;
mod hls;
mod http;
mod list_answer;
mod lists;
mod live;
mod log;
mod plan;
mod provider;
mod reel;
mod route;
mod seconds;
mod server;
mod session;
mod token;
mod ts;

pub use clip::Clip;
pub use fault::{Extent, Fault, HeadStyle, List, ListFault, Now, RangeStyle, RedirectForm, Repeat};
pub use log::{AccountLog, Close, CloseReason, Open, RECORDS_MAX, Request, TimedOut};
pub use plan::{
    Account, Channel, Join, Movie, OnLimit, PHASE, PIECE_PACKETS, Plan, SYNTHETIC_LIVE, SYNTHETIC_MOVIES,
    SYNTHETIC_SERIES, Synthetic,
};
pub use provider::{AccountHandle, AtAccept, Provider, StreamHandle};
