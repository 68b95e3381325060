//! Any bytes as a slate clip: what is taken can be shown for ever, in steps of whole packets that last.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use mpegts::slate::{Slate, SlateClip, default_signature};
use mpegts::{Codec, PACKET_BYTES};

fuzz_target!(|bytes: &[u8]| {
    let Ok(clip) = SlateClip::parse(bytes) else { return };
    assert!(clip.duration_90k() > 0 && clip.pictures() > 0);
    let mut signature = default_signature();
    if let Some(stream) = signature.streams.first_mut() {
        stream.codec = clip.codec();
        stream.stream_type = match clip.codec() {
            Codec::Hevc => 0x24,
            Codec::Mpeg2Video => 0x02,
            _ => 0x1B,
        };
    }
    let mut slate = Slate::new(&signature, Some(Arc::new(clip))).unwrap();
    for _ in 0..200 {
        let before = slate.shown();
        let packets = slate.step();
        assert!(packets.len() % PACKET_BYTES == 0);
        assert!(packets.chunks(PACKET_BYTES).all(|packet| packet.first() == Some(&0x47)));
        assert!(slate.shown() > before);
    }
});
