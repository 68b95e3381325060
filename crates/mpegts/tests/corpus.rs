//! What fuzzing found worth keeping, held to the same checks as when it was found.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may panic"
)]

#[path = "../../../fuzz/checks/mpegts.rs"]
mod checks;
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
}
