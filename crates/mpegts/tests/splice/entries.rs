//! How sources begin, and what keeps them from it.

use crate::fixtures::{Seen, drain, judge};
use crate::made::{Clock, Shape, marks, source};
use crate::muxer::{Muxer, Stamps};
use crate::rules::Rules;
use mpegts::psi::{Pat, Pmt, PmtStream, SectionReader, packetize};
use mpegts::{Codec, PACKET_BYTES, Packet, Pid, Piece, Splicer, Unusable};

const PLAIN: Shape = Shape {
    number: 1,
    video: Codec::H264,
    audio: Codec::Aac,
    clock: Clock::WithPictures,
    margin: 63_000,
    start: 900_000,
    picture_90k: 3_600,
    group: 25,
    delay: 0,
    first_pid: 0x1000,
};

fn play(sources: &[&[u8]]) -> (Vec<Piece>, Splicer) {
    let mut splicer = Splicer::new();
    let (mut pieces, mut rules) = (Vec::new(), Rules::default());
    for bytes in sources {
        splicer.begin_source();
        for part in bytes.chunks(7_000) {
            splicer.push(part);
            pieces.extend(drain(&mut splicer));
        }
    }
    pieces.iter().for_each(|piece| rules.piece(piece));
    (pieces, splicer)
}

fn packets(bytes: &[u8]) -> impl Iterator<Item = [u8; PACKET_BYTES]> {
    bytes.as_chunks::<PACKET_BYTES>().0.iter().copied()
}

fn pid(bytes: &[u8; PACKET_BYTES]) -> u16 {
    Packet::new(bytes).unwrap().pid().value()
}

#[test]
fn rubbish_in_front_costs_nothing() {
    let clean = source(PLAIN, 4);
    let expected = judge(&play(&[&clean]).0).video().len();
    let page = b"<html><head><title>GGGG</title>".repeat(300);
    for rubbish in [b"ID3\x04\x47".as_slice(), &page, &[0x47; 600]] {
        for (before, after) in [(0, 0), (4, 0), (0, 16)] {
            let framed: Vec<u8> = packets(&clean)
                .flat_map(|packet| [vec![0x11; before], packet.to_vec(), vec![0x11; after]].concat())
                .collect();
            let (pieces, splicer) = play(&[&[rubbish, &framed].concat()]);
            let pictures = judge(&pieces).video().len();
            assert!(pictures + 25 >= expected, "{pictures} pictures of {expected}");
            assert!(splicer.source().bytes_skipped > 0);
        }
    }
}

#[test]
fn the_first_programme_of_several_is_taken_and_no_other() {
    let (one, two) = (
        source(PLAIN, 4),
        source(
            Shape {
                number: 2,
                first_pid: 0x200,
                ..PLAIN
            },
            4,
        ),
    );
    let pat = Pat {
        transport_stream_id: 1,
        version: 0,
        programs: vec![(7, Pid::new(0x1000)), (9, Pid::new(0x200))],
    };
    let map_number = |bytes: [u8; PACKET_BYTES], number: u16, counter: &mut u8| {
        let mut out = Vec::new();
        let packet = Packet::new(&bytes).unwrap();
        SectionReader::default().push(&packet, |section| {
            let mut pmt = Pmt::parse(section).unwrap();
            pmt.program_number = number;
            packetize(&pmt.write().unwrap(), packet.pid(), counter, &mut out);
        });
        out
    };
    let multiplex = |with_first: bool, shared: bool| {
        let (mut out, mut counters) = (Vec::new(), [0; 3]);
        for pair in packets(&one).zip(packets(&two)) {
            for (number, bytes) in [pair.0, pair.1].into_iter().enumerate() {
                match pid(&bytes) {
                    0 if number == 0 => {
                        packetize(&pat.write().unwrap(), Pid::PAT, &mut counters[0], &mut out);
                    }
                    0 => {}
                    0x1000 if with_first => out.extend(map_number(bytes, 7, &mut counters[1])),
                    0x1000 => {}
                    0x200 if !shared => out.extend(map_number(bytes, 9, &mut counters[2])),
                    _ if number == 0 && !with_first => {}
                    _ => out.extend(bytes),
                }
            }
        }
        out
    };
    let (pieces, _) = play(&[&multiplex(true, false)]);
    let found = marks(&pieces);
    assert!(found.contains_key(&(1, true)) && found.contains_key(&(1, false)));
    assert!(!found.contains_key(&(2, true)) && !found.contains_key(&(2, false)));
    // Cut out of its multiplex, with the PAT of all: the programme that is there.
    let (pieces, splicer) = play(&[&multiplex(false, false)]);
    let found = marks(&pieces);
    assert!(
        found[&(2, true)].len() > 80 && found.contains_key(&(2, false)),
        "{:?}",
        splicer.source()
    );
    assert!(!found.contains_key(&(1, true)));
}

#[test]
fn what_keeps_a_source_from_entering_is_told() {
    let clean = source(PLAIN, 4);
    let without = |gone: u16| -> Vec<u8> {
        packets(&clean)
            .filter(|bytes| pid(bytes) != gone)
            .flatten()
            .collect()
    };
    let mut scrambled = clean.clone();
    for bytes in scrambled.as_chunks_mut::<PACKET_BYTES>().0 {
        bytes[3] |= if pid(bytes) > 0x1000 { 0x80 } else { 0 };
    }
    let check = |source: &[u8], expected: Unusable| {
        let mut splicer = Splicer::new();
        splicer.push(source);
        // Not given up at once: tables may be late.
        assert_eq!(splicer.source().unusable(), None);
        let mut pushed = source.len();
        while splicer.source().unusable().is_none() {
            splicer.push(source);
            pushed += source.len();
            assert!(pushed < 10_000_000, "{expected:?} is never told");
        }
        assert_eq!(splicer.source().unusable(), Some(expected));
        assert_eq!(splicer.source().lacks(), Some(expected));
        assert!(splicer.take().is_none());
    };
    check(&without(0), Unusable::NoPat);
    check(&without(0x1000), Unusable::NoPmt);
    check(
        &b"<html>the account has expired</html>".repeat(2_000),
        Unusable::NoPackets,
    );
    check(&scrambled, Unusable::Scrambled);
    let mut splicer = Splicer::new();
    splicer.push(&clean);
    assert_eq!(
        (splicer.source().lacks(), splicer.source().unusable()),
        (None, None)
    );
}

/// The recording with the contents of its pictures changed.
fn with_pictures(seen: &Seen, change: impl Fn(usize, &[u8]) -> Vec<u8>) -> Vec<u8> {
    let (video, sound) = (Pid::new(0x31), Pid::new(0x32));
    let mut out = Muxer::new(Pid::new(0x30), &[(0x1B, video), (0x0F, sound)], video);
    let ticks = |stamp: i64| u64::try_from(stamp).unwrap();
    let mut sounds = seen.audio().iter().peekable();
    for (number, unit) in seen.video().iter().enumerate() {
        if number % 3 == 0 {
            out.tables();
        }
        let stamps = Stamps {
            pts: ticks(unit.pts),
            dts: ticks(unit.dts),
        };
        out.pes(
            video,
            0xE0,
            &change(number, &unit.es),
            stamps,
            Some(stamps.dts - 63_000),
        );
        while let Some(unit) = sounds.next_if(|sound| sound.dts < unit.dts) {
            let pts = ticks(unit.pts);
            out.pes(sound, 0xC0, &unit.es, Stamps { pts, dts: pts }, None);
        }
    }
    out.bytes
}

#[test]
fn parameter_sets_and_the_flag_are_at_every_keyframe_of_the_output() {
    // The muxer of this test never writes the flag; only the first keyframe keeps its parameter sets.
    let film = judge(
        &play(&[&source(
            Shape {
                picture_90k: 1_800,
                ..PLAIN
            },
            6,
        )])
        .0,
    );
    let sets = &[
        0, 0, 0, 1, 0x67, 0x42, 0xC0, 0x1E, 0xDA, 0, 0, 0, 1, 0x68, 0xCE, 0x3C, 0x80,
    ][..];
    let bare = with_pictures(&film, |number, es| {
        let at = es.windows(sets.len()).position(|window| window == sets);
        match at.filter(|_| number > 0) {
            Some(at) => [&es[..at], &es[at + sets.len()..]].concat(),
            None => es.to_vec(),
        }
    });
    let (pieces, _) = play(&[&bare]);
    let keyframes: Vec<&Piece> = pieces.iter().filter(|piece| piece.keyframe).collect();
    assert!(keyframes.len() >= 10, "{} keyframes", keyframes.len());
    for piece in keyframes {
        // That the flag is there the rules have checked.
        let found = judge(std::slice::from_ref(piece));
        let es = &found.video()[0].es;
        assert!(
            es.starts_with(&[0, 0, 0, 1, 9, 0xF0]),
            "the delimiter stays first"
        );
        assert!(
            es.windows(sets.len()).any(|window| window == sets),
            "no parameter sets"
        );
    }
}

#[test]
fn a_second_camera_goes_on_beside_the_first() {
    let make = |number: u8| {
        let (main, second) = (
            source(Shape { number, ..PLAIN }, 4),
            source(
                Shape {
                    number: number + 1,
                    group: 40,
                    ..PLAIN
                },
                4,
            ),
        );
        let second: Vec<_> = packets(&second).filter(|bytes| pid(bytes) == 0x1001).collect();
        let mut second = second.into_iter();
        let (mut out, mut counter) = (Vec::new(), 0);
        for bytes in packets(&main) {
            let packet = Packet::new(&bytes).unwrap();
            match pid(&bytes) {
                0x1000 => SectionReader::default().push(&packet, |section| {
                    let mut pmt = Pmt::parse(section).unwrap();
                    pmt.streams.push(PmtStream {
                        stream_type: 0x1B,
                        pid: Pid::new(0x1777),
                        descriptors: Vec::new(),
                    });
                    packetize(&pmt.write().unwrap(), packet.pid(), &mut counter, &mut out);
                }),
                0x1001 => {
                    out.extend(bytes);
                    if let Some(mut beside) = second.next() {
                        // The same packet on the PID of the second stream.
                        beside[1] = (beside[1] & 0xE0) | 0x17;
                        beside[2] = 0x77;
                        out.extend(beside);
                    }
                }
                _ => out.extend(bytes),
            }
        }
        out
    };
    let (one, two) = (make(1), make(3));
    let (pieces, splicer) = play(&[&one[..one.len() / 2], &two]);
    assert_eq!(splicer.signature().unwrap().streams.len(), 3);
    let found = marks(&pieces);
    let offset = |number: u8| found[&(number, true)][0].1 - found[&(number, true)][0].0;
    for (main, second, least) in [(1, 2, 45), (3, 4, 95)] {
        assert!(
            found[&(second, true)].len() >= least,
            "{second}: {}",
            found[&(second, true)].len()
        );
        assert_eq!(offset(main), offset(second), "moved like the first");
    }
}

#[test]
fn teletext_without_stamps_goes_through() {
    let (mut out, mut counters, mut sent) = (Vec::new(), [0; 2], 0);
    for bytes in packets(&source(PLAIN, 4)) {
        let packet = Packet::new(&bytes).unwrap();
        match pid(&bytes) {
            0x1000 => SectionReader::default().push(&packet, |section| {
                let mut pmt = Pmt::parse(section).unwrap();
                pmt.streams.push(PmtStream {
                    stream_type: 0x06,
                    pid: Pid::new(0x1888),
                    descriptors: vec![0x56, 5, b'd', b'e', b'u', 9, 0],
                });
                packetize(&pmt.write().unwrap(), packet.pid(), &mut counters[0], &mut out);
            }),
            _ => out.extend(bytes),
        }
        if pid(&bytes) == 0x1001 && packet.unit_start() {
            // EN 300 472: one transport packet, a PES header of 45 bytes, here without its optional PTS.
            let mut text = [0xFF; PACKET_BYTES];
            text[..4].copy_from_slice(&[0x47, 0x58, 0x88, 0x10 | counters[1]]);
            text[4..13].copy_from_slice(&[0, 0, 1, 0xBD, 0, 178, 0x84, 0, 36]);
            counters[1] = (counters[1] + 1) & 15;
            out.extend(text);
            sent += 1;
        }
    }
    let (pieces, splicer) = play(&[&out]);
    let promised = &splicer.signature().unwrap().streams[2];
    assert_eq!(
        (promised.codec, promised.language),
        (Codec::Teletext, Some(*b"deu"))
    );
    let all = pieces.iter().flat_map(|piece| packets(&piece.bytes));
    let through = all.filter(|bytes| pid(bytes) == promised.pid.value()).count();
    assert!(through + 2 >= sent, "{through} of {sent}");
}

#[test]
fn a_picture_without_end_is_given_up() {
    let clean = source(PLAIN, 2);
    let mut endless = Vec::new();
    let mut filler = packets(&clean)
        .find(|bytes| pid(bytes) == 0x1001 && !Packet::new(bytes).unwrap().unit_start())
        .unwrap();
    let first = clean.len() / 2 / PACKET_BYTES * PACKET_BYTES;
    endless.extend(&clean[..first]);
    for number in 0..60_000_u32 {
        filler[3] = 0x10 | (number.to_le_bytes()[0] & 15);
        endless.extend(filler);
    }
    endless.extend(&clean[first..]);
    let (pieces, splicer) = play(&[&endless]);
    assert!(splicer.source().damaged_pes > 0);
    assert!(judge(&pieces).video().len() > 40);
    let largest = pieces.iter().map(|piece| piece.bytes.len()).max().unwrap();
    assert!(largest < 8 * 1024 * 1024);
}

#[test]
fn our_own_stamps_wrap_during_a_splice() {
    // Pictures almost a second apart carry the timeline to its wrap within little data.
    let mut slow = Muxer::new(Pid::new(0x30), &[(0x1B, Pid::new(0x31))], Pid::new(0x31));
    slow.tables();
    let picture = [
        0, 0, 0, 1, 0x67, 0x42, 0xC0, 0x1E, 0xDA, 0, 0, 0, 1, 0x68, 0xCE, 0x3C, 0x80, 0, 0, 1, 0x65, 0x88,
        0x55,
    ];
    // The timeline begins at ten seconds and is to end a few before the wrap.
    let pictures = ((1_u64 << 33) - 900_000 - 90_000) / 89_000;
    let mut splicer = Splicer::new();
    let (mut rules, mut last) = (Rules::default(), None);
    for number in 0..pictures {
        let dts = 900_000 + number * 89_000;
        slow.pes(Pid::new(0x31), 0xE0, &picture, Stamps { pts: dts, dts }, None);
        splicer.push(&std::mem::take(&mut slow.bytes));
        for piece in drain(&mut splicer) {
            rules.piece(&piece);
            last = Some(piece.media_time);
        }
    }
    let first = last.unwrap();
    assert!(
        (1 << 33) - first.as_90k() < 400_000,
        "{first:?} {:?}",
        splicer.source()
    );
    let mut pieces = Vec::new();
    for (number, seconds) in [(1, 2), (2, 2), (3, 4)] {
        splicer.begin_source();
        splicer.push(&source(Shape { number, ..PLAIN }, seconds));
        pieces.extend(drain(&mut splicer));
    }
    pieces.iter().for_each(|piece| rules.piece(piece));
    let passed = pieces[pieces.len() - 1].media_time.since(first);
    assert!((7.0..9.0).contains(&passed.as_secs_f64()), "{passed:?}");
    let found = marks(&pieces);
    let shown: Vec<i64> = (1..4).map(|number| found[&(number, true)][0].1).collect();
    assert!(
        shown[0] > 1 << 32 && shown[2] < 1 << 32,
        "the wrap lies in between: {shown:?}"
    );
}

#[test]
fn cues_for_advertisements_move_with_the_pictures() {
    let cue = |adjustment: u32| {
        // splice_null of SCTE 35, longer than a packet for its descriptors of stuffing.
        let mut section = vec![0xFC, 0x30, 0, 0, 0];
        section.extend(adjustment.to_be_bytes());
        section.extend([0, 0xFF, 0xF0, 0, 0, 0, 200]);
        section.extend([0x80; 200]);
        section[2] = u8::try_from(section.len() - 3 + 4).unwrap();
        section.extend(mpegts::psi::crc32(&section).to_be_bytes());
        section
    };
    let make = |shape: Shape, registered: bool| {
        let (mut out, mut counters, mut pictures) = (Vec::new(), [0; 2], 0);
        for bytes in packets(&source(shape, 4)) {
            let packet = Packet::new(&bytes).unwrap();
            if pid(&bytes) != 0x1000 {
                out.extend(bytes);
                pictures += u32::from(pid(&bytes) == 0x1001 && packet.unit_start());
                if pid(&bytes) == 0x1001 && packet.unit_start() && pictures % 20 == 0 {
                    packetize(&cue(pictures), Pid::new(0x1555), &mut counters[1], &mut out);
                }
                continue;
            }
            SectionReader::default().push(&packet, |section| {
                let mut pmt = Pmt::parse(section).unwrap();
                if registered {
                    pmt.descriptors = vec![5, 4, b'C', b'U', b'E', b'I'];
                }
                pmt.streams.push(PmtStream {
                    stream_type: 0x86,
                    pid: Pid::new(0x1555),
                    descriptors: vec![0x8A, 1, 1],
                });
                packetize(&pmt.write().unwrap(), packet.pid(), &mut counters[0], &mut out);
            });
        }
        out
    };
    let two = Shape {
        number: 2,
        start: (1 << 33) - 200_000,
        ..PLAIN
    };
    let (pieces, splicer) = play(&[&make(PLAIN, true), &make(two, true)]);
    let promised = splicer.signature().unwrap().streams[2].clone();
    assert_eq!(
        (promised.stream_type, promised.descriptors.as_slice()),
        (0x86, &[0x8A, 1, 1][..])
    );
    let (mut cues, mut map) = (Vec::new(), None);
    let (mut cue_reader, mut map_reader) = (SectionReader::default(), SectionReader::default());
    for bytes in pieces.iter().flat_map(|piece| packets(&piece.bytes)) {
        let packet = Packet::new(&bytes).unwrap();
        if packet.pid() == promised.pid {
            cue_reader.push(&packet, |section| {
                assert_eq!(mpegts::psi::crc32(section), 0);
                let adjustment = i64::from(section[4] & 1) << 32
                    | i64::from(u32::from_be_bytes(section[5..9].try_into().unwrap()));
                cues.push(adjustment);
            });
        } else if packet.pid().value() == 0x1000 {
            map_reader.push(&packet, |section| map = Some(Pmt::parse(section).unwrap()));
        }
    }
    assert_eq!(map.unwrap().descriptors, [5, 4, b'C', b'U', b'E', b'I']);
    let found = marks(&pieces);
    let offset = |shape: Shape| {
        found[&(shape.number, true)][0].1
            - found[&(shape.number, true)][0].0
            - i64::try_from(shape.start).unwrap()
    };
    let expected: Vec<i64> = [PLAIN, two]
        .iter()
        .flat_map(|shape| [20, 40, 60, 80, 100].map(|at| (at + offset(*shape)).rem_euclid(1 << 33)))
        .collect();
    // The last one of a source may wait for a picture that never comes.
    assert!(
        cues.len() >= 8 && cues.iter().all(|cue| expected.contains(cue)),
        "{cues:?} {expected:?}"
    );
    // Without the registration stream_type 0x86 may be anything: it is not listed.
    let (_, splicer) = play(&[&make(PLAIN, false)]);
    assert_eq!(splicer.signature().unwrap().streams.len(), 2);
}
