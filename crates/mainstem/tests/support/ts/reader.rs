//! The reading itself: one packet after the other, and what is remembered between them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Report;
use super::entry::{is_avc_or_hevc, is_video, missing};
use super::packet::{
    FIRST_FREE_PID, NULL_PID, PACKET, counter, forward, has_payload, is_discontinuity, is_random_access,
    payload, pcr, pid, seconds, signed_seconds, stamp, starts_unit, without_pcr,
};
use super::problem::{
    BUFFERED_MAX_AVC_S, BUFFERED_MAX_S, CLOCK_GAP_MAX_S, CLOCK_JUMP_MIN_S, Kind, Problem, SHOWN_BACK_MAX_S,
    SHOWN_GAP_MAX_S, TABLE_GAP_MAX_S,
};
use super::tables::{Gathering, Map, Section, map_pid};

/// Bytes of a picture looked at for what decoding begins with.
const ENTRY_BYTES: usize = 16 << 10;
/// Rounding of a clock of 90 kHz.
const TICK_S: f64 = 1.0 / 90_000.0;

/// What is remembered of a PID.
#[derive(Default)]
struct Lane {
    last: Option<[u8; PACKET]>,
    repetitions: u32,
    shown: Option<u64>,
    decoded: Option<u64>,
    unit: Option<Unit>,
}

/// A PES packet on its way.
struct Unit {
    packet: usize,
    /// PES_packet_length and the six bytes before its end; `None`: unbounded, as video may be (clause 2.4.3.7).
    length: Option<usize>,
    bytes: usize,
    /// The beginning of a picture that has to be an entry.
    entry: Option<Vec<u8>>,
}

#[derive(Default)]
pub(super) struct Reader {
    report: Report,
    pat: Gathering,
    pmt: Gathering,
    pmt_pid: Option<u16>,
    map: Option<Map>,
    /// Media time since PAT and PMT, once there was a PCR.
    since_pat: u64,
    since_pmt: u64,
    pcr: Option<u64>,
    lanes: BTreeMap<u16, Lane>,
    media_ticks: u64,
    first_shown: Option<u64>,
    has_video_begun: bool,
}

impl Reader {
    pub(super) fn lost_alignment(&mut self) {
        self.problem(Kind::Alignment, "no sync byte");
    }

    pub(super) fn packet(&mut self, packet: &[u8; PACKET]) {
        self.look(packet);
        self.report.packets += 1;
    }

    pub(super) fn finish(mut self, tail: usize) -> Report {
        self.report.tail = tail;
        self.report.media = Duration::from_secs_f64(seconds(self.media_ticks));
        if let Some(first) = self.first_shown {
            let lanes = self
                .lanes
                .iter()
                .filter_map(|(pid, lane)| lane.shown.map(|at| (*pid, at)));
            self.report.last_shown = lanes.map(|(pid, at)| (pid, signed_seconds(first, at))).collect();
        }
        if self.map.is_none() {
            self.problem(Kind::NoEntry, "no PMT at all");
        }
        self.report
    }

    fn look(&mut self, packet: &[u8; PACKET]) {
        let pid = pid(packet);
        if pid == NULL_PID {
            self.report.nulls += 1;
            return;
        }
        if packet[1] & 0x80 != 0 {
            self.problem(Kind::TransportError, format!("on {pid:#x}"));
        }
        if packet[3] & 0xC0 != 0 {
            self.problem(Kind::Scrambled, format!("on {pid:#x}"));
        }
        if self.is_repetition(pid, packet) {
            return;
        }
        if is_discontinuity(packet) {
            self.problem(Kind::Announced, format!("on {pid:#x}"));
        }
        self.clock(pid, packet);
        if has_payload(packet) {
            self.content(pid, packet);
        }
    }

    /// Checks the counter; says whether this is the second copy of the packet before, which says nothing new.
    fn is_repetition(&mut self, pid: u16, packet: &[u8; PACKET]) -> bool {
        let lane = self.lanes.entry(pid).or_default();
        let last = lane.last.replace(*packet);
        let Some(last) = last else { return false };
        let (before, now) = (counter(&last), counter(packet));
        if !has_payload(packet) {
            if now != before && !is_discontinuity(packet) {
                self.problem(
                    Kind::Continuity,
                    format!("{pid:#x}: {before} then {now} without payload"),
                );
            }
            return false;
        }
        if now == before && has_payload(&last) {
            lane.repetitions += 1;
            let is_legal = lane.repetitions == 1 && without_pcr(&last) == without_pcr(packet);
            if !is_legal {
                self.problem(Kind::Repetition, format!("{pid:#x}: counter {now} again"));
            }
            return true;
        }
        lane.repetitions = 0;
        if now != (before + 1) & 0x0F && !is_discontinuity(packet) {
            self.problem(Kind::Continuity, format!("{pid:#x}: {before} then {now}"));
        }
        false
    }

    fn clock(&mut self, pid: u16, packet: &[u8; PACKET]) {
        let Some(now) = pcr(packet) else { return };
        if let Some(map) = &self.map
            && map.pcr_pid != pid
        {
            let text = format!("a PCR on {pid:#x}; the PMT says {:#x}", map.pcr_pid);
            self.problem(Kind::ClockPid, text);
            return;
        }
        let before = self.pcr.replace(now);
        let Some(before) = before.filter(|_| !is_discontinuity(packet)) else {
            return;
        };
        let step = signed_seconds(before, now);
        if !(0.0..CLOCK_JUMP_MIN_S).contains(&step) {
            self.problem(Kind::ClockJump, format!("PCR {before} then {now}: {step:.3} s"));
            return;
        }
        self.report.largest_clock_gap = self.report.largest_clock_gap.max(step);
        if step > CLOCK_GAP_MAX_S + TICK_S {
            self.problem(Kind::ClockGap, format!("PCR {before} then {now}: {step:.3} s"));
        }
        let ticks = forward(before, now);
        self.media_ticks += ticks;
        self.since_pat += ticks;
        self.since_pmt += ticks;
        if seconds(self.since_pat.max(self.since_pmt)) > TABLE_GAP_MAX_S + TICK_S {
            let text = format!(
                "PAT {:.3} s ago, PMT {:.3} s ago",
                seconds(self.since_pat),
                seconds(self.since_pmt)
            );
            self.problem(Kind::TableGap, text);
            (self.since_pat, self.since_pmt) = (0, 0);
        }
    }

    fn content(&mut self, pid: u16, packet: &[u8; PACKET]) {
        if pid == 0 {
            self.pat(packet);
        } else if Some(pid) == self.pmt_pid {
            self.pmt(packet);
        } else if pid < FIRST_FREE_PID {
            // Tables of the system and of the network: they concern no picture.
        } else if self.stream_type(pid).is_none() {
            self.problem(Kind::Unlisted, format!("{pid:#x} is in no PMT"));
        } else if starts_unit(packet) {
            self.unit_ends(pid);
            self.unit_begins(pid, packet);
        } else {
            self.unit_goes_on(pid, payload(packet));
        }
    }

    fn stream_type(&self, pid: u16) -> Option<u8> {
        self.map.as_ref()?.streams.get(&pid).copied()
    }

    fn pat(&mut self, packet: &[u8; PACKET]) {
        match self.pat.take(payload(packet), starts_unit(packet)) {
            Section::Open => {}
            Section::Broken => self.problem(Kind::Crc, "of the PAT"),
            Section::Whole(section) => {
                self.since_pat = 0;
                self.pmt_pid = map_pid(&section).or(self.pmt_pid);
            }
        }
    }

    fn pmt(&mut self, packet: &[u8; PACKET]) {
        let section = match self.pmt.take(payload(packet), starts_unit(packet)) {
            Section::Open => return,
            Section::Broken => return self.problem(Kind::Crc, "of the PMT"),
            Section::Whole(section) => section,
        };
        self.since_pmt = 0;
        let Some(map) = Map::of(&section) else {
            return self.problem(Kind::Crc, "a PMT that ends too early");
        };
        if let Some(before) = &self.map
            && before.contradicts(&map)
        {
            let text = format!("version {} says something else now", map.version);
            self.problem(Kind::VersionKept, text);
        }
        if self.report.pmt_versions.last() != Some(&map.version) {
            self.report.pmt_versions.push(map.version);
            self.report.pcr_pids.push(map.pcr_pid);
        }
        for (pid, kind) in &map.streams {
            let before = self.report.streams.insert(*pid, *kind);
            if let Some(before) = before.filter(|before| before != kind) {
                let text = format!("{pid:#x} was type {before:#x} and is {kind:#x}");
                self.problem(Kind::TypeChanged, text);
            }
        }
        self.map = Some(map);
    }

    fn unit_begins(&mut self, pid: u16, packet: &[u8; PACKET]) {
        let payload = payload(packet);
        // Clause 2.4.3.6: the flags say which stamps there are, and ten is the prefix of all of it.
        let &[0, 0, 1, _, high, low, marks, flags, _, ..] = payload else {
            return self.problem(Kind::UnitHeader, format!("{pid:#x}: no start of a PES packet"));
        };
        let (has_pts, has_dts) = (flags & 0x80 != 0, flags & 0x40 != 0);
        let pts = stamp(payload.get(9..14)).filter(|_| has_pts);
        let dts = stamp(payload.get(14..19)).filter(|_| has_dts);
        if marks & 0xC0 != 0x80 || pts.is_some() != has_pts || dts.is_some() != has_dts {
            self.problem(Kind::UnitHeader, format!("{pid:#x}: marker bits of a PES header"));
        }
        *self.report.units.entry(pid).or_default() += 1;
        let length = usize::from(high) << 8 | usize::from(low);
        let unit = Unit {
            packet: self.report.packets,
            length: (length > 0).then_some(length + 6),
            bytes: 0,
            entry: self.must_be_entry(pid, packet).then(Vec::new),
        };
        if unit.length.is_none() && !self.stream_type(pid).is_some_and(is_video) {
            self.problem(
                Kind::UnitHeader,
                format!("{pid:#x}: sound without PES_packet_length"),
            );
        }
        self.lanes.entry(pid).or_default().unit = Some(unit);
        self.unit_goes_on(pid, payload);
        if let Some(pts) = pts {
            self.shown(pid, pts, dts.unwrap_or(pts));
            self.decoded(pid, dts.unwrap_or(pts));
        }
    }

    /// Whether decoding has to be able to begin here: it is flagged so, or it is the first picture of all.
    fn must_be_entry(&mut self, pid: u16, packet: &[u8; PACKET]) -> bool {
        if !self.stream_type(pid).is_some_and(is_video) {
            return false;
        }
        if !self.has_video_begun && !is_random_access(packet) {
            self.problem(
                Kind::NoEntry,
                format!("{pid:#x} begins without a random_access_indicator"),
            );
        }
        !std::mem::replace(&mut self.has_video_begun, true) || is_random_access(packet)
    }

    fn unit_goes_on(&mut self, pid: u16, payload: &[u8]) {
        let Some(unit) = self.lanes.get_mut(&pid).and_then(|lane| lane.unit.as_mut()) else {
            // Before its first start: the rest of something that nobody saw begin.
            return self.problem(
                Kind::UnitCut,
                format!("{pid:#x}: the end of a unit that never began"),
            );
        };
        unit.bytes += payload.len();
        if let Some(entry) = &mut unit.entry {
            let room = ENTRY_BYTES.saturating_sub(entry.len());
            entry.extend_from_slice(payload.get(..room.min(payload.len())).unwrap_or_default());
        }
    }

    /// A unit is whole once the next one begins.
    fn unit_ends(&mut self, pid: u16) {
        let Some(unit) = self.lanes.get_mut(&pid).and_then(|lane| lane.unit.take()) else {
            return;
        };
        let at = unit.packet;
        if let Some(length) = unit.length.filter(|length| *length != unit.bytes) {
            let text = format!("{pid:#x}: {} bytes of {length}", unit.bytes);
            self.problem_at(at, Kind::UnitCut, text);
        }
        let kind = self.stream_type(pid).unwrap_or_default();
        if let Some(lacks) = unit.entry.and_then(|entry| missing(kind, &entry)) {
            self.problem_at(at, Kind::NoEntry, format!("{pid:#x}: an entry without {lacks}"));
        }
    }

    fn decoded(&mut self, pid: u16, dts: u64) {
        let before = self.lanes.entry(pid).or_default().decoded.replace(dts);
        if let Some(step) = before
            .map(|before| signed_seconds(before, dts))
            .filter(|step| *step <= 0.0)
        {
            self.problem(Kind::DecodingBack, format!("{pid:#x}: DTS goes {step:.3} s"));
        }
        let Some(pcr) = self.pcr else { return };
        let wait = signed_seconds(pcr, dts);
        let kind = self.stream_type(pid).unwrap_or_default();
        let most = if is_avc_or_hevc(kind) {
            BUFFERED_MAX_AVC_S
        } else {
            BUFFERED_MAX_S
        };
        if wait < -TICK_S {
            self.problem(
                Kind::UnitLate,
                format!("{pid:#x}: decoded {wait:.3} s after it came"),
            );
        } else if wait > most {
            self.problem(
                Kind::UnitEarly,
                format!("{pid:#x}: decoded {wait:.3} s after it came"),
            );
        }
    }

    fn shown(&mut self, pid: u16, pts: u64, dts: u64) {
        if signed_seconds(dts, pts) < 0.0 {
            self.problem(
                Kind::ShownBeforeDecoded,
                format!("{pid:#x}: PTS {pts}, DTS {dts}"),
            );
        }
        self.first_shown.get_or_insert(pts);
        let is_video = self.stream_type(pid).is_some_and(is_video);
        let lane = self.lanes.entry(pid).or_default();
        let Some(before) = lane.shown else {
            lane.shown = Some(pts);
            return;
        };
        let step = signed_seconds(before, pts);
        if step > 0.0 {
            lane.shown = Some(pts);
            if is_video {
                self.report.largest_step = self.report.largest_step.max(step);
            }
        }
        if !(-SHOWN_BACK_MAX_S..=SHOWN_GAP_MAX_S).contains(&step) {
            self.problem(Kind::ShownJump, format!("{pid:#x}: PTS goes {step:.3} s"));
        }
    }

    fn problem(&mut self, kind: Kind, text: impl Into<String>) {
        self.problem_at(self.report.packets, kind, text);
    }

    fn problem_at(&mut self, packet: usize, kind: Kind, text: impl Into<String>) {
        self.report.problems.push(Problem {
            packet,
            kind,
            text: text.into(),
        });
    }
}
