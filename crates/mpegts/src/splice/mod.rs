//! The splice: whatever enters, what leaves is one programme on one timeline.
//!
//! Streams keep their PIDs, the tables are our own, continuity counters are generated, and PCR, PTS and DTS go on
//! where they stood, whatever the sources do. Choosing sources and pacing them is not done here.

mod cue;
pub(crate) mod demux;
mod join;
mod mux;
mod pieces;
mod programme_clock;
mod promise;
mod report;
mod timeline;
mod unit;

use crate::align::Aligner;
use crate::clock::MediaTime;
use crate::packet::PACKET_BYTES;
use bytes::Bytes;
use demux::{Demux, Event};
use join::Join;
use mux::Mux;
pub use report::{Likeness, Signature, SignatureStream, SourceReport, Unusable};

/// Whole packets, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Whole transport packets, in a buffer shared with the pieces beside it.
    pub bytes: Bytes,
    /// The decoding time at which the piece begins; never goes back in the life of a [`Splicer`].
    pub media_time: MediaTime,
    /// Begins with PAT, PMT and the packet of a random-access point: a viewer may start here. The picture may go on in
    /// the pieces behind.
    pub keyframe: bool,
    /// Another source, or another stretch of the same one, begins here.
    pub discontinuity: bool,
    /// Goes up by one when a promised codec changed: [`Signature::epoch`].
    pub epoch: u32,
}

/// Joins sources into one outgoing programme.
///
/// Memory is bounded as long as [`Self::take`] is called until it gives nothing after every [`Self::push`]: one PES
/// packet in progress per stream, and a few seconds of sound while a picture to start with is awaited.
#[derive(Debug)]
pub struct Splicer {
    aligner: Aligner,
    demux: Demux,
    join: Join,
    mux: Mux,
    report: SourceReport,
    events: Vec<Event>,
}

impl Default for Splicer {
    fn default() -> Self {
        Self::new()
    }
}

impl Splicer {
    /// A splicer that has promised nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            aligner: Aligner::new(),
            demux: Demux::new(),
            join: Join::default(),
            mux: Mux::default(),
            report: SourceReport::default(),
            events: Vec::new(),
        }
    }

    /// A new source begins: another source, a reconnect, or a clip starting over. Incomplete PES packets of the old
    /// one are dropped; the next output enters at a random-access point, on the same outgoing timeline.
    ///
    /// A source that was cut (no [`Self::end_source`]) and comes back replaying its last seconds is recognised by
    /// the pictures themselves and joined without repeating. After [`Self::end_source`] the same bytes are played
    /// again: that is how a clip loops.
    pub fn begin_source(&mut self) {
        self.aligner = Aligner::new();
        self.join.begin_source(self.demux.streams());
        self.demux = Demux::new();
        self.report = SourceReport::default();
    }

    /// Feeds bytes as they were read, in any division.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut aligner = core::mem::take(&mut self.aligner);
        aligner.push(bytes, |packet| self.packet(packet));
        self.report.bytes_skipped = aligner.bytes_skipped();
        self.report.sync_losses = aligner.sync_losses();
        self.aligner = aligner;
    }

    /// The source ended where it meant to: PES packets that only waited for their successor are complete.
    ///
    /// Not for a live connection that broke off: what it was in the middle of is not complete.
    pub fn end_source(&mut self) {
        self.demux.finish(&mut self.events);
        self.handle();
        self.join.end_source();
    }

    /// The next piece of output, oldest first.
    pub fn take(&mut self) -> Option<Piece> {
        self.mux.take()
    }

    /// What is known of the present source.
    #[must_use]
    pub const fn source(&self) -> &SourceReport {
        &self.report
    }

    /// The streams promised to viewers now; `None` before the first entry.
    #[must_use]
    pub const fn signature(&self) -> Option<&Signature> {
        self.mux.signature()
    }

    /// Of the promised streams those that the present source brings, with what was seen of them: the form of a sound
    /// shows in its first frame only, which may come after the first picture. `None` before the source has entered.
    #[must_use]
    pub fn carried(&self) -> Option<Signature> {
        let mut carried = self.signature().filter(|_| self.report.entered)?.clone();
        carried.streams.retain_mut(|stream| {
            let brought = self.join.brings(stream.pid);
            if brought == Some(false) {
                stream.sound = None;
            }
            brought.is_some()
        });
        Some(carried)
    }

    /// PAT and PMT packets for the head of a response that does not start at a keyframe piece; `None` before the
    /// first entry. Their continuity counters are those of the last ones sent.
    #[must_use]
    pub fn tables(&self) -> Option<Vec<u8>> {
        self.mux.tables()
    }

    fn packet(&mut self, packet: &[u8; PACKET_BYTES]) {
        self.demux.packet(packet, &mut self.report, &mut self.events);
        if !self.events.is_empty() {
            self.handle();
        }
    }

    fn handle(&mut self) {
        let mut events = core::mem::take(&mut self.events);
        for event in events.drain(..) {
            let mut outgoing = join::Outgoing {
                streams: self.demux.streams(),
                mux: &mut self.mux,
                report: &mut self.report,
            };
            match event {
                Event::Programme => {
                    self.join.programme(&mut outgoing);
                    self.replay_early();
                }
                Event::Pes(whole) => {
                    let used = self.join.pes(whole, &mut outgoing);
                    used.into_iter().for_each(|buffer| self.demux.recycle(buffer));
                }
                Event::Section { stream, bytes } => self.join.section(stream, bytes, &mut outgoing),
                Event::Pcr { value, flagged } => self.join.clock(value, flagged, &mut outgoing),
            }
        }
        self.events = events;
    }

    /// Packets from before the programme map are read now that their meaning is known.
    fn replay_early(&mut self) {
        let early = self.demux.take_early();
        for packet in early.chunks_exact(PACKET_BYTES).filter_map(<[u8]>::first_chunk) {
            self.report.packets -= 1; // It was counted when it came.
            self.packet(packet);
        }
    }
}
