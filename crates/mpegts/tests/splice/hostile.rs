//! What no source should send.

use crate::fixtures::{drain, judge, judge_bytes};
use crate::made::{Xorshift, source};
use crate::rules::Rules;
use mpegts::{Codec, PACKET_BYTES, Packet, Pid, Piece, Splicer};

const TESTCARD: &[u8] = include_bytes!("../../../../assets/testcard.ts");
const SLATE: &[u8] = include_bytes!("../../../../fuzz/good.ts");

const VIDEOS: [Codec; 3] = [Codec::H264, Codec::Hevc, Codec::Mpeg2Video];
const SOUNDS: [Codec; 3] = [Codec::Aac, Codec::MpegAudio, Codec::Ac3];

fn packets(bytes: &[u8]) -> impl Iterator<Item = [u8; PACKET_BYTES]> {
    bytes.as_chunks::<PACKET_BYTES>().0.iter().copied()
}

fn play(bytes: &[u8]) -> (Vec<Piece>, Splicer) {
    let mut splicer = Splicer::new();
    splicer.push(bytes);
    splicer.end_source();
    (drain(&mut splicer), splicer)
}

fn without(pid: u16) -> Vec<u8> {
    packets(SLATE)
        .filter(|bytes| Packet::new(bytes).unwrap().pid().value() != pid)
        .flatten()
        .collect()
}

#[test]
fn without_tables_there_is_a_report_and_no_output() {
    let (pieces, splicer) = play(&without(0));
    assert!(pieces.is_empty() && !splicer.source().pat_seen && splicer.source().packets > 100);
    let (pieces, splicer) = play(&without(0x1000));
    assert!(pieces.is_empty() && splicer.source().pat_seen && splicer.source().programme.is_empty());
}

#[test]
fn late_tables_cost_nothing() {
    let whole = judge(&play(SLATE).0);
    let (mut tables, mut rest) = (Vec::new(), Vec::new());
    for (number, bytes) in packets(SLATE).enumerate() {
        let table = matches!(Packet::new(&bytes).unwrap().pid().value(), 0 | 0x11 | 0x1000);
        // The first hundred packets go in front of the first tables.
        if table && number < 100 {
            tables.push(bytes);
        } else {
            rest.push(bytes);
        }
    }
    let late: Vec<u8> = [&rest[..100], &tables, &rest[100..]].concat().into_flattened();
    assert_eq!(judge(&play(&late).0).video().len(), whole.video().len());
}

#[test]
fn scrambled_packets_are_dropped_and_counted() {
    let scrambled: Vec<u8> = packets(SLATE)
        .map(|mut bytes| {
            if Packet::new(&bytes).unwrap().pid().value() == 0x100 {
                bytes[3] |= 0xC0;
            }
            bytes
        })
        .collect::<Vec<_>>()
        .into_flattened();
    let (pieces, splicer) = play(&scrambled);
    assert!(splicer.source().scrambled_packets > 100);
    assert!(
        pieces.is_empty() || judge(&pieces).units.len() == 1,
        "sound at the most"
    );
}

#[test]
fn lost_packets_never_make_half_a_unit() {
    let mut random = Xorshift(99);
    for _ in 0..20 {
        let mut lost = Vec::new();
        for bytes in packets(TESTCARD) {
            if random.below(60) != 0 {
                lost.push(bytes);
            }
        }
        let (pieces, splicer) = play(&lost.into_flattened());
        assert!(splicer.source().continuity_errors > 0 && splicer.source().damaged_pes > 0);
        let seen = judge(&pieces);
        assert!(seen.video().len() > 50);
    }
}

#[test]
fn duplicates_and_strangers_are_dropped() {
    let expected: Vec<u8> = play(SLATE).0.into_iter().flat_map(|piece| piece.bytes).collect();
    let mut noisy = Vec::new();
    for (number, bytes) in packets(SLATE).enumerate() {
        noisy.push(bytes);
        if Packet::new(&bytes)
            .unwrap()
            .payload()
            .is_some_and(|payload| payload.len() == 184)
        {
            noisy.push(bytes);
        }
        let mut stranger = mpegts::null::NULL_PACKET;
        noisy.push(stranger);
        stranger[1..3].copy_from_slice(
            &Pid::new(0x400 + u16::try_from(number % 7).unwrap())
                .value()
                .to_be_bytes(),
        );
        noisy.push(stranger);
    }
    let (pieces, splicer) = play(&noisy.into_flattened());
    assert_eq!(splicer.source().continuity_errors, 0);
    assert!(pieces.into_iter().flat_map(|piece| piece.bytes).eq(expected));
}

#[test]
fn a_mad_presentation_time_does_not_carry_the_timeline_off() {
    let mut mad = Vec::new();
    for (number, mut bytes) in packets(SLATE).enumerate() {
        let packet = Packet::new(&bytes).unwrap();
        let at = PACKET_BYTES - packet.payload().map_or(0, <[u8]>::len);
        if number > 100 && packet.unit_start() && packet.pid().value() == 0x100 {
            // The top bits of the PTS: hours.
            bytes[at + 9] ^= 0x04;
        }
        mad.extend(bytes);
    }
    let mut splicer = Splicer::new();
    splicer.push(&mad);
    splicer.end_source();
    splicer.begin_source();
    splicer.push(SLATE);
    let pieces = drain(&mut splicer);
    let (first, last) = (pieces[0].media_time, pieces[pieces.len() - 1].media_time);
    assert!(last.since(first).as_secs() < 9, "two clips of four seconds");
}

#[test]
fn mangled_sources_leave_valid_output() {
    let mut random = Xorshift(12_345);
    for turn in 0..60 {
        let mut splicer = Splicer::new();
        let mut pieces = Vec::new();
        for _ in 0..3 {
            splicer.begin_source();
            let mut bytes = match random.below(3) {
                0 => SLATE.to_vec(),
                1 => TESTCARD[..120_000].to_vec(),
                _ => source(random.shape(1, &VIDEOS, &SOUNDS), 4),
            };
            for _ in 0..random.below(400) {
                let at = random.below(bytes.len());
                match random.below(8) {
                    0 => drop(bytes.drain(at..(at + random.below(2_000)).min(bytes.len()))),
                    1 => {
                        let from = random.below(bytes.len());
                        let copy = bytes[from..(from + random.below(3_000)).min(bytes.len())].to_vec();
                        drop(bytes.splice(at..at, copy));
                    }
                    // Headers of packets and of PES are hit far more often than chance would.
                    2..=4 => {
                        let at = at / PACKET_BYTES * PACKET_BYTES + random.below(30);
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte = random.next().to_le_bytes()[0];
                        }
                    }
                    _ => bytes[at] ^= 1 << random.below(8),
                }
            }
            for part in bytes.chunks(1 + random.below(20_000)) {
                splicer.push(part);
                pieces.extend(drain(&mut splicer));
            }
            if random.below(2) == 0 {
                splicer.end_source();
            }
        }
        for pair in pieces.windows(2) {
            assert!(pair[1].media_time >= pair[0].media_time, "{turn}");
            assert!(
                pair[1].media_time.since(pair[0].media_time).as_secs() <= 15,
                "{turn}"
            );
        }
        assert!(
            pieces
                .iter()
                .all(|piece| piece.bytes.len().is_multiple_of(PACKET_BYTES))
        );
        let mut rules = Rules::default();
        pieces.iter().for_each(|piece| rules.piece(piece));
    }
    assert!(
        !judge_bytes(
            &play(SLATE)
                .0
                .into_iter()
                .flat_map(|piece| piece.bytes)
                .collect::<Vec<_>>()
        )
        .units
        .is_empty()
    );
}
