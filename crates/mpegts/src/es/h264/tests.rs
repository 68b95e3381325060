//! Slice headers written bit by bit, and those of real encoders.

use super::rbsp::{Writer, escape, unescape};
use super::rebase::Rebase;
use super::sets::Sets;
use super::slice::SliceHeader;
use crate::es::{Codec, units};
use crate::tests::Xorshift;
use crate::units::UnitReader;

/// Clips of every kind of encode: closed and open groups, CABAC and CAVLC, pyramids, interlaced.
const CLIPS: [(&str, &[u8]); 5] = [
    ("b", include_bytes!("../../../../provider-double/clips/b.ts")),
    ("c", include_bytes!("../../../../provider-double/clips/c.ts")),
    ("d", include_bytes!("../../../../provider-double/clips/d.ts")),
    ("j", include_bytes!("../../../../provider-double/clips/j.ts")),
    ("k", include_bytes!("../../../../provider-double/clips/k.ts")),
];

/// The access units of a recording.
fn access_units(recording: &[u8]) -> Vec<Vec<u8>> {
    let (mut reader, mut found) = (UnitReader::default(), Vec::new());
    reader.push(recording, |unit| {
        if unit.codec == Codec::H264 {
            found.push(unit.es.to_vec());
        }
    });
    found
}

/// The slices that are not of IDR pictures.
fn slices(es: &[u8]) -> impl Iterator<Item = &[u8]> {
    let units = units::ranges(es, 0).map(|range| &es[range]);
    units.filter(|unit| unit[0] & 0x1F == 1)
}

#[test]
fn numbers_that_are_moved_away_and_back_leave_every_byte_as_it_was() {
    for (name, recording) in CLIPS {
        let (mut forth, mut back) = (Rebase::moving(3, 10), Rebase::moving(u32::MAX - 2, u32::MAX - 9));
        let (mut moved, mut read) = (0, 0);
        let mut sets = Sets::default();
        for es in access_units(recording) {
            units::ranges(&es, 0).for_each(|range| sets.take(&es[range]));
            let mut changed = es.clone();
            if !forth.apply(&mut changed, 0, true) {
                // An IDR picture: from here on again.
                (forth, back) = (Rebase::moving(3, 10), Rebase::moving(u32::MAX - 2, u32::MAX - 9));
                units::ranges(&es, 0).for_each(|range| {
                    forth.know(&es[range.clone()]);
                    back.know(&es[range]);
                });
            }
            for (before, after) in slices(&es).zip(slices(&changed)) {
                let before = SliceHeader::read(before, &sets).unwrap();
                let after = SliceHeader::read(after, &sets).unwrap();
                assert_eq!(after.frame_num.value, before.frame_num.from(3), "{name}");
                assert_eq!(
                    after.lsb.map(|lsb| lsb.value),
                    before.lsb.map(|lsb| lsb.from(10)),
                    "{name}"
                );
                assert_eq!(
                    (after.end, &after.commands),
                    (before.end, &before.commands),
                    "{name}"
                );
                read += 1;
            }
            moved += usize::from(changed != es);
            back.apply(&mut changed, 0, true);
            assert!(changed == es, "{name}: an access unit came back as another");
        }
        assert!(read > 100 && moved > 100, "{name}: {read} slices, {moved} moved");
    }
}

#[test]
fn entries_of_real_encoders_begin_with_nought() {
    for (name, entries) in [("b", 3), ("k", 3)] {
        let (_, recording) = CLIPS.iter().find(|(known, _)| *known == name).unwrap();
        let mut known = Vec::new();
        let mut found = 0;
        for es in access_units(recording) {
            if let Some(mut rebase) = Rebase::of_entry(&es, &known, 1)
                && es.windows(5).any(|window| window == [0, 0, 0, 1, 0x67])
            {
                let mut changed = es.clone();
                assert!(rebase.apply(&mut changed, 0, true));
                let kind = |es: &[u8]| {
                    units::ranges(es, 0)
                        .map(|range| es[range.start] & 0x1F)
                        .collect::<Vec<_>>()
                };
                let expected: Vec<u8> = kind(&es)
                    .iter()
                    .map(|kind| if *kind == 1 { 5 } else { *kind })
                    .collect();
                assert_eq!(kind(&changed), expected, "{name}");
                found += 1;
            }
            if known.is_empty() {
                known = es;
            }
        }
        assert_eq!(found, entries, "{name}");
    }
}

/// A unit: its first byte, and its payload as digits.
fn unit(head: u8, digits: &str) -> Vec<u8> {
    let mut writer = Writer::default();
    for digit in digits.bytes().filter(u8::is_ascii_digit) {
        writer.bits(u32::from(digit - b'0'), 1);
    }
    writer.align(false);
    let mut raw = vec![0, 0, 1, head];
    escape(writer.bytes(), &mut raw);
    raw
}

/// The payload of the only slice in `es`, as digits without the trailing bits.
fn digits(es: &[u8]) -> (u8, String) {
    let range = units::ranges(es, 0)
        .find(|range| matches!(es[range.start] & 0x1F, 1 | 5))
        .unwrap();
    let mut payload = Vec::new();
    unescape(&es[range.start + 1..range.end], usize::MAX, &mut payload);
    let digits: String = payload.iter().map(|byte| format!("{byte:08b}")).collect();
    (
        es[range.start],
        digits.trim_end_matches('0').strip_suffix('1').unwrap().to_owned(),
    )
}

/// Main profile; frame_num of 4 bits; pic_order_cnt_type 0 with 4 bits, or another; fields; 16x16.
fn sps(order: &str, frames_only: bool) -> Vec<u8> {
    let fields = if frames_only { "1" } else { "0 0" };
    unit(
        0x67,
        &format!("01001101 00000000 00011110 1 1 {order} 010 0 1 1 {fields} 1 0 0 1"),
    )
}

const LSB: &str = "1 1";

/// PPS 0 of SPS 0; the weights are off and the loop filter is not told of.
fn pps(cabac: bool, order_in_frame: bool) -> Vec<u8> {
    let (cabac, order) = (u8::from(cabac), u8::from(order_in_frame));
    unit(0x68, &format!("1 1 {cabac} {order} 1 1 1 0 00 1 1 1 0 0 0 1"))
}

#[test]
fn entry_pictures_bit_by_bit() {
    // idr_pic_id 1001 is 1002 - 1: nine zeros and 1111101010.
    const ID: &str = "0000000001111101010";
    let check = |sets: [Vec<u8>; 2], head: u8, slice: &str, expected: Option<&str>| {
        let mut es = [sets.concat(), unit(head, slice)].concat();
        let entry = Rebase::of_entry(&es, &[], 0);
        assert_eq!(entry.is_some(), expected.is_some(), "{slice}");
        if let (Some(mut entry), Some(expected)) = (entry, expected) {
            assert!(entry.apply(&mut es, 0, true));
            let wanted: String = expected.replace("ID", ID).split_whitespace().collect();
            assert_eq!(digits(&es), ((head & 0x60) | 5, wanted), "{slice}");
        }
    };
    let cavlc = || [sps(LSB, true), pps(false, false)];
    // first_mb 0, slice_type 7, pps 0, frame_num 9, lsb 6, no commands, slice_qp_delta 0; data; trailing bit.
    check(
        cavlc(),
        0x41,
        "1 0001000 1 1001 0110 0 1 1010101110 1",
        Some("1 0001000 1 0000 ID 0000 00 1 1010101110"),
    );
    // Two commands: forget a picture, end.
    check(
        cavlc(),
        0x61,
        "1 011 1 1001 0110 1 010 011 1 1 1010101110 1",
        Some("1 011 1 0000 ID 0000 00 1 1010101110"),
    );
    // delta_pic_order_cnt_bottom -1: the lesser of the two counts is 0. +1: it is the other.
    let order = || [sps(LSB, true), pps(false, true)];
    check(
        order(),
        0x41,
        "1 0001000 1 1001 0110 011 0 1 111 1",
        Some("1 0001000 1 0000 ID 0001 011 00 1 111"),
    );
    check(
        order(),
        0x41,
        "1 0001000 1 1001 0110 010 0 1 111 1",
        Some("1 0001000 1 0000 ID 0000 010 00 1 111"),
    );
    // A bottom field, and a frame of a stream that has fields.
    let fields = || [sps(LSB, false), pps(false, true)];
    check(
        fields(),
        0x41,
        "1 0001000 1 1001 1 1 0110 0 1 111 1",
        Some("1 0001000 1 0000 1 1 ID 0000 00 1 111"),
    );
    check(
        fields(),
        0x41,
        "1 0001000 1 1001 0 0110 1 0 1 111 1",
        Some("1 0001000 1 0000 0 ID 0000 1 00 1 111"),
    );
    // Counts made of frame_num alone (pic_order_cnt_type 2); of a cycle (1) they are left.
    let alone = || [sps("011", true), pps(false, false)];
    check(
        alone(),
        0x41,
        "1 0001000 1 1001 0 1 111 1",
        Some("1 0001000 1 0000 ID 00 1 111"),
    );
    let cycle = || [sps("010 1 1 1 1", true), pps(false, false)];
    check(cycle(), 0x41, "1 0001000 1 1001 0 1 111 1", None);
    // With CABAC the data begins with a byte: 22 bits of header and two of ones before, 40 and none of them behind.
    check(
        [sps(LSB, true), pps(true, false)],
        0x41,
        "1 0001000 1 1001 0110 0 1 11111 10101011 00000000 00000000 00000001 1",
        Some("1 0001000 1 0000 ID 0000 00 1 1 10101011 00000000 00000000 00000001"),
    );
    // P, SI, no reference, a long-term reference (6), everything forgotten (5), IDR already, a partition.
    check(cavlc(), 0x41, "1 00110 1 1001 0110 0 0 0 1 111 1", None);
    check(cavlc(), 0x41, "1 00101 1 1001 0110 0 1 1 111 1", None);
    check(cavlc(), 0x01, "1 0001000 1 1001 0110 1 111 1", None);
    check(cavlc(), 0x41, "1 0001000 1 1001 0110 1 00111 1 1 1 111 1", None);
    check(cavlc(), 0x41, "1 0001000 1 1001 0110 1 00110 1 1 111 1", None);
    check(cavlc(), 0x45, "1 0001000 1 0000 1 0110 00 1 111 1", None);
    check(cavlc(), 0x42, "1 0001000 1 1001 0110 0 1 1 111 1", None);
}

#[test]
fn commands_about_pictures_from_before_the_entry_are_left_out() {
    let sets = [sps(LSB, true), pps(false, false)].concat();
    let entry = unit(0x41, "1 0001000 1 1001 0110 0 1 111 1");
    let check = |slice: &str, expected: &str| {
        let mut es = [sets.clone(), entry.clone()].concat();
        let mut rebase = Rebase::of_entry(&es, &[], 0).unwrap();
        assert!(rebase.apply(&mut es, 0, true));
        let mut next = unit(0x41, slice);
        assert!(rebase.apply(&mut next, 0, true));
        assert_eq!(
            digits(&next),
            (0x41, expected.split_whitespace().collect()),
            "{slice}"
        );
    };
    // P, frame_num 11: two behind the entry. Back by two is the entry, by three is before it.
    check(
        "1 00110 1 1011 1010 0 0 0 1 111 1",
        "1 00110 1 0010 0100 0 0 0 1 111",
    );
    check(
        "1 00110 1 1011 1010 0 0 1 010 010 1 1 111 1",
        "1 00110 1 0010 0100 0 0 1 010 010 1 1 111",
    );
    check(
        "1 00110 1 1011 1010 0 0 1 010 011 010 1 1 1 111 1",
        "1 00110 1 0010 0100 0 0 1 010 1 1 1 111",
    );
    check(
        "1 00110 1 1011 1010 0 0 1 010 011 1 1 111 1",
        "1 00110 1 0010 0100 0 0 1 1 1 111",
    );
}

#[test]
fn the_second_field_is_moved_and_an_idr_picture_ends_it() {
    let sets = [sps(LSB, false), pps(false, true)].concat();
    let first = unit(0x41, "1 0001000 1 1001 1 0 1110 0 1 111 1");
    let second = unit(0x41, "1 00110 1 1001 1 1 1111 0 0 0 1 111 1");
    let mut es = [sets, first, second].concat();
    let mut rebase = Rebase::of_entry(&es, &[], 0).unwrap();
    assert!(rebase.apply(&mut es, 0, true));
    let kinds: Vec<u8> = units::ranges(&es, 0)
        .map(|range| es[range.start] & 0x1F)
        .collect();
    assert_eq!(kinds, [7, 8, 5, 1]);
    let last = units::ranges(&es, 0).last().unwrap();
    let (_, bits) = digits(&es[last.start - 3..]);
    assert!(
        bits.starts_with("1001101000011"),
        "frame_num 0, bottom field, lsb 1: {bits}"
    );
    // Everything is forgotten there (5): what comes next counts from it.
    let forgets = unit(0x41, "1 00110 1 1010 0 0000 1 0 0 1 00110 1 1 111 1");
    let plain = unit(0x41, "1 00110 1 0001 0 0010 1 0 0 0 1 111 1");
    let mut es = forgets.clone();
    assert!(rebase.apply(&mut es, 0, true) && es != forgets);
    let mut es = plain.clone();
    assert!(!rebase.apply(&mut es, 0, true));
    assert_eq!(es, plain);
}

#[test]
fn mangled_pictures_neither_panic_nor_grow() {
    let mut random = Xorshift::new(33);
    let units: Vec<Vec<u8>> = [1, 4]
        .into_iter()
        .flat_map(|at| access_units(CLIPS[at].1))
        .collect();
    let units = [access_units(CLIPS[0].1), units].concat();
    let entries: Vec<&Vec<u8>> = units
        .iter()
        .filter(|es| Rebase::of_entry(es, &[], 0).is_some())
        .collect();
    let mut entered = 0;
    for _ in 0..3_000 {
        // Far into the first picture its slice data begins; behind it there are slices of others.
        let mut es = entries[random.below(entries.len())].clone();
        es.truncate(random.below(2_000) + 1_000);
        es.extend_from_slice(&units[random.below(units.len())]);
        for _ in 0..random.below(8) {
            let at = random.below(es.len());
            es[at] = [0, 1, 3, 0xFF, 0x41, random.next().to_le_bytes()[0]][random.below(6)];
        }
        es.truncate(random.below(es.len()) + 1);
        let Some(mut rebase) = Rebase::of_entry(&es, &units[0], 0) else {
            continue;
        };
        entered += 1;
        let before = es.len();
        rebase.apply(&mut es, 0, random.below(2) == 0);
        assert!(es.len() < 2 * before + 64);
    }
    assert!(entered > 100, "{entered} entries");
}
