//! Any sources: whole packets come out, counters go on, the clock rises, media time never goes back.
//! A good source goes before and after, so that there is a timeline to break.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mpegts::{PACKET_BYTES, Packet, Splicer};
use std::collections::HashMap;

const GOOD: &[u8] = include_bytes!("../../assets/slate.ts");

fuzz_target!(|input: (bool, u16, &[u8])| {
    let (ends, step, bytes) = input;
    let mut splicer = Splicer::new();
    let mut counters = HashMap::new();
    let (mut clock, mut time) = (None, None);
    // A hostile source that is to get anywhere needs tables: it starts behind those of the good one.
    let hostile = [&GOOD[..PACKET_BYTES * 20], bytes].concat();
    for source in [GOOD, &hostile, GOOD] {
        splicer.begin_source();
        for part in source.chunks(usize::from(step).max(64)) {
            splicer.push(part);
        }
        if ends {
            splicer.end_source();
        }
        while let Some(piece) = splicer.take() {
            assert!(
                time.replace(piece.media_time)
                    .is_none_or(|last| last <= piece.media_time)
            );
            let (packets, rest) = piece.bytes.as_chunks::<PACKET_BYTES>();
            assert!(rest.is_empty());
            for packet in packets.iter().map(|bytes| Packet::new(bytes).expect("a packet")) {
                let step = u8::from(packet.payload().is_some());
                let last: Option<u8> = counters.insert(packet.pid().value(), packet.continuity());
                assert!(last.is_none_or(|last| (last + step) & 15 == packet.continuity()));
                if let Some(pcr) = packet.pcr() {
                    // The timeline begins at 10 s: no input is long enough to wrap it.
                    assert!(clock.replace(pcr.ticks()).is_none_or(|last| last < pcr.ticks()));
                }
            }
        }
    }
});
