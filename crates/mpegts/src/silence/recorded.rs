//! Frames of silence from real encoders, for the codecs that are too much to write by hand: `assets/make.sh` makes
//! them, one of each format behind the other. They are found by their own headers.

use crate::es::{Codec, SoundFormat, audio_frame};

static AC3: &[u8] = include_bytes!("../../../../assets/silence/ac3");
static EAC3: &[u8] = include_bytes!("../../../../assets/silence/eac3");
static HE_AAC: &[u8] = include_bytes!("../../../../assets/silence/he_aac");

/// acmod of two channels (TS 102 366 Table 4.3), where lfeon is the lowest bit of a layout.
const STEREO: u8 = 2 << 1;

/// 2/2 with a low-frequency channel.
const QUAD_LOW: u8 = (6 << 1) | 1;

/// The bit of acmod that says there is a centre.
const CENTRE: u8 = 1 << 1;

pub(super) fn ac3(format: SoundFormat) -> Option<Vec<u8>> {
    find(Codec::Ac3, AC3, encodable(format))
}

pub(super) fn eac3(format: SoundFormat) -> Option<Vec<u8>> {
    find(Codec::Eac3, EAC3, encodable(format))
}

pub(super) fn he_aac(format: SoundFormat) -> Option<Vec<u8>> {
    find(Codec::Aac, HE_AAC, format)
}

/// No encoder at hand writes two programmes in one stream (acmod 0), nor 2/2 with a low-frequency channel: what has
/// their channels stands for them.
const fn encodable(format: SoundFormat) -> SoundFormat {
    let SoundFormat { rate, layout } = format;
    let layout = match layout {
        0 | 1 => layout | STEREO,
        QUAD_LOW => layout | CENTRE,
        other => other,
    };
    SoundFormat { rate, layout }
}

fn find(codec: Codec, mut frames: &[u8], format: SoundFormat) -> Option<Vec<u8>> {
    loop {
        let frame = audio_frame(codec, frames)?;
        let (bytes, rest) = frames.split_at_checked(frame.bytes)?;
        if frame.format() == format {
            return Some(bytes.to_vec());
        }
        frames = rest;
    }
}
