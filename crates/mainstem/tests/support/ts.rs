//! A reader of transport streams for tests, written without a look at `mpegts`: what a strict player would notice.

use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes of a packet (ISO 13818-1 clause 2.4.3.2).
pub(crate) const PACKET: usize = 188;
const NULL_PID: u16 = 0x1FFF;
/// PTS, DTS and the PCR's base count 90 kHz in 33 bits (clause 2.4.3.5).
const CLOCK_MODULO: u64 = 1 << 33;
const TICKS_PER_SECOND: f64 = 90_000.0;
/// A PCR comes at least every 100 ms (clause 2.7.2); a slate that begins or a keep-alive may stretch that in wall time,
/// never in media time. One source joined to another may leave up to a picture more.
const PCR_GAP_MAX: f64 = 0.25;

/// What a stream holds, and everything that is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Whole packets.
    pub(crate) packets: usize,
    /// Null packets among them.
    pub(crate) nulls: usize,
    /// Elementary streams by PID: stream_type.
    pub(crate) streams: BTreeMap<u16, u8>,
    /// PES packets by PID.
    pub(crate) units: BTreeMap<u16, usize>,
    /// Versions of the PMT, in order of their appearance.
    pub(crate) pmt_versions: Vec<u8>,
    /// From the first to the last PCR.
    pub(crate) media: Duration,
    /// Whether the first three packets that are no null packets are PAT, PMT and a random access point.
    pub(crate) begins_clean: bool,
    /// Largest step from one PTS of video to the next larger one, in seconds.
    pub(crate) largest_step: f64,
    /// Everything a strict player would complain about.
    pub(crate) problems: Vec<String>,
}

impl Report {
    /// Reads a stream; what is left of a last packet is ignored.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut reader = Reader::default();
        let (packets, _) = bytes.as_chunks::<PACKET>();
        for (number, packet) in packets.iter().enumerate() {
            reader.packet(number, packet);
        }
        reader.finish()
    }

    /// Video PES packets: pictures.
    pub(crate) fn pictures(&self) -> usize {
        self.units_of(|kind| is_video(Some(&kind)))
    }

    /// Audio PES packets.
    pub(crate) fn sounds(&self) -> usize {
        self.units_of(|kind| !is_video(Some(&kind)))
    }

    fn units_of(&self, wanted: impl Fn(u8) -> bool) -> usize {
        let count = |pid: &u16| self.units.get(pid).copied().unwrap_or(0);
        self.streams
            .iter()
            .filter(|(_, kind)| wanted(**kind))
            .map(|(pid, _)| count(pid))
            .sum()
    }

    /// Fails the test with everything that is wrong.
    #[track_caller]
    pub(crate) fn assert_clean(&self, whose: &str) {
        assert!(
            self.problems.is_empty(),
            "{whose}: {} problems in {} packets:\n{}",
            self.problems.len(),
            self.packets,
            self.problems
                .iter()
                .take(20)
                .cloned()
                .collect::<Vec<_>>()
                .join("\n")
        );
        assert!(
            self.begins_clean,
            "{whose}: no PAT, PMT and keyframe at its start"
        );
    }
}

/// What came, without the picture and the sound at its end that a viewer who leaves has only a part of.
pub(crate) fn whole_units(bytes: &[u8]) -> Vec<u8> {
    let (packets, _) = bytes.as_chunks::<PACKET>();
    let pid = |packet: &[u8; PACKET]| u16::from(packet[1] & 0x1F) << 8 | u16::from(packet[2]);
    let mut last_start = BTreeMap::new();
    for (number, packet) in packets.iter().enumerate() {
        if packet[1] & 0x40 != 0 {
            last_start.insert(pid(packet), number);
        }
    }
    let streams = Report::of(bytes).streams;
    let is_whole = |(number, packet): &(usize, &[u8; PACKET])| {
        let pid = pid(packet);
        !streams.contains_key(&pid) || last_start.get(&pid).is_some_and(|last| number < last)
    };
    let whole = packets.iter().enumerate().filter(is_whole);
    whole.flat_map(|(_, packet)| *packet).collect()
}

/// Media time seen, read on from where the last look ended.
#[derive(Debug, Default)]
pub(crate) struct MediaMeter {
    at: usize,
    pcr: Option<u64>,
    ticks: u64,
}

impl MediaMeter {
    /// Media time from the first to the last PCR of what was seen; `bytes` is all of it.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Duration {
        while let Some(packet) = bytes.get(self.at..self.at + PACKET) {
            self.at += PACKET;
            let Some(now) = pcr(packet) else { continue };
            if let Some(before) = self.pcr {
                self.ticks += forward(before, now);
            }
            self.pcr = Some(now);
        }
        Duration::from_secs_f64(seconds(self.ticks))
    }
}

#[derive(Default)]
struct Reader {
    report: Report,
    pmt_pid: Option<u16>,
    pcr_pid: Option<u16>,
    pcr: Option<u64>,
    /// Last continuity counter by PID, and whether it had a payload.
    counters: BTreeMap<u16, u8>,
    /// Largest PTS and last DTS by PID.
    shown: BTreeMap<u16, u64>,
    decoded: BTreeMap<u16, u64>,
    /// What the first packets were, null packets aside.
    first: Vec<&'static str>,
    media_ticks: u64,
}

impl Reader {
    fn packet(&mut self, number: usize, packet: &[u8; PACKET]) {
        self.report.packets += 1;
        if packet[0] != 0x47 {
            self.problem(number, "no sync byte");
            return;
        }
        let pid = u16::from(packet[1] & 0x1F) << 8 | u16::from(packet[2]);
        if pid == NULL_PID {
            self.report.nulls += 1;
            return;
        }
        if packet[1] & 0x80 != 0 {
            self.problem(number, format!("transport error on {pid:#x}"));
        }
        if packet[3] & 0xC0 != 0 {
            self.problem(number, format!("scrambled packet on {pid:#x}"));
        }
        self.continuity(number, pid, packet);
        self.clock(number, pid, packet);
        self.beginning(pid, packet);
        if packet[1] & 0x40 != 0 {
            self.unit(number, pid, payload(packet));
        }
    }

    fn continuity(&mut self, number: usize, pid: u16, packet: &[u8; PACKET]) {
        let counter = packet[3] & 0x0F;
        let has_payload = packet[3] & 0x10 != 0;
        let before = self.counters.insert(pid, counter);
        let is_announced = adaptation(packet).first().is_some_and(|flags| flags & 0x80 != 0);
        let Some(before) = before else { return };
        let expected = if has_payload { (before + 1) & 0x0F } else { before };
        if counter != expected && !is_announced {
            self.problem(number, format!("{pid:#x}: continuity {before} then {counter}"));
        }
    }

    fn clock(&mut self, number: usize, pid: u16, packet: &[u8; PACKET]) {
        let Some(now) = pcr(packet) else { return };
        if self.pcr_pid.is_some_and(|known| known != pid) {
            self.problem(number, format!("a PCR on {pid:#x}, which is not the PCR's PID"));
        }
        if let Some(before) = self.pcr {
            let step = forward(before, now);
            if seconds(step) > PCR_GAP_MAX {
                let text = format!("PCR {before} then {now}: {:.3} s", signed_seconds(before, now));
                self.problem(number, text);
            }
            if step < CLOCK_MODULO / 2 {
                self.media_ticks += step;
            }
        }
        self.pcr = Some(now);
    }

    fn beginning(&mut self, pid: u16, packet: &[u8; PACKET]) {
        if self.first.len() >= 3 {
            return;
        }
        let is_random_access = adaptation(packet).first().is_some_and(|flags| flags & 0x40 != 0);
        self.first.push(match pid {
            0 => "PAT",
            pid if Some(pid) == self.pmt_pid => "PMT",
            _ if is_random_access => "keyframe",
            _ => "other",
        });
    }

    fn unit(&mut self, number: usize, pid: u16, payload: &[u8]) {
        if pid == 0 {
            self.pat(payload);
        } else if Some(pid) == self.pmt_pid {
            self.pmt(number, payload);
        } else if self.report.streams.contains_key(&pid) {
            self.pes(number, pid, payload);
        } else {
            self.problem(number, format!("{pid:#x} is in no PMT"));
        }
    }

    fn pat(&mut self, payload: &[u8]) {
        let Some(section) = section(payload) else { return };
        // Clause 2.4.4.3: 8 bytes of header, then programmes of 4 bytes, then 4 of CRC.
        let programme = section
            .get(8..12)
            .map(|p| u16::from(p[2] & 0x1F) << 8 | u16::from(p[3]));
        // The first one of the stream tells the keyframe's neighbour apart before its own look at it.
        self.pmt_pid = programme.or(self.pmt_pid);
    }

    fn pmt(&mut self, number: usize, payload: &[u8]) {
        let Some(section) = section(payload) else {
            self.problem(number, "a PMT longer than a packet");
            return;
        };
        // Clause 2.4.4.8.
        let version = section[5] >> 1 & 0x1F;
        if self.report.pmt_versions.last() != Some(&version) {
            self.report.pmt_versions.push(version);
        }
        self.pcr_pid = Some(u16::from(section[8] & 0x1F) << 8 | u16::from(section[9]));
        let skip = usize::from(section[10] & 0x0F) << 8 | usize::from(section[11]);
        let mut rest = section
            .get(12 + skip..section.len().saturating_sub(4))
            .unwrap_or_default();
        while let [kind, a, b, c, d, ..] = *rest {
            let pid = u16::from(a & 0x1F) << 8 | u16::from(b);
            if let Some(before) = self.report.streams.insert(pid, kind)
                && before != kind
            {
                self.problem(number, format!("{pid:#x} was type {before:#x} and is {kind:#x}"));
            }
            let length = usize::from(c & 0x0F) << 8 | usize::from(d);
            rest = rest.get(5 + length..).unwrap_or_default();
        }
    }

    fn pes(&mut self, number: usize, pid: u16, payload: &[u8]) {
        if !payload.starts_with(&[0, 0, 1]) {
            self.problem(number, format!("{pid:#x}: a unit without a start code"));
            return;
        }
        *self.report.units.entry(pid).or_default() += 1;
        let Some(flags) = payload.get(7) else { return };
        let pts = (flags & 0x80 != 0).then(|| stamp(payload.get(9..14))).flatten();
        let dts = (flags & 0x40 != 0).then(|| stamp(payload.get(14..19))).flatten();
        if let Some(pts) = pts {
            self.shown(number, pid, pts);
        }
        let Some(decoded) = dts.or(pts) else { return };
        if let Some(before) = self.decoded.insert(pid, decoded)
            && forward(before, decoded) >= CLOCK_MODULO / 2
        {
            let back = signed_seconds(before, decoded);
            self.problem(number, format!("{pid:#x}: decoding time goes {back:.3} s"));
        }
        if let Some(pcr) = self.pcr
            && signed_seconds(pcr, decoded) < -0.001
        {
            let late = signed_seconds(pcr, decoded);
            self.problem(
                number,
                format!("{pid:#x}: decoding time {late:.3} s before the clock"),
            );
        }
    }

    fn shown(&mut self, number: usize, pid: u16, pts: u64) {
        let Some(&before) = self.shown.get(&pid) else {
            self.shown.insert(pid, pts);
            return;
        };
        let step = signed_seconds(before, pts);
        if step > 0.0 {
            self.shown.insert(pid, pts);
            if is_video(self.report.streams.get(&pid)) {
                self.report.largest_step = self.report.largest_step.max(step);
            }
        }
        // Pictures are sent out of order by a few; a second back is another timeline.
        if !(-1.0..=30.0).contains(&step) {
            self.problem(number, format!("{pid:#x}: PTS goes {step:.3} s"));
        }
    }

    fn problem(&mut self, number: usize, text: impl std::fmt::Display) {
        self.report.problems.push(format!("packet {number}: {text}"));
    }

    fn finish(mut self) -> Report {
        self.report.media = Duration::from_secs_f64(seconds(self.media_ticks));
        self.report.begins_clean = self.first == ["PAT", "PMT", "keyframe"];
        self.report
    }
}

/// stream_type of MPEG-1, MPEG-2, H.264 and HEVC video (clause 2.4.4.9, Table 2-34).
fn is_video(kind: Option<&u8>) -> bool {
    matches!(kind, Some(0x01 | 0x02 | 0x1B | 0x24))
}

fn adaptation(packet: &[u8]) -> &[u8] {
    let has_field = packet[3] & 0x20 != 0;
    let length = if has_field { usize::from(packet[4]) } else { 0 };
    packet.get(5..5 + length).unwrap_or_default()
}

fn payload(packet: &[u8]) -> &[u8] {
    if packet[3] & 0x10 == 0 {
        return &[];
    }
    let skip = if packet[3] & 0x20 != 0 {
        1 + usize::from(packet[4])
    } else {
        0
    };
    packet.get(4 + skip..).unwrap_or_default()
}

/// A section that begins and ends in this payload.
fn section(payload: &[u8]) -> Option<&[u8]> {
    let section = payload.get(1 + usize::from(*payload.first()?)..)?;
    let length = usize::from(section.get(1)? & 0x0F) << 8 | usize::from(*section.get(2)?);
    section.get(..3 + length).filter(|section| section.len() >= 16)
}

/// The PCR's base in 90 kHz (clause 2.4.3.5).
fn pcr(packet: &[u8]) -> Option<u64> {
    let [flags, a, b, c, d, e, ..] = *adaptation(packet) else {
        return None;
    };
    let has_pcr = flags & 0x10 != 0 && u16::from(packet[1] & 0x1F) << 8 | u16::from(packet[2]) != NULL_PID;
    let base =
        u64::from(a) << 25 | u64::from(b) << 17 | u64::from(c) << 9 | u64::from(d) << 1 | u64::from(e >> 7);
    has_pcr.then_some(base)
}

/// PTS or DTS (clause 2.4.3.6).
fn stamp(bytes: Option<&[u8]>) -> Option<u64> {
    let [a, b, c, d, e] = *bytes?.as_array::<5>()?;
    Some(
        u64::from(a >> 1 & 0x07) << 30
            | u64::from(b) << 22
            | u64::from(c >> 1) << 15
            | u64::from(d) << 7
            | u64::from(e >> 1),
    )
}

fn forward(from: u64, to: u64) -> u64 {
    to.wrapping_sub(from) % CLOCK_MODULO
}

#[expect(clippy::cast_precision_loss, reason = "33 bits fit a double exactly")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND
}

fn signed_seconds(from: u64, to: u64) -> f64 {
    let ahead = forward(from, to);
    if ahead < CLOCK_MODULO / 2 {
        seconds(ahead)
    } else {
        -seconds(CLOCK_MODULO - ahead)
    }
}
