//! Elementary streams: what a codec is called, and where decoding may start.

/// What a stream carries, from its stream_type and its descriptors together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// ISO/IEC 11172-2 or 13818-2 video (stream_type 0x01, 0x02).
    Mpeg2Video,
    /// H.264 / AVC (0x1B).
    H264,
    /// H.265 / HEVC (0x24).
    Hevc,
    /// Video of another kind, known by its stream_type only.
    OtherVideo(u8),
    /// MPEG-1 or MPEG-2 audio, layers I to III (0x03, 0x04).
    MpegAudio,
    /// AAC in ADTS (0x0F).
    Aac,
    /// AAC in LATM/LOAS (0x11).
    AacLatm,
    /// AC-3 (0x81, or private with descriptor 0x6A).
    Ac3,
    /// Enhanced AC-3 (0x87, or private with descriptor 0x7A).
    Eac3,
    /// DTS (private with descriptor 0x7B, or 0x82).
    Dts,
    /// Opus (private with registration `Opus`).
    Opus,
    /// DVB subtitles (private with descriptor 0x59).
    DvbSubtitle,
    /// DVB teletext (private with descriptor 0x56).
    Teletext,
    /// Any other stream in PES packets, known by its stream_type only.
    Data(u8),
}

impl Codec {
    /// A picture.
    #[must_use]
    pub const fn is_video(self) -> bool {
        matches!(
            self,
            Self::Mpeg2Video | Self::H264 | Self::Hevc | Self::OtherVideo(_)
        )
    }

    /// A sound.
    #[must_use]
    pub const fn is_audio(self) -> bool {
        matches!(
            self,
            Self::MpegAudio | Self::Aac | Self::AacLatm | Self::Ac3 | Self::Eac3 | Self::Dts | Self::Opus
        )
    }
}
