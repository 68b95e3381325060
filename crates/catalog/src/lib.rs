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
mod grouping;
pub mod id;
mod id_table;
pub mod listing;
pub mod memory;
pub mod name;
pub mod number;
pub mod order;
pub mod pattern;
mod places;
pub mod preview;
pub mod rules;
pub mod secret;

pub use build::{Issue, SourceRules, build, build_with};
pub use channel::{Catalog, Channel, SourceCount, StreamEntry};
pub use filter::Filters;
pub use id::{ChannelId, StreamId};
pub use listing::{Entries, Entry, Kind, Listing, SourceName};
pub use memory::Memory;
pub use number::Number;
pub use pattern::{Pattern, Template};
pub use rules::ChannelRules;
pub use secret::{Secret, StreamUrl};
