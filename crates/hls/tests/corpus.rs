//! The checks of the fuzz targets over what is known to be worth checking: playlists of the field, whole and mangled, and
//! segments likewise.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../fuzz/checks/hls.rs"]
mod checks;

use std::path::Path;

/// xorshift64*: chance that is the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % bound.max(1)
    }

    /// A few bytes changed, gone or said twice.
    fn mangle(&mut self, bytes: &mut Vec<u8>, letters: &[u8]) {
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len());
            match self.below(3) {
                _ if bytes.is_empty() => return,
                0 => bytes[at] = letters[self.below(letters.len())],
                1 => drop(bytes.remove(at)),
                _ => {
                    let piece: Vec<u8> = bytes[at..].iter().copied().take(self.below(60)).collect();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
            }
        }
    }
}

#[test]
fn playlists_keep_the_checks_however_they_are_mangled() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/playlists");
    let mut chance = Chance(0xA076_1D64_78BD_642F);
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read(&path).unwrap();
        checks::playlist(&text);
        for _ in 0..200 {
            let mut mangled = text.clone();
            chance.mangle(&mut mangled, b"\"#:=,@09-xX{$}\n\r\0\xff");
            checks::playlist(&mangled);
        }
    }
}

#[test]
fn segments_keep_the_checks_however_they_are_mangled() {
    let adts: Vec<u8> = [
        0xFF, 0xF1, 0x4C, 0x80, 0x02, 0x1F, 0xFC, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]
    .repeat(20);
    let stamp = b"ID3\x04\0\0\0\0\0\x3fPRIV\0\0\0\x35\0\0com.apple.streaming.transportStreamTimestamp\0\0\0\0\0\0\0\0\x01";
    let packets = include_bytes!("../../../fuzz/good.ts");
    let seeds = [
        [&[7], &stamp[..], &adts].concat(),
        [&[255], &adts[..]].concat(),
        [&[188], &packets[..188 * 20]].concat(),
        [&[188], &packets[188 * 2..188 * 20]].concat(),
    ];
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    for seed in seeds {
        checks::segment(&seed);
        for _ in 0..600 {
            let mut mangled = seed.clone();
            chance.mangle(&mut mangled, b"\xff\xf1\x0b\x77ID3PRIV\x47\0\x7f");
            checks::segment(&mangled);
        }
    }
}
