//! HLS playlists as values, and the decisions of a client that follows a live one (RFC 8216).
//!
//! Here live text → playlist, and playlists + time → what to fetch next; and the other way: a broadcast → segments
//! ([`segment`]) → text ([`mod@write`]). Fetching, resolving relative URIs
//! against the final address, decrypting and muxing is the callers' business. Time is a [`std::time::Duration`]
//! since any origin the caller keeps to.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

mod attributes;
pub mod define;
pub mod feature;
pub mod follow;
pub mod language;
pub mod packed;
mod parse;
pub mod playlist;
pub mod segment;
pub mod tables;
pub mod turns;
pub mod variant;
pub mod write;

pub use feature::{Feature, unsupported};
pub use playlist::{MediaPlaylist, MultivariantPlaylist, Playlist};
