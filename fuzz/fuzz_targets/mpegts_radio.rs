//! Any bytes as raw radio: whole packets come out, and from those whole frames, none of them longer than what went in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mpegts::es::audio_frame;
use mpegts::radio::{Unwrapper, Wrapper};
use mpegts::{PACKET_BYTES, Splicer};

fuzz_target!(|bytes: &[u8]| {
    let (step, bytes) = bytes.split_first().map_or((1, bytes), |(step, rest)| (1 + usize::from(*step), rest));
    let (mut wrapper, mut splicer, mut unwrapper) = (Wrapper::new(), Splicer::new(), Unwrapper::new());
    let mut raw = Vec::new();
    for part in bytes.chunks(step) {
        let packets = wrapper.push(part);
        assert!(packets.len() % PACKET_BYTES == 0);
        splicer.push(&packets);
        while let Some(piece) = splicer.take() {
            raw.extend(unwrapper.push(&piece.bytes));
        }
    }
    assert!(raw.len() <= bytes.len());
    let mut rest = raw.as_slice();
    while let Some(frame) = unwrapper.codec().and_then(|codec| audio_frame(codec, rest)) {
        rest = rest.get(frame.bytes..).expect("half a frame");
    }
    assert!(rest.is_empty());
    // And any bytes as a programme.
    Unwrapper::new().push(bytes);
});
