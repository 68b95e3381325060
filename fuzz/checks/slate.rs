//! What is checked of any slate clip, and of any raw radio. The ordinary tests run the same checks over the corpus.

use std::sync::Arc;

use mpegts::es::audio_frame;
use mpegts::radio::{Unwrapper, Wrapper};
use mpegts::slate::{Slate, SlateClip, default_signature};
use mpegts::{Codec, MediaTime, PACKET_BYTES, SYNC_BYTE, Splicer};

/// Any bytes as a clip: what is taken can be shown for ever, in steps of whole packets that last.
pub(crate) fn clip(bytes: &[u8]) {
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
    let mut slate = Slate::new(&signature, Some(Arc::new(clip))).expect("the codec is the promised one");
    for _ in 0..200 {
        let before = slate.shown();
        let packets = slate.step();
        assert!(packets.len().is_multiple_of(PACKET_BYTES));
        assert!(
            packets
                .chunks(PACKET_BYTES)
                .all(|packet| packet.first() == Some(&SYNC_BYTE))
        );
        assert!(slate.shown() > before);
    }
}

/// Any bytes as raw radio, the first one telling how they are divided: whole packets come out, and from those whole
/// frames, no more of them than went in. And any bytes as a programme to take frames from.
pub(crate) fn radio(input: &[u8]) {
    let Some((step, bytes)) = input.split_first() else {
        return;
    };
    let (mut wrapper, mut splicer, mut unwrapper) = (
        Wrapper::new(MediaTime::default()),
        Splicer::new(),
        Unwrapper::new(),
    );
    let mut raw = Vec::new();
    for part in bytes.chunks(1 + usize::from(*step)) {
        let packets = wrapper.push(part);
        assert!(packets.len().is_multiple_of(PACKET_BYTES));
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
    Unwrapper::new().push(bytes);
}
