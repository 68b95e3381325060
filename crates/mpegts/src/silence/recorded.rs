//! Frames of silence from real encoders, for the codecs that are too much to write by hand: `assets/make.sh` makes
//! them, one of each format behind the other. They are found by their own headers.

use super::format_of;
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
        let length = audio_frame(codec, frames)?.bytes;
        let (frame, rest) = frames.split_at_checked(length)?;
        if format_of(codec, frame) == Some(format) {
            return Some(frame.to_vec());
        }
        frames = rest;
    }
}

/// `acmod << 1 | lfeon` of an AC-3 frame, from the byte that begins with acmod: the mix levels that some layouts have
/// stand before lfeon (TS 102 366 4.3.2).
pub(super) const fn ac3_layout(byte: u8) -> u8 {
    let acmod = byte >> 5;
    let centre = if acmod & 1 != 0 && acmod != 1 { 2 } else { 0 };
    let surround = if acmod & 4 != 0 { 2 } else { 0 };
    let stereo = if acmod == 2 { 2 } else { 0 };
    let lfeon = (byte >> (4 - centre - surround - stereo)) & 1;
    (acmod << 1) | lfeon
}
