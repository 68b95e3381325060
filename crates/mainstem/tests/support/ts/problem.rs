//! What can be wrong with a stream, and the bounds it is held to, each with its clause of ISO 13818-1 or of
//! ETSI TR 101 290, which says what operators alarm on.

use std::fmt;

/// PCRs of a programme are no further apart (ISO 13818-1 clause 2.7.2).
pub(crate) const CLOCK_GAP_MAX_S: f64 = 0.100;
/// A larger step of the PCR is no gap but another clock: nothing was lost for that long in a response that goes on.
pub(crate) const CLOCK_JUMP_MIN_S: f64 = 10.0;
/// PAT and PMT are no further apart (TR 101 290 clauses 5.2.1, 1.3.a and 1.5.a).
pub(crate) const TABLE_GAP_MAX_S: f64 = 0.500;
/// Data stay no longer in a decoder's buffers before they are decoded (clause 2.4.2.6) …
pub(crate) const BUFFERED_MAX_S: f64 = 1.0;
/// … and those of H.264 and HEVC no longer than this (clauses 2.14.3.1 and 2.17.2).
pub(crate) const BUFFERED_MAX_AVC_S: f64 = 10.0;
/// PTS is in every unit or at least so often (clause 2.7.4); a source that is gone may leave such a hole once.
pub(crate) const SHOWN_GAP_MAX_S: f64 = 30.0;
/// Pictures are sent out of order by a few; a second back is another timeline.
pub(crate) const SHOWN_BACK_MAX_S: f64 = 1.0;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// No sync byte where a packet begins (clause 2.4.3.3).
    Alignment,
    /// transport_error_indicator (clause 2.4.3.3).
    TransportError,
    /// Scrambled packets (clause 2.4.3.3).
    Scrambled,
    /// A counter that is not the next one (clause 2.4.3.3).
    Continuity,
    /// A packet sent more than twice, or a second time with something else in it (clause 2.4.3.3).
    Repetition,
    /// Packets of a PID that no table lists (clause 2.4.4.8).
    Unlisted,
    /// PAT or PMT too long ago.
    TableGap,
    /// A section whose CRC is wrong (clause 2.4.4.3).
    Crc,
    /// A PID of another stream_type than before.
    TypeChanged,
    /// Another PMT under the version of the one before (clause 2.4.4.9).
    VersionKept,
    /// A PCR on another PID than the PMT says (clause 2.4.4.9).
    ClockPid,
    /// PCRs too far apart.
    ClockGap,
    /// The PCR goes back, or far ahead, and nothing announces it (clause 2.4.3.5).
    ClockJump,
    /// A discontinuity is announced: allowed, and no promise of an unbroken stream.
    Announced,
    /// A unit that is to be decoded before the clock at which it comes (clause 2.4.2.6).
    UnitLate,
    /// A unit that stays in the buffer for too long.
    UnitEarly,
    /// DTS does not rise (clause 2.4.3.7).
    DecodingBack,
    /// PTS before DTS (clause 2.4.3.7).
    ShownBeforeDecoded,
    /// PTS on another timeline.
    ShownJump,
    /// A unit without the start of a PES packet, or with marker bits that are none (clause 2.4.3.6).
    UnitHeader,
    /// Less or more than the PES_packet_length (clause 2.4.3.7).
    UnitCut,
    /// What is flagged as a random access point is none, or the stream does not begin at one (clause 2.4.3.5).
    NoEntry,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    /// The packet, counted from 0.
    pub(crate) packet: usize,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "packet {}: {:?}: {}", self.packet, self.kind, self.text)
    }
}
