//! Any bytes in any division: packets begin with a sync byte, and no byte is used twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mpegts::{Aligner, PACKET_BYTES, SYNC_BYTE};

fuzz_target!(|input: (u16, &[u8])| {
    let (step, bytes) = input;
    let mut aligner = Aligner::new();
    let mut packets = 0_u64;
    for part in bytes.chunks(usize::from(step).max(1)) {
        aligner.push(part, |packet| {
            assert_eq!(packet[0], SYNC_BYTE);
            packets += 1;
        });
    }
    assert!(packets * PACKET_BYTES as u64 + aligner.bytes_skipped() <= bytes.len() as u64);
});
