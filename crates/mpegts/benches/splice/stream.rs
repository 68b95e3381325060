//! Streams to measure with: the sizes and the structure of broadcasts, with contents of no meaning.

use mpegts::psi::{Pat, Pmt, PmtStream, packetize};
use mpegts::{PACKET_BYTES, Pid};

const MAP: Pid = Pid::new(0x1000);
const VIDEO: Pid = Pid::new(0x100);
const SOUND: Pid = Pid::new(0x101);

/// Ticks of a picture: 25 a second.
const PICTURE_90K: u64 = 3_600;

/// Ticks of eight frames of AAC at 48 kHz.
const SOUND_90K: u64 = 8 * 1_920;

/// The clock runs this far behind the decoding times.
const MARGIN_90K: u64 = 60_000;

/// About `megabytes` of pictures of one slice each, in groups of 50; beside them sound of 192 kbit/s, tables every
/// 120 ms and a clock every 20 ms.
pub(crate) fn film(megabytes: usize, megabits_per_second: usize) -> Vec<u8> {
    let mut out = Writer::new(&[(0x1B, VIDEO), (0x0F, SOUND)], VIDEO);
    let mut sound_at = 900_000;
    for number in 0.. {
        let dts = 900_000 + number * PICTURE_90K;
        if number % 3 == 0 {
            out.tables();
        }
        // In hundredths of a picture's share of the bits.
        let (size, delay) = match number % 50 {
            0 => (420, 2),
            at if at % 3 == 0 => (140, 4),
            _ => (72, 1),
        };
        let bytes = megabits_per_second * 50 * size;
        let picture = picture(number % 50 == 0, bytes, number);
        out.pes(
            VIDEO,
            0xE0,
            &picture,
            (dts + delay * PICTURE_90K, dts),
            number % 50 == 0,
        );
        while sound_at < dts {
            out.pes(SOUND, 0xC0, &frames(8, 512, number), (sound_at, sound_at), false);
            sound_at += SOUND_90K;
        }
        if out.bytes.len() > megabytes * 1_000_000 {
            break;
        }
    }
    out.bytes
}

/// About `megabytes` of sound alone.
pub(crate) fn radio(megabytes: usize) -> Vec<u8> {
    let mut out = Writer::new(&[(0x0F, SOUND)], SOUND);
    for number in 0.. {
        if number % 2 == 0 {
            out.tables();
        }
        let at = 900_000 + number * SOUND_90K / 2;
        out.pes(SOUND, 0xC0, &frames(4, 341, number), (at, at), true);
        if out.bytes.len() > megabytes * 1_000_000 {
            break;
        }
    }
    out.bytes
}

/// An access unit: delimiter, parameter sets where it is a keyframe, one slice.
fn picture(keyframe: bool, bytes: usize, seed: u64) -> Vec<u8> {
    let mut es = vec![0, 0, 0, 1, 0x09, 0xF0];
    if keyframe {
        es.extend([0, 0, 0, 1, 0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x02, 0x80, 0xF6, 0x84]);
        es.extend([0, 0, 0, 1, 0x68, 0xCE, 0x3C, 0x80]);
    }
    // first_mb 0; slice_type 7 (I) or 5 (P).
    es.extend(if keyframe {
        [0, 0, 1, 0x65, 0b1000_1000]
    } else {
        [0, 0, 1, 0x41, 0b1001_1011]
    });
    es.extend(noise(bytes, seed));
    es
}

/// Frames of AAC-LC, 48 kHz, stereo.
fn frames(count: usize, bytes: u16, seed: u64) -> Vec<u8> {
    let [high, low] = (bytes << 5).to_be_bytes();
    let mut es = Vec::new();
    for _ in 0..count {
        es.extend([
            0xFF,
            0xF1,
            0x4C,
            0x80 | (high >> 6),
            (high << 2) | (low >> 6),
            0x1F | (low << 2),
            0xFC,
        ]);
        es.extend(noise(usize::from(bytes) - 7, seed));
    }
    es
}

/// Bytes as an entropy coder leaves them, without anything that looks like a start code.
fn noise(bytes: usize, seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let words = core::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Never two bytes of nought in a row.
        let [a, b, c, d, e, f, g, h] = state.to_le_bytes();
        [a, b | 1, c, d | 1, e, f | 1, g, h | 1]
    });
    words.flatten().take(bytes)
}

struct Writer {
    bytes: Vec<u8>,
    pat: Vec<u8>,
    pmt: Vec<u8>,
    clock: Pid,
    counters: [u8; 8192],
}

impl Writer {
    fn new(streams: &[(u8, Pid)], clock: Pid) -> Self {
        let pat = Pat {
            transport_stream_id: 1,
            version: 0,
            programs: vec![(1, MAP)],
        };
        let streams = streams.iter().map(|(stream_type, pid)| PmtStream {
            stream_type: *stream_type,
            pid: *pid,
            descriptors: Vec::new(),
        });
        let pmt = Pmt {
            program_number: 1,
            version: 0,
            pcr_pid: clock,
            descriptors: Vec::new(),
            streams: streams.collect(),
        };
        Self {
            bytes: Vec::new(),
            pat: pat.write().unwrap(),
            pmt: pmt.write().unwrap(),
            clock,
            counters: [15; 8192],
        }
    }

    fn tables(&mut self) {
        packetize(&self.pat, Pid::PAT, &mut self.counters[0], &mut self.bytes);
        let counter = &mut self.counters[usize::from(MAP.value())];
        packetize(&self.pmt, MAP, counter, &mut self.bytes);
    }

    fn pes(&mut self, pid: Pid, stream_id: u8, es: &[u8], (pts, dts): (u64, u64), keyframe: bool) {
        let mut pes = vec![0, 0, 1, stream_id, 0, 0, 0x80, 0xC0, 10];
        pes.extend(stamp(0x30, pts));
        pes.extend(stamp(0x10, dts));
        pes.extend(es);
        if stream_id == 0xC0 {
            let length = u16::try_from(pes.len() - 6).unwrap();
            pes[4..6].copy_from_slice(&length.to_be_bytes());
        }
        let clocked = pid == self.clock;
        let half = pes.len() / 2;
        let (mut first, mut rest, mut second_clock) = (true, pes.as_slice(), clocked && es.len() > 10_000);
        while !rest.is_empty() {
            let mut field = Vec::new();
            if first && clocked {
                field = clock(dts - MARGIN_90K, keyframe);
            } else if second_clock && rest.len() < half {
                second_clock = false;
                field = clock(dts - MARGIN_90K + PICTURE_90K / 2, false);
            }
            let mut room = PACKET_BYTES - 4 - field.len();
            if rest.len() < room && field.is_empty() {
                field.push(0);
                room -= 1;
                if rest.len() < room {
                    field.push(0);
                    room -= 1;
                }
            }
            let now = rest.len().min(room);
            field.resize(field.len() + room - now, 0xFF);
            if let Some(length) = field.len().checked_sub(1) {
                field[0] = u8::try_from(length).unwrap();
            }
            let counter = &mut self.counters[usize::from(pid.value())];
            *counter = (*counter + 1) & 15;
            let [high, low] = pid.value().to_be_bytes();
            let control = if field.is_empty() { 0x10 } else { 0x30 };
            self.bytes
                .extend([0x47, high | if first { 0x40 } else { 0 }, low, control | *counter]);
            self.bytes.extend(field);
            self.bytes.extend(&rest[..now]);
            rest = &rest[now..];
            first = false;
        }
    }
}

/// An adaptation field with a clock; its length is filled in later.
fn clock(base: u64, keyframe: bool) -> Vec<u8> {
    let mut field = vec![0, if keyframe { 0x50 } else { 0x10 }];
    field.extend(&((base << 15) | 0x7E00).to_be_bytes()[2..]);
    field
}

fn stamp(prefix: u8, ticks: u64) -> [u8; 5] {
    let low = |value: u64| value.to_le_bytes()[0];
    [
        prefix | (low(ticks >> 29) & 0x0E) | 1,
        low(ticks >> 22),
        low(ticks >> 14) | 1,
        low(ticks >> 7),
        low(ticks << 1) | 1,
    ]
}
