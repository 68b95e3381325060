//! The clips that slates are made of: three built-in ones for each codec of pictures, and the operator's own. When one
//! is shown is the broadcast's to decide; how it becomes a stream is `mpegts::slate`'s.

use std::sync::{Arc, OnceLock};

use mpegts::Codec;
use mpegts::slate::{Message, SlateClip};

/// Codecs of pictures that slates exist in.
const CODECS: [Codec; 3] = [Codec::H264, Codec::Hevc, Codec::Mpeg2Video];

macro_rules! built_in {
    ($message:literal) => {
        [
            include_bytes!(concat!("../../../assets/slate/", $message, ".h264.ts")),
            include_bytes!(concat!("../../../assets/slate/", $message, ".hevc.ts")),
            include_bytes!(concat!("../../../assets/slate/", $message, ".mpeg2.ts")),
        ]
    };
}

/// By message and codec, in the order of [`Message::ALL`] and [`CODECS`]. `assets/make.sh` makes them.
static BUILT_IN: [[&[u8]; CODECS.len()]; Message::ALL.len()] =
    [built_in!("offline"), built_in!("limit"), built_in!("expired")];

/// The clips for slates. Clones are cheap.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Slates {
    own: [Option<Arc<SlateClip>>; Message::ALL.len()],
}

impl Slates {
    /// The same, with the operator's own clip for a message.
    #[must_use]
    pub fn with_own(mut self, message: Message, clip: SlateClip) -> Self {
        if let Some(own) = self.own.get_mut(place(message)) {
            *own = Some(Arc::new(clip));
        }
        self
    }

    /// The clip that says `message` in pictures of `codec`: the operator's own where its pictures are of that codec,
    /// else the built-in one. `None` for codecs that there is no clip in; a programme without pictures needs none.
    #[must_use]
    pub fn clip(&self, codec: Codec, message: Message) -> Option<Arc<SlateClip>> {
        let own = self.own.get(place(message)).and_then(Option::as_ref);
        own.filter(|own| own.codec() == codec)
            .map(Arc::clone)
            .or_else(|| built_in(codec, message))
    }
}

/// The built-in clip; read the first time it is asked for.
fn built_in(codec: Codec, message: Message) -> Option<Arc<SlateClip>> {
    static READ: [[OnceLock<Option<Arc<SlateClip>>>; CODECS.len()]; Message::ALL.len()] =
        [const { [const { OnceLock::new() }; CODECS.len()] }; Message::ALL.len()];
    let codec = CODECS.iter().position(|known| *known == codec)?;
    let bytes = BUILT_IN.get(place(message))?.get(codec)?;
    READ.get(place(message))?
        .get(codec)?
        .get_or_init(|| SlateClip::parse(bytes).ok().map(Arc::new))
        .clone()
}

/// Where a message stands in [`Message::ALL`].
const fn place(message: Message) -> usize {
    match message {
        Message::Offline => 0,
        Message::Limit => 1,
        Message::Expired => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_clip_for_every_message_and_codec() {
        let slates = Slates::default();
        let mut seen: Vec<Arc<SlateClip>> = Vec::new();
        for (number, message) in Message::ALL.into_iter().enumerate() {
            assert_eq!(place(message), number);
            for codec in CODECS {
                let clip = slates.clip(codec, message).expect("a built-in clip is whole");
                assert_eq!(clip.codec(), codec);
                assert!(seen.iter().all(|other| **other != *clip), "{message:?} {codec:?}");
                let again = slates.clip(codec, message).expect("it is still there");
                assert!(Arc::ptr_eq(&clip, &again), "it is read once");
                seen.push(clip);
            }
        }
        assert_eq!(slates.clip(Codec::OtherVideo(0x42), Message::Offline), None);
        assert_eq!(slates.clip(Codec::Aac, Message::Offline), None);
    }

    #[test]
    fn an_own_clip_stands_where_its_codec_is_promised() {
        let own = SlateClip::parse(include_bytes!("../../../assets/testcard.ts")).expect("the test card");
        let pictures = own.pictures();
        let slates = Slates::default().with_own(Message::Limit, own);
        let of = |codec, message| slates.clip(codec, message).map(|clip| clip.pictures());
        assert_eq!(of(Codec::H264, Message::Limit), Some(pictures));
        assert_eq!(
            slates.clip(Codec::Hevc, Message::Limit),
            built_in(Codec::Hevc, Message::Limit)
        );
        assert_eq!(
            slates.clip(Codec::H264, Message::Offline),
            built_in(Codec::H264, Message::Offline)
        );
    }
}
