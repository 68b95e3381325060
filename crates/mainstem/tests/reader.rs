//! The reader that the other tests trust, put to the test: each of the broken files in `broken/` fails, for its own
//! reason and no other, and what is right passes.
//!
//! The broken files are derived here from `broken/good.ts`, one fault each. `MAINSTEM_WRITE_BROKEN=1` writes them.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

#[path = "support/ts/mod.rs"]
mod ts;

use std::path::{Path, PathBuf};

use ts::{
    Kind, PACKET, Report, adaptation, counter, crc32, has_payload, payload, payload_at, pcr, pid, starts_unit,
};

/// PIDs of the good file: ffmpeg's own.
const PMT: u16 = 0x1000;
const VIDEO: u16 = 0x100;
const AUDIO: u16 = 0x101;

/// A file of this size can be looked at, and costs nobody anything.
const FILE_BYTES_MAX: usize = 30_000;

type Packet = [u8; PACKET];
type Break = fn(&[Packet]) -> Vec<u8>;

/// Name, what the reader has to say, and how it comes about.
const BROKEN: [(&str, Kind, Break); 23] = [
    ("misaligned", Kind::Alignment, rubbish_between_packets),
    ("transport-error", Kind::TransportError, |p| {
        with(p, |p| p[1] |= 0x80)
    }),
    ("scrambled", Kind::Scrambled, |p| with(p, |p| p[3] |= 0x80)),
    ("lost-packet", Kind::Continuity, lost_packet),
    ("sent-three-times", Kind::Repetition, |p| repeated(p, 2)),
    ("repeated-otherwise", Kind::Repetition, repeated_otherwise),
    ("unlisted-pid", Kind::Unlisted, unlisted_sound),
    ("no-pat", Kind::TableGap, |p| without_tables(p, 0)),
    ("no-pmt", Kind::TableGap, |p| without_tables(p, PMT)),
    ("pmt-crc", Kind::Crc, |p| map(p, |section| section[6] ^= 1)),
    ("type-changed", Kind::TypeChanged, type_changed),
    ("version-kept", Kind::VersionKept, version_kept),
    ("clock-elsewhere", Kind::ClockPid, clock_elsewhere),
    ("clock-gap", Kind::ClockGap, clock_gap),
    ("clock-jumps-back", Kind::ClockJump, clock_jumps_back),
    ("sound-late", Kind::UnitLate, |p| sound_moved(p, -90_000)),
    ("sound-early", Kind::UnitEarly, |p| sound_moved(p, 90_000)),
    ("decoding-back", Kind::DecodingBack, decoding_back),
    (
        "shown-before-decoded",
        Kind::ShownBeforeDecoded,
        shown_before_decoded,
    ),
    ("unit-cut", Kind::UnitCut, sound_cut),
    ("unit-marker", Kind::UnitHeader, marker_lost),
    ("no-keyframe", Kind::NoEntry, keyframe_lost),
    ("keyframe-not-flagged", Kind::NoEntry, flag_lost),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken")
}

fn good() -> Vec<Packet> {
    let bytes = std::fs::read(folder().join("good.ts")).unwrap();
    let (packets, rest) = bytes.as_chunks::<PACKET>();
    assert!(rest.is_empty() && bytes.len() <= FILE_BYTES_MAX);
    packets.to_vec()
}

#[test]
fn every_broken_file_fails_for_its_own_reason() {
    let is_to_write = std::env::var_os("MAINSTEM_WRITE_BROKEN").is_some();
    for (name, kind, derive) in BROKEN {
        let path = folder().join(format!("{name}.ts"));
        let derived = derive(&good());
        if is_to_write {
            std::fs::write(&path, &derived).unwrap();
        }
        let file = std::fs::read(&path).unwrap();
        assert!(file == derived, "{name} is not what it is derived to be");
        assert!(file.len() <= FILE_BYTES_MAX, "{name}: {} bytes", file.len());
        let report = Report::of(&file);
        assert_eq!(report.kinds(), [kind], "{name}: {}", report.complaints());
    }
}

#[test]
fn what_is_right_passes() {
    let bytes = good().concat();
    let report = Report::of(&bytes);
    report.assert_clean("the good file");
    assert_eq!((report.pictures(), report.tail), (40, 0));
    assert!(report.sounds() > 15, "{report:?}");
    // What a viewer has who leaves in the middle of a packet, a unit, or both.
    for cut in (0..bytes.len()).step_by(997).skip(3) {
        Report::of(&bytes[..cut]).assert_clean("the good file, cut");
    }
    // Once more is allowed (clause 2.4.3.3), the PCR being another.
    Report::of(&repeated(&good(), 1)).assert_clean("a packet sent twice");
    // Null packets are allowed anywhere.
    let mut null = [0xFF; PACKET];
    null[..4].copy_from_slice(&[0x47, 0x1F, 0xFF, 0x10]);
    let stuffed: Vec<u8> = good().iter().flat_map(|p| [null, *p]).flatten().collect();
    Report::of(&stuffed).assert_clean("null packets");
}

/// Files as ffmpeg writes them: other codecs, open GOPs, a wrap of the clock, radio.
#[test]
fn what_ffmpeg_makes_passes() {
    let clips = Path::new(env!("CARGO_MANIFEST_DIR")).join("../provider-double/clips");
    let mut count = 0;
    for entry in std::fs::read_dir(clips).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "ts") {
            let report = Report::of(&std::fs::read(&path).unwrap());
            let name = path.file_stem().unwrap();
            // ffmpeg writes the PCR of radio where a PES packet begins, which is too seldom here.
            let expected: &[Kind] = if name == "n" { &[Kind::ClockGap] } else { &[] };
            assert_eq!(report.kinds(), expected, "{name:?}: {}", report.complaints());
            count += 1;
        }
    }
    assert!(count >= 10, "{count} clips");
}

fn bytes(packets: &[Packet]) -> Vec<u8> {
    packets.concat()
}

/// The place of the packet in the middle of a unit, somewhere in the middle of the file.
fn middle(packets: &[Packet], of: u16) -> usize {
    let inner = |p: &Packet| pid(p) == of && !starts_unit(p) && pcr(p).is_none() && p[3] & 0x30 == 0x10;
    (packets.len() / 4..packets.len())
        .find(|at| inner(&packets[*at]))
        .unwrap()
}

/// The places of packets that begin units of a PID.
fn starts(packets: &[Packet], of: u16) -> Vec<usize> {
    (0..packets.len())
        .filter(|at| pid(&packets[*at]) == of && starts_unit(&packets[*at]))
        .collect()
}

/// Counters anew, so that what is missing does not show in them.
fn recount(packets: &mut [Packet]) {
    let mut counters = std::collections::BTreeMap::new();
    for packet in packets {
        let next = counters.entry(pid(packet)).or_insert(0_u8);
        packet[3] = packet[3] & 0xF0 | *next & 0x0F;
        *next += u8::from(has_payload(packet));
        *next &= 0x0F;
    }
}

fn with(packets: &[Packet], change: fn(&mut Packet)) -> Vec<u8> {
    let mut packets = packets.to_vec();
    let at = middle(&packets, VIDEO);
    change(&mut packets[at]);
    bytes(&packets)
}

fn rubbish_between_packets(packets: &[Packet]) -> Vec<u8> {
    let (before, after) = packets.split_at(packets.len() / 2);
    [bytes(before), vec![0xAA; 10], bytes(after)].concat()
}

fn lost_packet(packets: &[Packet]) -> Vec<u8> {
    let mut packets = packets.to_vec();
    packets.remove(middle(&packets, VIDEO));
    bytes(&packets)
}

fn repeated(packets: &[Packet], times: usize) -> Vec<u8> {
    let mut packets = packets.to_vec();
    let at = (packets.len() / 2..packets.len())
        .find(|at| pcr(&packets[*at]).is_some())
        .unwrap();
    let mut copy = packets[at];
    // Bits of the PCR's extension: a later moment by less than a tick.
    copy[11] ^= 1;
    for _ in 0..times {
        packets.insert(at + 1, copy);
    }
    bytes(&packets)
}

fn repeated_otherwise(packets: &[Packet]) -> Vec<u8> {
    let mut packets = packets.to_vec();
    let at = middle(&packets, VIDEO);
    let mut copy = packets[at];
    copy[100] ^= 1;
    packets.insert(at + 1, copy);
    bytes(&packets)
}

/// Changes a PMT's section, without its CRC.
fn map(packets: &[Packet], change: fn(&mut [u8])) -> Vec<u8> {
    let mut packets = packets.to_vec();
    let at = starts(&packets, PMT)[5];
    change(&mut packets[at][5..]);
    bytes(&packets)
}

/// Changes every PMT from the `first` on, CRC included.
fn maps(packets: &mut [Packet], first: usize, change: impl Fn(&mut [u8])) {
    for at in starts(packets, PMT).into_iter().skip(first) {
        let section = &mut packets[at][5..];
        let end = 3 + (usize::from(section[1] & 0x0F) << 8 | usize::from(section[2])) - 4;
        change(&mut section[..end]);
        let crc = crc32(&section[..end]).to_be_bytes();
        section[end..end + 4].copy_from_slice(&crc);
    }
}

/// Where the sound's entry is in a PMT's section.
fn sound_entry(section: &[u8]) -> usize {
    (12..section.len() - 2)
        .find(|at| section[at + 1..at + 3] == (0xE000 | AUDIO).to_be_bytes())
        .unwrap()
}

fn new_version(section: &mut [u8]) {
    section[5] = section[5] & 0xC1 | (section[5] + 2) & 0x3E;
}

fn unlisted_sound(packets: &[Packet]) -> Vec<u8> {
    let mut packets = packets.to_vec();
    maps(&mut packets, 0, |section| {
        let at = sound_entry(section);
        section[at + 2] += 1;
    });
    bytes(&packets)
}

fn type_changed(packets: &[Packet]) -> Vec<u8> {
    let mut packets = packets.to_vec();
    maps(&mut packets, 8, |section| {
        let at = sound_entry(section);
        section[at] = 0x03;
        new_version(section);
    });
    bytes(&packets)
}

fn version_kept(packets: &[Packet]) -> Vec<u8> {
    let mut packets = packets.to_vec();
    maps(&mut packets, 8, |section| {
        let at = sound_entry(section);
        // A reserved bit before ES_info_length: the streams are the same.
        section[at + 3] ^= 0x80;
    });
    bytes(&packets)
}

fn without_tables(packets: &[Packet], of: u16) -> Vec<u8> {
    let mut packets = packets.to_vec();
    let mut seen = 0;
    packets.retain(|p| {
        seen += usize::from(pid(p) == of);
        pid(p) != of || !(4..10).contains(&seen)
    });
    recount(&mut packets);
    bytes(&packets)
}

fn clock_elsewhere(packets: &[Packet]) -> Vec<u8> {
    let mut packets = packets.to_vec();
    maps(&mut packets, 0, |section| {
        section[8..10].copy_from_slice(&(0xE000 | AUDIO).to_be_bytes());
    });
    bytes(&packets)
}

fn clock_gap(packets: &[Packet]) -> Vec<u8> {
    let mut packets = packets.to_vec();
    let from = packets.len() / 2;
    let clocks: Vec<usize> = (from..packets.len())
        .filter(|at| pcr(&packets[*at]).is_some())
        .collect();
    for at in &clocks[..2] {
        // Stuffing takes its place.
        packets[*at][5] &= !0x10;
        packets[*at][6..12].fill(0xFF);
    }
    bytes(&packets)
}

fn clock_jumps_back(packets: &[Packet]) -> Vec<u8> {
    let mut packets = packets.to_vec();
    let from = packets.len() / 2;
    for packet in &mut packets[from..] {
        if let Some(now) = pcr(packet) {
            let base = (now - 9_000) << 31;
            packet[6..10].copy_from_slice(&base.to_be_bytes()[..4]);
            packet[10] = packet[10] & 0x7F | base.to_be_bytes()[4] & 0x80;
        }
    }
    bytes(&packets)
}

/// Reads and writes PTS (0) or DTS (5) in a PES header.
fn stamp(packet: &Packet, which: usize) -> i64 {
    let at = payload_at(packet) + 9 + which;
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|n| i64::from(packet[at + n]));
    (a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1
}

fn set_stamp(packet: &mut Packet, which: usize, stamp: i64) {
    let at = payload_at(packet) + 9 + which;
    let byte = |value: i64| value.to_le_bytes()[0];
    packet[at] = packet[at] & 0xF1 | byte(stamp >> 30 & 7) << 1;
    packet[at + 1] = byte(stamp >> 22);
    packet[at + 2] = byte(stamp >> 15) << 1 | 1;
    packet[at + 3] = byte(stamp >> 7);
    packet[at + 4] = byte(stamp) << 1 | 1;
}

fn sound_moved(packets: &[Packet], by: i64) -> Vec<u8> {
    let mut packets = packets.to_vec();
    for at in starts(&packets, AUDIO) {
        let pts = stamp(&packets[at], 0);
        set_stamp(&mut packets[at], 0, pts + by);
    }
    bytes(&packets)
}

/// Places of pictures that have a DTS besides their PTS.
fn reordered(packets: &[Packet]) -> Vec<usize> {
    starts(packets, VIDEO)
        .into_iter()
        .filter(|at| payload(&packets[*at])[7] & 0xC0 == 0xC0)
        .collect()
}

fn decoding_back(packets: &[Packet]) -> Vec<u8> {
    let mut packets = packets.to_vec();
    let units = starts(&packets, VIDEO);
    let with_both = reordered(&packets);
    let at = with_both[with_both.len() / 2];
    let before = units[units.iter().position(|unit| *unit == at).unwrap() - 1];
    // A picture without a DTS has it in its PTS (clause 2.4.3.7).
    let which = if with_both.contains(&before) { 5 } else { 0 };
    let dts = stamp(&packets[before], which);
    set_stamp(&mut packets[at], 5, dts - 1);
    bytes(&packets)
}

fn shown_before_decoded(packets: &[Packet]) -> Vec<u8> {
    let mut packets = packets.to_vec();
    let with_both = reordered(&packets);
    let at = with_both[with_both.len() / 2];
    let dts = stamp(&packets[at], 5);
    set_stamp(&mut packets[at], 0, dts - 3_600);
    bytes(&packets)
}

fn sound_cut(packets: &[Packet]) -> Vec<u8> {
    let mut packets = packets.to_vec();
    packets.remove(middle_of_sound(&packets));
    recount(&mut packets);
    bytes(&packets)
}

fn middle_of_sound(packets: &[Packet]) -> usize {
    let inner = |at: &usize| pid(&packets[*at]) == AUDIO && !starts_unit(&packets[*at]);
    (packets.len() / 2..packets.len()).find(inner).unwrap()
}

fn marker_lost(packets: &[Packet]) -> Vec<u8> {
    let mut packets = packets.to_vec();
    let units = starts(&packets, AUDIO);
    let at = units[units.len() / 2];
    let place = payload_at(&packets[at]) + 9;
    packets[at][place] &= 0xFE;
    bytes(&packets)
}

/// The stream begins with the second picture: flagged as an entry, which it is not.
fn keyframe_lost(packets: &[Packet]) -> Vec<u8> {
    let mut packets = packets.to_vec();
    let units = starts(&packets, VIDEO);
    let (first, second) = (units[0], units[1]);
    assert!(counter(&packets[first]) == 0 && !adaptation(&packets[second]).is_empty());
    packets.drain(first..second);
    packets[first][5] |= 0x40;
    bytes(&packets)
}

fn flag_lost(packets: &[Packet]) -> Vec<u8> {
    let mut packets = packets.to_vec();
    let first = starts(&packets, VIDEO)[0];
    packets[first][5] &= !0x40;
    bytes(&packets)
}
