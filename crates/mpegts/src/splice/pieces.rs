//! Where pieces are written: one buffer after another, from which finished pieces are cut without copying.

use super::Piece;
use crate::clock::MediaTime;
use crate::packet::PACKET_BYTES;
use bytes::BytesMut;
use std::collections::VecDeque;

/// Packets of a buffer. Whoever keeps a piece keeps its buffer, so that at either end of a ring one buffer may be there
/// for a single piece. Large ones save allocations, small ones memory: 256 KiB is four allocations a megabyte, and
/// 16 KiB is a second of a radio channel at 128 kbit/s.
const BUFFER_PACKETS: core::ops::RangeInclusive<usize> = 87..=1394;

/// A buffer that was full sooner than this is followed by a larger one, one that took longer by a smaller one.
const BUFFER_SPANS_90K: core::ops::RangeInclusive<i64> = 22_500..=90_000;

/// What is said of a piece when it is begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    pub(super) media_time: MediaTime,
    pub(super) keyframe: bool,
    pub(super) discontinuity: bool,
    pub(super) epoch: u32,
}

/// The piece being written and those that are ready.
#[derive(Debug)]
pub(super) struct Pieces {
    buffer: BytesMut,
    buffer_packets: usize,
    /// The media time at which the buffer was begun.
    buffer_since: Option<MediaTime>,
    open: Option<Label>,
    ready: VecDeque<Piece>,
}

impl Default for Pieces {
    fn default() -> Self {
        Self {
            buffer: BytesMut::new(),
            buffer_packets: *BUFFER_PACKETS.start(),
            buffer_since: None,
            open: None,
            ready: VecDeque::new(),
        }
    }
}

impl Pieces {
    /// The oldest piece; what is being written counts as finished when nothing else is.
    pub(super) fn take(&mut self) -> Option<Piece> {
        if self.ready.is_empty() {
            self.finish();
        }
        self.ready.pop_front()
    }

    /// The piece being written: where it begins, and its bytes so far.
    pub(super) fn open(&self) -> Option<(MediaTime, usize)> {
        self.open.map(|label| (label.media_time, self.buffer.len()))
    }

    /// Begins a piece where none is open, with room for `packets` that are not to be torn apart.
    pub(super) fn begin(&mut self, label: Label, packets: usize) {
        if self.open.is_none() {
            if self.room() < packets {
                self.renew(label.media_time, packets);
            }
            self.open = Some(label);
        }
    }

    /// Whole packets that may be appended to [`Self::buffer`]: one at least. Where the buffer ends the piece does, too,
    /// and its rest is another piece.
    pub(super) fn make_room(&mut self) -> usize {
        if self.room() == 0
            && let Some(label) = self.open
        {
            self.finish();
            self.renew(label.media_time, 1);
            self.open = Some(Label {
                keyframe: false,
                discontinuity: false,
                ..label
            });
        }
        self.room()
    }

    /// What the open piece is written to; whoever writes has made room.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Ends the piece being written.
    pub(super) fn finish(&mut self) {
        let Some(label) = self.open.take() else { return };
        if self.buffer.is_empty() {
            return;
        }
        self.ready.push_back(Piece {
            bytes: self.buffer.split().freeze(),
            media_time: label.media_time,
            keyframe: label.keyframe,
            discontinuity: label.discontinuity,
            epoch: label.epoch,
        });
    }

    fn room(&self) -> usize {
        (self.buffer.capacity() - self.buffer.len()) / PACKET_BYTES
    }

    fn renew(&mut self, now: MediaTime, packets: usize) {
        if let Some(since) = self.buffer_since.replace(now) {
            let took = now.as_90k() - since.as_90k();
            if took < *BUFFER_SPANS_90K.start() {
                self.buffer_packets *= 2;
            } else if took > *BUFFER_SPANS_90K.end() {
                self.buffer_packets /= 2;
            }
            self.buffer_packets = self
                .buffer_packets
                .clamp(*BUFFER_PACKETS.start(), *BUFFER_PACKETS.end());
        }
        self.buffer = BytesMut::with_capacity(self.buffer_packets.max(packets) * PACKET_BYTES);
    }
}
