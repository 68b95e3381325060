//! Sources made to order, whose units say where they come from and when they are presented there.

use crate::muxer::{Muxer, Stamps};
use mpegts::pes::PesHeader;
use mpegts::{Codec, PACKET_BYTES, Packet, Pid, Piece};
use std::collections::BTreeMap;

/// Where the clock of a source runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    WithPictures,
    WithSound,
    Alone,
    Nowhere,
}

/// One source, to order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Told in the contents, so that what comes out is known again.
    pub(crate) number: u8,
    pub(crate) video: Codec,
    pub(crate) audio: Codec,
    pub(crate) clock: Clock,
    /// The clock runs this far behind the decoding times.
    pub(crate) margin: u64,
    /// The first decoding time.
    pub(crate) start: u64,
    pub(crate) picture_90k: u64,
    pub(crate) group: u64,
    /// Pictures that a picture is shown later than it is decoded, as B-frames make it.
    pub(crate) delay: u64,
    pub(crate) first_pid: u16,
}

pub(crate) const SOUND: [(Codec, u8, u64, &[u8]); 3] = [
    // 48 kHz, stereo, 64 bytes; the same of Layer II, 96 bytes; AC-3 of 128 bytes.
    (
        Codec::Aac,
        0x0F,
        1_920,
        &[0xFF, 0xF1, 0x4C, 0x80, 0x08, 0x1F, 0xFC],
    ),
    (Codec::MpegAudio, 0x03, 2_160, &[0xFF, 0xFD, 0x14, 0x00]),
    (Codec::Ac3, 0x81, 2_880, &[0x0B, 0x77, 0, 0, 0x00, 0x40, 0x40]),
];

/// `seconds` of a source.
pub(crate) fn source(shape: Shape, seconds: u64) -> Vec<u8> {
    let pid = |number: u16| Pid::new(shape.first_pid + number);
    let video_type = match shape.video {
        Codec::H264 => 0x1B,
        Codec::Hevc => 0x24,
        _ => 0x02,
    };
    let (_, audio_type, frame_90k, frame) = SOUND
        .into_iter()
        .find(|(codec, ..)| *codec == shape.audio)
        .unwrap();
    let clock_pid = match shape.clock {
        Clock::WithPictures => pid(1),
        Clock::WithSound => pid(2),
        Clock::Alone => pid(3),
        Clock::Nowhere => Pid::new(0x1FFF),
    };
    let mut out = Muxer::new(pid(0), &[(video_type, pid(1)), (audio_type, pid(2))], clock_pid);
    let mut sound_at = 0;
    for number in 0..seconds * 90_000 / shape.picture_90k {
        let at = number * shape.picture_90k;
        let dts = shape.start + at;
        let clock = dts.wrapping_sub(shape.margin);
        if at % 9_000 < shape.picture_90k {
            out.tables();
        }
        if shape.clock == Clock::Alone {
            out.clock(clock);
        }
        let keyframe = number % shape.group == 0;
        // B-frames: the first and every third picture are shown later than the two behind them.
        let later = if number % 3 == 0 { shape.delay } else { 0 };
        let stamps = Stamps {
            pts: dts + (1 + later) * shape.picture_90k,
            dts,
        };
        let es = picture(
            shape.video,
            keyframe,
            &mark(shape.number, at + (1 + later) * shape.picture_90k),
        );
        let with = (shape.clock == Clock::WithPictures).then_some(clock);
        out.pes(pid(1), 0xE0, &es, stamps, with);
        // Three frames of sound in a packet, a little behind the pictures.
        while sound_at + 20_000 < at {
            let bytes = match shape.audio {
                Codec::Aac => 64,
                Codec::MpegAudio => 96,
                _ => 128,
            };
            let frames: Vec<u8> = (0..3)
                .flat_map(|step| {
                    let mut es = frame.to_vec();
                    es.extend(mark(shape.number, sound_at + step * frame_90k));
                    es.resize(bytes, 0x55);
                    es
                })
                .collect();
            let pts = shape.start + sound_at;
            let with = (shape.clock == Clock::WithSound).then(|| pts.wrapping_sub(shape.margin));
            out.pes(pid(2), 0xC0, &frames, Stamps { pts, dts: pts }, with);
            sound_at += 3 * frame_90k;
        }
    }
    out.bytes
}

/// Which source it is and when it is presented there: no byte of it is nought.
fn mark(number: u8, at: u64) -> Vec<u8> {
    let mut mark = vec![0xA5, 0xC3, number | 0x80];
    mark.extend((0..5).map(|step| (at >> (step * 7)).to_le_bytes()[0] | 0x80));
    mark
}

fn read_mark(es: &[u8]) -> Option<(u8, i64)> {
    let at = es.windows(2).position(|pair| pair == [0xA5, 0xC3])?;
    let digits = es.get(at + 3..at + 8)?;
    let ticks = digits
        .iter()
        .rev()
        .fold(0, |ticks, digit| ticks << 7 | i64::from(digit & 0x7F));
    Some((es[at + 2] & 0x7F, ticks))
}

fn picture(codec: Codec, keyframe: bool, mark: &[u8]) -> Vec<u8> {
    let head: &[&[u8]] = match (codec, keyframe) {
        (Codec::H264, true) => &[
            &[0, 0, 0, 1, 9, 0xF0, 0, 0, 0, 1, 0x67, 0x42, 0xC0, 0x1E, 0xDA],
            &[0, 0, 0, 1, 0x68, 0xCE, 0x3C, 0x80, 0, 0, 1, 0x65, 0x88],
        ],
        (Codec::H264, false) => &[&[0, 0, 0, 1, 9, 0xF0, 0, 0, 1, 0x41, 0b1001_1011]],
        (Codec::Hevc, true) => &[
            &[
                0, 0, 1, 0x40, 1, 0xC0, 0, 0, 1, 0x42, 1, 0xC0, 0, 0, 1, 0x44, 1, 0xC0,
            ],
            &[0, 0, 1, 19 << 1, 1, 0xAF],
        ],
        (Codec::Hevc, false) => &[&[0, 0, 1, 1 << 1, 1, 0xAF]],
        (_, true) => &[
            &[0, 0, 1, 0xB3, 0x2D, 0x02, 0x40, 0x33, 0xFF, 0xFF, 0xE0, 0x18],
            &[
                0,
                0,
                1,
                0xB8,
                0,
                8,
                0,
                0x40,
                0,
                0,
                1,
                0,
                0,
                1 << 3,
                0xFF,
                0,
                0,
                1,
                1,
            ],
        ],
        (_, false) => &[&[0, 0, 1, 0, 0, 2 << 3, 0xFF, 0, 0, 1, 1]],
    };
    let mut es = head.concat();
    es.extend(mark);
    es.resize(300, 0x77);
    es
}

/// When the marked units of every source are presented at the end: by source and kind, (there, here) in order.
pub(crate) fn marks(pieces: &[Piece]) -> BTreeMap<(u8, bool), Vec<(i64, i64)>> {
    let mut found: BTreeMap<(u8, bool), Vec<(i64, i64)>> = BTreeMap::new();
    let packets = pieces
        .iter()
        .flat_map(|piece| piece.bytes.as_chunks::<PACKET_BYTES>().0);
    for packet in packets.filter_map(Packet::new).filter(Packet::unit_start) {
        let Some(payload) = packet.payload() else { continue };
        let Some(header) = PesHeader::parse(payload) else {
            continue;
        };
        let (Some(pts), Some((number, at))) = (header.pts, read_mark(&payload[header.payload_at..])) else {
            continue;
        };
        let video = header.stream_id >= 0xE0;
        let here = i64::try_from(pts.ticks()).unwrap();
        found.entry((number, video)).or_default().push((at, here));
    }
    found
}

/// Chance that is the same in every run.
pub(crate) struct Xorshift(pub(crate) u64);

impl Xorshift {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }

    pub(crate) fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub(crate) fn shape(&mut self, number: u8, videos: &[Codec], audios: &[Codec]) -> Shape {
        Shape {
            number,
            video: self.of(videos),
            audio: self.of(audios),
            clock: self.of(&[
                Clock::WithPictures,
                Clock::WithSound,
                Clock::Alone,
                Clock::Nowhere,
            ]),
            margin: self.of(&[20_000, 45_000, 63_000, 120_000, 250_000]),
            // Anywhere, and often so that the stamps wrap soon.
            start: match self.below(3) {
                0 => (1 << 33) - 90_000 - self.next() % 270_000,
                1 => 300_000,
                _ => 300_000 + self.next() % (1 << 32),
            },
            picture_90k: self.of(&[1_500, 1_800, 3_003, 3_600, 3_750]),
            group: self.of(&[12, 25, 50]),
            delay: self.of(&[0, 2, 3]),
            first_pid: u16::try_from(0x20 + self.below(0x1F00)).unwrap(),
        }
    }
}
