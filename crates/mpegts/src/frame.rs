//! Access units apart from any container: what readers of containers give out and writers of containers take in.
//!
//! Time is [`MediaTime`], unwrapped at 90 kHz: it may begin anywhere, also below zero, and never wraps. Readers unwrap
//! what 33 bits cut off; writers of transport streams wrap it again.

use crate::clock::MediaTime;
use crate::es::Codec;
use bytes::Bytes;

/// One elementary stream of a programme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// How its frames are coded.
    pub codec: Codec,
    /// ISO 639-2 code, three lower-case letters in ASCII, where it was told.
    pub language: Option<[u8; 3]>,
    /// The descriptors of its entry in a programme map (2.6), whole ones one after the other; empty where it came from
    /// another container. A [`crate::Muxer`] writes those that its codec cannot do without by itself.
    pub descriptors: Vec<u8>,
}

impl Track {
    /// A track of `codec`, of which nothing more is known.
    #[must_use]
    pub const fn new(codec: Codec) -> Self {
        Self {
            codec,
            language: None,
            descriptors: Vec::new(),
        }
    }
}

/// One access unit: a picture with all that belongs to it, or a frame of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The index of its track, in the order in which whoever made the frame lists its tracks.
    pub track: usize,
    /// When it is shown or begins to sound.
    pub pts: MediaTime,
    /// When it is decoded; for sound the same as `pts`.
    pub dts: MediaTime,
    /// Decoding may start here: true of every frame of sound.
    pub random_access: bool,
    /// In the form transport streams carry: H.264 and HEVC with start codes (Annex B) and an access unit delimiter,
    /// parameter sets before the pictures they are needed for; AAC with ADTS headers; AC-3, E-AC-3 (with its dependent
    /// substreams) and MPEG audio as they are, one frame each. Of other codecs the contents of one PES packet.
    pub data: Bytes,
}
