//! Channel lists in the M3U dialects of the field: read leniently, written strictly.
//!
//! Here live the bytes ↔ [`Entry`] conversions and nothing else. What a channel is, which entries belong
//! together and what a list may replace is the catalogue's business; fetching, unpacking (gzip) and resolving
//! relative addresses is the caller's. HLS playlists share the first line with channel lists but are streams:
//! the reader only recognises them ([`LooksLike::Hls`]), the `hls` crate reads them.
//!
//! There is no standard for these lists; the rules are what players and panels in the field agree on.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

mod attribute;
mod entry;
mod headers;
mod reader;
mod report;
mod text;
mod writer;

pub use entry::{Attributes, Catchup, Entry, Header};
pub use headers::Headers;
pub use reader::{LINE_BYTES_MAX, Reader};
pub use report::{Ending, LooksLike, MALFORMED_SAMPLES_MAX, Malformed, Reason, Report, Sample};
pub use writer::Writer;
