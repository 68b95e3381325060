//! What a decoder is set up for besides the codec: how sound is sampled and laid out, how large a picture is.

/// How a stream of sound is coded. Two streams of one codec and one format are alike to a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SoundFormat {
    /// Samples per second, as the frame headers say: for HE-AAC that of its core, half of what is heard.
    pub rate: u32,
    /// Channels, as the codec's own headers number their layouts: channel_configuration of AAC (ISO 14496-3 1.6.3.5),
    /// mode of MPEG audio (ISO 11172-3 2.4.2.3) with the code of its layer above it unless that is layer II, `acmod << 1 | lfeon` of AC-3 and E-AC-3 (TS 102 366 4.4.2).
    pub layout: u8,
}

/// How large the pictures of a stream are, in luma samples after cropping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PictureSize {
    /// Samples in a line.
    pub width: u16,
    /// Lines.
    pub height: u16,
}
