//! Fragmented MP4 as HLS and CMAF use it: segments to frames ([`Reader`]), frames to segments ([`Writer`]).
//!
//! Bytes in, values and bytes out: frames are [`mpegts::Frame`]s, in the form transport streams carry. Putting frames into
//! transport packets is [`mpegts::Muxer`]'s, fetching segments and listing them the callers'. Whole files with sample
//! tables are not read. Clause numbers are those of ISO/IEC 14496-12 unless another standard is named.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

mod boxes;
mod reader;
mod remux;
mod writer;

pub use reader::{ReadError, Reader};
pub use remux::{Remuxer, Segment, from_ts};
pub use writer::{WriteError, Writer};
