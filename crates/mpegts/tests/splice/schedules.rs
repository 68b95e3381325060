//! Sources written to order, many in a row, cut anywhere: every promise that can be checked without a decoder.

use crate::fixtures::drain;
use crate::made::{SOUND, Shape, Xorshift, marks, source};
use crate::rules::Rules;
use mpegts::{Codec, Pid, Piece, Splicer};

/// Sound and pictures of a source are moved by one offset, to a tick, and none of either is missing in the middle.
fn lips_move_with_the_sound(pieces: &[Piece], shapes: &[Shape]) {
    let marks = marks(pieces);
    for shape in shapes {
        let pictures = marks
            .get(&(shape.number, true))
            .expect("pictures of every source");
        let sounds = marks.get(&(shape.number, false)).expect("sound of every source");
        let offset = pictures[0].1 - pictures[0].0;
        for (there, here) in pictures.iter().chain(sounds) {
            let off = (here - there - offset).rem_euclid(1 << 33);
            assert!(off <= 1 || off >= (1 << 33) - 1, "{off} ticks off in {shape:?}");
        }
        let step =
            i64::try_from(SOUND.iter().find(|(codec, ..)| *codec == shape.audio).unwrap().2).unwrap() * 3;
        for pair in sounds.windows(2).skip(1) {
            assert!(
                (pair[1].0 - pair[0].0 - step).abs() <= 1,
                "sound is missing in {shape:?}"
            );
        }
    }
}

/// Plays the sources after one another, each cut at its number of bytes and read in parts of `step`.
fn play(sources: &[(Vec<u8>, usize)], step: usize) -> (Vec<Piece>, Splicer, Rules) {
    let mut splicer = Splicer::new();
    let (mut pieces, mut rules) = (Vec::new(), Rules::default());
    for (bytes, end) in sources {
        splicer.begin_source();
        for part in bytes[..*end].chunks(step) {
            splicer.push(part);
            pieces.extend(drain(&mut splicer));
        }
        assert!(splicer.source().entered, "{:?}", splicer.source());
    }
    pieces.iter().for_each(|piece| rules.piece(piece));
    (pieces, splicer, rules)
}

fn twelve_in_a_row(seed: u64, videos: &[Codec], audios: &[Codec]) -> (Vec<Piece>, Vec<Shape>, Splicer) {
    let mut random = Xorshift(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let shapes: Vec<Shape> = (0..12)
        .map(|number| random.shape(number, videos, audios))
        .collect();
    let sources: Vec<(Vec<u8>, usize)> = shapes
        .iter()
        .map(|shape| {
            let bytes = source(*shape, 7);
            let end = bytes.len() - usize::try_from(random.below(bytes.len() as u64 / 4)).unwrap();
            (bytes, end)
        })
        .collect();
    let (pieces, splicer, _) = play(&sources, usize::try_from(1 + random.below(30_000)).unwrap());
    (pieces, shapes, splicer)
}

#[test]
fn twelve_sources_in_a_row_of_one_signature() {
    for seed in 0..25 {
        let (pieces, shapes, splicer) = twelve_in_a_row(seed, &[Codec::H264], &[Codec::Aac]);
        assert_eq!(splicer.signature().unwrap().epoch, 0, "seed {seed}");
        assert_eq!(splicer.signature().unwrap().pmt_version, 0);
        lips_move_with_the_sound(&pieces, &shapes);
    }
}

#[test]
fn twelve_sources_in_a_row_of_any_codec() {
    let videos = [Codec::H264, Codec::Hevc, Codec::Mpeg2Video];
    let audios = [Codec::Aac, Codec::MpegAudio, Codec::Ac3];
    for seed in 0..25 {
        let (pieces, shapes, splicer) = twelve_in_a_row(seed, &videos, &audios);
        let signature = splicer.signature().unwrap();
        assert!(signature.epoch > 0, "seed {seed}");
        // The first stream's PID carries the clock to the end, listed or not.
        assert_eq!(signature.pcr_pid, Pid::new(0x100));
        lips_move_with_the_sound(&pieces, &shapes);
    }
}
