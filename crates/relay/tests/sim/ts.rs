//! Synthetic transport streams, and a judge of what viewers get. The judge reads packets by itself, so that a mistake
//! in the product's own reading cannot hide.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

pub(crate) const PACKET: usize = 188;
pub(crate) const PICTURE_90K: u64 = 3_600;
pub(crate) const PICTURE: Duration = Duration::from_millis(40);
const VIDEO_PID: u16 = 0x100;
const PMT_PID: u16 = 0x1000;
const NULL_PID: u16 = 0x1FFF;
const MARK: &[u8] = b"SRC";

/// A live source: 25 pictures a second, each marked with the source and its number.
#[derive(Debug)]
pub(crate) struct Camera {
    source: u8,
    gop: u32,
    start_90k: u64,
    picture_90k: u64,
    picture: u32,
    continuity: HashMap<u16, u8>,
}

impl Camera {
    pub(crate) fn new(source: u8, gop: u32, start_90k: u64) -> Self {
        Self {
            source,
            gop,
            start_90k,
            picture_90k: PICTURE_90K,
            picture: 0,
            continuity: HashMap::new(),
        }
    }

    /// So many pictures a second in place of 25; a divisor of 90,000.
    pub(crate) fn rate(mut self, pictures: u32) -> Self {
        self.picture_90k = 90_000 / u64::from(pictures);
        self
    }

    pub(crate) fn at(mut self, picture: u32) -> Self {
        self.picture = picture;
        self
    }

    pub(crate) fn rewind(&mut self) {
        self.picture = 0;
    }

    /// The packets of the next picture.
    pub(crate) fn shoot(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let keyframe = self.picture.is_multiple_of(self.gop);
        // Tables come every second, whatever the pictures do.
        if self.picture.is_multiple_of(25) {
            let pat = [0x00, 0x01, 0xC1, 0, 0, 0x00, 0x01, 0xE0 | 0x10, 0x00];
            self.section(&mut out, 0, 0x00, &pat);
            let pmt = [
                0x00, 0x01, 0xC1, 0, 0, 0xE1, 0x00, 0xF0, 0x00, 0x1B, 0xE1, 0x00, 0xF0, 0x00,
            ];
            self.section(&mut out, PMT_PID, 0x02, &pmt);
        }
        let stamp = self.start_90k + u64::from(self.picture) * self.picture_90k;
        let pes = self.pes(keyframe, stamp);
        self.packets(&mut out, &pes, keyframe, stamp - 18_000);
        self.picture += 1;
        out
    }

    fn pes(&self, keyframe: bool, stamp: u64) -> Vec<u8> {
        let mut pes = vec![0, 0, 1, 0xE0, 0, 0, 0x80, 0xC0, 10];
        pes.extend(timestamp(0x30, stamp));
        pes.extend(timestamp(0x10, stamp));
        pes.extend([0, 0, 0, 1, 0x09, 0xF0]);
        if keyframe {
            pes.extend([0, 0, 0, 1, 0x67, 0x42, 0xC0, 0x1E, 0xD9, 0x01, 0x41, 0xFB]);
            pes.extend([0, 0, 0, 1, 0x68, 0xCE, 0x3C, 0x80]);
            pes.extend([0, 0, 0, 1, 0x65, 0x88]);
        } else {
            pes.extend([0, 0, 0, 1, 0x41, 0x9A]);
        }
        pes.extend(MARK);
        pes.push(0x80 | self.source);
        // Seven bits a byte with the top bit set: no start code can arise.
        pes.extend((0..4).map(|byte| 0x80 | u8::try_from((self.picture >> (7 * byte)) & 0x7F).unwrap()));
        let rest = if keyframe { 700 } else { 200 };
        pes.extend((0..rest).map(|byte| 0x80 | u8::try_from((byte + self.picture) % 127).unwrap()));
        pes
    }

    fn packets(&mut self, out: &mut Vec<u8>, pes: &[u8], keyframe: bool, pcr: u64) {
        let mut rest = pes;
        let mut first = true;
        while !rest.is_empty() {
            let mut adaptation = Vec::new();
            if first {
                adaptation.push(if keyframe { 0x50 } else { 0x10 });
                adaptation.extend(&(pcr << 31).to_be_bytes()[..4]);
                adaptation.extend([u8::try_from((pcr & 1) << 7).unwrap() | 0x7E, 0]);
            }
            let head = if first { 1 + adaptation.len() } else { 0 };
            let take = rest.len().min(184 - head);
            let stuffing = 184 - head - take;
            if stuffing > 0 && !first {
                // One byte of stuffing is a length of zero, more begin with flags.
                if stuffing > 1 {
                    adaptation.push(0);
                    adaptation.resize(stuffing - 1, 0xFF);
                }
            } else {
                adaptation.resize(adaptation.len() + stuffing, 0xFF);
            }
            let field = first || stuffing > 0;
            let control = if field { 0x30 } else { 0x10 };
            let continuity = self.count(VIDEO_PID);
            let start = if first { 0x40 } else { 0 };
            out.extend([0x47, start | 0x01, 0x00, control | continuity]);
            if field {
                out.push(u8::try_from(adaptation.len()).unwrap());
                out.extend(&adaptation);
            }
            out.extend(&rest[..take]);
            rest = &rest[take..];
            first = false;
        }
        assert_eq!(out.len() % PACKET, 0);
    }

    fn section(&mut self, out: &mut Vec<u8>, pid: u16, table: u8, body: &[u8]) {
        let mut section = vec![table, 0xB0, u8::try_from(body.len() + 4).unwrap()];
        section.extend(body);
        section.extend(crc(&section).to_be_bytes());
        let continuity = self.count(pid);
        let [high, low] = pid.to_be_bytes();
        out.extend([0x47, 0x40 | high, low, 0x10 | continuity, 0]);
        out.extend(&section);
        out.resize(out.len() + 183 - section.len(), 0xFF);
    }

    fn count(&mut self, pid: u16) -> u8 {
        let next = self.continuity.entry(pid).or_default();
        let now = *next;
        *next = (now + 1) % 16;
        now
    }
}

fn timestamp(prefix: u8, ticks: u64) -> [u8; 5] {
    let byte = |shift: u32| u8::try_from((ticks >> shift) & 0xFF).unwrap();
    [
        prefix | (byte(29) & 0x0E) | 1,
        byte(22),
        byte(14) | 1,
        byte(7),
        (byte(0) << 1) | 1,
    ]
}

fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0xFFFF_FFFF, |crc: u32, byte| {
        (0..8).fold(crc ^ (u32::from(*byte) << 24), |crc, _| {
            (crc << 1) ^ (if crc & 0x8000_0000 == 0 { 0 } else { 0x04C1_1DB7 })
        })
    })
}

/// One picture a viewer got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) at: Instant,
    /// The source, zero for a clip of the program's own.
    pub(crate) source: u8,
    pub(crate) number: u32,
    pub(crate) dts: u64,
}

/// Holds what one viewer gets to the rules; panics where one is broken.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    continuity: HashMap<u16, u8>,
    stamps: HashMap<u16, u64>,
    clock: Option<u64>,
    pub(crate) pictures: Vec<Picture>,
    pub(crate) null_packets: usize,
    pub(crate) packets: usize,
}

impl Judge {
    pub(crate) fn take(&mut self, bytes: &[u8], at: Instant) {
        assert!(!bytes.is_empty(), "an empty answer");
        assert_eq!(bytes.len() % PACKET, 0, "broken packets");
        for packet in bytes.chunks(PACKET) {
            self.packet(packet, at);
        }
    }

    /// The viewer was told to expect a hole: continuity begins anew, time does not.
    pub(crate) fn forgive_a_hole(&mut self) {
        self.continuity.clear();
    }

    pub(crate) fn last_of(&self, source: u8) -> Option<Picture> {
        self.pictures.iter().rev().find(|p| p.source == source).copied()
    }

    pub(crate) fn first_of(&self, source: u8) -> Option<Picture> {
        self.pictures.iter().find(|p| p.source == source).copied()
    }

    /// The sources seen, in order, each stretch once.
    pub(crate) fn stretches(&self) -> Vec<u8> {
        let mut seen: Vec<u8> = self.pictures.iter().map(|p| p.source).collect();
        seen.dedup();
        seen
    }

    fn packet(&mut self, packet: &[u8], at: Instant) {
        assert_eq!(packet[0], 0x47, "sync byte");
        assert_eq!(packet[1] & 0x80, 0, "transport error");
        let pid = u16::from_be_bytes([packet[1] & 0x1F, packet[2]]);
        if pid == NULL_PID {
            assert!(self.packets > 0, "null packets before the first picture");
            self.null_packets += 1;
            return;
        }
        if self.packets == 0 {
            assert_eq!(pid, 0, "a response begins with the PAT");
        }
        self.packets += 1;
        let has_payload = packet[3] & 0x10 != 0;
        let count = packet[3] & 0x0F;
        if let Some(last) = self.continuity.insert(pid, count) {
            let expected = if has_payload { (last + 1) % 16 } else { last };
            assert_eq!(
                count, expected,
                "continuity of PID {pid:#x}, packet {}",
                self.packets
            );
        }
        let mut payload = 4;
        if packet[3] & 0x20 != 0 {
            payload += 1 + usize::from(packet[4]);
            if packet[4] >= 7 && packet[5] & 0x10 != 0 {
                self.pcr(&packet[6..11]);
            }
        }
        if has_payload && packet[1] & 0x40 != 0 && packet[payload..].starts_with(&[0, 0, 1]) {
            self.pes(pid, &packet[payload..], at);
        }
    }

    fn pcr(&mut self, bytes: &[u8]) {
        let base = bytes[..4].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)) << 1;
        assert!(self.clock.is_none_or(|last| base >= last), "the clock goes back");
        self.clock = Some(base);
    }

    fn pes(&mut self, pid: u16, pes: &[u8], at: Instant) {
        let pts = read_timestamp(&pes[9..14]);
        let dts = if pes[7] & 0x40 == 0 {
            pts
        } else {
            read_timestamp(&pes[14..19])
        };
        if let Some(last) = self.stamps.insert(pid, dts) {
            assert!(
                dts > last,
                "decoding time of PID {pid:#x} goes from {last} to {dts}"
            );
        }
        if pes[3] & 0xF0 != 0xE0 {
            return;
        }
        let mark = pes.windows(MARK.len()).position(|window| window == MARK);
        let (source, number) = mark.map_or((0, 0), |mark| {
            let body = &pes[mark + MARK.len()..];
            let number = body[1..5]
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 7 | u32::from(byte & 0x7F));
            (body[0] & 0x7F, number)
        });
        self.pictures.push(Picture {
            at,
            source,
            number,
            dts,
        });
    }
}

fn read_timestamp(bytes: &[u8]) -> u64 {
    let byte = |at: usize| u64::from(bytes[at]);
    (byte(0) & 0x0E) << 29 | byte(1) << 22 | (byte(2) & 0xFE) << 14 | byte(3) << 7 | byte(4) >> 1
}
