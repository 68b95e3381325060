//! MPEG transport streams: packets, tables, clocks, and the splice of several sources into one programme.
//!
//! Bytes in, values and bytes out. No clock, no sockets, no threads: time is what the stream says it is.
//! All clause numbers are those of ISO/IEC 13818-1 (= ITU-T H.222.0) unless another standard is named.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

pub mod align;
pub mod clock;
pub mod demux;
pub mod es;
pub mod frame;
pub mod interleave;
pub mod mux;
pub mod null;
mod own_stream;
pub mod packet;
pub mod pes;
pub mod psi;
pub mod radio;
pub mod rtp;
pub mod silence;
pub mod slate;
pub mod splice;
mod units;

pub use align::Aligner;
pub use clock::{MediaTime, Pcr27m, Pts90k};
pub use demux::Demuxer;
pub use es::Codec;
pub use frame::{Frame, Track};
pub use interleave::Interleaver;
pub use mux::{MuxError, Muxer};
pub use packet::{PACKET_BYTES, Packet, Pid, SYNC_BYTE};
pub use splice::{Likeness, Piece, Signature, SignatureStream, SourceReport, Splicer, Unusable};

#[cfg(test)]
mod tests {
    /// Chance that is the same in every run.
    pub(crate) struct Xorshift(u64);

    impl Xorshift {
        pub(crate) fn new(seed: u64) -> Self {
            Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
        }

        pub(crate) fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        pub(crate) fn below(&mut self, bound: usize) -> usize {
            usize::try_from(self.next() % bound.max(1) as u64).unwrap()
        }
    }
}
