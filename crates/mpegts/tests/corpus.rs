//! What fuzzing found worth keeping, held to the same checks as when it was found.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may panic"
)]

#[path = "../../../fuzz/checks/mpegts.rs"]
mod checks;
#[path = "../../../fuzz/checks/datagrams.rs"]
mod datagram_checks;
#[path = "../../../fuzz/checks/slate.rs"]
mod slate_checks;

use std::path::Path;

/// Runs every file of a target's corpus; says how many there were.
fn replay(target: &str, check: fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let files = std::fs::read_dir(&folder).expect("the corpus is there");
    files
        .map(|file| check(&std::fs::read(file.unwrap().path()).unwrap()))
        .count()
}

#[test]
fn corpora_keep_the_checks() {
    let check = |target, check| assert!(replay(target, check) > 0, "{target} has no corpus");
    check("mpegts_align", checks::align);
    check("mpegts_psi", checks::psi);
    check("mpegts_pes", checks::pes);
    check("mpegts_splice", checks::splice);
    check("mpegts_slate", slate_checks::clip);
    check("mpegts_radio", slate_checks::radio);
    check("rtp_datagrams", datagram_checks::datagrams);
}

#[test]
fn datagrams_keep_the_checks_however_they_are_mangled() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/rtp_datagrams");
    // xorshift64*: chance that is the same in every run.
    let mut state = 0xA076_1D64_78BD_642F_u64;
    let mut below = |bound: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        usize::try_from(state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % bound.max(1)
    };
    for file in std::fs::read_dir(folder).unwrap() {
        let good = std::fs::read(file.unwrap().path()).unwrap();
        for _ in 0..2_000 {
            let mut mangled = good.clone();
            for _ in 0..=below(8) {
                let at = below(mangled.len());
                match below(4) {
                    0 => mangled[at] = [0, 0x47, 0x80, 0x90, 0xA0, 0xB0, 0xFF][below(7)],
                    1 => mangled[at] ^= 1 << below(8),
                    2 => drop(mangled.drain(at..at + below(40).min(mangled.len() - at))),
                    _ => {
                        let piece: Vec<u8> = mangled[at..].iter().copied().take(below(200)).collect();
                        let to = below(mangled.len());
                        mangled.splice(to..to, piece);
                    }
                }
            }
            datagram_checks::datagrams(&mangled);
        }
    }
}
