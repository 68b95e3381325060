//! How fast segments become those of the other container, beside a plain copy, in one run.
//!
//! Prints a table; nothing passes or fails. `cargo bench -p mp4`. The figures of two machines are not compared, the ratios
//! may be.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement prints, and may panic"
)]

use bytes::Bytes;
use mp4::{Reader, Remuxer};
use mpegts::{Codec, Frame, Interleaver, MediaTime, Muxer, Track};
use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Each figure is the best of so many: what else runs takes caches and memory, if not the core.
const TURNS: usize = 5;

/// What is timed goes so often through the segments: the system counts a core's time in steps of milliseconds.
const REPEATS: u32 = 16;

/// As much as a read of a socket brings.
const READ_BYTES: usize = 32 * 1024;

/// Segments of so long, and so many of them.
const SEGMENT_90K: i64 = 6 * 90_000;
const SEGMENTS: i64 = 4;

fn main() {
    println!("| what | MB | copy MB/s | TS to MP4 MB/s | MP4 to TS MB/s |");
    println!("|---|---|---|---|---|");
    for (what, codec, megabits) in [
        ("H.264, 20 Mbit/s, with AAC", Codec::H264, 20),
        ("H.264, 3 Mbit/s, with AAC", Codec::H264, 3),
        ("HEVC, 20 Mbit/s, with AAC", Codec::Hevc, 20),
    ] {
        measure(what, codec, megabits);
    }
}

fn measure(what: &str, codec: Codec, megabits: usize) {
    let tracks = [Track::new(codec), Track::new(Codec::Aac)];
    let segments: Vec<Vec<u8>> = (0..SEGMENTS)
        .map(|number| to_ts(&tracks, film(codec, megabits, number)))
        .collect();
    let megabytes = segments.iter().map(Vec::len).sum::<usize>() as f64 / 1e6;
    let speed = |took: Duration| megabytes / took.as_secs_f64();
    let mut scratch = vec![0; segments.iter().map(Vec::len).max().unwrap()];
    let copy = best(|| {
        for segment in &segments {
            scratch.split_at_mut(segment.len()).0.copy_from_slice(segment);
            black_box(&mut scratch);
        }
    });
    let mut made = Vec::new();
    let to_mp4 = best(|| {
        let mut remuxer = Remuxer::new();
        made = segments
            .iter()
            .map(|segment| remuxer.segment(segment, None).unwrap())
            .collect();
    });
    let mut bytes = 0;
    let back = best(|| {
        let mut reader = Reader::new(&made.first().unwrap().init).unwrap();
        for segment in &made {
            let mut frames = Vec::new();
            reader.begin_segment();
            for part in segment.media.chunks(READ_BYTES) {
                reader.push(part).unwrap();
                frames.extend(core::iter::from_fn(|| reader.take()));
            }
            bytes = black_box(to_ts(&tracks, frames)).len();
        }
    });
    assert!(
        bytes > segments.last().unwrap().len() / 10 * 9,
        "the stream went through"
    );
    println!(
        "| {what} | {megabytes:.0} | {:.0} | {:.0} | {:.0} |",
        speed(copy),
        speed(to_mp4),
        speed(back)
    );
}

fn to_ts(tracks: &[Track], frames: Vec<Frame>) -> Vec<u8> {
    let mut interleaver = Interleaver::new(tracks, Duration::from_secs(10));
    let mut muxer = Muxer::new(tracks).unwrap();
    let mut out = Vec::new();
    for frame in frames {
        interleaver.push(frame);
        while let Some(frame) = interleaver.take() {
            muxer.write(&frame, &mut out);
        }
    }
    interleaver.flush();
    while let Some(frame) = interleaver.take() {
        muxer.write(&frame, &mut out);
    }
    muxer.flush(&mut out);
    out
}

/// A segment: pictures 25 a second in groups of 50, and sound of 192 kbit/s behind them.
fn film(codec: Codec, megabits: usize, number: i64) -> Vec<Frame> {
    const PICTURE_90K: i64 = 3_600;
    let begins = 900_000 + number * SEGMENT_90K;
    let mut frames = Vec::new();
    for at in 0..SEGMENT_90K / PICTURE_90K {
        let dts = begins + at * PICTURE_90K;
        // In hundredths of a picture's share of the bits.
        let (size, delay) = match at % 50 {
            0 => (420, 2),
            at if at % 3 == 0 => (140, 4),
            _ => (72, 1),
        };
        frames.push(Frame {
            track: 0,
            pts: MediaTime::from_90k(dts + delay * PICTURE_90K),
            dts: MediaTime::from_90k(dts),
            random_access: at % 50 == 0,
            data: picture(codec, at % 50 == 0, megabits * 50 * size, at),
        });
    }
    let mut at = begins;
    while at < begins + SEGMENT_90K {
        frames.push(Frame {
            track: 1,
            pts: MediaTime::from_90k(at),
            dts: MediaTime::from_90k(at),
            random_access: true,
            data: [vec![0xFF, 0xF1, 0x4C, 0x80, 0x40, 0x1F, 0xFC], noise(505, at)]
                .concat()
                .into(),
        });
        at += 1_920;
    }
    frames
}

/// An access unit: delimiter, parameter sets where it is a keyframe, one slice.
fn picture(codec: Codec, keyframe: bool, bytes: usize, seed: i64) -> Bytes {
    let parts: [&[u8]; 3] = match codec {
        Codec::Hevc => [
            &[0, 0, 0, 1, 0x46, 0x01, 0x50],
            HEVC_SETS,
            if keyframe {
                &[0, 0, 0, 1, 0x26, 0x01, 0xAF]
            } else {
                &[0, 0, 0, 1, 0x02, 0x01, 0xD0]
            },
        ],
        _ => [
            &[0, 0, 0, 1, 0x09, 0xF0],
            H264_SETS,
            if keyframe {
                &[0, 0, 0, 1, 0x65, 0x88]
            } else {
                &[0, 0, 0, 1, 0x41, 0x9B]
            },
        ],
    };
    let [delimiter, sets, slice] = parts;
    let sets = if keyframe { sets } else { &[] };
    [delimiter, sets, slice, &noise(bytes, seed)].concat().into()
}

const H264_SETS: &[u8] = &[
    0, 0, 0, 1, 0x67, 0x42, 0xC0, 0x28, 0xDA, 0x01, 0xE0, 0x08, 0x9F, 0x97, 0x01, 0x10, 0x00, 0x00, 0x03,
    0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xF1, 0x83, 0x2A, 0, 0, 0, 1, 0x68, 0xCE, 0x3C, 0x80,
];

const HEVC_SETS: &[u8] = &[
    0, 0, 0, 1, 0x40, 0x01, 0x0C, 0x01, 0, 0, 0, 1, 0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00,
    0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x78, 0xA0, 0x03, 0xC0, 0x80, 0x11, 0x07, 0xCB, 0x96,
    0x56, 0x54, 0xA4, 0xC2, 0xF0, 0x16, 0x80, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x0C, 0x84, 0,
    0, 0, 1, 0x44, 0x01, 0xC1,
];

/// Bytes as an entropy coder leaves them, without anything that looks like a start code.
fn noise(bytes: usize, seed: i64) -> Vec<u8> {
    let mut state = seed.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let words = core::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Never two bytes of nought in a row.
        let [a, b, c, d, e, f, g, h] = state.to_le_bytes();
        [a, b | 1, c, d | 1, e, f | 1, g, h | 1]
    });
    words.flatten().take(bytes).collect()
}

fn best(mut turn: impl FnMut()) -> Duration {
    (0..TURNS).map(|_| timed(&mut turn)).min().unwrap()
}

fn timed(turn: &mut impl FnMut()) -> Duration {
    let began = processor_time();
    (0..REPEATS).for_each(|_| turn());
    let took = processor_time().saturating_sub(began) / REPEATS;
    took.max(Duration::from_nanos(1))
}

/// Time this thread had a core, where the system tells: others may want it, too. Elsewhere time of any kind.
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn processor_time() -> Duration {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = told.split(' ').next().and_then(|field| field.parse().ok());
    nanoseconds.map_or_else(|| BEGAN.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}
