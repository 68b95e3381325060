//! Streams to measure with: the sizes and the structure of broadcasts, with contents of no meaning.

use crate::muxer::{Muxer, Stamps};
use mpegts::Pid;

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
    let mut out = Muxer::new(MAP, &[(0x1B, VIDEO), (0x0F, SOUND)], VIDEO);
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
        let stamps = Stamps {
            pts: dts + delay * PICTURE_90K,
            dts,
        };
        out.pes(VIDEO, 0xE0, &picture, stamps, Some(dts - MARGIN_90K));
        out.clock(dts - MARGIN_90K + PICTURE_90K / 2);
        while sound_at < dts {
            let stamps = Stamps {
                pts: sound_at,
                dts: sound_at,
            };
            out.pes(SOUND, 0xC0, &frames(8, 512, number), stamps, None);
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
    let mut out = Muxer::new(MAP, &[(0x0F, SOUND)], SOUND);
    for number in 0.. {
        if number % 2 == 0 {
            out.tables();
        }
        let at = 900_000 + number * SOUND_90K / 2;
        let stamps = Stamps { pts: at, dts: at };
        out.pes(
            SOUND,
            0xC0,
            &frames(4, 341, number),
            stamps,
            Some(at - MARGIN_90K),
        );
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
