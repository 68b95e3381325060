//! Bytes that nobody should send: what fuzzing found worth keeping, and every field of good files changed.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may panic"
)]

#[path = "../../../fuzz/checks/containers.rs"]
mod checks;

use std::path::Path;

fn folder(of: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(of)
}

/// Runs every file of a target's corpus; says how many there were.
fn replay(target: &str, check: fn(&[u8])) -> usize {
    let files = std::fs::read_dir(folder("../../fuzz/corpus").join(target)).expect("the corpus is there");
    files
        .map(|file| check(&std::fs::read(file.unwrap().path()).unwrap()))
        .count()
}

#[test]
fn corpora_keep_the_checks() {
    assert!(replay("mp4_reader", checks::mp4_reader) > 0);
    assert!(replay("ts_demux", checks::ts_demux) > 0);
}

/// A file of `shapes`, behind the byte that says how it is divided.
fn shape(name: &str) -> Vec<u8> {
    let bytes = std::fs::read(folder("tests/shapes").join(name)).unwrap();
    [&[0xFE], &bytes[..]].concat()
}

/// Every byte of the headers, one at a time, becomes what fields have at their ends.
#[test]
fn every_byte_of_the_headers_may_be_any() {
    for name in ["avc.dash.mp4", "hevc.hvc1.mp4", "ac3.plain.mp4"] {
        let good = shape(name);
        let fragment = good.windows(4).position(|four| four == b"mdat").unwrap();
        for at in 1..fragment {
            for value in [0, 1, 0x7F, 0x80, 0xFF, good[at] ^ 1] {
                let mut changed = good[..(fragment + 600).min(good.len())].to_vec();
                changed[at] = value;
                checks::mp4_reader(&changed);
            }
        }
    }
}

/// Chance that is the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// Files cut, with holes, with pieces twice, with bytes changed.
fn mangled(good: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..1 + chance.below(6) {
        let at = 1 + chance.below(bytes.len() - 1);
        let end = (at + chance.below(400)).min(bytes.len());
        match chance.below(5) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let again = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, again));
            }
            2 => bytes[at] = [0, 1, 0x47, 0x7F, 0x80, 0xFF][chance.below(6)],
            3 => bytes[at] ^= 1 << chance.below(8),
            _ => bytes[0] = chance.below(256).to_le_bytes()[0],
        }
        if bytes.len() < 2 {
            return bytes;
        }
    }
    bytes
}

#[test]
fn mangled_segments_are_read_or_refused() {
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    for name in ["avc.offsets.mp4", "avc.each.mp4", "hevc.hev1.mp4", "ntsc.odd.mp4"] {
        let good = shape(name);
        for _ in 0..150 {
            checks::mp4_reader(&mangled(&good, &mut chance));
        }
    }
}

#[test]
fn mangled_transport_streams_are_read() {
    let mut chance = Chance(0xD1B5_4A32_D192_ED03);
    for name in ["avc.ts", "hevc.ts", "ac3.ts", "ntsc.ts"] {
        let good = shape(name);
        for _ in 0..60 {
            checks::ts_demux(&mangled(&good, &mut chance));
        }
    }
}
