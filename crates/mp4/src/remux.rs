//! A segment of a transport stream in, the same segment as fragmented MP4 out.

use crate::writer::{WriteError, Writer};
use bytes::Bytes;
use mpegts::es::PictureSize;
use mpegts::{Demuxer, Frame, MediaTime};

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

/// Makes fragmented MP4 of the segments of one transport stream, one after the other: a segment needs no keyframe when one
/// before it had one, and sound goes on without gaps.
#[derive(Debug, Default)]
pub struct Remuxer {
    demuxer: Demuxer,
    writer: Option<Writer>,
}

impl Remuxer {
    /// A remuxer that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next segment is of this time: stamps are taken for what is nearest to `near`, so that decode times keep rising
    /// behind their wrap.
    pub const fn set_near(&mut self, near: MediaTime) {
        self.demuxer.set_near(near);
    }

    /// Makes a segment of whole packets. `until` is when the first picture behind the segment is decoded
    /// ([`Writer::segment`]).
    ///
    /// # Errors
    /// Says why there is none.
    pub fn segment(&mut self, ts: &[u8], until: Option<MediaTime>) -> Result<Segment, WriteError> {
        self.demuxer.begin_segment();
        self.demuxer.push(ts);
        self.demuxer.finish();
        let frames: Vec<Frame> = core::iter::from_fn(|| self.demuxer.take()).collect();
        let tracks = self.demuxer.tracks();
        let fits = |writer: &Writer| writer.tracks() == tracks;
        if !self.writer.as_ref().is_some_and(fits) {
            self.writer = Some(Writer::new(tracks.to_vec()));
        }
        let writer = self.writer.as_mut().ok_or(WriteError::NoFrames)?;
        let listed: Vec<usize> = self.demuxer.programme().collect();
        writer.keep(&listed);
        let media = writer.segment(&frames, until)?;
        Ok(Segment {
            init: writer.init(),
            media,
            codecs: writer.codecs(),
            picture: writer.picture(),
            begins: frames.iter().map(|frame| frame.pts).min().unwrap_or_default(),
        })
    }
}

/// Makes fragmented MP4 of one whole segment of a transport stream, which begins with tables and a random-access point.
/// Its time stamps are taken for what is nearest to `near`, so that decode times keep rising behind their wrap; `None`
/// takes them as they are. `until` is when the first picture behind the segment is decoded ([`Writer::segment`]).
///
/// # Errors
/// Says why there is none.
pub fn from_ts(ts: &[u8], near: Option<MediaTime>, until: Option<MediaTime>) -> Result<Segment, WriteError> {
    let mut remuxer = Remuxer::new();
    if let Some(near) = near {
        remuxer.set_near(near);
    }
    remuxer.segment(ts, until)
}
