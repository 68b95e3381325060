//! What is said about a splice: the promise to viewers and the account of the present source.

use crate::es::{Codec, PictureSize, SoundFormat};
use crate::packet::Pid;

/// One elementary stream promised to viewers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureStream {
    /// The outgoing PID; it never changes its codec.
    pub pid: Pid,
    /// stream_type as it stands in the outgoing PMT (Table 2-34).
    pub stream_type: u8,
    /// What the stream type and the descriptors together mean.
    pub codec: Codec,
    /// ISO 639-2 code, three lower-case letters in ASCII, when the source told it.
    pub language: Option<[u8; 3]>,
    /// The descriptors of its PMT entry that say how to decode or present it, whole ones one after the other.
    pub descriptors: Vec<u8>,
    /// How its sound is coded, once a frame of it was seen; `None` for anything but sound.
    pub sound: Option<SoundFormat>,
    /// How large its pictures are, once parameters were seen; `None` for anything but pictures.
    pub picture: Option<PictureSize>,
}

/// The streams promised to viewers: what the outgoing PMT lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// In the order of the PMT.
    pub streams: Vec<SignatureStream>,
    /// The PID that carries the programme clock.
    pub pcr_pid: Pid,
    /// Goes up by one when a promised codec changed.
    pub epoch: u32,
    /// version_number of the outgoing PMT, 0 to 31.
    pub pmt_version: u8,
}

impl Signature {
    /// The codec of the first video stream.
    #[must_use]
    pub fn video(&self) -> Option<Codec> {
        self.streams
            .iter()
            .map(|stream| stream.codec)
            .find(|codec| codec.is_video())
    }

    /// The codec of the first audio stream.
    #[must_use]
    pub fn audio(&self) -> Option<Codec> {
        self.streams
            .iter()
            .map(|stream| stream.codec)
            .find(|codec| codec.is_audio())
    }
}

/// What is known of the present source since [`crate::Splicer::begin_source`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceReport {
    /// Whole packets read.
    pub packets: u64,
    /// Bytes thrown away because they were no packets.
    pub bytes_skipped: u64,
    /// Times the packet grid was lost after it had been found.
    pub sync_losses: u64,
    /// Packets of the programme dropped because they were scrambled.
    pub scrambled_packets: u64,
    /// Packets whose transport_error_indicator was set.
    pub transport_errors: u64,
    /// Breaks of the continuity counter in the programme's streams.
    pub continuity_errors: u64,
    /// PES packets dropped because part of them was missing or unreadable.
    pub damaged_pes: u64,
    /// Jumps of the source's own timeline that were joined.
    pub timeline_jumps: u64,
    /// A programme association table has been read.
    pub pat_seen: bool,
    /// The codecs the source's programme map lists, in its order; empty until it was read.
    pub programme: Vec<Codec>,
    /// Output of this source has begun.
    pub entered: bool,
    /// The source was recognised as the previous one on the same timeline, and joined without repeating.
    pub rejoined: bool,
}
