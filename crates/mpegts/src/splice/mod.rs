//! The splice: whatever enters, what leaves is one programme on one timeline.
//!
//! Streams keep their PIDs, the tables are our own, continuity counters are generated, and PCR, PTS and DTS go on
//! where they stood, whatever the sources do. Choosing sources and pacing them is not done here.

mod report;

use crate::clock::MediaTime;
pub use report::{Signature, SignatureStream, SourceReport};

/// Whole packets, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Whole transport packets.
    pub bytes: Vec<u8>,
    /// The decoding time at which the piece begins; never goes back in the life of a [`Splicer`].
    pub media_time: MediaTime,
    /// Begins with PAT, PMT and the packet of a random-access point: a viewer may start here.
    pub keyframe: bool,
    /// Another source, or another stretch of the same one, begins here.
    pub discontinuity: bool,
    /// Goes up by one when a promised codec changed: [`Signature::epoch`].
    pub epoch: u32,
}

/// Joins sources into one outgoing programme.
#[derive(Debug, Default)]
pub struct Splicer {
    report: SourceReport,
}

impl Splicer {
    /// A splicer that has promised nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A new source begins: another source, a reconnect, or a clip starting over. Incomplete PES packets of the old
    /// one are dropped; the next output enters at a random-access point, on the same outgoing timeline.
    ///
    /// A source that was cut (no [`Self::end_source`]) and comes back replaying its last seconds is recognised by
    /// the pictures themselves and joined without repeating. After [`Self::end_source`] the same bytes are played
    /// again: that is how a clip loops.
    pub fn begin_source(&mut self) {
        self.report = SourceReport::default();
    }

    /// Feeds bytes as they were read, in any division.
    pub fn push(&mut self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// The source ended where it meant to: PES packets that only waited for their successor are complete.
    pub fn end_source(&mut self) {}

    /// The next piece of output, oldest first.
    pub fn take(&mut self) -> Option<Piece> {
        None
    }

    /// What is known of the present source.
    #[must_use]
    pub fn source(&self) -> &SourceReport {
        &self.report
    }

    /// The streams promised to viewers now; `None` before the first entry.
    #[must_use]
    pub fn signature(&self) -> Option<&Signature> {
        None
    }

    /// PAT and PMT packets for the head of a response that does not start at a keyframe piece; `None` before the
    /// first entry. Their continuity counters are those of the last ones sent.
    #[must_use]
    pub fn tables(&self) -> Option<Vec<u8>> {
        None
    }
}
