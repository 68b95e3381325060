//! MPEG transport streams: packets, tables, clocks, and the splice of several sources into one programme.
//!
//! Bytes in, values and bytes out. No clock, no sockets, no threads: time is what the stream says it is.
//! All clause numbers are those of ISO/IEC 13818-1 (= ITU-T H.222.0) unless another standard is named.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

pub mod align;
pub mod clip;
pub mod clock;
pub mod es;
pub mod null;
pub mod packet;
pub mod pes;
pub mod psi;
pub mod splice;

pub use align::Aligner;
pub use clip::Clip;
pub use clock::{MediaTime, Pcr27m, Pts90k};
pub use packet::{PACKET_BYTES, Packet, Pid, SYNC_BYTE};
pub use splice::{Piece, Signature, SignatureStream, SourceReport, Splicer};
