//! The outgoing side of the splice: PES packets into transport packets with our own counters, clock and tables.

use super::Piece;
use super::demux::InStream;
use super::pieces::{Label, Pieces};
use super::programme_clock::ProgrammeClock;
use super::promise::{Fit, Promise, TABLE_PACKETS_MAX};
use super::report::Signature;
use crate::clock::{MediaTime, Pcr27m};
use crate::es::{Codec, PictureSize, SoundFormat};
use crate::packet::{HEADER_BYTES, PACKET_BYTES, Pid, SYNC_BYTE};
use crate::{pes, psi};

/// PAT and PMT come at least this often: TR 101 290 allows 500 ms, 100 ms let any player in at once.
const TABLES_PERIOD_90K: i64 = 7_200;

/// Clock stamps in a row, at most 100 ms apart each, before the tables come again: TR 101 290 5.2.1 wants them every
/// 500 ms, and a hole in the media is stamped through.
const CLOCKS_ALONE_MAX: u32 = 4;

/// A piece that has grown this long or this large is handed out, so that pacing is fine and latency low.
const PIECE_90K: i64 = 9_000;
const PIECE_BYTES: usize = 64 * 1024;

/// A stream without packets for this long no longer holds the programme clock back.
const SILENT_90K: i64 = 90_000;

/// Bytes of a packet without an adaptation field behind its header.
const ROOM_BYTES: usize = PACKET_BYTES - HEADER_BYTES;

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
    Other { random_access: bool },
}

impl Role {
    /// Sound and data: no place to start from is marked.
    pub(super) const OTHER: Self = Self::Other { random_access: false };
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
    /// The same of the last one that a source sent.
    sources_end: Option<i64>,
}

#[derive(Debug, Default)]
pub(super) struct Mux {
    promise: Promise,
    streams: Vec<OutStream>,
    clock: ProgrammeClock,
    pat_continuity: u8,
    pmt_continuity: u8,
    tables_at: Option<i64>,
    /// Clock stamps that stand by themselves since the tables last sent.
    clocks_alone: u32,
    /// The epoch of the tables last sent.
    epoch: u32,
    /// The decoding time of the reference stream; never goes back.
    now: Option<MediaTime>,
    pieces: Pieces,
    discontinuity: bool,
}

impl Mux {
    pub(super) fn take(&mut self) -> Option<Piece> {
        self.pieces.take()
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

    /// Notes how the sound on `pid` is coded.
    pub(super) fn set_sound(&mut self, pid: Pid, sound: SoundFormat) {
        self.promise.set_sound(pid, sound);
    }

    /// Notes how large the pictures on `pid` are.
    pub(super) fn set_picture(&mut self, pid: Pid, picture: PictureSize) {
        self.promise.set_picture(pid, picture);
    }

    /// The next output is marked as the begin of another stretch.
    pub(super) fn mark_discontinuity(&mut self) {
        self.discontinuity = self.now.is_some();
    }

    /// PAT and PMT with the counters of the last ones sent: what follows them is then in order.
    pub(super) fn tables(&self) -> Option<Vec<u8>> {
        self.now?;
        let mut out = Vec::new();
        let mut pat = self.pat_continuity.wrapping_sub(1);
        let mut pmt = self.pmt_continuity.wrapping_sub(self.promise.map_packets());
        self.promise
            .write_tables(&mut pat, &mut pmt, |packet| out.extend_from_slice(packet));
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
        let Some(promised) = self.promise.signature() else {
            return map;
        };
        self.streams.retain_mut(|known| {
            let listed = promised.streams.iter().any(|stream| stream.pid == known.pid);
            if !listed {
                known.last = None;
            }
            // The PID of the clock goes on with its counter, whatever becomes of its stream.
            listed || known.pid == promised.pcr_pid
        });
        for stream in &promised.streams {
            if self.streams.iter().all(|known| known.pid != stream.pid) {
                self.streams.push(OutStream {
                    pid: stream.pid,
                    codec: stream.codec,
                    continuity: 15,
                    last: None,
                    end: None,
                    sources_end: None,
                });
            }
        }
        self.tables_at = None;
        // Another epoch never shares a piece with the one before.
        self.pieces.finish();
        map
    }

    /// The stamps last sent on `pid`.
    pub(super) fn last(&self, pid: Pid) -> Option<Stamps> {
        self.stream(pid).and_then(|stream| stream.last)
    }

    /// Where the last PES packet on `pid` ends.
    pub(super) fn end(&self, pid: Pid) -> Option<i64> {
        self.stream(pid).and_then(|stream| stream.end)
    }

    /// Where the last PES packet on `pid` ends that a source sent.
    pub(super) fn sources_end(&self, pid: Pid) -> Option<i64> {
        self.stream(pid).and_then(|stream| stream.sources_end)
    }

    /// Notes where the PES packet last sent on `pid` ends.
    pub(super) fn set_end(&mut self, pid: Pid, end: i64) {
        if let Some(stream) = self.stream_mut(pid) {
            (stream.end, stream.sources_end) = (Some(end), Some(end));
        }
    }

    /// The same of one that no source sent.
    pub(super) fn set_silent_until(&mut self, pid: Pid, end: i64) {
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
        let (Role::Reference {
            keyframe: random_access,
        }
        | Role::Other { random_access }) = role;
        let mut first = FirstField {
            random_access,
            pcr: None,
        };
        let before = self.now;
        if let (Role::Reference { .. }, Some(stamps)) = (role, stamps) {
            let dts = MediaTime::from_90k(stamps.dts);
            let now = before.map_or(dts, |now| now.max(dts));
            self.now = Some(now);
            let due = self.clock.stamps(dts, self.floor(now));
            for pcr in due.before {
                self.write_overdue_clock(pcr, before);
            }
            first.pcr = Some(due.with);
        }
        let Some(now) = self.now else { return };
        self.open_piece(role == Role::Reference { keyframe: true }, now);
        self.write(pid, bytes, first);
        if let (Some(stamps), Some(stream)) = (stamps, self.stream_mut(pid)) {
            stream.last = Some(stamps);
        }
    }

    /// Sends a section on a stream of sections.
    pub(super) fn send_section(&mut self, pid: Pid, section: &[u8]) {
        let Some(now) = self.now else { return };
        self.open_piece(false, now);
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.pid == pid) else {
            return;
        };
        let mut packets = Vec::new();
        psi::packetize(section, pid, &mut stream.continuity, &mut packets);
        for packet in packets.as_chunks::<PACKET_BYTES>().0 {
            self.pieces.make_room();
            self.pieces.buffer().extend_from_slice(packet);
        }
    }

    fn stream(&self, pid: Pid) -> Option<&OutStream> {
        self.streams.iter().find(|stream| stream.pid == pid)
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
        let full = self
            .pieces
            .open()
            .is_some_and(|(since, bytes)| bytes >= PIECE_BYTES || now.as_90k() - since.as_90k() >= PIECE_90K);
        if keyframe || full || self.discontinuity {
            self.pieces.finish();
        }
        let overdue = self
            .tables_at
            .is_none_or(|at| now.as_90k() - at >= TABLES_PERIOD_90K);
        if keyframe || overdue {
            self.epoch = self.signature().map_or(0, |signature| signature.epoch);
        }
        let label = Label {
            media_time: now,
            keyframe,
            discontinuity: self.discontinuity,
            epoch: self.epoch,
        };
        self.discontinuity = false;
        // The tables and the begin of the keyframe stay together.
        self.pieces.begin(label, TABLE_PACKETS_MAX + 1);
        if keyframe || overdue {
            self.write_tables();
            self.tables_at = Some(now.as_90k());
        }
    }

    /// PAT and PMT into the piece that is open.
    fn write_tables(&mut self) {
        let Self { promise, pieces, .. } = self;
        promise.write_tables(&mut self.pat_continuity, &mut self.pmt_continuity, |packet| {
            pieces.make_room();
            pieces.buffer().extend_from_slice(packet);
        });
        self.clocks_alone = 0;
    }

    /// A clock stamp that was due before the next packet; it belongs to the time `before` it, and to the tables of then.
    fn write_overdue_clock(&mut self, pcr: Pcr27m, before: Option<MediaTime>) {
        let Some(before) = before else { return };
        self.write_clock(pcr, before);
        self.clocks_alone += 1;
        if self.clocks_alone == CLOCKS_ALONE_MAX {
            self.write_tables();
        }
        // So much time has passed that the tables are due, too.
        self.tables_at = self.tables_at.map(|_| i64::MIN / 2);
    }

    /// A packet that carries nothing but the clock; its counter is that of the last packet with a payload (2.4.3.3).
    fn write_clock(&mut self, pcr: Pcr27m, at: MediaTime) {
        let Some(pid) = self.signature().map(|promised| promised.pcr_pid) else {
            return;
        };
        let Some(continuity) = self.stream(pid).map(|stream| stream.continuity) else {
            return;
        };
        let label = Label {
            media_time: at,
            keyframe: false,
            discontinuity: false,
            epoch: self.epoch,
        };
        self.pieces.begin(label, 1);
        let [pid_high, pid_low] = pid.value().to_be_bytes();
        let head = [SYNC_BYTE, pid_high, pid_low, 0x20 | continuity];
        let field = FirstField {
            random_access: false,
            pcr: Some(pcr),
        };
        self.pieces.make_room();
        self.pieces.buffer().extend_from_slice(&packet(head, field, &[]));
    }

    /// The stamp goes into the packet where its PID carries the clock, and behind it by itself otherwise.
    fn write(&mut self, pid: Pid, bytes: &[u8], first: FirstField) {
        let own = self.signature().is_some_and(|signature| signature.pcr_pid == pid);
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.pid == pid) else {
            return;
        };
        let field = FirstField {
            pcr: first.pcr.filter(|_| own),
            ..first
        };
        write_pes(&mut self.pieces, pid, &mut stream.continuity, bytes, field);
        if let (Some(pcr), Some(now), false) = (first.pcr, self.now, own) {
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
fn write_pes(pieces: &mut Pieces, pid: Pid, continuity: &mut u8, bytes: &[u8], first: FirstField) {
    let [pid_high, pid_low] = pid.value().to_be_bytes();
    let mut head = |start: u8| {
        *continuity = (*continuity + 1) & 0x0F;
        [SYNC_BYTE, pid_high | start, pid_low, 0x10 | *continuity]
    };
    let (begin, rest) = bytes.split_at(bytes.len().min(ROOM_BYTES - first.bytes()));
    pieces.make_room();
    let start = packet(head(0x40), first, begin);
    pieces.buffer().extend_from_slice(&start);
    let (mut whole, tail) = rest.as_chunks::<ROOM_BYTES>();
    while !whole.is_empty() {
        let (now, later) = whole.split_at(whole.len().min(pieces.make_room().max(1)));
        let buffer = pieces.buffer();
        for payload in now {
            // Of a length known when this is compiled: a copy without a call.
            buffer.extend_from_slice(&head(0));
            buffer.extend_from_slice(payload);
        }
        whole = later;
    }
    if !tail.is_empty() {
        pieces.make_room();
        let end = packet(head(0), FirstField::default(), tail);
        pieces.buffer().extend_from_slice(&end);
    }
}

/// One packet: what the payload leaves of it is an adaptation field (2.4.3.4).
fn packet(head: [u8; HEADER_BYTES], field: FirstField, payload: &[u8]) -> [u8; PACKET_BYTES] {
    let mut packet = [0xFF; PACKET_BYTES];
    let (head_at, rest) = packet.split_at_mut(HEADER_BYTES);
    head_at.copy_from_slice(&head);
    let (field_at, payload_at) = rest.split_at_mut(ROOM_BYTES.saturating_sub(payload.len()));
    // A longer payload than there is room for is a mistake of the caller's: none is better than a panic.
    if payload_at.len() == payload.len() {
        payload_at.copy_from_slice(payload);
    }
    let Ok(length) = u8::try_from(field_at.len()) else {
        return packet;
    };
    if let [length_at, contents @ ..] = field_at {
        if let Some(control) = head_at.last_mut() {
            *control |= 0x20;
        }
        *length_at = length - 1;
        write_field(contents, field);
    }
    packet
}

/// The adaptation field behind its length byte; it is all stuffing so far.
fn write_field(contents: &mut [u8], field: FirstField) {
    let [flags, rest @ ..] = contents else { return };
    *flags = if field.random_access { 0x40 } else { 0 };
    if let (Some(pcr), Some(clock)) = (field.pcr, rest.first_chunk_mut::<6>()) {
        *flags |= 0x10;
        // 33 bits of base, six reserved, nine of extension.
        let packed = (pcr.base().ticks() << 15) | 0x7E00 | u64::from(pcr.extension());
        let [_, _, fields @ ..] = packed.to_be_bytes();
        *clock = fields;
    }
}
