//! Sources written to order, many in a row, cut anywhere: every promise that can be checked without a decoder.

use crate::fixtures::drain;
use crate::made::{Clock, SOUND, Shape, Xorshift, marks, source};
use crate::rules::Rules;
use mpegts::pes::PesHeader;
use mpegts::{Codec, PACKET_BYTES, Packet, Pid, Piece, Splicer};

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
            let end = bytes.len() - random.below(bytes.len() / 4);
            (bytes, end)
        })
        .collect();
    let (pieces, splicer, _) = play(&sources, 1 + random.below(30_000));
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

#[test]
fn pictures_that_come_late_are_not_squeezed_in() {
    // The sound of the second source leads after five seconds without a picture. Those come six seconds behind it, the
    // first of them from before the time at which the source entered.
    let mut random = Xorshift(3);
    let [first, second] = [1, 2].map(|number| Shape {
        clock: Clock::Nowhere,
        start: 900_000,
        picture_90k: 3_600,
        group: 25,
        ..random.shape(number, &[Codec::H264], &[Codec::Aac])
    });
    let (mut pictures, mut rest) = (Vec::new(), Vec::new());
    let mut at = 0;
    for bytes in source(second, 14).as_chunks::<PACKET_BYTES>().0 {
        let packet = Packet::new(bytes).unwrap();
        let start = packet.payload().filter(|_| packet.unit_start());
        let header = start.and_then(PesHeader::parse);
        if let Some(due) = header.and_then(|header| header.decoding_time()) {
            at = i64::try_from(due.ticks()).unwrap() - 900_000;
        }
        match packet.pid().value().wrapping_sub(second.first_pid) {
            1 => pictures.push((at + 7 * 90_000, *bytes)),
            2 if at < 90_000 => {}
            _ => rest.push((at, *bytes)),
        }
    }
    rest.extend(pictures);
    rest.sort_by_key(|(at, _)| *at);
    let late: Vec<u8> = rest.into_iter().flat_map(|(_, bytes)| bytes).collect();
    let film = source(first, 4);
    let ends = [film.len(), late.len()];
    let (pieces, _, _) = play(&[(film, ends[0]), (late, ends[1])], 5_000);
    let found = marks(&pieces);
    assert!(
        found[&(2, true)].len() > 100,
        "{} pictures",
        found[&(2, true)].len()
    );
    lips_move_with_the_sound(&pieces, &[first, second]);
}
