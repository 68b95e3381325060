//! Listings and rules in, channels out: what the sources offer ([`listing`]), what the operator wants of it
//! ([`filter`], [`pattern`]), which streams are one channel ([`build`](build()), [`channel`], [`id`]) and in which
//! order a channel's streams are tried ([`order`]).
//!
//! Not here: fetching or parsing lists, writing playlists, sockets, bytes in flight, the time of day.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

pub mod build;
pub mod channel;
pub mod filter;
pub mod id;
pub mod listing;
pub mod order;
pub mod pattern;
pub mod secret;

pub use build::{Issue, SourceRules, build};
pub use channel::{Catalog, Channel, SourceCount, StreamEntry};
pub use filter::Filters;
pub use id::{ChannelId, StreamId};
pub use listing::{Entries, Entry, Kind, Listing, SourceName};
pub use pattern::Pattern;
pub use secret::{Secret, StreamUrl};
