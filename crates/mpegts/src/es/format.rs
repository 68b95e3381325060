//! What a decoder is set up for besides the codec: how sound is sampled and laid out, how large a picture is.

use super::Codec;

/// How a stream of sound is coded. Two streams of one codec and one format are alike to a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SoundFormat {
    /// Samples per second, as the frame headers say: for HE-AAC that of its core, half of what is heard.
    pub rate: u32,
    /// Channels, as the codec's own headers number their layouts: channel_configuration of AAC (ISO 14496-3 1.6.3.5),
    /// mode of MPEG audio (ISO 11172-3 2.4.2.3) with the code of its layer above it unless that is layer II, `acmod << 1 | lfeon` of AC-3 and E-AC-3 (TS 102 366 4.4.2).
    pub layout: u8,
}

impl SoundFormat {
    /// How many channels a sound of `codec` has in this format; `None` where that is not told.
    #[must_use]
    pub fn channels(self, codec: Codec) -> Option<u8> {
        match codec {
            // Configuration 7 is of eight channels (ISO 14496-3 Table 1.19).
            Codec::Aac => [
                None,
                Some(1),
                Some(2),
                Some(3),
                Some(4),
                Some(5),
                Some(6),
                Some(8),
            ]
            .get(usize::from(self.layout))
            .copied()
            .flatten(),
            // Mode 3 is a single channel.
            Codec::MpegAudio => Some(if self.layout & 3 == 3 { 1 } else { 2 }),
            // TS 102 366 Table 4.3, and the one for low frequencies.
            Codec::Ac3 | Codec::Eac3 => {
                let full = [2, 1, 2, 3, 3, 4, 4, 5].get(usize::from(self.layout >> 1))?;
                Some(full + (self.layout & 1))
            }
            _ => None,
        }
    }
}

/// How large the pictures of a stream are, in luma samples after cropping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PictureSize {
    /// Samples in a line.
    pub width: u16,
    /// Lines.
    pub height: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_have_channels() {
        for (codec, layout, expected) in [
            (Codec::Aac, 2, Some(2)),
            (Codec::Aac, 6, Some(6)),
            (Codec::Aac, 7, Some(8)),
            (Codec::Aac, 0, None),
            (Codec::MpegAudio, 3, Some(1)),
            (Codec::MpegAudio, 1, Some(2)),
            (Codec::Ac3, 7 << 1 | 1, Some(6)),
            (Codec::Eac3, 2 << 1, Some(2)),
            (Codec::Dts, 2, None),
        ] {
            let format = SoundFormat { rate: 48_000, layout };
            assert_eq!(format.channels(codec), expected, "{codec:?} {layout}");
        }
    }
}
