//! The outgoing side of the splice: PES packets into transport packets with our own counters, clock and tables, and
//! those into pieces.

use super::Piece;
use super::demux::InStream;
use super::programme_clock::ProgrammeClock;
use super::promise::{Fit, Promise};
use super::report::Signature;
use crate::clock::{MediaTime, Pcr27m};
use crate::es::Codec;
use crate::packet::{HEADER_BYTES, PACKET_BYTES, Pid, SYNC_BYTE};
use crate::pes;
use std::collections::VecDeque;

/// PAT and PMT come at least this often: TR 101 290 allows 500 ms, 100 ms let any player in at once.
const TABLES_PERIOD_90K: i64 = 7_200;

/// A piece that has grown this long or this large is handed out, so that pacing is fine and latency low.
const PIECE_90K: i64 = 9_000;
const PIECE_BYTES: usize = 64 * 1024;

/// A stream without packets for this long no longer holds the programme clock back.
const SILENT_90K: i64 = 90_000;

/// When a PES packet is presented and decoded on the outgoing timeline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamps {
    pub(super) pts: i64,
    pub(super) dts: i64,
}

/// How a PES packet goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The stream the timeline is measured by.
    Reference { keyframe: bool },
    /// Any other.
    Other,
}

/// One promised stream, going out.
#[derive(Debug)]
struct OutStream {
    pid: Pid,
    codec: Codec,
    continuity: u8,
    last: Option<Stamps>,
    /// Where its last PES packet ends, as far as that is known.
    end: Option<i64>,
}

#[derive(Debug, Default)]
pub(super) struct Mux {
    promise: Promise,
    streams: Vec<OutStream>,
    clock: ProgrammeClock,
    pat_continuity: u8,
    pmt_continuity: u8,
    tables_at: Option<i64>,
    /// The decoding time of the reference stream; never goes back.
    now: Option<MediaTime>,
    piece: Option<Piece>,
    ready: VecDeque<Piece>,
    discontinuity: bool,
}

impl Mux {
    pub(super) fn take(&mut self) -> Option<Piece> {
        self.ready.pop_front().or_else(|| self.piece.take())
    }

    pub(super) const fn signature(&self) -> Option<&Signature> {
        self.promise.signature()
    }

    /// Where the reference stream stands; `None` before the first output.
    pub(super) const fn now(&self) -> Option<MediaTime> {
        self.now
    }

    pub(super) fn clock(&mut self) -> &mut ProgrammeClock {
        &mut self.clock
    }

    /// The next output is marked as the begin of another stretch.
    pub(super) fn mark_discontinuity(&mut self) {
        self.discontinuity = self.now.is_some();
    }

    /// PAT and PMT with the counters of the last ones sent: what follows them is then in order.
    pub(super) fn tables(&self) -> Option<Vec<u8>> {
        self.now?;
        let mut out = Vec::new();
        let mut packets = Vec::new();
        self.promise.write_tables(&mut 0, &mut 0, &mut packets);
        let pmt_packets = u8::try_from(packets.len() / PACKET_BYTES)
            .unwrap_or(2)
            .saturating_sub(1);
        let (mut pat, mut pmt) = (
            self.pat_continuity.wrapping_sub(1),
            self.pmt_continuity.wrapping_sub(pmt_packets),
        );
        self.promise.write_tables(&mut pat, &mut pmt, &mut out);
        Some(out)
    }

    /// Whether `incoming` would need another codec on a promised stream.
    pub(super) fn breaks_promise(&self, incoming: &[InStream]) -> bool {
        self.signature().is_some() && self.promise.fit(incoming).1 == Fit::Other
    }

    /// Makes room for `incoming`; returns the outgoing PID of each.
    pub(super) fn promise(&mut self, incoming: &[InStream]) -> Vec<Option<Pid>> {
        let (map, changed) = self.promise.extend(incoming);
        if !changed {
            return map;
        }
        let promised = self
            .promise
            .signature()
            .map(|signature| signature.streams.clone())
            .unwrap_or_default();
        let mut old = core::mem::take(&mut self.streams);
        for stream in promised {
            let kept = old
                .iter()
                .position(|known| known.pid == stream.pid)
                .map(|at| old.swap_remove(at));
            self.streams.push(kept.unwrap_or(OutStream {
                pid: stream.pid,
                codec: stream.codec,
                continuity: 15,
                last: None,
                end: None,
            }));
        }
        self.tables_at = None;
        // Another epoch never shares a piece with the one before.
        self.finish_piece();
        map
    }

    /// The stamps last sent on `pid`.
    pub(super) fn last(&self, pid: Pid) -> Option<Stamps> {
        self.streams
            .iter()
            .find(|stream| stream.pid == pid)
            .and_then(|stream| stream.last)
    }

    /// Where the last PES packet on `pid` ends.
    pub(super) fn end(&self, pid: Pid) -> Option<i64> {
        self.streams
            .iter()
            .find(|stream| stream.pid == pid)
            .and_then(|stream| stream.end)
    }

    /// Notes where the PES packet last sent on `pid` ends.
    pub(super) fn set_end(&mut self, pid: Pid, end: i64) {
        if let Some(stream) = self.stream_mut(pid) {
            stream.end = Some(end);
        }
    }

    /// Sends a PES packet whose payload is ready; its stamps are written here.
    pub(super) fn send(&mut self, pid: Pid, bytes: &mut [u8], stamps: Option<Stamps>, role: Role) {
        if self.promise.codec(pid).is_none() {
            return;
        }
        if let Some(stamps) = stamps {
            let wrap = |ticks| MediaTime::from_90k(ticks).wrapped();
            pes::rewrite_stamps(bytes, wrap(stamps.pts), wrap(stamps.dts));
        }
        let keyframe = role == Role::Reference { keyframe: true };
        let reference = matches!(role, Role::Reference { .. });
        let before = self.now;
        if let (true, Some(stamps)) = (reference, stamps) {
            let dts = MediaTime::from_90k(stamps.dts);
            self.now = Some(self.now.map_or(dts, |now| now.max(dts)));
        }
        let Some(now) = self.now else { return };
        let mut clock = Vec::new();
        if let (true, Some(stamps)) = (reference, stamps) {
            let floor = self.floor(now);
            clock = self.clock.stamps(MediaTime::from_90k(stamps.dts), floor);
        }
        let with = clock.pop();
        self.write_clocks(&clock, before);
        self.open_piece(keyframe, now);
        self.write(pid, bytes, keyframe, with);
        if let (Some(stamps), Some(stream)) = (stamps, self.stream_mut(pid)) {
            stream.last = Some(stamps);
        }
    }

    fn stream_mut(&mut self, pid: Pid) -> Option<&mut OutStream> {
        self.streams.iter_mut().find(|stream| stream.pid == pid)
    }

    /// Nothing still to come is decoded before this: the sound and the pictures in progress.
    fn floor(&self, now: MediaTime) -> MediaTime {
        let alive = self
            .streams
            .iter()
            .filter(|stream| stream.codec.is_video() || stream.codec.is_audio());
        let times = alive.filter_map(|stream| stream.last).map(|stamps| stamps.dts);
        let least = times.filter(|dts| *dts > now.as_90k() - SILENT_90K).min();
        MediaTime::from_90k(least.unwrap_or(now.as_90k()))
    }

    /// Makes sure there is a piece to write to, that tables are not overdue, and that a keyframe begins one.
    fn open_piece(&mut self, keyframe: bool, now: MediaTime) {
        let full = self.piece.as_ref().is_some_and(|piece| {
            piece.bytes.len() >= PIECE_BYTES || now.as_90k() - piece.media_time.as_90k() >= PIECE_90K
        });
        if keyframe || full || self.discontinuity {
            self.finish_piece();
        }
        let epoch = self.signature().map_or(0, |signature| signature.epoch);
        let overdue = self
            .tables_at
            .is_none_or(|at| now.as_90k() - at >= TABLES_PERIOD_90K);
        let piece = self.piece.get_or_insert_with(|| Piece {
            bytes: Vec::new(),
            media_time: now,
            keyframe,
            discontinuity: core::mem::take(&mut self.discontinuity),
            epoch,
        });
        if keyframe || overdue {
            self.promise.write_tables(
                &mut self.pat_continuity,
                &mut self.pmt_continuity,
                &mut piece.bytes,
            );
            self.tables_at = Some(now.as_90k());
        }
    }

    fn finish_piece(&mut self) {
        if let Some(piece) = self.piece.take() {
            self.ready.push_back(piece);
        }
    }

    /// Clock stamps that were due before the next packet; they belong to the time `before` it.
    fn write_clocks(&mut self, stamps: &[Pcr27m], before: Option<MediaTime>) {
        // Under a new map the clock may have moved to a PID that nobody has heard of yet.
        let (Some(before), Some(_)) = (before, self.tables_at) else {
            return;
        };
        for pcr in stamps {
            self.write_clock(*pcr, before);
            // So much time has passed that the tables are due, too.
            self.tables_at = Some(i64::MIN / 2);
        }
    }

    fn write_clock(&mut self, pcr: Pcr27m, at: MediaTime) {
        let Some((pid, epoch)) = self
            .signature()
            .map(|promised| (promised.pcr_pid, promised.epoch))
        else {
            return;
        };
        let Some(continuity) = self.stream_mut(pid).map(|stream| stream.continuity) else {
            return;
        };
        let piece = self.piece.get_or_insert_with(|| Piece {
            bytes: Vec::new(),
            media_time: at,
            keyframe: false,
            discontinuity: false,
            epoch,
        });
        write_clock(&mut piece.bytes, pid, continuity, pcr);
    }

    /// The stamp goes into the packet where its PID carries the clock, and behind it by itself otherwise.
    fn write(&mut self, pid: Pid, bytes: &[u8], keyframe: bool, clock: Option<Pcr27m>) {
        let own = self.signature().is_some_and(|signature| signature.pcr_pid == pid);
        let Some(piece) = &mut self.piece else { return };
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.pid == pid) else {
            return;
        };
        let first = FirstField {
            random_access: keyframe,
            pcr: clock.filter(|_| own),
        };
        write_pes(&mut piece.bytes, pid, &mut stream.continuity, bytes, first);
        if let (Some(pcr), Some(now), false) = (clock, self.now, own) {
            self.write_clock(pcr, now);
        }
    }
}

/// What the first packet of a PES packet says besides.
#[derive(Clone, Copy, Debug, Default)]
struct FirstField {
    random_access: bool,
    pcr: Option<Pcr27m>,
}

impl FirstField {
    /// Bytes of the adaptation field with its length byte.
    const fn bytes(self) -> usize {
        match (self.pcr.is_some(), self.random_access) {
            (true, _) => 8,
            (false, true) => 2,
            (false, false) => 0,
        }
    }
}

/// Cuts a PES packet into transport packets (2.4.3.3: the last one is filled up in its adaptation field).
fn write_pes(out: &mut Vec<u8>, pid: Pid, continuity: &mut u8, bytes: &[u8], first: FirstField) {
    let [pid_high, pid_low] = pid.value().to_be_bytes();
    let mut rest = bytes;
    let mut field = first;
    let mut start = 0x40;
    out.reserve(bytes.len() / (PACKET_BYTES - HEADER_BYTES) * PACKET_BYTES + 2 * PACKET_BYTES);
    while !rest.is_empty() {
        *continuity = (*continuity + 1) & 0x0F;
        let room = PACKET_BYTES - HEADER_BYTES - field.bytes();
        let (now, later) = rest.split_at(room.min(rest.len()));
        let field_bytes = PACKET_BYTES - HEADER_BYTES - now.len();
        let control = if field_bytes > 0 { 0x30 } else { 0x10 };
        out.extend([SYNC_BYTE, pid_high | start, pid_low, control | *continuity]);
        write_field(out, field_bytes, field);
        out.extend_from_slice(now);
        rest = later;
        field = FirstField::default();
        start = 0;
    }
}

/// A packet that carries nothing but the clock; its counter is that of the last packet with a payload (2.4.3.3).
fn write_clock(out: &mut Vec<u8>, pid: Pid, continuity: u8, pcr: Pcr27m) {
    let [pid_high, pid_low] = pid.value().to_be_bytes();
    out.extend([SYNC_BYTE, pid_high, pid_low, 0x20 | continuity]);
    write_field(
        out,
        PACKET_BYTES - HEADER_BYTES,
        FirstField {
            random_access: false,
            pcr: Some(pcr),
        },
    );
}

/// An adaptation field of `size` bytes in all (2.4.3.4).
fn write_field(out: &mut Vec<u8>, size: usize, field: FirstField) {
    let Some(length) = size.checked_sub(1) else { return };
    let end = out.len() + size;
    out.push(u8::try_from(length).unwrap_or(u8::MAX));
    if length == 0 {
        return;
    }
    out.push(if field.random_access { 0x40 } else { 0 } | if field.pcr.is_some() { 0x10 } else { 0 });
    if let Some(pcr) = field.pcr {
        // 33 bits of base, six reserved, nine of extension.
        let packed = (pcr.base().ticks() << 15) | 0x7E00 | u64::from(pcr.extension());
        out.extend(packed.to_be_bytes().iter().skip(2));
    }
    out.resize(end, 0xFF);
}
